"""A compiled network for one call at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock, RLock, current_thread, get_ident
from types import TracebackType
from typing import TYPE_CHECKING, Any

from snnhw.errors import BusyError

if TYPE_CHECKING:
    from snnhw.ir import Optimizer, Params
    from snnhw.plugin import Arrays, Executable, Result, StepResult

__all__ = ["OneAtATime"]


@dataclass(frozen=True)
class _Call:
    """A call, which runs for as long as its lock is held."""

    method: str
    thread: str
    number: int
    held: Any = field(default_factory=Lock)


class OneAtATime:
    """An `Executable` that refuses a call while another one runs: what is learnt would be a mixture of both.

    `close` is passed on as it is, and what a backend has besides.
    """

    def __init__(self, executable: Executable) -> None:
        self._executable = executable
        self._last = _Call("", "", 0)
        self._door = RLock()  # a signal's handler may come while it is held, and call a method itself

    def run(self, inputs: Arrays, state: Arrays | None = None) -> Result:
        found: Result = self._alone("run", inputs, state)
        return found

    def step(self, inputs: Arrays, targets: Arrays, state: Arrays | None = None) -> StepResult:
        found: StepResult = self._alone("step", inputs, targets, state)
        return found

    def set_optimizer(self, optimizer: Optimizer) -> None:
        self._alone("set_optimizer", optimizer)

    def get_params(self) -> Params:
        found: Params = self._alone("get_params")
        return found

    def set_params(self, params: Params) -> None:
        self._alone("set_params", params)

    def save_state(self) -> Arrays:
        found: Arrays = self._alone("save_state")
        return found

    def load_state(self, arrays: Arrays) -> None:
        self._alone("load_state", arrays)

    def _alone(self, method: str, *arguments: Any) -> Any:
        call = _Call(method, current_thread().name, get_ident())
        # A lock of the call's own, given back by the interpreter itself: Ctrl-C finds no gap before or after.
        with call.held:
            with self._door:
                if self._last.held.locked():
                    raise BusyError(_refusal(self._last, call))
                self._last = call
            return getattr(self._executable, method)(*arguments)

    def close(self) -> None:
        self._executable.close()

    def __enter__(self) -> OneAtATime:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property  # type: ignore[misc]  # read only, where an object's own may be set
    def __class__(self) -> Any:
        """What it stands for, to `isinstance`."""
        return self._executable.__class__

    def __getattr__(self, name: str) -> Any:
        if name == "_executable" or name.startswith("__"):  # while it is copied
            raise AttributeError(name)
        return getattr(self._executable, name)

    def __reduce__(self) -> tuple[type[OneAtATime], tuple[Executable]]:
        return OneAtATime, (self._executable,)  # a copy has locks of its own


def _refusal(running: _Call, asked: _Call) -> str:
    begun = f"'{asked.method}' was called"
    if running.number == asked.number:
        return (
            f"{begun} while '{running.method}' of the same model runs in this very thread, "
            f"'{running.thread}', so by something within it; call it when '{running.method}' has returned"
        )
    return (
        f"{begun} in thread '{asked.thread}' while '{running.method}' of the same model runs in thread "
        f"'{running.thread}'; compile a model for each thread, or hold a lock around every call"
    )
