"""A step that plays a tape gives every bit that autograd gives."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from backends_nets import (
    B,
    T,
    convolutional,
    delayed,
    executable,
    feedforward,
    leaky,
    network,
    recurrent,
    signal,
    two_loops,
)
from torch import Tensor

import snnhw.functional as SF
from snnhw.ir import (
    SGD,
    Add,
    BatchNorm1d,
    Dropout,
    Edge,
    Input,
    LayerNorm,
    Linear,
    Loss,
    Op,
    Output,
    Program,
    sequential,
)
from snnhw.tensors.execution.executable import TorchExecutable
from snnhw.tensors.execution.learning import MOST

pytestmark = pytest.mark.usefixtures("one_thread")


def residual() -> Program:
    """One signal, read three times over; and twice by one port."""
    nodes: dict[str, Op] = {
        "x": Input((5,)),
        "fc": Linear(5, 5),
        "lif1": leaky(),
        "fc2": Linear(5, 5),
        "sum": Add(),
        "lif2": leaky(),
        "fc3": Linear(5, 3),
        "output": Output(),
    }
    wires = [
        Edge("x.y", "fc.x"), Edge("fc.y", "lif1.x"), Edge("lif1.spk", "fc2.x"), Edge("fc2.y", "sum.x"),
        Edge("lif1.spk", "sum.x"), Edge("lif1.mem", "sum.x"), Edge("lif1.spk", "lif2.x"),
        Edge("sum.y", "lif2.x"), Edge("lif2.spk", "fc3.x"), Edge("fc3.y", "output.x"),
    ]  # fmt: skip
    return network(nodes, wires)


def normalised() -> Program:
    layers: dict[str, Op] = {
        "x": Input((5,)),
        "fc": Linear(5, 4),
        "norm": BatchNorm1d(4),
        "lif": leaky(param_shapes={"beta": (4,)}),
        "each": LayerNorm((4,)),
        "fc2": Linear(4, 3, bias=False),
    }
    return sequential(layers)


def chancy() -> Program:
    return sequential({"x": Input((5,)), "fc": Linear(5, 3), "left": Dropout(0.5), "lif": leaky()})


NETWORKS: Mapping[str, Callable[[], Program]] = {
    "feedforward": feedforward,
    "static": lambda: feedforward(static=True),
    "residual": residual,
    "normalised": normalised,
    "convolutional": convolutional,
    "recurrent": recurrent,
    "delayed": delayed,
    "two loops": two_loops,
}


SEVERAL = SF.ce_rate_loss() + 0.1 * SF.l1_rate_sparsity(0.3)

LOSSES: Mapping[str, Loss] = {
    "rate": SF.ce_rate_loss(),
    "rates of groups": 0.7 * SF.ce_rate_loss(population_code=True, num_classes=3),
    "count": SF.ce_count_loss(reduction="sum"),
    "counts of groups": SF.ce_count_loss(population_code=True, num_classes=3),
    "membrane": SF.ce_membrane_loss(),
    "membrane, mean": SF.ce_membrane_loss(over_time="mean", reduction="sum"),
    "maximum": SF.ce_max_membrane_loss(),
    "squares": 1.3 * SF.mse_count_loss(0.8, 0.2),
    "squares of groups": SF.mse_count_loss(0.8, 0.2, population_code=True, num_classes=3),
    "squared membranes": SF.mse_membrane_loss(),
    "weighted": SF.ce_rate_loss(weight=[0.2, 1.0, 3.0, 1.0, 0.5, 2.0]),
    "several": SF.ce_rate_loss() + 0.3 * SF.ce_count_loss() + 0.1 * SF.l1_rate_sparsity(0.3),
}


def trained(program: Program, *, taped: bool, block: int = 0, loss: Loss = SEVERAL) -> TorchExecutable:
    read = [*program.outputs().values()][-1]
    return executable(
        program,
        loss=loss.of(read),
        optimizer=SGD(lr=0.3),
        taped=taped,
        block=block,
        accumulate=3,
    )


def inputs_of(program: Program, seed: int) -> dict[str, Tensor]:
    shapes = {name: op.infer({})["y"] for name, op in program.nodes.items() if isinstance(op, Input)}
    static = program.time.static_inputs
    return {
        name: signal(*([] if name in static else [T]), B, *shape, seed=seed) for name, shape in shapes.items()
    }


def played(run: TorchExecutable) -> int:
    assert run._learning
    return len(run._learning._tapes)


def assert_same(one: Mapping[str, object], other: Mapping[str, object]) -> None:
    assert one.keys() == other.keys()
    for key, value in one.items():
        assert np.array_equal(np.asarray(value), np.asarray(other[key])), key


@pytest.mark.parametrize("block", [0, 1 << 20])
@pytest.mark.parametrize("name", NETWORKS)
def test_bits(name: str, block: int) -> None:
    """From rest, and from the state before; with gradients that wait for the rest of an update."""
    program = NETWORKS[name]()
    recorded, tape = (trained(program, taped=taped, block=block) for taped in (False, True))
    state = None
    for seed in range(5):
        targets = {"target": torch.tensor([0, 2, 1, seed % 3])}
        state = state if seed % 2 else None
        want = recorded.step(inputs_of(program, seed), targets, state)
        found = tape.step(inputs_of(program, seed), targets, state)
        assert found.loss == want.loss
        assert_same(found.outputs, want.outputs)
        assert_same(found.state, want.state)
        state = want.state
        assert_same(tape.save_state(), recorded.save_state())
    assert (played(recorded), played(tape)) == (0, 2)


@pytest.mark.parametrize("name", LOSSES)
def test_bits_of_losses(name: str) -> None:
    layers: dict[str, Op] = {"x": Input((5,)), "fc": Linear(5, 6), "lif": leaky()}
    program = sequential(layers)
    recorded, tape = (trained(program, taped=taped, loss=LOSSES[name]) for taped in (False, True))
    for seed in range(2):
        x, y = {"x": signal(T, B, 5, seed=seed)}, {"target": torch.tensor([0, 2, 1, seed])}
        found, want = tape.step(x, y), recorded.step(x, y)
        assert found.loss == want.loss
        assert_same(tape.save_state(), recorded.save_state())
    assert played(tape) == 1


def test_what_depends_on_the_call_is_recorded() -> None:
    run = trained(chancy(), taped=True)
    for seed in range(2):
        run.step(inputs_of(chancy(), seed), {"target": torch.tensor([0, 2, 1, 2])})
    assert played(run) == 0


def test_tapes_are_of_sizes_and_few() -> None:
    """Each for its number of steps; a copy makes its own."""
    program = feedforward()
    recorded, tape = (trained(program, taped=taped) for taped in (False, True))
    y = {"target": torch.tensor([0, 2, 1, 2])}
    for steps in [*range(1, MOST + 3), 1]:
        x = {"x": signal(steps, B, 5, seed=steps)}
        assert tape.step(x, y).loss == recorded.step(x, y).loss
    assert played(tape) == MOST
    copied = copy.deepcopy(tape)
    assert played(copied) == 0
    assert copied.step(x, y).loss == tape.step(x, y).loss == recorded.step(x, y).loss
    assert_same(copied.save_state(), recorded.save_state())


def test_what_it_gives_is_the_callers() -> None:
    """Neither an input nor an output of a step before has a part in the next."""
    program = feedforward()
    recorded, tape = (trained(program, taped=taped) for taped in (False, True))
    y = {"target": torch.tensor([0, 2, 1, 2])}
    x = signal(T, B, 5)
    before: dict[str, Tensor] = {}
    kept: dict[str, Tensor] = {}
    for seed in range(3):
        x.copy_(signal(T, B, 5, seed=seed))
        found, want = tape.step({"x": x}, y), recorded.step({"x": x.clone()}, y)
        assert_same(found.outputs, want.outputs)
        assert_same(before, kept)
        before = dict(found.state)
        kept = {key: value.clone() for key, value in before.items()}
        for value in found.outputs.values():
            value.fill_(9.0)
