"""Corners of the equations that are easy to get wrong, one by one.

What is said here on purpose is mostly implied elsewhere; but a failure under one of these names says
at once what was forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from snnhw.conformance.case import Case, LazyCase, ports_of
from snnhw.conformance.cases.gradient import neuron_step
from snnhw.conformance.cases.making.custom_models import CUSTOM_MODELS
from snnhw.conformance.cases.making.harness import NODE, Subject, alone, observed, probed, stepped, with_state
from snnhw.conformance.cases.making.neurons import EXACT_LEVELS, Setting, common, usual
from snnhw.conformance.cases.making.numbers import Dyadics, Randoms
from snnhw.conformance.cases.making.proof import proven
from snnhw.conformance.cases.making.search import chosen, lively, provable
from snnhw.conformance.cases.pointwise import neuron_case
from snnhw.ir import (
    MODELS,
    TIMINGS,
    Edge,
    FrozenMap,
    Input,
    Neuron,
    Op,
    Output,
    Param,
    Pointwise,
    Program,
    StraightThrough,
    clamp,
    maximum,
    minimum,
    var,
)
from snnhw.ir.composites import inhibited
from snnhw.ir.models.textbook import SCHEMES, TEXTBOOK, textbook
from snnhw.ir.ops import Shape

__all__ = ["cases"]

ENDS: Final = (-0.5, 0.0, 0.5, 1.0, 1.5)
"""Outside, at the ends of, and within the range that a clamp lets through."""

LITTLE: Final = 2.0**-18
"""A float32 near 1 can tell it from nothing, with room for the sums of a proof."""


def cases() -> Iterator[LazyCase]:
    """All of them."""
    for timing in TIMINGS:
        yield _at_threshold(timing)
    for reset in ("subtract", "zero"):
        yield _worthless_spikes(reset)
    yield from _clamped()
    yield _ties()
    yield _midpoints()
    yield _beyond_levels()
    yield _tied_winner()
    yield from _per_channel()
    yield _step_from_state()
    yield from _custom_models()
    yield from _schemes()


def _at_threshold(timing: str) -> LazyCase:
    """A neuron fires above its threshold, not at it; neither does a stored state at it reset anything.

    Every state near the threshold meets every drive near it: under ``retest`` two mistakes can cancel.
    """
    setting, shape = replace(common(), timing=timing), (3, 3)
    program = alone(Subject("", setting.neuron(shape), {"x": shape}))
    around = np.array([1 - LITTLE, 1, 1 + LITTLE], np.float32)
    drive, stored = (np.tile(around, (3, 1)), np.tile(around[:, None], 3))
    case = Case(
        id=f"exact/at-threshold-{timing}",
        program=program,
        params={f"{NODE}.beta": np.array(0, np.float32), f"{NODE}.threshold": np.array(1, np.float32)},
        inputs={"x": np.stack([drive, drive])[:, None]},
        time_steps=2,
        record=(f"{NODE}.spk", f"{NODE}.mem"),
        state={f"{NODE}.mem": stored[None]},
    )
    return LazyCase(case.id, partial(proven, case))


def _worthless_spikes(reset: str) -> LazyCase:
    """A spike worth 0 still resets its neuron at once: the flag counts, not the output."""
    setting = replace(common(), reset=reset, timing="retest", graded=True)
    values = {"beta": 0.5, "threshold": 1.0, "graded_spikes_factor": [0.0, 0.5, 0.0, 2.0]}
    return _corner(f"exact/worthless-spikes-{reset}", setting.neuron((4,)), (4,), values)


def _clamped() -> Iterator[LazyCase]:
    """A clamp passes gradients at both ends of its range, and none outside."""
    values = {"beta": ENDS, "threshold": (1.0,) * len(ENDS)}
    yield _corner("exact/clamped-decay/step", common().neuron((5,)), (5,), values, train=True)
    function = Pointwise(FrozenMap({"y": clamp(var("p"), 0.0, 1.0) * var("x")}), parameters=(Param("p"),))
    yield _corner("exact/clamp/step", function, (5,), {"p": ENDS}, train=True)


def _ties() -> LazyCase:
    """At a tie the gradient of minimum and maximum goes to the second operand; abs has slope 0 at 0."""
    shifted, other = var("x") + var("p"), var("x") + var("q")
    outputs = {
        "positive": maximum(shifted, 0.0),
        "negative": minimum(shifted, 0.0),
        "size": abs(shifted),
        "larger": maximum(shifted, other),
        "smaller": minimum(other, shifted),
    }
    function = Pointwise(FrozenMap(outputs), parameters=(Param("p"), Param("q")))
    same = (0.5, -0.25, 0.0)
    return _corner("exact/ties/step", function, (3,), {"p": same, "q": same}, train=True)


def _midpoints() -> LazyCase:
    """Half-way between two levels, the lower one in the table wins."""
    setting = replace(common(), quantised=True)
    halves = (EXACT_LEVELS[1:] + EXACT_LEVELS[:-1]) / 2
    shape = (len(halves),)
    program = alone(Subject("", setting.neuron(shape), {"x": shape}))
    case = Case(
        id="exact/midpoints",
        program=program,
        params={
            f"{NODE}.beta": np.array(0, np.float32),
            f"{NODE}.threshold": np.array(16, np.float32),
            f"{NODE}.levels": EXACT_LEVELS,
        },
        inputs={"x": halves[None, None]},
        time_steps=1,
        record=(f"{NODE}.mem",),
    )
    return LazyCase(case.id, partial(proven, case))


def _beyond_levels() -> LazyCase:
    """Beyond the levels it is the last one, however far: there, distances round to one number."""
    setting, shape = replace(common(), quantised=True), (6,)
    program = alone(Subject("", setting.neuron(shape), {"x": shape}))
    case = Case(
        id="pointwise/beyond-levels",
        program=program,
        params={
            f"{NODE}.beta": np.array(0, np.float32),
            f"{NODE}.threshold": np.array(16, np.float32),
            f"{NODE}.levels": EXACT_LEVELS,
        },
        inputs={"x": np.array([[[5, -5, 1e5, -1e5, 1e9, -1e9]]], np.float32)},
        time_steps=1,
        record=ports_of(program),
    )
    return LazyCase(case.id, lambda: case)


def _tied_winner() -> LazyCase:
    """Of neurons that are equally far above their threshold the first wins; all of them are reset."""
    layer = inhibited(NODE, common().neuron(()))
    nodes: dict[str, Op] = {"x": Input((4,)), **layer.nodes, "out": Output()}
    edges = [Edge("x.y", target) for target in layer.inputs["x"]]
    program = Program(FrozenMap(nodes), (*edges, *layer.edges, Edge(f"{NODE}.spk", "out.x")))
    drive = np.zeros((3, 2, 4), np.float32)
    drive[0] = [[2, 3, 3, 0.5], [1.5, 1, 0, 1.5]]
    case = Case(
        id="exact/tied-winner",
        program=program,
        params={f"{NODE}.beta": np.array(0.5, np.float32), f"{NODE}.threshold": np.array(1, np.float32)},
        inputs={"x": drive},
        time_steps=3,
        record=(f"{NODE}.spk", f"{NODE}.mem"),
    )
    return LazyCase(case.id, partial(proven, case))


def _per_channel() -> Iterator[LazyCase]:
    """Parameters shared along some axes of a map that is not square."""
    shape = (3, 2, 4)
    op = common().neuron(shape)
    values = {
        "beta": np.reshape([0.0, 0.5, 1.0], (3, 1, 1)),
        "threshold": np.arange(1, 9).reshape(1, 2, 4) / 4,
    }
    yield _corner("exact/per-channel", op, shape, values)
    yield _corner("exact/per-channel/step", op, shape, values, train=True)


def _step_from_state() -> LazyCase:
    """Training that goes on from the state of an earlier stretch of time, as a constant."""
    values = {"beta": (0.5, 1.0, 0.25, 0.0), "threshold": (1.0, 0.5, 1.0, 1.5)}
    return _corner("exact/from-state/step", common().neuron((4,)), (4,), values, train=True, state=True)


def _custom_models() -> Iterator[LazyCase]:
    """Models that no registry knows, in three classes."""
    for model in CUSTOM_MODELS.values():
        setting = Setting(model, *usual(model))
        shapes = dict(zip(model.ports, ((2, 3), (3,)), strict=False))  # ports broadcast to the layer
        subject = Subject(model.name, setting.neuron((2, 3)), shapes)
        yield _stranger(f"exact/stranger-{model.name}", alone(subject), setting)
        yield _stranger(f"exact/stranger-{model.name}/step", probed(subject), setting)
        yield _random_stranger(f"pointwise/stranger-{model.name}", alone(subject), setting)


def _schemes() -> Iterator[LazyCase]:
    """Textbook neurons under the schemes that no registry holds: run, and in a step of training."""
    held = set(MODELS.values())
    for entry in dict.fromkeys(textbook(kind, scheme) for kind in TEXTBOOK for scheme in SCHEMES):
        if entry not in held:
            setting = Setting(entry, *usual(entry), shaped=True)
            yield neuron_case(setting)
            yield neuron_step(f"gradient/{setting.name}", setting, StraightThrough())


def _stranger(case_id: str, program: Program, setting: Setting) -> LazyCase:
    def build(steps: int, numbers: Dyadics) -> Case:
        given = setting.values(NODE, (2, 3), numbers)
        case = observed(case_id, program, numbers, given=given, time_steps=steps, batch=2)
        return stepped(case, lr=0.5) if case_id.endswith("/step") else case

    return provable(case_id, build)


def _random_stranger(case_id: str, program: Program, setting: Setting) -> LazyCase:
    def build(numbers: Randoms) -> Case:
        given = setting.values(NODE, (2, 3), numbers)
        return observed(case_id, program, numbers, given=given, time_steps=30, batch=2)

    return chosen(case_id, build, lively)


def _corner(
    case_id: str,
    op: Neuron | Pointwise,
    shape: Shape,
    values: Mapping[str, object],
    *,
    train: bool = False,
    state: bool = False,
) -> LazyCase:
    """An op with chosen parameters, in the shapes they are given in, on dyadic signals: alone, or in one
    step of training."""
    given = {name: np.array(value, np.float32) for name, value in values.items()}
    shapes = FrozenMap({name: array.shape for name, array in given.items() if array.ndim})
    subject = Subject(case_id, replace(op, param_shapes=shapes), {"x": shape})
    program = probed(subject) if train else alone(subject)

    def build(steps: int, numbers: Dyadics) -> Case:
        keyed = {f"{NODE}.{name}": array for name, array in given.items()}
        case = observed(case_id, program, numbers, given=keyed, time_steps=steps, batch=2)
        case = with_state(case, numbers) if state else case
        return stepped(case, lr=0.5) if train else case

    return provable(case_id, build)
