"""What ops are made of means what the reference says of the ops themselves, forward and backward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

import numpy as np
import pytest

from snnhw.conformance.cases.making.examples import EXAMPLES
from snnhw.errors import ProgramError
from snnhw.ir import (
    OPS,
    Add,
    AvgPool1d,
    AvgPool2d,
    Conv1d,
    ConvTranspose1d,
    Flatten,
    FrozenMap,
    Input,
    LayerNorm,
    MaxPool1d,
    Op,
    Params,
    Program,
    Scale,
    Shape,
    Slice,
    SumPool1d,
    SumPool2d,
    Unflatten,
    Upsample,
    WinnerTakeAll,
    infer_shapes,
    trainable,
    validate,
)
from snnhw.ir.composites.composite import Composite
from snnhw.ir.composites.parts import made_of
from snnhw.ir.ops import is_core
from snnhw.reference import RULES, Gradients, execute, pullback
from snnhw.reference.tape import Array

Example = tuple[Op, *tuple[Shape, ...]]

MORE: list[Example] = [
    (Add(), (2, 3)),
    (Flatten(0, 0), (3, 2)),
    (Flatten(1, 1), (3, 2, 2)),
    (Unflatten(2, (1, 2, 1)), (2, 3, 2)),
    (Unflatten(0, (4,)), (4,)),
    (Slice(0, 2, 3), (3,)),
    (Slice(1, 0, 4), (2, 4)),
    (Scale((1, 3)), (2, 3)),
    (Scale((1, 1, 2)), (2, 3, 2)),
    (LayerNorm((5,), 1e-3), (2, 1, 5)),
    (LayerNorm((2, 2)), (2, 2)),
    (LayerNorm((1,)), (3, 1)),
    (LayerNorm((3, 2), bias=False), (2, 3, 2)),
    (Upsample((1,)), (2, 3)),
    (Upsample((5,)), (1, 2)),
    (Upsample((1, 3, 2)), (2, 1, 2, 3)),
    (Upsample((1,), "linear"), (2, 3)),
    (Upsample((3,), "linear"), (2, 4)),
    (Upsample((4,), "linear"), (1, 1)),
    (Upsample((7, 2), "linear"), (1, 2, 3)),
    (AvgPool1d((3,), (2,)), (2, 8)),
    (AvgPool1d((5,), (1,), (2,)), (1, 4)),
    (AvgPool2d((3, 1), (2, 2), (1, 0)), (2, 5, 3)),
    (SumPool2d((2, 3), (3, 1), (1, 1)), (3, 4, 5)),
    (SumPool1d((2,), (1,)), (1, 5)),
    (MaxPool1d((2,), (1,)), (3, 4)),
    (Conv1d(3, 2, (1,)), (3, 4)),
    (Conv1d(2, 6, (3,), (2,), (2,), (2,), 2), (2, 7)),
    (Conv1d(4, 4, (2,), groups=4, bias=False), (4, 3)),
    (ConvTranspose1d(3, 2, (1,), bias=False), (3, 2)),
    (ConvTranspose1d(2, 4, (3,), (3,), (1,), (2,), 2, True, (2,)), (2, 4)),
    (ConvTranspose1d(2, 2, (2,), (3,), output_padding=(1,), groups=2), (2, 3)),
]
"""Attributes and shapes that no example of the suite has."""

TOLERANCE = 1e-13
"""Relative to the largest number of its array: float64 holds one to 1e-16, and sums in another order, of at
most a few dozen terms of size 1, leave some units more; so does the deviation that values are divided by."""


EVERY: list[Example] = [
    *(each for kind, found in EXAMPLES.items() if not is_core(kind) for each in found.values()),
    *MORE,
]


def named(example: Example) -> str:
    op, *shapes = example
    return f"{op.summary()} of {shapes}".replace(" ", "")


def program_of(op: Op, shapes: tuple[Shape, ...], *, apart: bool) -> Program:
    """A program of one node, or of what it is made of."""
    given = dict(zip(op.in_ports, shapes, strict=True))
    layer = made_of("op", op, given) if apart else whole(op)
    assert layer is not None
    return trainable(layer.program(given))


def whole(op: Op) -> Composite:
    return Composite(
        nodes=FrozenMap({"op": op}),
        inputs=FrozenMap({port: (f"op.{port}",) for port in op.in_ports}),
        outputs=FrozenMap({port: f"op.{port}" for port in op.out_ports}),
    )


def derived(program: Program, op: Op) -> Gradients:
    """All that a run gives, and all derivatives, for the same numbers whatever the nodes."""
    draw = np.random.default_rng(5)
    shapes = {name: (2, 3, *node.shape) for name, node in program.nodes.items() if isinstance(node, Input)}
    inputs = {name: draw.normal(size=shape) for name, shape in shapes.items()}
    params: Params = {key: draw.normal(size=spec.shape) for key, spec in sorted(program.params().items())}
    found = {port: infer_shapes(program).shapes[f"op.{port}"] for port in op.out_ports}
    seeds = {f"op.{port}": draw.normal(size=(2, 3, *shape)) for port, shape in found.items()}
    return pullback(program, params, inputs, seeds, wrt_inputs=True)


def same(found: Mapping[str, Array], wanted: Mapping[str, Array]) -> None:
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_allclose(found[name], array, rtol=0, atol=TOLERANCE * max(1.0, np.abs(array).max()))


@pytest.mark.parametrize("example", EVERY, ids=named)
def test_parts_mean_what_the_op_means(example: Example) -> None:
    op, *shapes = example
    apart, one = (derived(program_of(op, tuple(shapes), apart=each), op) for each in (True, False))
    same(apart.execution.outputs, one.execution.outputs)
    same(apart.params, one.params)
    same(apart.inputs, one.inputs)


@pytest.mark.parametrize("example", EVERY, ids=named)
def test_parts_have_the_parameters_of_the_op(example: Example) -> None:
    op, *shapes = example
    apart, one = (program_of(op, tuple(shapes), apart=each) for each in (True, False))
    assert apart.params() == one.params()
    assert apart.trainable == one.trainable
    assert infer_shapes(apart).problems == ()
    assert validate(apart) == ()


def test_every_op_that_is_made_of_others_is_tried_with_every_setting() -> None:
    tried: dict[type[Op], list[Op]] = {}
    for op, *_ in EVERY:
        tried.setdefault(type(op), []).append(op)
    assert set(tried) == {kind for kind in OPS.values() if not (is_core(kind) or kind.whole_only)}
    assert len(tried) >= 14
    for kind, ops in tried.items():
        for item in fields(kind):
            values = {repr(getattr(op, item.name)) for op in ops}
            assert item.name == "keys" or len(values) > 1, f"{kind.__name__}.{item.name}"


def test_core_ops_are_few() -> None:
    core = {name for name, kind in OPS.items() if is_core(kind)}
    assert core == {
        "BatchNorm1d", "BatchNorm2d", "Concat", "Conv2d", "Conv3d", "ConvTranspose2d", "Dropout", "Gather",
        "Input", "Linear", "MatMul", "MaxPool2d", "Neuron", "Output", "Parameter", "Pointwise", "Reshape",
        "Sum", "WinnerTakeAll",
    }  # fmt: skip


# -- Without a rule of its own -----------------------------------------------------------------------


@pytest.mark.parametrize("example", EVERY, ids=named)
def test_an_op_without_a_rule_has_the_meaning_of_its_parts(
    example: Example, monkeypatch: pytest.MonkeyPatch
) -> None:
    op, *shapes = example
    program = program_of(op, tuple(shapes), apart=False)
    wanted = derived(program, op)
    for kind in [kind for kind in RULES if not is_core(kind)]:
        monkeypatch.delitem(RULES, kind)
    found = derived(program, op)
    same(found.execution.outputs, wanted.execution.outputs)
    same(found.params, wanted.params)
    same(found.inputs, wanted.inputs)


def test_a_core_op_without_a_rule_has_no_meaning(monkeypatch: pytest.MonkeyPatch) -> None:
    program = program_of(WinnerTakeAll(), ((3,),), apart=False)
    kind: type[Op] = WinnerTakeAll
    monkeypatch.delitem(RULES, kind)
    message = (
        r"snnhw\.reference\.RULES has no row for .*\.WinnerTakeAll; give it parts\(\) made of ops that "
        r"have one, or add a row with RULES\.add\(WinnerTakeAll\)"
    )
    with pytest.raises(ProgramError, match=message):
        execute(program, {}, {"x": np.ones((1, 1, 3))})
