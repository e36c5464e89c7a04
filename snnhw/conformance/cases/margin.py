"""Classes margin and near: whole networks on random numbers.

Margin: numbers are chosen so that no neuron comes near its threshold; then no rounding can change a
spike, and every backend must agree on all of them. Near: more neurons and more
steps, some of them within the error bound of their threshold; there a spike may differ, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from snnhw.conformance.case import Case, LazyCase
from snnhw.conformance.cases.making.examples import INEXACT, subjects
from snnhw.conformance.cases.making.harness import alone, observed
from snnhw.conformance.cases.making.networks import Make, dense, recurrent, tried_in
from snnhw.conformance.cases.making.neurons import Setting, common, usual
from snnhw.conformance.cases.making.numbers import Randoms
from snnhw.conformance.cases.making.search import certain, chosen, delicate, lively
from snnhw.ir import MODELS, Program, StraightThrough

__all__ = ["cases"]


def cases() -> Iterator[LazyCase]:
    """Every network with every model; the models as they come, but with a parameter per neuron."""
    for subject in subjects():
        if type(subject.op) in INEXACT:
            yield _op(f"margin/{subject.name}", alone(subject))
    wide: Make = partial(dense, sizes=(32, 48, 10))
    for model in MODELS.values():
        setting = Setting(model, *usual(model), shaped=True)
        for name, make in tried_in(model).items():
            yield _case(f"margin/{name}-{model.name}", make, setting, steps=8, batch=3, safe=True)
        if model.fire is None:
            continue
        yield _case(f"near/dense-{model.name}", wide, setting, steps=25, batch=32, safe=False)
    looped = Setting(common().model, *usual(common().model), shaped=True)
    yield _case(f"near/recurrent-{looped.model.name}", recurrent, looped, steps=25, batch=32, safe=False)


def _op(case_id: str, program: Program) -> LazyCase:
    """An op that rounds whatever the numbers, on its own."""

    def build(numbers: Randoms) -> Case:
        return observed(case_id, program, numbers, time_steps=4, batch=2)

    return chosen(case_id, build, certain)


def _case(case_id: str, make: Make, setting: Setting, *, steps: int, batch: int, safe: bool) -> LazyCase:
    network = make(setting, StraightThrough())

    def build(numbers: Randoms) -> Case:
        given = network.values(numbers)
        return observed(case_id, network.program, numbers, given=given, time_steps=steps, batch=batch)

    return chosen(case_id, build, lively, certain if safe else delicate)
