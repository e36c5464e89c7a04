"""Ops: what their attributes must be."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ir_calls import call
from ir_nets import pointwise

from snnhw.errors import ProgramError
from snnhw.ir import (
    MODELS,
    ATan,
    AvgPool2d,
    Concat,
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    Flatten,
    FrozenMap,
    Gather,
    Input,
    LayerNorm,
    Linear,
    MaxPool2d,
    Neuron,
    Op,
    Param,
    Parameter,
    Pointwise,
    Reshape,
    Scale,
    Slice,
    Sum,
    SumPool1d,
    Unflatten,
    Upsample,
    WinnerTakeAll,
    nearest,
    var,
)

LEAKY, x = MODELS["Leaky"], var("x")


WRONG: dict[str, tuple[Callable[[], Op], str]] = {
    "Input": (call(Input, [3]), r"Input\(shape=\[3\]\): give a tuple of positive integers, without"),
    "Input of nothing": (call(Input, (3, 0)), r"Input\(shape=\(3, 0\)\): give a tuple of positive"),
    "Input of True": (call(Input, (True,)), r"Input\(shape=\(True,\)\): give"),
    "Linear in": (call(Linear, 0, 3), r"Linear\(in_features=0\): give a positive integer"),
    "Linear out": (call(Linear, 3, 2.0), r"Linear\(out_features=2.0\): give a positive integer"),
    "Conv2d in": (call(Conv2d, 0, 1, (1, 1)), r"Conv2d\(in_channels=0\): give a positive integer"),
    "Conv2d out": (call(Conv2d, 1, -1, (1, 1)), r"Conv2d\(out_channels=-1\): give a positive integer"),
    "Conv2d kernel": (call(Conv2d, 1, 1, 3), r"Conv2d\(kernel=3\): give a pair of integers, 1 or more"),
    "Conv2d stride": (call(Conv2d, 1, 1, (1, 1), (0, 1)), r"Conv2d\(stride=\(0, 1\)\): give a pair of int"),
    "Conv2d padding": (
        call(Conv2d, 1, 1, (1, 1), padding=(-1, 0)),
        r"padding=\(-1, 0\)\): give a pair of int.*0 or",
    ),
    "Conv2d dilation": (
        call(Conv2d, 1, 1, (1, 1), dilation=(1, 0)),
        r"dilation=\(1, 0\)\): give a pair of int",
    ),
    "Conv2d groups": (
        call(Conv2d, 4, 6, (1, 1), groups=4),
        r"groups=4\): give a positive integer that divides both",
    ),
    "Conv2d no groups": (call(Conv2d, 4, 6, (1, 1), groups=0), r"groups=0\): give a positive integer that"),
    "pool kernel": (
        call(MaxPool2d, (0, 1), (1, 1)),
        r"MaxPool2d\(kernel=\(0, 1\)\): give a pair of integers, 1",
    ),
    "pool stride": (call(AvgPool2d, (1, 1), (1,)), r"AvgPool2d\(stride=\(1,\)\): give a pair of integers, 1"),
    "pool padding": (
        call(MaxPool2d, (2, 3), (1, 1), (1, 2)),
        r"padding=\(1, 2\)\): give at most half the kernel",
    ),
    "Conv1d kernel": (call(Conv1d, 1, 1, (3, 3)), r"Conv1d\(kernel=\(3, 3\)\): give a tuple of one integer"),
    "Conv3d stride": (
        call(Conv3d, 1, 1, (1, 1, 1), (2, 2)),
        r"stride=\(2, 2\)\): give a triple of integers, 1",
    ),
    "output padding": (
        call(ConvTranspose2d, 1, 1, (3, 3), (2, 1), output_padding=(1, 1)),
        r"ConvTranspose2d\(output_padding=\(1, 1\)\): give less than the stride or the dilation",
    ),
    "output padding of another rank": (
        call(ConvTranspose1d, 1, 1, (3,), output_padding=(1, 1)),
        r"output_padding=\(1, 1\)\): give a tuple of one integer, 0 or more",
    ),
    "pool of another rank": (
        call(SumPool1d, (2, 2), (1,)),
        r"SumPool1d\(kernel=\(2, 2\)\): give a tuple of one",
    ),
    "Unflatten axis": (
        call(Unflatten, -1, (2,)),
        r"Unflatten\(axis=-1\): give an axis of the sample, 0 or more",
    ),
    "Unflatten sizes": (
        call(Unflatten, 0, ()),
        r"Unflatten\(sizes=\(\)\): give a tuple of positive integers",
    ),
    "Reshape": (call(Reshape, (2, 0)), r"Reshape\(shape=\(2, 0\)\): give a tuple of positive integers"),
    "Gather axis": (call(Gather, -1, (0,)), r"Gather\(axis=-1\): give an axis of the sample, 0 or more"),
    "Gather of nothing": (call(Gather, 0, ()), r"Gather\(index=\(\)\): give a tuple of places, 0 or more"),
    "Gather index": (
        call(Gather, 0, (0, -2)),
        r"Gather\(index=\(0, -2\)\): give a tuple of places, 0 or more",
    ),
    "Sum": (call(Sum, -2), r"Sum\(axis=-2\): give an axis of the sample, or -1 for the last"),
    "Parameter shape": (call(Parameter, 3), r"Parameter\(shape=3\): give a tuple of positive integers"),
    "Parameter default": (
        call(Parameter, (3,), float("inf")),
        r"Parameter\(default=inf\): give a finite number, or None",
    ),
    "Parameter fan_in": (call(Parameter, (3,), fan_in=-1), r"Parameter\(fan_in=-1\): give a number of terms"),
    "Slice axis": (call(Slice, -1, 0, 1), r"Slice\(axis=-1\): give an axis of the sample, 0 or more"),
    "Slice start": (call(Slice, 0, -1, 1), r"Slice\(start=-1\): give a place on it, 0 or more"),
    "Slice stop": (call(Slice, 0, 2, 2), r"Slice\(stop=2\): give a place behind start=2"),
    "Upsample scale": (
        call(Upsample, (2, 0.5)),
        r"Upsample\(scale=\(2, 0.5\)\): give a tuple of one to three pos",
    ),
    "Upsample mode": (call(Upsample, (2,), "cubic"), r"Upsample\(mode='cubic'\): give 'nearest' or 'linear'"),
    "Scale": (call(Scale, (0,)), r"Scale\(shape=\(0,\)\): give a tuple of positive integers"),
    "LayerNorm shape": (call(LayerNorm, ()), r"LayerNorm\(shape=\(\)\): give a tuple of positive integers"),
    "LayerNorm eps": (call(LayerNorm, (2,), 0.0), r"LayerNorm\(eps=0.0\): give a number greater than 0"),
    "LayerNorm bias": (
        call(LayerNorm, (2,), affine=False),
        r"LayerNorm\(bias=True\): give False, where affine",
    ),
    "WinnerTakeAll": (
        call(WinnerTakeAll, -2),
        r"WinnerTakeAll\(axis=-2\): give an axis of the sample, or -1",
    ),
    "Flatten start": (call(Flatten, -1), r"Flatten\(start=-1\): give an axis of the sample, 0 or more"),
    "Flatten end": (
        call(Flatten, 0, -2),
        r"Flatten\(end=-2\): give an axis of the sample, or -1 for the last",
    ),
    "Concat axis": (call(Concat, -1, (1, 2)), r"Concat\(axis=-1\): give an axis of the sample, 0 or more"),
    "Concat of nothing": (
        call(Concat, 0, ()),
        r"Concat\(sizes=\(\)\): give a tuple of positive integers, one",
    ),
    "Concat sizes": (call(Concat, 0, [1, 2]), r"Concat\(sizes=\[1, 2\]\): give a tuple of positive integers"),
    "Concat of many": (call(Concat, 0, (1,) * 1025), r"one per input, at most 1024"),
    "Neuron model": (
        call(Neuron, "Leaky"),
        r"Neuron\(model='Leaky'\): give a NeuronModel, such as snnhw.ir.MODELS",
    ),
    "Neuron reset": (
        call(Neuron, LEAKY, reset="sub"),
        r"Neuron\(reset='sub'\): give one of Leaky's: none, subtract, zero",
    ),
    "Neuron timing": (
        call(Neuron, LEAKY, timing="now"),
        r"Neuron\(timing='now'\): give one of Leaky's for 'subtract': delayed, retest, immediate",
    ),
    "Neuron surrogate": (
        call(Neuron, LEAKY, surrogate=ATan),
        r"Neuron\(surrogate=<class .*ATan'>\): give a value such as ATan\(\), or None for no gradient",
    ),
    "Neuron stray shape": (
        call(Neuron, LEAKY, param_shapes=FrozenMap({"tau": (1,)})),
        r"param_shapes=\{'tau': \(1,\)\}\): give shapes of 'beta', 'threshold'; not of 'tau'",
    ),
    "Neuron bad shape": (
        call(Neuron, LEAKY, param_shapes=FrozenMap({"beta": [3]})),
        r"param_shapes=\{'beta': \[3\]\}\): give tuples of positive integers",
    ),
    "Neuron shape of the factor, which it lacks": (
        call(Neuron, LEAKY, param_shapes=FrozenMap({"graded_spikes_factor": (3,)})),
        "give shapes of 'beta', 'threshold'; not of 'graded_spikes_factor'",
    ),
    "Pointwise empty": (
        call(pointwise),
        r"Pointwise\(outputs=\{\}\): give at least one port and its expression",
    ),
    "Pointwise condition": (
        call(pointwise, y=x > 0),
        r"outputs=\{'y': x > 0\}\): give at least one port and its",
    ),
    "Pointwise number": (call(pointwise, y=1.0), r"outputs=\{'y': 1.0\}\): give at least one port"),
    "Pointwise stray": (
        call(pointwise, y=x + var("p")),
        r"expressions of ports and parameters only; not of 'p'",
    ),
    "Pointwise table": (
        call(pointwise, y=nearest(x, "t")),
        "expressions of ports and parameters only; not of 't'",
    ),
    "Pointwise port": (
        call(pointwise, **{"a.b": x}),
        "Pointwise: 'a.b' cannot name a port, state or parameter",
    ),
    "Pointwise without ports": (
        call(Pointwise, FrozenMap({"y": var("p")}), (), (Param("p"),)),
        r"Pointwise\(ports=\(\)\): give at least one port, or it would have no shape",
    ),
    "Pointwise dt": (
        call(Pointwise, FrozenMap({"y": x}), ("x", "dt")),
        "Pointwise: the name 'dt' is reserved",
    ),
    "Pointwise twice": (
        call(Pointwise, FrozenMap({"y": x}), ("x",), (Param("x"),)),
        "Pointwise: the name 'x' is used twice",
    ),
}


@pytest.mark.parametrize(("build", "message"), WRONG.values(), ids=WRONG)
def test_attributes(build: Callable[[], Op], message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        build()
