"""Ops: what they make of shapes, and what stands in them."""

from __future__ import annotations

import copy
import pickle
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ir_nets import pointwise
from ir_strategies import QUICK, layers

from snnhw.errors import ProgramError
from snnhw.ir import (
    MODELS,
    OPS,
    Add,
    AvgPool2d,
    BatchNorm,
    Concat,
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    Flatten,
    FrozenMap,
    Input,
    LayerNorm,
    Linear,
    MatMul,
    MaxPool2d,
    Neuron,
    Op,
    Output,
    Param,
    ParamSpec,
    Pointwise,
    Scale,
    Shape,
    Slice,
    SumPool1d,
    Unflatten,
    Upsample,
    WinnerTakeAll,
    nearest,
    ops,
    var,
)

LEAKY, x = MODELS["Leaky"], var("x")

# -- The registry -----------------------------------------------------------------------------------


def test_every_op_of_every_module_is_registered_and_exported() -> None:
    found = set()
    for info in iter_modules(ops.__path__):
        module = import_module(f"{ops.__name__}.{info.name}")
        found |= {
            value
            for value in vars(module).values()
            if isinstance(value, type)
            and issubclass(value, Op)
            and value.__module__ == module.__name__
            and not value.__name__.startswith("_")
        }
    assert found - {Op, BatchNorm} == set(OPS.values())
    assert {cls.__name__ for cls in found} <= {*ops.__all__}
    assert all(cls.__name__ == name for name, cls in OPS.items())


# -- Shapes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("op", "shape", "wanted"),
    [
        (Linear(3, 5), (3,), (5,)),
        (Linear(3, 5), (2, 4, 3), (2, 4, 5)),
        (Conv2d(2, 6, (3, 3)), (2, 8, 9), (6, 6, 7)),
        (Conv2d(2, 6, (3, 2), (2, 3), (1, 0), (2, 1), groups=2), (2, 9, 9), (6, 4, 3)),
        (MaxPool2d((2, 2), (2, 2)), (3, 5, 5), (3, 2, 2)),
        (AvgPool2d((3, 2), (1, 1), (1, 1)), (3, 5, 5), (3, 5, 6)),
        (Flatten(), (2, 3, 4), (24,)),
        (Flatten(1), (2, 3, 4), (2, 12)),
        (Flatten(0, 1), (2, 3, 4), (6, 4)),
        (Add(), (2, 3), (2, 3)),
        (Neuron(LEAKY, param_shapes=FrozenMap({"beta": (3, 1, 1)})), (3, 4, 5), (3, 4, 5)),
        (Neuron(LEAKY, param_shapes=FrozenMap({"beta": ()})), (3, 4, 5), (3, 4, 5)),
        (pointwise(y=x * 2), (2, 3), (2, 3)),
    ],
    ids=lambda value: value.summary() if isinstance(value, Op) else None,
)
def test_shapes(op: Op, shape: Shape, wanted: Shape) -> None:
    assert op.infer({"x": shape}) == dict.fromkeys(op.out_ports, wanted)


def test_ports_broadcast() -> None:
    product = Pointwise(FrozenMap({"y": x * var("k")}), ("x", "k"))
    assert product.infer({"x": (4, 1), "k": (3,)}) == {"y": (4, 3)}
    assert product.infer({"x": (), "k": (2, 3)}) == {"y": (2, 3)}
    assert Pointwise(FrozenMap({"y": x}), ("x",)).infer({"x": ()}) == {"y": ()}


MISFITS: dict[str, tuple[Op, dict[str, Shape], str]] = {
    "Linear": (Linear(3, 5), {"x": (4,)}, r"Linear takes \(..., 3\), not \(4,\); is a Flatten missing\?"),
    "Linear of a scalar": (Linear(3, 5), {"x": ()}, r"Linear takes \(..., 3\), not \(\)"),
    "Conv2d rank": (Conv2d(2, 1, (1, 1)), {"x": (2, 5)}, r"Conv2d takes \(2, height, width\), not \(2, 5\)"),
    "Conv2d channels": (
        Conv2d(2, 1, (1, 1)),
        {"x": (3, 5, 5)},
        r"Conv2d takes \(2, height, width\), not \(3, 5, 5\)",
    ),
    "Conv2d size": (
        Conv2d(2, 1, (6, 1)),
        {"x": (2, 5, 5)},
        r"kernel \(6, 1\) is larger than its padded input",
    ),
    "pool rank": (
        MaxPool2d((1, 1), (1, 1)),
        {"x": (5, 5)},
        r"MaxPool2d takes \(channels, height, width\), not",
    ),
    "pool size": (
        AvgPool2d((1, 6), (1, 1)),
        {"x": (2, 5, 5)},
        r"AvgPool2d's window \(1, 6\) is larger than its input",
    ),
    "Flatten": (
        Flatten(1, 2),
        {"x": (2, 3)},
        r"Flatten\(start=1, end=2\) does not fit a sample of shape \(2, 3\)",
    ),
    "Conv1d rank": (Conv1d(2, 1, (1,)), {"x": (2, 5, 5)}, r"Conv1d takes \(2, length\), not \(2, 5, 5\)"),
    "Conv3d rank": (Conv3d(2, 1, (1,) * 3), {"x": (2, 5)}, r"Conv3d takes \(2, depth, height, width\), not"),
    "ConvTranspose1d": (
        ConvTranspose1d(2, 1, (1,)),
        {"x": (3, 5)},
        r"ConvTranspose1d takes \(2, length\), not",
    ),
    "ConvTranspose2d": (
        ConvTranspose2d(2, 1, (1, 1), padding=(0, 3)),
        {"x": (2, 5, 5)},
        r"ConvTranspose2d\(2, 1, \(1, 1\), padding=\(0, 3\)\) leaves nothing of an input of shape",
    ),
    "Unflatten": (
        Unflatten(0, (2, 3)),
        {"x": (7, 6)},
        r"Unflatten\(0, \(2, 3\)\) does not fit a sample of shape",
    ),
    "Slice": (Slice(0, 1, 4), {"x": (3,)}, r"Slice\(0, 1:4\) does not fit a sample of shape \(3,\)"),
    "Upsample": (
        Upsample((2, 2)),
        {"x": (2, 3)},
        r"Upsample takes \(channels, height, width\), not \(2, 3\)",
    ),
    "Scale": (
        Scale((3,)),
        {"x": (3, 2)},
        r"Scale\(\(3,\)\) does not fit values of shape \(3, 2\); give \(\), or 2 axes",
    ),
    "LayerNorm": (LayerNorm((3, 2)), {"x": (2, 3)}, r"LayerNorm takes \(..., 3, 2\), not \(2, 3\)"),
    "MatMul inner": (
        MatMul(),
        {"a": (2, 3), "b": (2, 3)},
        r"MatMul takes .* of one rank, not \(2, 3\) and \(2, 3\)",
    ),
    "MatMul rank": (
        MatMul(),
        {"a": (2, 3), "b": (3,)},
        r"MatMul takes .* of one rank, not \(2, 3\) and \(3,\)",
    ),
    "MatMul lead": (
        MatMul(),
        {"a": (2, 1, 3), "b": (3, 3, 1)},
        r"MatMul takes .*, not \(2, 1, 3\) and \(3, 3, 1\)",
    ),
    "WinnerTakeAll": (
        WinnerTakeAll(1),
        {"x": (3,)},
        r"WinnerTakeAll\(1\) does not fit a sample of shape \(3,\)",
    ),
    "WinnerTakeAll of a scalar": (WinnerTakeAll(), {"x": ()}, r"WinnerTakeAll\(-1\) does not fit"),
    "Flatten backwards": (Flatten(2, 1), {"x": (2, 3, 4)}, r"Flatten\(start=2, end=1\) does not fit"),
    "Flatten a scalar": (
        Flatten(),
        {"x": ()},
        r"Flatten\(start=0, end=-1\) does not fit a sample of shape \(\)",
    ),
    "Concat axis": (
        Concat(1, (3, 1)),
        {"x0": (3,)},
        r"Concat\(1, \(3, 1\)\) takes 3 along axis 1 at x0, not \(3,\)",
    ),
    "Concat size": (Concat(0, (3, 1)), {"x1": (2,)}, r"takes 1 along axis 0 at x1, not \(2,\)"),
    "Concat others": (
        Concat(0, (3, 1)),
        {"x0": (3, 2), "x1": (1, 3)},
        r"takes inputs alike on all other axes, not x0 \(3, 2\), x1 \(1, 3\)",
    ),
    "parameter of channels": (
        Neuron(LEAKY, param_shapes=FrozenMap({"beta": (3,)})),
        {"x": (3, 4, 3)},
        r"parameter 'beta' of shape \(3,\) does not fit a layer of shape \(3, 4, 3\); give a scalar, or",
    ),
    "parameter of another size": (
        Neuron(LEAKY, param_shapes=FrozenMap({"beta": (3, 4, 1)})),
        {"x": (3, 5, 4)},
        r"parameter 'beta' of shape \(3, 4, 1\) does not fit a layer of shape \(3, 5, 4\)",
    ),
    "parameter wider than the layer": (
        Neuron(LEAKY, param_shapes=FrozenMap({"beta": (3,)})),
        {"x": (1,)},
        r"parameter 'beta' of shape \(3,\) does not fit a layer of shape \(1,\)",
    ),
    "broadcast": (
        Pointwise(FrozenMap({"y": x + var("k")}), ("x", "k")),
        {"x": (4,), "k": (3,)},
        r"its inputs do not broadcast to one shape: x \(4,\), k \(3,\)",
    ),
}


@pytest.mark.parametrize(("op", "shapes", "message"), MISFITS.values(), ids=MISFITS)
def test_shapes_that_do_not_fit(op: Op, shapes: dict[str, Shape], message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        op.infer(shapes)


sizes = st.integers(1, 3)


@QUICK
@given(
    st.tuples(sizes, sizes),
    st.tuples(sizes, sizes),
    st.tuples(*[st.integers(0, 1)] * 2),
    st.tuples(sizes, sizes),
)
def test_windows_are_torchs(
    kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int], dilation: tuple[int, int]
) -> None:
    image = torch.zeros(1, 2, 8, 9)
    conv = torch.nn.Conv2d(2, 4, kernel, stride, padding, dilation)
    ours = Conv2d(2, 4, kernel, stride, padding, dilation)
    assert ours.infer({"x": (2, 8, 9)})["y"] == tuple(conv(image).shape[1:])
    assert {name: spec.shape for name, spec in ours.params().items()} == {
        name: tuple(value.shape) for name, value in conv.named_parameters()
    }
    if all(2 * pad <= size for pad, size in zip(padding, kernel, strict=True)):
        for op, theirs in ((MaxPool2d, torch.nn.MaxPool2d), (AvgPool2d, torch.nn.AvgPool2d)):
            found = op(kernel, stride, padding).infer({"x": (2, 8, 9)})["y"]
            assert found == tuple(theirs(kernel, stride, padding)(image).shape[1:])


# -- Parameters, ports, values ----------------------------------------------------------------------


def test_parameters() -> None:
    assert Linear(3, 5).params() == {"weight": ParamSpec((5, 3), fan_in=3), "bias": ParamSpec((5,), fan_in=3)}
    assert list(Linear(3, 5, bias=False).params()) == ["weight"]
    assert Conv2d(4, 6, (3, 2), groups=2, bias=False).params() == {
        "weight": ParamSpec((6, 2, 3, 2), fan_in=12)
    }
    levels = ParamSpec((0,), kind="buffer", table=True)
    assert Neuron(LEAKY, graded=True, quantised=True, param_shapes=FrozenMap({"beta": (5,)})).params() == {
        "beta": ParamSpec((5,)),
        "threshold": ParamSpec((), default=1.0),
        "graded_spikes_factor": ParamSpec((), default=1.0),
        "levels": levels,
    }
    rounding = Pointwise(FrozenMap({"y": nearest(x, "t") * var("p")}), ("x",), (Param("p", 2.0), Param("t")))
    assert rounding.params() == {"p": ParamSpec((), default=2.0), "t": levels}


def test_what_is_left_out_is_filled_in() -> None:
    assert Conv3d(1, 1, (2, 2, 2)) == Conv3d(1, 1, (2, 2, 2), (1, 1, 1), (0, 0, 0), (1, 1, 1))
    assert ConvTranspose1d(1, 1, (2,)).output_padding == (0,)


def test_parameters_of_the_others() -> None:
    assert ConvTranspose1d(4, 6, (3,), groups=2).params() == {
        "weight": ParamSpec((4, 3, 3), fan_in=9),
        "bias": ParamSpec((6,), fan_in=9),
    }
    assert Conv3d(2, 3, (1, 2, 3), bias=False).params() == {"weight": ParamSpec((3, 2, 1, 2, 3), fan_in=12)}
    assert Scale((2, 1)).params() == {"weight": ParamSpec((2, 1), default=1.0)}
    norm = {"weight": ParamSpec((3,), default=1.0), "bias": ParamSpec((3,), default=0.0)}
    assert LayerNorm((3,)).params() == norm
    assert list(LayerNorm((3,), bias=False).params()) == ["weight"]
    assert LayerNorm((3,), affine=False, bias=False).params() == {}


def test_specs_accept_shapes() -> None:
    assert ParamSpec((2, 3)).accepts((2, 3))
    assert not ParamSpec((2, 3)).accepts((3, 2))
    table = ParamSpec((0,), table=True)
    assert [table.accepts(shape) for shape in ((1,), (7,), (), (0,), (2, 2))] == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_ports() -> None:
    assert (Input((1,)).in_ports, Input((1,)).out_ports) == ((), ("y",))
    assert (Output().in_ports, Output().out_ports) == (("x",), ())
    assert Neuron(LEAKY).out_ports == ("spk", "mem")
    assert Pointwise(FrozenMap({"b": x, "a": x})).out_ports == ("b", "a")
    assert [name for name, op in OPS.items() if not op.stateless] == ["Neuron"]


@pytest.mark.parametrize(
    ("op", "text"),
    [
        (Linear(3, 5), "Linear(3, 5)"),
        (Linear(3, 5, bias=False), "Linear(3, 5, bias=False)"),
        (Conv2d(1, 2, (3, 3)), "Conv2d(1, 2, (3, 3))"),
        (
            Conv2d(2, 2, (3, 3), (2, 2), (1, 1), (1, 2), 2, bias=False),
            "Conv2d(2, 2, (3, 3), stride=(2, 2), padding=(1, 1), dilation=(1, 2), groups=2, bias=False)",
        ),
        (MaxPool2d((2, 2), (1, 1)), "MaxPool2d((2, 2), stride=(1, 1))"),
        (AvgPool2d((2, 2), (2, 2), (1, 1)), "AvgPool2d((2, 2), stride=(2, 2), padding=(1, 1))"),
        (Flatten(), "Flatten"),
        (Flatten(1), "Flatten(1, -1)"),
        (Add(), "Add"),
        (Concat(0, (3, 1)), "Concat(0, (3, 1))"),
        (Conv1d(1, 2, (3,), padding=(1,)), "Conv1d(1, 2, (3,), padding=(1,))"),
        (
            ConvTranspose2d(1, 2, (3, 3), (2, 2), output_padding=(1, 0)),
            "ConvTranspose2d(1, 2, (3, 3), stride=(2, 2), output_padding=(1, 0))",
        ),
        (SumPool1d((2,), (1,)), "SumPool1d((2,), stride=(1,))"),
        (Unflatten(0, (2, 3)), "Unflatten(0, (2, 3))"),
        (Slice(1, 0, 3), "Slice(1, 0:3)"),
        (Upsample((2, 1)), "Upsample((2, 1), nearest)"),
        (Scale((2, 1)), "Scale((2, 1))"),
        (LayerNorm((3,)), "LayerNorm((3,))"),
        (LayerNorm((3,), 0.5, bias=False), "LayerNorm((3,), eps=0.5, bias=False)"),
        (MatMul(), "MatMul"),
        (WinnerTakeAll(0), "WinnerTakeAll(0)"),
        (Input((3,)), "Input"),
        (Neuron(LEAKY), "Leaky subtract delayed ATan(alpha=2.0)"),
        (
            Neuron(LEAKY, "zero", "retest", None, True, True, FrozenMap({"beta": (3, 1)})),
            "Leaky zero retest no gradient graded quantised beta[3, 1]",
        ),
        (pointwise(y=x * 2, z=-x), "Pointwise y=x * 2, z=-x"),
    ],
)
def test_summaries(op: Op, text: str) -> None:
    assert op.summary() == text


@QUICK
@given(st.sampled_from([(3,), (2, 4, 5)]).flatmap(layers))
def test_ops_are_values(op: Op) -> None:
    for again in (copy.deepcopy(op), pickle.loads(pickle.dumps(op))):
        assert again == op
        assert hash(again) == hash(op)
        assert again.summary() == op.summary()


def test_mappings_given_to_an_op_are_frozen() -> None:
    shapes: Any = {"beta": (3,)}
    neuron = Neuron(LEAKY, param_shapes=shapes)
    shapes["beta"] = (4,)
    assert neuron.param_shapes["beta"] == (3,)
    assert hash(neuron) == hash(Neuron(LEAKY, param_shapes=FrozenMap({"beta": (3,)})))
