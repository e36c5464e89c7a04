"""Parity: which differences rounding explains, and which it does not."""

from __future__ import annotations

import numpy as np
import pytest

from snnhw.ir import MODELS, Input, Linear, Neuron, Params, Program, sequential
from snnhw.parity import Disagreement, Parity, hold, neuron_ports, parity
from snnhw.plugin import Arrays, Backend
from snnhw.reference import execute

Seen = dict[str, np.ndarray]

T, B = 6, 3


@pytest.fixture
def program() -> Program:
    leaky = Neuron(MODELS["Leaky"])
    layers = {"x": Input((4,)), "fc1": Linear(4, 5), "lif1": leaky, "fc2": Linear(5, 2), "lif2": leaky}
    return sequential(layers)


@pytest.fixture
def params(program: Program) -> Params:
    generator = np.random.default_rng(1)
    settings = {"beta": 0.9, "threshold": 1.0}
    return {
        key: np.asarray(
            settings.get(key.rpartition(".")[2], generator.normal(0.3, 0.6, spec.shape)), np.float32
        )
        for key, spec in program.params().items()
    }


@pytest.fixture
def inputs() -> Seen:
    return {"x": np.random.default_rng(2).random((T, B, 4)).astype(np.float32)}


@pytest.fixture
def seen(program: Program, params: Params, inputs: Seen) -> Seen:
    run = execute(program, params, inputs, record=neuron_ports(program), dtype=np.float32)
    return run.recordings


def held(program: Program, params: Params, inputs: Arrays, seen: Seen) -> Parity:
    return hold(program, params, inputs, seen, time_steps=T)


def test_float32_is_equal(program: Program, params: Params, inputs: Arrays, seen: Seen) -> None:
    found = held(program, params, inputs, seen)
    assert found.ok
    assert found.spikes_compared == T * B * (5 + 2)
    assert found.spike_mismatches == 0
    assert 0 < (found.max_membrane_error or 0) < 1e-5
    assert found.first is None


def test_a_spike_too_many_is_unexplained(
    program: Program, params: Params, inputs: Arrays, seen: Seen
) -> None:
    spikes = seen["lif1.spk"]
    spikes[2, 1, 3] = 1 - spikes[2, 1, 3]
    found = held(program, params, inputs, seen)
    assert not found.ok
    assert (found.spike_mismatches, found.unexplained_mismatches, found.excused_near_threshold) == (1, 1, 0)
    assert found.first is not None
    assert (found.first.port, found.first.step, found.first.sample, found.first.index) == (
        "lif1.spk",
        2,
        1,
        (3,),
    )
    assert "lif1.spk at [t=2, b=1, 3] is" in str(found.first)


def test_a_membrane_that_strays_is_outside(
    program: Program, params: Params, inputs: Arrays, seen: Seen
) -> None:
    seen["lif2.mem"][4, 0, 1] += 1e-3
    found = held(program, params, inputs, seen)
    assert not found.ok
    assert (found.membranes_outside, found.unexplained_mismatches) == (1, 0)
    assert found.max_membrane_error == pytest.approx(1e-3, rel=1e-2)
    assert found.first is not None
    assert found.first.port == "lif2.mem"


def test_nan_is_never_within_a_bound(program: Program, params: Params, inputs: Arrays, seen: Seen) -> None:
    seen["lif1.mem"][0, 0, 0] = np.nan
    assert held(program, params, inputs, seen).membranes_outside == 1


def test_a_value_that_is_no_spike_is_unexplained(
    program: Program, params: Params, inputs: Arrays, seen: Seen
) -> None:
    seen["lif2.spk"][0, 0, 0] = 0.5
    assert held(program, params, inputs, seen).unexplained_mismatches == 1


def test_a_wrong_shape_is_an_error(program: Program, params: Params, inputs: Arrays, seen: Seen) -> None:
    seen["lif2.spk"] = seen["lif2.spk"][:, :2]
    with pytest.raises(Disagreement, match=r"lif2.spk has shape \[6, 2, 2\], not \[6, 3, 2\]"):
        held(program, params, inputs, seen)


def at_threshold() -> tuple[Program, Params, Seen]:
    """The sum of three thirds in float32 is a rounding away from the threshold."""
    program = sequential({"x": Input((3,)), "fc": Linear(3, 1, bias=False), "lif": Neuron(MODELS["Leaky"])})
    third = np.float32(1 / 3)
    params: Params = {
        "fc.weight": np.full((1, 3), third),
        "lif.beta": np.array(0.5, np.float32),
        "lif.threshold": np.array(float(third) * 3, np.float32),
    }
    shares = np.array([[0.5], [1.0], [0.75]], np.float32)  # only the second sample comes that near
    return program, params, {"x": np.broadcast_to(shares, (T, B, 3)).copy()}


def test_a_spike_at_threshold_is_excused_with_what_follows_from_it() -> None:
    program, params, inputs = at_threshold()
    run = execute(program, params, inputs, record=neuron_ports(program))
    seen = {port: array.astype(np.float32) for port, array in run.recordings.items()}
    # The first spike goes the other way, and with it the reset of the next step.
    flipped = 1 - seen["lif.spk"][0, 1, 0]
    seen["lif.spk"][0, 1, 0] = flipped
    threshold, mem = float(params["lif.threshold"]), float(seen["lif.mem"][0, 1, 0])
    for step in range(1, T):
        mem = (
            0.5 * mem + float(params["fc.weight"].sum()) - threshold * float(seen["lif.spk"][step - 1, 1, 0])
        )
        seen["lif.mem"][step, 1, 0] = mem
        seen["lif.spk"][step, 1, 0] = mem > threshold
    found = hold(program, params, inputs, seen, time_steps=T)
    assert found.ok, found
    assert found.excused_near_threshold == found.spike_mismatches >= 1
    assert 0 < (found.max_membrane_error or 0) < 1e-5  # where spikes differ, membranes are not compared


def test_other_samples_are_not_excused() -> None:
    program, params, inputs = at_threshold()
    run = execute(program, params, inputs, record=neuron_ports(program))
    seen = {port: array.astype(np.float32) for port, array in run.recordings.items()}
    seen["lif.spk"][0, 1, 0] = 1 - seen["lif.spk"][0, 1, 0]
    seen["lif.mem"][3, 2, 0] += 0.25
    found = hold(program, params, inputs, seen, time_steps=T)
    assert found.membranes_outside >= 1


def test_membranes_of_spikes_that_differ_from_the_start_are_not_compared(
    program: Program, params: Params, inputs: Arrays, seen: Seen
) -> None:
    seen["lif1.spk"][0] = 1 - seen["lif1.spk"][0]
    found = held(program, params, inputs, seen)
    assert found.max_membrane_error is None
    seen["lif1.spk"][0, 0] = 1 - seen["lif1.spk"][0, 0]  # one sample is as it should be
    assert 0 < (held(program, params, inputs, seen).max_membrane_error or 0) < 1e-5


def test_without_neurons_there_is_nothing_to_hold() -> None:
    program = sequential({"x": Input((2,)), "fc": Linear(2, 2)})
    params: Params = {"fc.weight": np.eye(2, dtype=np.float32), "fc.bias": np.zeros(2, np.float32)}
    assert hold(program, params, {"x": np.ones((1, 1, 2), np.float32)}, {}, time_steps=1) == Parity()


def test_a_backend_at_hand_is_compared(
    program: Program, params: Params, inputs: Seen, reference: Backend
) -> None:
    found = parity(reference, program, params, inputs, time_steps=T)
    assert found.ok
    assert found.max_membrane_error == 0.0
    rough = parity(reference, program, params, inputs, time_steps=T, options={"dtype": "float32"})
    assert rough.ok
    assert (rough.max_membrane_error or 0) > 0
