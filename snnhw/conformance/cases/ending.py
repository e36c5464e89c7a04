"""Samples of several lengths: every kind of loss, and every kind of network, on a batch whose samples end.

What a sample does and learns is what it would alone, at its own T: two laws (`checks.ending`) hold that to
runs of single samples. Here, where losses divide and round, the reference says what it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from snnhw.conformance.case import Case, LazyCase
from snnhw.conformance.cases.making.classify import classified
from snnhw.conformance.cases.making.networks import NETWORKS, CaseNetwork, dense
from snnhw.conformance.cases.making.neurons import common
from snnhw.conformance.cases.making.search import certain, lively
from snnhw.conformance.cases.making.variants import variants
from snnhw.conformance.ragged import ragged
from snnhw.ir import LOSS_TERMS, SGD, ATan, ClassLoss, L1Rate, Loss, StraightThrough, Term
from snnhw.passes import resolve_loss

__all__ = ["cases"]

NONE_AT_ALL: Final = (0, 3, 8)
"""Lengths, one of a sample that has ended before the first step, as it does in a later part of a sequence."""


def cases() -> Iterator[LazyCase]:
    """The gradient of every kind of term, all its settings at once, and of every network."""
    network = dense(common(), ATan())
    for name, kind in LOSS_TERMS.items():
        *_, (_, value) = variants(kind)
        kinds = {"": value}
        if issubclass(kind, ClassLoss):
            kinds["-weighted"] = kind(class_weights=(0.5, 2.0, 1.0, 0.25))
        for variant, each in kinds.items():
            loss = resolve_loss(network.program, Loss((Term(each, weight=0.5),)))
            yield _ended(f"gradient/ends-{name}{variant}", network, loss)
        for form in range(1, len(kind().takes)):
            loss = resolve_loss(network.program, Loss((Term(kind(), weight=0.5),)))
            yield _ended(f"gradient/ends-{name}-{form}", network, loss, form)
    for name, make in NETWORKS.items():
        network = make(common(), StraightThrough())
        program = network.program
        terms = (Term(L1Rate(), of=port) for port in (program.outputs()["out"], "lif1.mem"))
        yield _ended(f"gradient/ends-{name}", network, Loss(tuple(terms)))


def _ended(case_id: str, network: CaseNetwork, loss: Loss, form: int = 0) -> LazyCase:
    lazy = classified(case_id, network, loss, SGD(lr=1.0), form=form, needs=(lively, _certain))
    return LazyCase(case_id, lambda: _none_at_all(lazy.case))


def _none_at_all(case: Case) -> Case:
    return ragged(case, NONE_AT_ALL)[0]


def _certain(case: Case) -> bool:
    return certain(_none_at_all(replace(case, record=())))
