"""Class law: every law, on a network that may run all steps at once and on one that cannot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from snnhw.conformance.case import Array, Case
from snnhw.conformance.cases.classify import classified
from snnhw.conformance.cases.harness import NODE, Subject, alone, observed
from snnhw.conformance.cases.networks import Make, Network, dense, recurrent
from snnhw.conformance.cases.neurons import common
from snnhw.conformance.cases.numbers import Dyadics, middle
from snnhw.conformance.cases.search import required
from snnhw.conformance.proof import proven
from snnhw.ir import SGD, Adam, ATan, CECount, L1Rate, Loss, Param, StraightThrough, Term
from snnhw.ir.ops import Shape

__all__ = ["RUNNING", "STEPPING", "TRAINING", "cases", "exact_network"]

BATCH: Final = 4
LONG: Final = 1000

SHAPES: Final[Mapping[str, Make]] = {"dense": dense, "recurrent": recurrent}

RUNNING: Final = ("repeats", "permutes", "splits", "fits", "round-trips", "owns", "refuses", "agrees")
TRAINING: Final = ("trains-alike", "resumes", "evaluates")
STEPPING: Final = ("reschedules",)
"""Laws on runs that are exact; on several steps of training; on one step that is exact."""


def cases() -> Iterator[Case]:
    """Every law on every shape of network, and what is easily forgotten."""
    for shape, make in SHAPES.items():
        run = exact_network(f"law/{shape}", make(common(), StraightThrough()))
        for law in RUNNING:
            yield replace(run, id=f"law/{law}-{shape}", law=law)
        training = _training(f"law/{shape}", make(common(), ATan()))
        for law in TRAINING:
            yield replace(training, id=f"law/{law}-{shape}", law=law)
        step = _step(f"law/{shape}-step", make(common(), StraightThrough()))
        for law in STEPPING:
            yield replace(step, id=f"law/{law}-{shape}", law=law)
        silent = {name: np.zeros_like(x) for name, x in run.inputs.items()}
        yield proven(replace(run, id=f"law/no-input-{shape}", law="agrees", inputs=silent))
        single = {name: x[:1] for name, x in run.inputs.items()}
        yield proven(replace(run, id=f"law/one-step-{shape}", law="agrees", inputs=single, time_steps=1))
    yield _long("law/thousand-steps")


def exact_network(case_id: str, network: Network, *, batch: int = BATCH) -> Case:
    """A network on dyadic numbers, with its proof."""
    return required(
        case_id,
        lambda steps, numbers: observed(
            case_id, network.program, numbers, given=network.values(numbers), time_steps=steps, batch=batch
        ),
    )


def _training(case_id: str, network: Network) -> Case:
    """Two steps share an update, so that training can be interrupted between them."""
    loss = Loss((Term(CECount(), of="lif2.spk"), Term(L1Rate(), of="lif1.spk", weight=0.01)))
    return classified(case_id, network, loss, Adam(lr=0.01), batch=BATCH, accumulate=2, needs=())


def _step(case_id: str, network: Network) -> Case:
    terms = {"lif1.spk": 0.25, "lif2.spk": 0.5, "lif2.mem": 1.0}
    loss = Loss(tuple(Term(L1Rate(), of=port, weight=weight) for port, weight in terms.items()))

    def build(steps: int, numbers: Dyadics) -> Case:
        given = network.values(numbers)
        case = observed(case_id, network.program, numbers, given=given, time_steps=steps, batch=BATCH)
        return replace(case, record=(), loss=loss, optimizer=SGD(lr=0.25))

    return required(case_id, build)


@dataclass(frozen=True)
class Wholes(Dyadics):
    """Whole numbers, and decays of 1: nothing is ever divided, so that no number of steps is too many."""

    unit: float = 1.0

    def param(self, param: Param, position: int, shape: Shape) -> Array:
        ranged = param.low is not None and param.high is not None
        return np.full(shape, param.high if ranged else middle(param, position), np.float32)


def _long(case_id: str) -> Case:
    setting, shape = common(), (2,)
    program = alone(Subject(setting.name, setting.neuron(shape), {"x": shape}))
    numbers = Wholes(np.random.default_rng(LONG))
    given = setting.values(NODE, shape, numbers)
    case = observed(case_id, program, numbers, given=given, time_steps=LONG, batch=1)
    return proven(replace(case, law="agrees"))
