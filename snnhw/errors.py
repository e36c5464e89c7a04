"""Every error snnhw raises on purpose.

    SnnhwError
    ├── ExpressionError      an expression that cannot be built, read or evaluated
    ├── ProgramError         a program that means nothing; carries every problem, each with its node
    ├── LoadError            a file that is not what it claims to be
    ├── ExportError          a program that a file format, or who reads it, cannot say as it is
    ├── CaptureError         a torch module whose step cannot be taken into a program
    ├── InputError           arrays, options or arguments that do not fit the program or the job
    ├── PluginError
    │   ├── UnknownPlugin        no installed distribution offers that name
    │   ├── PluginUnavailable    installed, but cannot run here; says why and what to install
    │   ├── InterfaceMismatch    written for another version of ``snnhw.plugin``
    │   └── DuplicatePlugin      two distributions claim the same name
    ├── BusyError            a model that another call is using at this moment
    ├── Unsupported          a legal program that this backend cannot run; carries every reason
    ├── DeviceError          the device or its runtime failed while running
    └── RanksError           another of the processes that train together has ended, or does not answer

A message says what failed and where, what was given, what is accepted, and what to do next.
"""

from __future__ import annotations

__all__ = [
    "BusyError",
    "CaptureError",
    "DeviceError",
    "DuplicatePlugin",
    "ExportError",
    "ExpressionError",
    "InputError",
    "InterfaceMismatch",
    "LoadError",
    "PluginError",
    "PluginUnavailable",
    "ProgramError",
    "RanksError",
    "SnnhwError",
    "UnknownPlugin",
    "Unsupported",
]


class SnnhwError(Exception):
    """Base of every error raised on purpose by snnhw."""


class ExpressionError(SnnhwError, ValueError):
    """An expression cannot be built, read or evaluated."""


class ProgramError(SnnhwError, ValueError):
    """A program means nothing as written.

    Attributes:
        problems: every problem found, each naming the node or edge it is about.
    """

    def __init__(self, problems: tuple[str, ...] | list[str] | str) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__(_itemised("this program is not valid", self.problems))

    def __reduce__(self) -> tuple[type[ProgramError], tuple[object, ...]]:
        return type(self), (self.problems,)


class LoadError(SnnhwError, ValueError):
    """A file is not what it claims to be; nothing of it was used."""


class ExportError(SnnhwError, ValueError):
    """A legal program that a file format, or who will read the file, cannot say as it is.

    Attributes:
        reasons: every reason, each naming the node it is about.
    """

    def __init__(self, reasons: tuple[str, ...] | list[str], advice: str = "") -> None:
        self.reasons, self.advice = tuple(reasons), advice
        text = _itemised("this program cannot be written as it is", self.reasons)
        super().__init__(f"{text}\n{advice}" if advice else text)

    def __reduce__(self) -> tuple[type[ExportError], tuple[object, ...]]:
        return type(self), (self.reasons, self.advice)


class CaptureError(SnnhwError, TypeError):
    """A torch module's step cannot be taken into a program; names the line."""


class InputError(SnnhwError, ValueError):
    """Arrays, options or arguments do not fit the program or the job."""


class PluginError(SnnhwError):
    """Something about a plugin rather than about the program."""


class UnknownPlugin(PluginError, LookupError):
    """No installed distribution offers a plugin of that name."""


class PluginUnavailable(PluginError):
    """The plugin is installed but cannot run here."""


class InterfaceMismatch(PluginError):
    """The plugin was written for another version of ``snnhw.plugin``."""


class DuplicatePlugin(PluginError):
    """Two distributions claim the same plugin name."""


class Unsupported(SnnhwError):
    """The program is legal, but this backend cannot run it.

    Attributes:
        reasons: every reason found, not only the first.
        supported_by: names of the installed backends that could run it; None where nobody has asked them, as
            in a plugin, which knows of no other: core asks, and raises it anew.
    """

    def __init__(
        self,
        backend: str,
        reasons: tuple[str, ...] | list[str],
        supported_by: tuple[str, ...] | None = None,
    ) -> None:
        self.backend = backend
        self.reasons = tuple(reasons)
        self.supported_by = supported_by
        text = _itemised(f"backend '{backend}' cannot run this program", self.reasons)
        if self.supported_by:
            text += f"\nInstalled backends that could: {', '.join(self.supported_by)}."
        elif self.supported_by is not None:
            text += "\nNo other installed backend could run it as it is."
        super().__init__(text)

    def __reduce__(self) -> tuple[type[Unsupported], tuple[object, ...]]:
        return type(self), (self.backend, self.reasons, self.supported_by)


class BusyError(SnnhwError, RuntimeError):
    """A compiled model was called while another call of it runs, in this thread or in another one."""


class DeviceError(SnnhwError, RuntimeError):
    """The device or its runtime failed while running; the vendor's error is the cause."""


class RanksError(SnnhwError, RuntimeError):
    """Another of the processes that train together has ended, or does not answer in time; names it."""


_SHOWN = 20  # a screenful: a broken file may hold a hundred thousand problems


def _itemised(head: str, items: tuple[str, ...]) -> str:
    if len(items) == 1:
        return f"{head}: {items[0]}"
    lines = [f"{head}, for {len(items)} reasons:", *(f"  - {item}" for item in items[:_SHOWN])]
    if len(items) > _SHOWN:
        lines.append(f"  ... and {len(items) - _SHOWN} more")
    return "\n".join(lines)
