"""What the device was asked goes on when nobody waits for it, and both sides agree on what came of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ipu_calls import compiled, data, job_of, network

from snnhw.errors import DeviceError
from snnhw.ir import Adam
from snnhw.plugin import Arrays
from snnhw_ipu.executable import IpuExecutable
from snnhw_ipu.turns import Turns
from snnhw_ipu.worker import double, session

X, Y = data()


def train(executable: IpuExecutable) -> float:
    return float(executable.step({"x": X}, {"target": Y}).loss)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> IpuExecutable:
    """In this process, with the stand-in under PopTorch's name."""
    monkeypatch.setitem(sys.modules, "poptorch", double)
    monkeypatch.delenv("SNNHW_IPU_PYTHON", raising=False)
    net, params = network()
    return compiled(net, params, job_of(net, optimizer=Adam(lr=0.05), emulate=False))


def copied(executable: IpuExecutable) -> dict[str, Any]:
    return {name: np.array(array) for name, array in executable.save_state().items()}


def same(found: Arrays, wanted: Arrays) -> bool:
    return found.keys() == wanted.keys() and all(np.array_equal(found[name], wanted[name]) for name in wanted)


def fails(*_: object) -> Any:
    raise RuntimeError("out of luck")


def test_an_update_whose_results_are_lost_has_been_made(
    here: IpuExecutable, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = copied(here)
    train(here)
    after = copied(here)
    here.load_state(start)
    with monkeypatch.context() as patch:
        patch.setattr(session, "_numbered", fails)
        with pytest.raises(DeviceError, match="out of luck"):
            train(here)
    assert same(copied(here), after)


def test_an_error_before_the_device_runs_changes_nothing(
    here: IpuExecutable, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(here)
    before, loss = copied(here), train(here)
    here.load_state(before)
    with monkeypatch.context() as patch:
        patch.setattr(session.Session, "_make_room", fails)
        with pytest.raises(DeviceError, match="out of luck"):
            train(here)
    assert same(copied(here), before)
    assert train(here) == loss


CHANGES: dict[str, Callable[[IpuExecutable, Any], object]] = {
    "load_state": lambda executable, state: executable.load_state(state),
    "set_params": lambda executable, state: executable.set_params({"fc1.bias": state["param/fc1.bias"]}),
}
BROKEN = {"load_state": "_remember", "set_params": "_executors"}
"""Change -> what fails in the middle of it."""


@pytest.mark.parametrize("change", CHANGES)
def test_half_of_a_change_is_never_gone_on_from(
    here: IpuExecutable, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program is given up, and what was there before is kept."""
    start = copied(here)
    train(here)
    before = copied(here)
    with monkeypatch.context() as patch:
        patch.setattr(session.Session, BROKEN[change], fails)
        with pytest.raises(DeviceError, match="out of luck"):
            CHANGES[change](here, start)
    message = r"(?s)the IPU failed in the middle of a change of its program.*of update 1 are kept"
    for call in (lambda: train(here), lambda: here.run({"x": X})):
        with pytest.raises(DeviceError, match=message):
            call()
    assert same(copied(here), before)
    assert same(here.get_params(), {name[6:]: x for name, x in before.items() if name.startswith("param/")})


def test_settings_that_the_device_refuses_change_nothing(
    here: IpuExecutable, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(here)
    before, loss = copied(here), train(here)
    here.load_state(before)
    with monkeypatch.context() as patch:
        patch.setattr(double.PoplarExecutor, "setOptimizer", fails)
        with pytest.raises(DeviceError, match="out of luck"):
            here.set_optimizer(Adam(lr=10.0))
    assert same(copied(here), before)
    assert (train(here), train(here)) == (loss, train_again(before))


def train_again(start: Arrays) -> float:
    """The loss of the second step from there, in another program."""
    net, params = network()
    with compiled(net, params, job_of(net, optimizer=Adam(lr=0.05), emulate=False)) as other:
        other.load_state(start)
        train(other)
        return train(other)


# -- taking turns -----------------------------------------------------------------------------------


def test_questions_are_answered_in_order_whoever_waits() -> None:
    seen: list[str] = []

    def answer(name: str, header: Any, arrays: Any) -> Any:  # noqa: ARG001  # as a session has it
        time.sleep(0.01)
        seen.append(name)
        if name == "bad":
            raise ValueError(name)
        return {"name": name}, {}

    ended: list[str] = []
    turns = Turns(answer, "a test", lambda: ended.append("yes"))
    boxes = [turns.ask(name, {}, {}) for name in ("one", "bad", "two")]
    assert turns.busy
    assert boxes[2].get() == ({"name": "two"}, {})
    assert isinstance(boxes[1].get(), ValueError)
    assert seen == ["one", "bad", "two"]
    assert not turns.busy
    turns.end()
    while not ended:
        time.sleep(0.001)
