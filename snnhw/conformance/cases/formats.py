"""Class format: what a file has to carry, from the registries.

Every op and every kind of neuron stands alone, so that a report says which of them a format has a form for;
and every model stands in the suite's networks, under each reset and timing that it offers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from snnhw.conformance.case import Case, LazyCase
from snnhw.conformance.cases.making.examples import subjects
from snnhw.conformance.cases.making.harness import NODE, Subject, alone, observed
from snnhw.conformance.cases.making.networks import tried_in
from snnhw.conformance.cases.making.neurons import EXACT_SURROGATE, Setting, timings
from snnhw.conformance.cases.making.search import randoms
from snnhw.ir import MODELS, NeuronModel, Program, Shape, trainable
from snnhw.parity.arrays import Array

__all__ = ["format_cases"]

SHAPE: Final = (2, 3)


def format_cases(models: Mapping[str, NeuronModel] = MODELS) -> Iterator[LazyCase]:
    """Every case of the class."""
    for subject in subjects():
        yield _plan(f"format/op/{subject.name}", trainable(alone(subject)))
    for model in models.values():
        for setting in _settings(model):
            ports = dict.fromkeys(model.ports, SHAPE)
            program = trainable(alone(Subject(setting.name, setting.neuron(SHAPE), ports)))
            yield _plan(f"format/neuron/{setting.name}", program, setting, {NODE: SHAPE})
        for reset, timing in timings(model):
            setting = Setting(model, reset, timing)
            for name, make in tried_in(model).items():
                network = make(setting, EXACT_SURROGATE)
                shapes = {node: shape for node, (_, shape) in network.neurons.items()}
                for kind, program in _from_rest(name, network.program):
                    yield _plan(f"format/{kind}/{setting.name}", program, setting, shapes)


def _from_rest(name: str, program: Program) -> Iterator[tuple[str, Program]]:
    """The network; and, where something else than zero is under way at first, also with zero: a format that
    refuses the one may carry the other."""
    yield name, program
    resting = tuple(replace(edge, init=0.0) for edge in program.edges)
    if resting != program.edges:
        yield f"{name}-from-rest", replace(program, edges=resting)


def _settings(model: NeuronModel) -> Iterator[Setting]:
    """Each option by itself: what refuses one of them carries the others."""
    fires = model.fire is not None
    for reset, timing in timings(model):
        yield Setting(model, reset, timing)
        yield Setting(model, reset, timing, shaped=True)
        if fires:
            yield Setting(model, reset, timing, graded=True)
        yield Setting(model, reset, timing, quantised=True)


def _plan(
    case_id: str, program: Program, setting: Setting | None = None, neurons: Mapping[str, Shape] | None = None
) -> LazyCase:
    """A case on random numbers, always the same; nobody runs it, so one step of one sample will do."""

    def make() -> Case:
        numbers = next(randoms(case_id))
        given: dict[str, Array] = {}
        for node, shape in (neurons or {}).items():
            assert setting is not None
            given |= setting.values(node, shape, numbers)
        return observed(case_id, program, numbers, given=given, time_steps=1, batch=1)

    return LazyCase(case_id, make)
