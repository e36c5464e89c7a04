"""Class gradient: one step of SGD with a learning rate of 1 shows the gradient of every parameter.

Every neuron, surrogate, op, network and kind of loss. Numbers are chosen so that no neuron comes near
its threshold: the gradient of another spike pattern would be another gradient.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Final

from snnhw.conformance.case import Case, LazyCase
from snnhw.conformance.cases.making.classify import classified
from snnhw.conformance.cases.making.examples import subjects
from snnhw.conformance.cases.making.harness import NODE, Subject, observed, probed, stepped
from snnhw.conformance.cases.making.networks import NETWORKS, CaseNetwork, dense, tried_in
from snnhw.conformance.cases.making.neurons import Setting, backwards, common, settings, usual
from snnhw.conformance.cases.making.numbers import Randoms
from snnhw.conformance.cases.making.search import certain, chosen, lively
from snnhw.conformance.cases.making.variants import variants
from snnhw.ir import (
    LOSS_TERMS,
    MODELS,
    SGD,
    SURROGATES,
    ATan,
    CECount,
    CEMembrane,
    ClassLoss,
    L1Rate,
    Loss,
    LossKind,
    Neuron,
    PopulationLoss,
    Program,
    StraightThrough,
    Surrogate,
    Term,
)
from snnhw.parity.arrays import Arrays
from snnhw.passes import resolve_loss

__all__ = ["cases", "neuron_step"]

STEPS: Final = 8
BATCH: Final = 3
SHAPE: Final = (4,)


def cases() -> Iterator[LazyCase]:
    """All of the class that come from registries."""
    for setting in settings():
        if backwards(setting):
            yield neuron_step(f"gradient/{setting.name}", setting, StraightThrough())
    yield from _surrogates()
    for subject in subjects():
        case_id = f"gradient/{subject.name}"
        yield chosen(case_id, partial(_probe, case_id, probed(subject)))
    for model in MODELS.values():
        setting = Setting(model, *usual(model), shaped=True)
        for name, make in tried_in(model).items():
            yield _network(f"gradient/{name}-{model.name}", make(setting, StraightThrough()))
    for name, make in NETWORKS.items():
        yield _unwatched(f"gradient/unwatched-{name}", make(common(), StraightThrough()))
    yield from _losses()


def _surrogates() -> Iterator[LazyCase]:
    """Every surrogate with one neuron, none of its settings at their defaults; the one that users get
    unasked, under every timing."""
    yield neuron_step("gradient/surrogate-none", common(), None)
    for name, kind in SURROGATES.items():
        *_, (variant, surrogate) = variants(kind)  # all at once: each is a kernel to compile
        yield neuron_step(f"gradient/surrogate-{name}-{variant}", common(), surrogate)
    for timing in common().model.timings_of(common().reset):
        if timing != common().timing:
            setting = replace(common(), timing=timing)
            yield neuron_step(
                f"gradient/surrogate-default-{timing}", setting, Neuron(setting.model).surrogate
            )


def neuron_step(case_id: str, setting: Setting, surrogate: Surrogate | None) -> LazyCase:
    """A neuron in one step of training."""
    op = setting.neuron(SHAPE, surrogate)
    program = probed(Subject(setting.name, op, dict.fromkeys(setting.model.ports, SHAPE)))

    def build(numbers: Randoms) -> Case:
        return _probe(case_id, program, numbers, setting.values(NODE, SHAPE, numbers))

    return chosen(case_id, build, lively, certain)


def _probe(case_id: str, program: Program, numbers: Randoms, given: Arrays | None = None) -> Case:
    case = observed(case_id, program, numbers, given=given, time_steps=STEPS, batch=BATCH)
    return stepped(case, lr=1.0)


def _network(case_id: str, network: CaseNetwork) -> LazyCase:
    """A loss on the output, on a hidden membrane and on the last one: with what is carried from step to
    step, three gradients meet in every neuron."""
    program = network.program
    state = program.nodes["lif1"].out_ports[-1]
    last, _, _ = program.outputs()["out"].partition(".")
    loss = Loss(
        (
            Term(CECount(), of=program.outputs()["out"]),
            Term(L1Rate(), of=f"lif1.{state}", weight=0.01),
            Term(CEMembrane(over_time="mean"), of=f"{last}.{state}", weight=0.5),
        )
    )
    return classified(case_id, network, loss, SGD(lr=1.0))


def _unwatched(case_id: str, network: CaseNetwork) -> LazyCase:
    """A loss on the output alone: nobody sees what passes within, so that nodes may run as one."""
    loss = Loss((Term(CECount(), of=network.program.outputs()["out"]),))
    return classified(case_id, network, loss, SGD(lr=1.0))


def _losses() -> Iterator[LazyCase]:
    """Every kind of term, weighted, on the port that it takes by itself."""
    network = dense(common(), ATan())
    for name, kind in LOSS_TERMS.items():
        for variant, value in (*variants(kind), *_of_classes(kind)):
            loss = resolve_loss(network.program, Loss((Term(value, weight=0.5),)))
            yield classified(f"gradient/loss-{name}-{variant}", network, loss, SGD(lr=1.0))
        for number, form in enumerate(kind().takes[1:], 1):
            loss = resolve_loss(network.program, Loss((Term(kind(), weight=0.5),)))
            axes = "".join(form.axes).replace("...", "C")
            yield classified(f"gradient/loss-{name}-{axes}", network, loss, SGD(lr=1.0), form=number)


def _of_classes(kind: type[LossKind]) -> Iterator[tuple[str, LossKind]]:
    """Kinds of settings that only make sense with a number of classes: the network's neurons, or half."""
    if issubclass(kind, ClassLoss):
        yield "weighted", kind(class_weights=(0.5, 2.0, 1.0, 0.25))
    if issubclass(kind, PopulationLoss):
        yield "populations", kind(num_classes=2, class_weights=(0.5, 2.0))
