"""Class law: every law, on a network that may run all steps at once and on one that cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np

from snnhw.conformance.case import Case, LazyCase
from snnhw.conformance.cases.making.classify import classified
from snnhw.conformance.cases.making.custom_models import LUCKY
from snnhw.conformance.cases.making.harness import NODE, Subject, alone, observed
from snnhw.conformance.cases.making.networks import CaseNetwork, Make, chancy, dense, recurrent
from snnhw.conformance.cases.making.neurons import Setting, common, usual
from snnhw.conformance.cases.making.numbers import Dyadics, Randoms, middle
from snnhw.conformance.cases.making.proof import proven
from snnhw.conformance.cases.making.search import provable
from snnhw.conformance.cases.making.variants import variants
from snnhw.ir import (
    OPTIMIZERS,
    SGD,
    Adam,
    ATan,
    CECount,
    CEMembrane,
    L1Rate,
    Loss,
    MSECount,
    Optimizer,
    Param,
    StraightThrough,
    Term,
)
from snnhw.ir.ops import Shape
from snnhw.parity.arrays import Array
from snnhw.parity.rounding.dyadic import PRECISION

__all__ = ["RUNNING", "SMALL", "STEPPING", "TRAINING", "cases", "exact_network"]

BATCH: Final = 4
HALF: Final = 11
"""Bits of a float16's significand."""

LONG: Final = 1000
SIZED: Final = 300
SAMPLES: Final = 32

ADAM: Final = Adam(lr=0.01)

SHAPES: Final[Mapping[str, Make]] = {"dense": dense, "recurrent": recurrent}

RUNNING: Final = (
    "repeats",
    "permutes",
    "splits",
    "fits",
    "round-trips",
    "owns",
    "refuses",
    "refuses-inputs",
    "labels",
    "describes",
    "agrees",
    "ends",
)
SMALL: Final = ("computes",)
TRAINING: Final = (
    "trains-alike",
    "resumes",
    "keeps-settings",
    "evaluates",
    "lives",
    "refuses-targets",
    "refuses-states",
)
STEPPING: Final = ("reschedules", "refuses-training", "ends-in-training", "shares")
"""Laws on runs that are exact; on those that half precision holds, too; on several steps of training; on one
step that is exact."""

CHANCY: Final = ("repeats", "splits", "fits", "agrees")
"""Laws on runs that hold where random numbers are drawn, which belong to a sample's place in its batch."""


def cases() -> Iterator[LazyCase]:
    """Every law on every shape of network, and what is easily forgotten."""
    for shape, make in SHAPES.items():
        run = exact_network(f"law/{shape}", make(common(), StraightThrough()))
        training = _training(f"law/{shape}", make(common(), ATan()))
        step = _step(f"law/{shape}-step", make(common(), StraightThrough()))
        small = exact_network(f"law/{shape}-small", make(common(), StraightThrough()), bits=HALF)
        for laws, lazy in ((RUNNING, run), (SMALL, small), (TRAINING, training), (STEPPING, step)):
            for law in laws:
                yield _under(lazy, law, f"law/{law}-{shape}")
        yield _under(run, "refuses-states", f"law/refuses-states-run-{shape}")
        for name, change in (("no-input", _silent), ("one-step", _single)):
            yield _under(run, "agrees", f"law/{name}-{shape}", change)
    lazy = _training("law/chancy", chancy(common(), ATan()))
    for law in ("trains-alike", "resumes", "evaluates", "lives"):
        yield _under(lazy, law, f"law/{law}-chancy")
    for name, densities in (("few-events", (0.02, 0.5)), ("many-events", (0.5, 0.02))):
        lazy = _sized(f"law/{name}", densities)
        for law in ("resumes", "lives"):
            yield _under(lazy, law, f"law/{law}-{name}")
    tiny = dense(common(), StraightThrough(), sizes=(2, 3, 2))
    yield _under(_step("law/tiny-step", tiny, bits=HALF, batch=2), "learns", "law/learns-dense")
    lucky = exact_network("law/lucky", dense(Setting(LUCKY, *usual(LUCKY)), StraightThrough()))
    for law in CHANCY:
        yield _under(lucky, law, f"law/{law}-lucky")
    yield _under(_shared("law/means"), "shares", "law/shares-means")
    for name, kind in OPTIMIZERS.items():
        *_, (_, optimizer) = variants(kind, lr=0.01)
        lazy = _training(f"law/{name}", dense(common(), ATan()), optimizer)
        yield _under(lazy, "resumes", f"law/resumes-{name}")
    yield _long("law/thousand-steps")


def _under(lazy: LazyCase, law: str, case_id: str, change: Callable[[Case], Case] | None = None) -> LazyCase:
    """A case under a law; it may be another one, proven again."""

    def make() -> Case:
        case = replace(lazy.case, id=case_id, law=law)
        return case if change is None else proven(change(case))

    return LazyCase(case_id, make)


def _silent(case: Case) -> Case:
    return replace(case, inputs={name: np.zeros_like(x) for name, x in case.inputs.items()})


def _single(case: Case) -> Case:
    return replace(case, inputs={name: x[:1] for name, x in case.inputs.items()}, time_steps=1)


def exact_network(case_id: str, network: CaseNetwork, bits: int = PRECISION) -> LazyCase:
    """A network on dyadic numbers of so many bits, with its proof."""

    def build(steps: int, numbers: Dyadics) -> Case:
        given = network.values(numbers)
        return observed(case_id, network.program, numbers, given=given, time_steps=steps, batch=BATCH)

    return provable(case_id, build, bits)


def _training(case_id: str, network: CaseNetwork, optimizer: Optimizer = ADAM) -> LazyCase:
    """Two steps share an update, so that training can be interrupted between them."""
    loss = Loss((Term(CECount(), of="lif2.spk"), Term(L1Rate(), of="lif1.spk", weight=0.01)))
    return classified(case_id, network, loss, optimizer, batch=BATCH, accumulate=2, turns=2, needs=())


def _shared(case_id: str) -> LazyCase:
    """One step under terms that are means over the samples, by number and by class, beside sums."""
    kinds = (CECount(), CEMembrane(class_weights=(0.5, 1.0, 2.0, 0.25)), MSECount(reduction="sum"), L1Rate())
    ports = ("lif2.spk", "lif2.mem", "lif2.spk", "lif1.spk")
    terms = [Term(kind, of=port, weight=0.5) for kind, port in zip(kinds, ports, strict=True)]
    return classified(case_id, dense(common(), ATan()), Loss(tuple(terms)), SGD(lr=1.0), batch=BATCH)


def _sized(case_id: str, densities: tuple[float, float]) -> LazyCase:
    """Training at a size, and activities of the input, at which a backend may measure which way is cheaper.
    Batches differ in that by turns: who is interrupted goes on with another than training began with."""
    network = dense(common(), ATan(), sizes=(300, 200, 10))

    def make() -> Case:
        generator = np.random.default_rng(SIZED)
        numbers, given = Randoms(generator), network.values(Randoms(generator))
        case = observed(case_id, network.program, numbers, given=given, time_steps=10, batch=2 * SAMPLES)
        x = generator.random(case.inputs["x"].shape) < np.tile(densities, SAMPLES)[:, None]
        loss = Loss((Term(CECount(), of="lif2.spk"),))
        targets = {"target": generator.integers(0, 10, case.batch)}
        trained = replace(case, record=(), targets=targets, loss=loss, optimizer=SGD(lr=0.5), turns=2)
        return replace(trained, inputs={"x": x.astype(np.float32)})

    return LazyCase(case_id, make)


def _step(case_id: str, network: CaseNetwork, bits: int = PRECISION, batch: int = BATCH) -> LazyCase:
    terms = {"lif1.spk": 0.25, "lif2.spk": 0.5, "lif2.mem": 1.0}
    loss = Loss(tuple(Term(L1Rate(), of=port, weight=weight) for port, weight in terms.items()))

    def build(steps: int, numbers: Dyadics) -> Case:
        given = network.values(numbers)
        case = observed(case_id, network.program, numbers, given=given, time_steps=steps, batch=batch)
        return replace(case, record=(), loss=loss, optimizer=SGD(lr=0.25))

    return provable(case_id, build, bits)


@dataclass(frozen=True)
class Wholes(Dyadics):
    """Whole numbers, and decays of 1: nothing is ever divided, so that no number of steps is too many."""

    unit: float = 1.0

    def param(self, param: Param, position: int, shape: Shape) -> Array:
        ranged = param.low is not None and param.high is not None
        return np.full(shape, param.high if ranged else middle(param, position), np.float32)


def _long(case_id: str) -> LazyCase:
    setting, shape = common(), (2,)
    program = alone(Subject(setting.name, setting.neuron(shape), {"x": shape}))
    numbers = Wholes(np.random.default_rng(LONG))
    given = setting.values(NODE, shape, numbers)
    case = observed(case_id, program, numbers, given=given, time_steps=LONG, batch=1)
    return LazyCase(case_id, partial(proven, replace(case, law="agrees")))
