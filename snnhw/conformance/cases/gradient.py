"""Class gradient: one step of SGD with a learning rate of 1 shows the gradient of every parameter.

Every neuron, surrogate, op, network and kind of loss. Numbers are chosen so that no neuron comes near
its threshold: the gradient of another spike pattern would be another gradient.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from snnhw.conformance.case import Arrays, Case
from snnhw.conformance.cases.classify import classified
from snnhw.conformance.cases.examples import subjects
from snnhw.conformance.cases.harness import NODE, Subject, observed, probed, stepped
from snnhw.conformance.cases.networks import NETWORKS, Network, dense
from snnhw.conformance.cases.neurons import Setting, common, settings, usual
from snnhw.conformance.cases.numbers import Randoms
from snnhw.conformance.cases.search import certain, first, lively, randoms
from snnhw.conformance.cases.variants import variants
from snnhw.ir import (
    LOSS_TERMS,
    MODELS,
    SGD,
    SURROGATES,
    ATan,
    CECount,
    CEMembrane,
    L1Rate,
    Loss,
    Surrogate,
    Term,
)
from snnhw.passes import resolve_loss

__all__ = ["cases"]

STEPS: Final = 8
BATCH: Final = 3
SHAPE: Final = (4,)


def cases() -> Iterator[Case]:
    """All of the class that come from registries."""
    for setting in settings():
        if not setting.quantised or (setting.reset, setting.timing) == usual(setting.model):
            yield _neuron(f"gradient/{setting.name}", setting, ATan())
    yield from _surrogates()
    for subject in subjects():
        case_id = f"gradient/{subject.name}"
        yield _probe(case_id, subject, next(randoms(case_id)), {})
    for model in MODELS.values():
        for name, make in NETWORKS.items():
            yield _network(f"gradient/{name}-{model.name}", make(Setting(model, *usual(model), shaped=True), ATan()))
    yield from _losses()


def _surrogates() -> Iterator[Case]:
    setting = common()
    yield _neuron("gradient/surrogate-none", setting, None)
    for name, kind in SURROGATES.items():
        for variant, surrogate in variants(kind):
            yield _neuron(f"gradient/surrogate-{name}-{variant}", setting, surrogate)


def _neuron(case_id: str, setting: Setting, surrogate: Surrogate | None) -> Case:
    subject = Subject(setting.name, setting.neuron(SHAPE, surrogate), dict.fromkeys(setting.model.ports, SHAPE))
    return first(
        case_id,
        randoms(case_id),
        lambda numbers: _probe(case_id, subject, numbers, setting.values(NODE, SHAPE, numbers)),
        lively,
        certain,
    )


def _probe(case_id: str, subject: Subject, numbers: Randoms, given: Arrays) -> Case:
    case = observed(case_id, probed(subject), numbers, given=given, time_steps=STEPS, batch=BATCH)
    return stepped(case, lr=1.0)


def _network(case_id: str, network: Network) -> Case:
    """A loss on the output, on hidden spikes, and on a membrane, all at once."""
    program = network.program
    hidden, last = (f"{name}.{program.nodes[name].out_ports[at]}" for name, at in (("lif1", 0), ("lif2", -1)))
    loss = Loss(
        (
            Term(CECount(), of=program.outputs()["out"]),
            Term(L1Rate(), of=hidden, weight=0.01),
            Term(CEMembrane(over_time="mean"), of=last, weight=0.5),
        )
    )
    return classified(case_id, network, loss, SGD(lr=1.0))


def _losses() -> Iterator[Case]:
    """Every kind of term, weighted, on the port that it takes by itself."""
    network = dense(common(), ATan())
    for name, kind in LOSS_TERMS.items():
        for variant, value in variants(kind):
            loss = resolve_loss(network.program, Loss((Term(value, weight=0.5),)))
            yield classified(f"gradient/loss-{name}-{variant}", network, loss, SGD(lr=1.0))
