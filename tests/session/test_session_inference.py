"""An executable of which a backend writes one function."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from snnhw.errors import InputError
from snnhw.ir import (
    CLOCK,
    MODELS,
    SGD,
    CERate,
    Clock,
    DelayLine,
    Dropout,
    Edge,
    FrozenMap,
    Input,
    Linear,
    Loss,
    Neuron,
    Output,
    Program,
    Term,
    delay_lines,
    init_params,
    require_valid,
    sequential,
)
from snnhw.plugin import Run, Train
from snnhw.session import Evaluation, Given, Inference

T, B = 3, 2
SEEN: list[Given] = []


def program() -> Program:
    """A neuron that hears itself two steps later, and a node that tells steps apart."""
    nodes = {
        "x": Input((4,)),
        "lif": Neuron(MODELS["Leaky"]),
        "drop": Dropout(0.5),
        "output": Output(),
    }
    wires = (
        Edge("x.y", "lif.x"),
        Edge("lif.spk", "lif.x", delay=2, init=0.25),
        Edge("lif.spk", "drop.x"),
        Edge("drop.y", "output.x"),
    )
    found = Program(FrozenMap(nodes), wires)
    require_valid(found)
    return found


def count(given: Given, ports: tuple[str, ...]) -> Evaluation:
    """Gives the number of the step for every port, and adds one to what is remembered at every step."""
    SEEN.append(given)
    steps = np.arange(given.clock.step, given.clock.step + given.steps, dtype=np.float32)
    signal = np.broadcast_to(steps[:, None, None], (given.steps, given.batch, 4))
    return Evaluation(dict.fromkeys(ports, signal), {key: x + given.steps for key, x in given.memory.items()})


@pytest.fixture
def executable() -> Iterator[Inference]:
    SEEN.clear()
    job = Run(T, {"x": (4,)}, B, record=("lif.mem",), seed=7)
    with Inference(
        program(), init_params(program(), given={"lif.beta": 0.5}), job, np.float32, count
    ) as made:
        yield made


def test_delay_lines_are_states_and_delayed_edges() -> None:
    assert delay_lines(program()) == (
        DelayLine("lif.mem", "lif.mem", 1, 0.0, edge=False),
        DelayLine("lif.spk->lif.x", "lif.spk", 2, 0.25, edge=True),
    )


def test_a_run_from_rest_is_given_what_everything_begins_with(executable: Inference) -> None:
    executable.run({"x": np.ones((T, B, 4))})
    (given,) = SEEN
    assert (given.steps, given.batch, given.clock) == (T, B, Clock(7))
    assert given.inputs["x"].dtype == np.float32
    assert {key: (x.shape, x.dtype.name, float(x.mean())) for key, x in given.memory.items()} == {
        "lif.mem": ((B, 4), "float32", 0.0),
        "lif.spk->lif.x": ((2, B, 4), "float32", 0.25),
    }


def test_a_run_goes_on_from_the_state_of_another(executable: Inference) -> None:
    x = np.ones((T, B, 4), np.float32)
    first = executable.run({"x": x})
    assert set(first.outputs) == {"output"}
    assert set(first.recordings) == {"lif.mem"}
    assert first.state[CLOCK].tolist() == [0, T]
    second = executable.run({"x": x}, first.state)
    assert second.outputs["output"][:, 0, 0].tolist() == [T, T + 1, T + 2]
    assert second.state[CLOCK].tolist() == [0, 2 * T]
    assert float(second.state["lif.mem"][0, 0]) == 2 * T


def test_what_it_returns_belongs_to_the_caller(executable: Inference) -> None:
    found = executable.run({"x": np.ones((T, B, 4), np.float32)})
    found.outputs["output"][...] = -1
    assert float(found.recordings["lif.mem"].min()) == 0


def test_what_does_not_fit_is_refused(executable: Inference) -> None:
    with pytest.raises(InputError, match=r"'x' has shape \[3, 2, 5\]; accepted"):
        executable.run({"x": np.ones((T, B, 5))})
    state = executable.run({"x": np.ones((T, B, 4))}).state
    with pytest.raises(InputError, match=r"lif\.mem"):
        executable.run({"x": np.ones((T, B + 1, 4))}, state)
    executable.close()
    with pytest.raises(InputError, match="this executable is closed"):
        executable.run({"x": np.ones((T, B, 4))})


def test_it_does_not_train(executable: Inference) -> None:
    with pytest.raises(InputError, match="compiled to run only"):
        executable.step({"x": np.ones((T, B, 4))}, {})
    with pytest.raises(InputError, match="compiled to run only"):
        executable.set_optimizer(SGD(lr=1.0))
    net = sequential({"x": Input((4,)), "fc": Linear(4, 2)})
    loss = Loss((Term(CERate(), of="fc.y"),))
    job = Train(T, {"x": (4,)}, B, loss=loss, optimizer=SGD(lr=1.0))
    with pytest.raises(InputError, match="this backend only evaluates; compile without a loss"):
        Inference(net, init_params(net), job, np.float32, count)


def test_a_saved_state_is_its_parameters(executable: Inference) -> None:
    kept = executable.save_state()
    executable.set_params({"lif.beta": np.array(0.25, np.float32)})
    assert float(executable.get_params()["lif.beta"]) == 0.25
    executable.load_state(kept)
    assert float(executable.get_params()["lif.beta"]) != 0.25
