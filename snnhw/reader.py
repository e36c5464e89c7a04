"""What a *reader* offers: somebody else's simulator, which runs files, to be compared with backends.

It is found through the entry-point group `snnhw.plugin.READERS`, and takes part in ``snnhw verify`` under
``name@format``. A class with these attributes and methods will do; nothing has to be inherited.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from snnhw.plugin import Arrays, Probe

__all__ = ["Reader"]


@runtime_checkable
class Reader(Protocol):
    """Runs files of a format in a simulator that is not ours, to be compared with backends.

    It may run it in a process of its own; it never trains, and its numbers are nobody's reference.
    """

    @property
    def name(self) -> str: ...

    @property
    def interface(self) -> int: ...

    @property
    def formats(self) -> tuple[str, ...]:
        """Names of the formats whose files it runs, such as ``("nir",)``; see `Format`."""
        ...

    @property
    def Options(self) -> type:  # noqa: N802  # it is a class
        """A frozen dataclass, as a backend's; such as where the simulator is installed."""
        ...

    def probe(self) -> Probe: ...

    def run(
        self,
        path: Path,
        inputs: Arrays,
        record: tuple[str, ...],
        *,
        read: Mapping[str, object],
        options: Any,
    ) -> Arrays:
        """What it gives at those of the ports that it can record, each ``[T, B, ...]``.

        Args:
            inputs: input name -> ``[T, B, ...]``; what does not change over time is repeated.
            record: ports under the names of the program, such as ``"lif1.spk"``.
            read: the options with which the format's ``read`` makes that program of the file; what the file
                leaves open, such as the length of a step, is meant for the simulator, too.
            options: an instance of `Options`.

        Raises:
            LoadError: the simulator does not take the file.
            DeviceError: it fails while it runs.
            InputError: it cannot run such a network.
        """
        ...

    def by_rule(
        self, path: Path, inputs: Arrays, record: tuple[str, ...], *, read: Mapping[str, object]
    ) -> Arrays:
        """The spikes that rules of its own give, where they are others than this file says: each
        ``[T, B, ...]`` at those of the ports that can be foretold, NaN where the file says the same. The
        simulator does not run. So what a rule explains is not called rounding; empty: nothing is foretold.
        """
        ...

    def known(self, path: Path, read: Mapping[str, object]) -> tuple[str, ...]:
        """Why what it gives may be another thing than what this file says, in words; nothing is run."""
        ...
