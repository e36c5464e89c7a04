"""What a session does with PopTorch over the life of a program: attaching, states, settings."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from ipu_calls import compiled, data, job_of, network

from snnhw.errors import InputError
from snnhw.ir import SGD, Adam, Optimizer
from snnhw.plugin import Arrays
from snnhw_ipu.executable import IpuExecutable
from snnhw_ipu.link import InProcess
from snnhw_ipu.worker import double

X, Y = data()
INPUTS, TARGETS = {"x": X}, {"target": Y}


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, with the stand-in under PopTorch's name."""
    monkeypatch.setitem(sys.modules, "poptorch", double)
    monkeypatch.delenv("SNNHW_IPU_PYTHON", raising=False)


def program(*, backwards: bool = False, **options: Any) -> IpuExecutable:
    net, params = network()
    params = dict(reversed(params.items())) if backwards else params
    options = {"optimizer": Adam(lr=0.05), "emulate": False, **options}
    return compiled(net, params, job_of(net, **options))


def losses(executable: IpuExecutable, count: int) -> list[float]:
    return [executable.step(INPUTS, TARGETS).loss for _ in range(count)]


def attached(executable: IpuExecutable) -> list[Any]:
    assert isinstance(executable._link, InProcess)
    return [each for each in executable._link._session._executors() if each.isAttachedToDevice()]


def same(found: Arrays, wanted: Arrays) -> bool:
    return found.keys() == wanted.keys() and all(
        np.array_equal(np.asarray(found[name]), np.asarray(wanted[name])) for name in wanted
    )


def test_one_program_is_attached_at_a_time() -> None:
    with program() as executable, program(stay_attached=True) as several, program() as alone:
        for each in (executable, several):
            each.step(INPUTS, TARGETS)
            each.run(INPUTS)
            each.set_optimizer(Adam(lr=0.01))  # while the one that trains is detached, or is not
            each.step(INPUTS, TARGETS)
            state = each.run(INPUTS).state
            each.run(INPUTS, state)
            each.step(INPUTS, TARGETS)
        assert (len(attached(executable)), len(attached(several))) == (1, 3)
        alone.step(INPUTS, TARGETS)
        alone.set_optimizer(Adam(lr=0.01))
        losses(alone, 2)
        assert same(executable.get_params(), alone.get_params())
        assert same(several.get_params(), alone.get_params())


def test_parameters_reach_programs_that_are_attached_and_those_that_are_not() -> None:
    _, params = network()
    halved = {key: np.multiply(x, 0.5, dtype=np.float32) for key, x in params.items()}
    with program() as executable, program() as fresh:
        executable.run(INPUTS)
        executable.step(INPUTS, TARGETS)  # now the one that runs is detached
        executable.set_params(halved)
        fresh.set_params(halved)
        assert same(executable.run(INPUTS).outputs, fresh.run(INPUTS).outputs)
        assert same(executable.get_params(), halved)


def test_a_state_from_before_the_first_update_begins_anew() -> None:
    with program() as executable:
        start = executable.save_state()
        first = losses(executable, 3)
        executable.load_state(start)
        assert losses(executable, 3) == first
        executable.run(INPUTS)  # detached
        executable.load_state(start)
        assert losses(executable, 3) == first


def test_a_state_goes_by_the_names_of_parameters_not_by_their_order() -> None:
    with program() as executable, program(backwards=True) as other:
        losses(executable, 2)
        state = executable.save_state()
        assert {"optimizer/fc1.weight/Accl1", "optimizer/lif2.beta/Step"} <= set(state)
        wanted = losses(executable, 2)
        other.load_state(state)
        assert losses(other, 2) == wanted
        other.run(INPUTS)
        other.load_state(state)
        assert losses(other, 2) == wanted


def test_settings_come_back_with_the_state() -> None:
    with program(optimizer=SGD(lr=1.0)) as executable, program(optimizer=SGD(lr=1.0)) as other:
        losses(executable, 1)
        executable.set_optimizer(SGD(lr=0.0))
        other.load_state(executable.save_state())
        before = other.get_params()
        losses(other, 1)
        assert same(other.get_params(), before)
        executable.set_optimizer(SGD(lr=1.0))
        losses(executable, 1)
        assert not same(executable.get_params(), before)


def test_the_state_of_another_optimizer_is_refused() -> None:
    with program() as executable, program(optimizer=SGD(lr=0.1)) as other:
        losses(executable, 1)
        losses(other, 1)
        before = other.get_params()
        with pytest.raises(
            InputError, match="its optimizer is 'Adam', and here it is 'SGD without momentum'"
        ):
            other.load_state(executable.save_state())
        assert same(other.get_params(), before)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (SGD(lr=0.1, momentum=0.9), SGD(lr=0.1, momentum=0.9, nesterov=True), "nesterov=True.*compile again"),
        (SGD(lr=0.1), Adam(lr=0.1), "compiled with SGD, which cannot become Adam"),
    ],
)
def test_settings_that_are_compiled_in(before: Optimizer, after: Optimizer, message: str) -> None:
    with program(optimizer=before) as executable, pytest.raises(InputError, match=message):
        executable.set_optimizer(after)


def test_momentum_may_begin_later() -> None:
    with program(optimizer=SGD(lr=0.1)) as executable:
        losses(executable, 1)
        executable.set_optimizer(SGD(lr=0.1, momentum=0.9, weight_decay=0.01))
        assert len(losses(executable, 2)) == 2


def test_clipping_stays_when_the_rate_changes() -> None:
    with program(optimizer=SGD(lr=1.0), clip_norm=1e-6) as executable:
        before = executable.get_params()
        losses(executable, 1)
        executable.set_optimizer(SGD(lr=2.0))
        losses(executable, 1)
        after = executable.get_params()
        moved = sum(float(np.square(np.subtract(after[key], before[key])).sum()) for key in after)
        assert 0 < moved**0.5 < 1e-5


def test_a_sequence_that_goes_on_keeps_what_the_optimizer_remembers() -> None:
    """Handing over a state for the first time compiles another form of the program."""
    with program() as executable, program() as other:
        first = executable.step(INPUTS, TARGETS)
        executable.step(INPUTS, TARGETS, first.state)
        last = executable.step(INPUTS, TARGETS)
        state = other.step(INPUTS, TARGETS).state
        other.step(INPUTS, TARGETS, state)
        other.run(INPUTS)
        assert other.step(INPUTS, TARGETS).loss == last.loss
