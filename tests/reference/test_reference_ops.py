"""Each op against torch, forward and backward; and that none is missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from reference_nets import Array, filled, signal

from snnhw.ir import (
    LOSS_TERMS,
    OPS,
    OPTIMIZERS,
    AvgPool2d,
    Concat,
    Conv2d,
    Edge,
    Flatten,
    FrozenMap,
    Input,
    Linear,
    MaxPool2d,
    Op,
    Output,
    Program,
    Shape,
    sequential,
    trainable,
)
from snnhw.reference import RULES, SLOTS, TERMS, UPDATES, execute, pullback

Tensors = Mapping[str, torch.Tensor]


def test_everything_in_the_language_has_a_meaning() -> None:
    assert set(RULES) == set(OPS.values())
    assert set(TERMS) == set(LOSS_TERMS.values())
    assert set(UPDATES) == set(SLOTS) == set(OPTIMIZERS.values())


def conv(op: Conv2d) -> Callable[[torch.Tensor, Tensors], torch.Tensor]:
    return lambda x, w: F.conv2d(
        x, w["op.weight"], w.get("op.bias"), op.stride, op.padding, op.dilation, op.groups
    )


CONVS = [
    Conv2d(2, 3, (3, 2)),
    Conv2d(2, 4, (3, 3), stride=(2, 1), padding=(1, 2), groups=2),
    Conv2d(4, 4, (2, 3), dilation=(2, 1), groups=4, bias=False),
    Conv2d(3, 2, (1, 1), stride=(3, 3)),
]

LINEARS: list[tuple[Linear, Shape]] = [
    (Linear(4, 3), (4,)),
    (Linear(4, 3, bias=False), (4,)),
    (Linear(4, 3), (2, 5, 4)),
]

POOLS: list[tuple[Op, Callable[[torch.Tensor], torch.Tensor]]] = [
    (MaxPool2d((2, 2), (2, 2)), lambda x: F.max_pool2d(x, 2)),
    (MaxPool2d((3, 2), (2, 1), (1, 1)), lambda x: F.max_pool2d(x, (3, 2), (2, 1), (1, 1))),
    (AvgPool2d((2, 2), (2, 2)), lambda x: F.avg_pool2d(x, 2)),
    (AvgPool2d((3, 2), (1, 2), (1, 1)), lambda x: F.avg_pool2d(x, (3, 2), (1, 2), (1, 1))),
    (Flatten(), lambda x: x.flatten(1)),
    (Flatten(1, 2), lambda x: x.flatten(2, 3)),
]


def compare(op: Op, x: Array, same: Callable[[torch.Tensor, Tensors], torch.Tensor]) -> None:
    """Values and gradients of ``op`` on ``x`` [T, B, ...] equal torch's on the folded [T * B, ...]."""
    compare_all(op, [x], lambda xs, w: same(xs[0], w))


def compare_all(
    op: Op, given: list[Array], same: Callable[[list[torch.Tensor], Tensors], torch.Tensor]
) -> None:
    """The same, for an op with an array for each of its ports."""
    xs = dict(zip(op.in_ports, given, strict=True))
    nodes: dict[str, Op] = {port: Input(x.shape[2:]) for port, x in xs.items()}
    wires = [Edge(f"{port}.y", f"op.{port}") for port in xs]
    program = trainable(
        Program(FrozenMap({**nodes, "op": op, "output": Output()}), (*wires, Edge("op.y", "output.x")))
    )
    weights = filled(program, {})
    y = execute(program, weights, xs).outputs["output"]
    seed = np.random.default_rng(5).normal(size=y.shape)
    ours = pullback(program, weights, xs, {"op.y": seed}, wrt_inputs=True)

    tx = [torch.tensor(x).flatten(0, 1).requires_grad_() for x in given]
    tw = {key: torch.tensor(array, requires_grad=True) for key, array in weights.items()}
    ty = same(tx, tw)
    ty.backward(torch.tensor(seed).flatten(0, 1))  # type: ignore[no-untyped-call]  # torch leaves it untyped
    np.testing.assert_allclose(y, ty.detach().numpy().reshape(y.shape), rtol=1e-12, atol=1e-14)
    for port, leaf in zip(xs, tx, strict=True):
        np.testing.assert_allclose(
            ours.inputs[port], _grad(leaf).reshape(xs[port].shape), rtol=1e-12, atol=1e-14
        )
    for key, tensor in tw.items():
        np.testing.assert_allclose(ours.params[key], _grad(tensor), rtol=1e-12, atol=1e-14)


def _grad(x: torch.Tensor) -> Array:
    assert x.grad is not None
    return x.grad.numpy()


@pytest.mark.parametrize("op", CONVS, ids=Op.summary)
def test_conv2d(op: Conv2d) -> None:
    compare(op, signal(1, 2, 3, op.in_channels, 7, 6), conv(op))


@pytest.mark.parametrize(("op", "shape"), LINEARS, ids=str)
def test_linear(op: Linear, shape: Shape) -> None:
    compare(op, signal(1, 2, 3, *shape), lambda x, w: F.linear(x, w["op.weight"], w.get("op.bias")))


@pytest.mark.parametrize(
    ("op", "same"), POOLS, ids=lambda value: value.summary() if isinstance(value, Op) else ""
)
def test_pools_and_shapes(op: Op, same: Callable[[torch.Tensor], torch.Tensor]) -> None:
    compare(op, signal(1, 2, 3, 2, 6, 5), lambda x, _: same(x))


def test_concat() -> None:
    op = Concat(1, (2, 1, 3))
    xs = [signal(seed, 2, 3, 2, size, 2) for seed, size in enumerate(op.sizes)]
    compare_all(op, xs, lambda parts, _: torch.cat(parts, 2))


def maximum_of(rows: list[list[float]], padding: tuple[int, int] = (0, 0)) -> tuple[Array, Array]:
    """What MaxPool2d((2, 2)) gives for one image, and where a gradient of ones goes."""
    op = MaxPool2d((2, 2), (2, 2), padding)
    x = np.array(rows)[None, None, None]
    program: Program = sequential({"x": Input(x.shape[2:]), "op": op})
    y = execute(program, {}, {"x": x}).outputs["output"]
    found = pullback(program, {}, {"x": x}, {"op.y": np.ones_like(y)}, wrt_inputs=True)
    return y[0, 0, 0], found.inputs["x"][0, 0, 0]


def test_at_a_tie_the_first_of_the_window_takes_the_gradient() -> None:
    y, dx = maximum_of([[0, 1, 1, 1], [1, 1, 0, 1]])
    np.testing.assert_array_equal(y, [[1, 1]])
    np.testing.assert_array_equal(dx, [[0, 1, 1, 0], [0, 0, 0, 0]])


def test_padding_never_is_the_maximum() -> None:
    y, dx = maximum_of([[-1, -2], [-3, -4]], padding=(1, 1))
    np.testing.assert_array_equal(y, [[-1, -2], [-3, -4]])
    np.testing.assert_array_equal(dx, [[1, 1], [1, 1]])
