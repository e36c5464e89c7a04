"""Each op against torch, forward and backward; and that none is missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from reference_nets import Array, filled, signal

from snnhw.ir import (
    LOSS_TERMS,
    OPS,
    OPTIMIZERS,
    AvgPool1d,
    AvgPool2d,
    Concat,
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    Edge,
    Flatten,
    FrozenMap,
    Input,
    LayerNorm,
    Linear,
    MatMul,
    MaxPool1d,
    MaxPool2d,
    Op,
    Output,
    Program,
    Scale,
    Shape,
    Slice,
    SumPool1d,
    SumPool2d,
    Unflatten,
    Upsample,
    WinnerTakeAll,
    sequential,
    trainable,
)
from snnhw.reference import RULES, TERMS, UPDATES, execute, pullback

Tensors = Mapping[str, torch.Tensor]


def test_everything_in_the_language_has_a_meaning() -> None:
    assert set(RULES) == set(OPS.values())
    assert set(TERMS) == set(LOSS_TERMS.values())
    assert set(UPDATES) == set(OPTIMIZERS.values())


CONVOLVED: dict[type[Op], Callable[..., torch.Tensor]] = {
    Conv1d: F.conv1d,
    Conv2d: F.conv2d,
    Conv3d: F.conv3d,
    ConvTranspose1d: F.conv_transpose1d,
    ConvTranspose2d: F.conv_transpose2d,
}


def conv(op: Any) -> Callable[[torch.Tensor, Tensors], torch.Tensor]:
    names = ("stride", "padding", "dilation", "groups", "output_padding")
    given = {name: getattr(op, name) for name in names if hasattr(op, name)}
    return lambda x, w: CONVOLVED[type(op)](x, w["op.weight"], w.get("op.bias"), **given)


CONVS = [
    Conv2d(2, 3, (3, 2)),
    Conv2d(2, 4, (3, 3), stride=(2, 1), padding=(1, 2), groups=2),
    Conv2d(4, 4, (2, 3), dilation=(2, 1), groups=4, bias=False),
    Conv2d(3, 2, (1, 1), stride=(3, 3)),
    Conv1d(2, 3, (3,), padding=(1,)),
    Conv1d(4, 2, (2,), stride=(2,), dilation=(3,), groups=2, bias=False),
    Conv3d(2, 3, (2, 1, 3), stride=(1, 2, 2), padding=(1, 0, 1)),
    Conv3d(4, 4, (2, 2, 2), dilation=(1, 2, 1), groups=2),
    ConvTranspose1d(2, 3, (3,), stride=(2,), padding=(1,), output_padding=(1,)),
    ConvTranspose1d(4, 2, (2,), dilation=(3,), groups=2, bias=False, output_padding=(2,)),
    ConvTranspose2d(2, 3, (3, 2)),
    ConvTranspose2d(4, 6, (3, 2), stride=(2, 3), padding=(1, 0), groups=2, output_padding=(0, 2)),
    ConvTranspose2d(4, 4, (2, 3), padding=(1, 2), dilation=(2, 1), groups=4, bias=False),
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
    (SumPool2d((3, 2), (1, 2), (1, 1)), lambda x: 6 * F.avg_pool2d(x, (3, 2), (1, 2), (1, 1))),
    (Flatten(1, 2), lambda x: x.flatten(2, 3)),
    (Unflatten(1, (3, 2)), lambda x: x.reshape(6, 2, 3, 2, 5)),
    (Slice(2, 1, 4), lambda x: x[:, :, :, 1:4]),
    (Upsample((3, 2)), lambda x: F.interpolate(x, scale_factor=(3.0, 2.0))),
    (Upsample((3, 2), "linear"), lambda x: F.interpolate(x, scale_factor=(3.0, 2.0), mode="bilinear")),
]

LINES: list[tuple[Op, Callable[[torch.Tensor], torch.Tensor]]] = [
    (MaxPool1d((3,), (2,), (1,)), lambda x: F.max_pool1d(x, 3, 2, 1)),
    (AvgPool1d((3,), (2,), (1,)), lambda x: F.avg_pool1d(x, 3, 2, 1)),
    (SumPool1d((3,), (1,)), lambda x: 3 * F.avg_pool1d(x, 3, 1)),
    (Upsample((4,), "linear"), lambda x: F.interpolate(x, scale_factor=4.0, mode="linear")),
    (Slice(0, 1, 2), lambda x: x[:, 1:2]),
]

NORMS = [LayerNorm((5,)), LayerNorm((2, 5), 0.25, bias=False), LayerNorm((5,), affine=False, bias=False)]


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
    ty.backward(torch.tensor(seed).flatten(0, 1))
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
def test_convolutions(op: Any) -> None:
    compare(op, signal(1, 2, 3, op.in_channels, *(7, 6, 5)[: op.rank]), conv(op))


@pytest.mark.parametrize(("op", "shape"), LINEARS, ids=str)
def test_linear(op: Linear, shape: Shape) -> None:
    compare(op, signal(1, 2, 3, *shape), lambda x, w: F.linear(x, w["op.weight"], w.get("op.bias")))


@pytest.mark.parametrize(
    ("op", "same"), POOLS, ids=lambda value: value.summary() if isinstance(value, Op) else ""
)
def test_pools_and_shapes(op: Op, same: Callable[[torch.Tensor], torch.Tensor]) -> None:
    compare(op, signal(1, 2, 3, 2, 6, 5), lambda x, _: same(x))


@pytest.mark.parametrize(
    ("op", "same"), LINES, ids=lambda value: value.summary() if isinstance(value, Op) else ""
)
def test_along_one_axis(op: Op, same: Callable[[torch.Tensor], torch.Tensor]) -> None:
    compare(op, signal(1, 2, 3, 2, 6), lambda x, _: same(x))


@pytest.mark.parametrize("op", NORMS, ids=Op.summary)
def test_layer_norm(op: LayerNorm) -> None:
    compare(
        op,
        signal(1, 2, 3, 2, 5),
        lambda x, w: F.layer_norm(x, op.shape, w.get("op.weight"), w.get("op.bias"), op.eps),
    )


@pytest.mark.parametrize("shape", [(), (2, 1), (2, 3)])
def test_scale(shape: Shape) -> None:
    compare(Scale(shape), signal(1, 2, 3, 2, 3), lambda x, w: x * w["op.weight"])


@pytest.mark.parametrize(("a", "b"), [((2, 3), (3, 4)), ((2, 1, 3, 2), (1, 5, 2, 3))])
def test_matmul(a: Shape, b: Shape) -> None:
    compare_all(MatMul(), [signal(1, 2, 3, *a), signal(2, 2, 3, *b)], lambda xs, _: xs[0] @ xs[1])


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_the_first_of_the_largest_wins_and_no_gradient_passes(axis: int) -> None:
    op, rows = WinnerTakeAll(axis), [[0.0, 2.0, 2.0], [3.0, 2.0, 1.0]]
    program = sequential({"x": Input((2, 3)), "op": op})
    x = np.array(rows)[None, None]
    y = execute(program, {}, {"x": x}).outputs["output"]
    wanted = {0: [[0, 1, 1], [1, 0, 0]], 1: [[0, 1, 0], [1, 0, 0]]}[axis % 2]
    np.testing.assert_array_equal(y[0, 0], wanted)
    found = pullback(program, {}, {"x": x}, {"op.y": np.ones_like(y)}, wrt_inputs=True)
    np.testing.assert_array_equal(found.inputs["x"], np.zeros_like(x))


def test_repeating_keeps_infinities_to_themselves() -> None:
    program = sequential({"x": Input((1, 2)), "op": Upsample((2,))})
    y = execute(program, {}, {"x": np.array([[[[np.inf, 1.0]]]])}).outputs["output"]
    np.testing.assert_array_equal(y[0, 0, 0], [np.inf, np.inf, 1.0, 1.0])


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
