"""Laws about saved states: a run goes on from its own, and from no other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from snnhw.conformance.bench import Bench
from snnhw.conformance.case import Case, to_run, turn_of
from snnhw.conformance.checks.claims import is_refused
from snnhw.ir import SGD
from snnhw.parity.arrays import Arrays, hosts
from snnhw.parity.differ import same_bits
from snnhw.parity.result import Disagreement
from snnhw.plugin import Executable

__all__ = ["keeps_settings", "refuses_states"]

CALLS: Final = 3
"""Of step: an update, and half of the next."""


def refuses_states(bench: Bench, case: Case) -> None:
    """A state that lacks something, has something else, or is of another run, is refused; nothing changes."""
    with bench.compile(case) as executable:
        saved = _after(executable, case)
        for what, state in _damaged(saved):
            is_refused(f"it loads a state {what}", partial(executable.load_state, state))
        for what, other in _others(case):
            with bench.compile(other) as stranger:
                state = _after(stranger, other)
            is_refused(f"it loads a state of a run with {what}", partial(executable.load_state, state))
        same_bits("after states were refused, saved", hosts(executable.save_state()), saved)
        executable.load_state(saved)  # its own


def keeps_settings(bench: Bench, case: Case) -> None:
    """What `set_optimizer` has said is a part of the state."""
    assert case.optimizer is not None
    calmed = replace(case.optimizer, lr=case.optimizer.lr / 8)
    with bench.compile(case) as one, bench.compile(case) as other:
        one.set_optimizer(calmed)
        other.load_state(_after(one, case))
        before = one.get_params()
        for executable in (one, other):
            for call in range(CALLS, CALLS + 3):
                executable.step(*turn_of(case, call))
        same_bits("after another learning rate was saved, parameter", other.get_params(), one.get_params())
        if all(np.array_equal(before[key], array) for key, array in one.get_params().items()):
            raise Disagreement("nothing was trained after another learning rate was set")


def _after(executable: Executable, case: Case) -> dict[str, np.ndarray]:
    """The state after some steps, if it trains, in arrays of one's own."""
    for call in range(CALLS if case.loss else 0):
        executable.step(*turn_of(case, call))
    return {name: np.array(array) for name, array in hosts(executable.save_state()).items()}


def _damaged(saved: Arrays) -> Iterator[tuple[str, Arrays]]:
    yield "with something that no state has", {**saved, "odd/thing": np.zeros(3, np.float32)}
    for name, array in saved.items():
        yield f"without '{name}'", {other: x for other, x in saved.items() if other != name}
        yield f"in which '{name}' has one axis more", {**saved, name: np.asarray(array)[None]}
        yield f"in which '{name}' is complex", {**saved, name: np.asarray(array).astype(np.complex64)}


def _others(case: Case) -> Iterator[tuple[str, Case]]:
    time = replace(case.program.time, dt=2 * case.program.time.dt)
    yield "another program", replace(case, program=replace(case.program, time=time))
    if case.loss and case.optimizer:
        other = SGD(lr=case.optimizer.lr, momentum=0.5) if type(case.optimizer) is not SGD else None
        if other:
            yield "another optimizer", replace(case, optimizer=other)
        yield "another number of steps to an update", replace(case, accumulate=case.accumulate + 2)
        yield "another loss", replace(case, loss=2.0 * case.loss)
        yield "another bound on its gradient", replace(case, clip_norm=(case.clip_norm or 1.0) * 0.5)
        yield "nothing to train", to_run(case)
