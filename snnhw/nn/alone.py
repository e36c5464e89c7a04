"""A compiled network for one call at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from contextlib import suppress
from inspect import GEN_RUNNING, getgeneratorstate
from itertools import takewhile
from threading import current_thread, get_ident
from types import TracebackType
from typing import TYPE_CHECKING, Any

from snnhw.errors import BusyError

if TYPE_CHECKING:
    from snnhw.ir import Optimizer, Params
    from snnhw.plugin import Arrays, Executable, Result, StepResult

__all__ = ["OneAtATime"]


class _Call:
    """A call. A generator makes it, so that the interpreter itself knows whether it runs: an interrupt finds
    no gap between its end and a note of that."""

    def __init__(self, method: str, made: Callable[[_Call], Generator[Any]]) -> None:
        self.method, self.thread, self.number = method, current_thread().name, get_ident()
        self._making = made(self)

    def __call__(self) -> Any:
        [found] = self._making
        return found

    @property
    def runs(self) -> bool:
        return getgeneratorstate(self._making) == GEN_RUNNING


class OneAtATime:
    """An `Executable` that refuses a call while another one runs: what is learnt would be a mixture of both.

    `close` is passed on as it is, and what a backend has besides.
    """

    def __init__(self, executable: Executable) -> None:
        self._executable = executable
        self._calls: deque[_Call] = deque()  # what is done to it is one step each, to other threads

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
        def made(call: _Call) -> Generator[Any]:
            self._begin(call)
            yield getattr(self._executable, method)(*arguments)

        return _Call(method, made)()

    def _begin(self, call: _Call) -> None:
        """Refuse it while one that came before it runs. It runs itself by now, for those that come after."""
        self._calls.append(call)
        for earlier in takewhile(lambda other: other is not call, [*self._calls]):
            if earlier.runs:
                raise BusyError(_refusal(earlier, call))
            with suppress(ValueError):  # another call was as quick
                self._calls.remove(earlier)

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
