"""What a backend is held to: the reference, or another backend with no reference between them.

Every check is written once, for either of them. What is asked of two backends is what is asked of a backend
and the reference: equal bits where the numbers are exact; where they are not, no more difference than
rounding explains. Where the two differ on purpose, a field of theirs says so.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import DTypeLike

from snnhw.conformance.bench import Bench, Stepped, run_of, stepped_by, trained_by
from snnhw.conformance.case import CLASSES, Case
from snnhw.conformance.cases.training import STEPS
from snnhw.conformance.expected import gradient_of, reference_run, trained
from snnhw.ir import Params
from snnhw.parity.arrays import Arrays
from snnhw.parity.comparison import compared
from snnhw.parity.tally import Judged
from snnhw.plugin import Result
from snnhw.reference import update

__all__ = ["REFERENCE", "AnotherBackend", "Reference", "Yardstick", "yardstick"]


class Yardstick(Protocol):
    """What a backend is held to.

    Attributes:
        classes: of cases that it can be held to by this.
        alone: whether what concerns a backend alone is asked as well: that its outputs and its final state
            are what it recorded, and that what is not trained stays.
        few: classes of cases in which only few spikes may differ near threshold.
        runs: how many of the two round: a bound on what is rounded once is taken so many times.
        contracts: whether it may round ``a * b + c`` once, so that every bit cannot be asked for.
    """

    @property
    def classes(self) -> Collection[str]: ...

    @property
    def alone(self) -> bool: ...

    @property
    def few(self) -> Collection[str]: ...

    @property
    def runs(self) -> int: ...

    @property
    def contracts(self) -> bool: ...

    def run(self, case: Case, dtype: DTypeLike = np.float64) -> Result:
        """What a run gives, where each operation is rounded to a dtype if that can be chosen."""
        ...

    def step(self, case: Case, dtype: DTypeLike = np.float64) -> Stepped:
        """What one step of training gives, likewise."""
        ...

    def trained(self, case: Case) -> tuple[Sequence[float], Params]:
        """The losses of `STEPS` steps of training, and the parameters after the last."""
        ...

    def judged(self, case: Case, seen: Result) -> list[Judged]:
        """Every port of a run at every step, held to this with error bounds."""
        ...


@dataclass(frozen=True)
class Reference:
    """The reference, in float64: right by definition, so that only one of the two rounds.

    Numbers of class ``near`` are chosen so that few neurons come near their threshold. In ``margin`` none
    does, and those of ``pointwise`` are drawn without regard to it: there the bound alone decides.
    """

    classes: Collection[str] = tuple(CLASSES)
    alone: bool = True
    few: Collection[str] = ("near",)
    runs: int = 1
    contracts: bool = False

    def run(self, case: Case, dtype: DTypeLike = np.float64) -> Result:
        return reference_run(case, dtype)

    def step(self, case: Case, dtype: DTypeLike = np.float64) -> Stepped:
        assert case.optimizer is not None
        found = gradient_of(case, dtype=dtype)
        seen = found.execution
        params, _ = update(case.optimizer, case.params, found.params, {})
        after = {**params, **seen.statistics}
        return Stepped(seen.outputs, seen.state, found.loss, after, found.params, seen.statistics)

    def trained(self, case: Case) -> tuple[Sequence[float], Params]:
        found = trained(case, STEPS)
        return found.losses, found.params

    def judged(self, case: Case, seen: Result) -> list[Judged]:
        return _judged(case, seen)


@dataclass(frozen=True)
class AnotherBackend:
    """Another backend: it rounds, too, and it may be wrong.

    Laws, and what else concerns one backend alone, are asked when that one is held to the reference. Only few
    spikes may differ, in every class: a threshold that either of the two comes near excuses both, and no
    reference says which of them went astray.
    """

    bench: Bench
    classes: Collection[str] = tuple(name for name in CLASSES if name != "law")
    alone: bool = False
    few: Collection[str] = ("pointwise", "margin", "near")
    runs: int = 2

    @property
    def contracts(self) -> bool:
        return self.bench.capabilities.contraction

    def run(self, case: Case, dtype: DTypeLike = np.float64) -> Result:
        return run_of(self.bench, case)

    def step(self, case: Case, dtype: DTypeLike = np.float64) -> Stepped:
        return stepped_by(self.bench, case)

    def trained(self, case: Case) -> tuple[Sequence[float], Params]:
        losses, after = trained_by(self.bench, case, STEPS)
        return losses, {key: np.asarray(array) for key, array in after.items()}

    def judged(self, case: Case, seen: Result) -> list[Judged]:
        return _judged(case, seen, against=self.run(case).recordings)


def _judged(case: Case, seen: Result, against: Arrays | None = None) -> list[Judged]:
    return compared(
        case.program,
        case.params,
        case.inputs,
        seen.recordings,
        time_steps=case.time_steps,
        state=case.state,
        against=against,
    )


REFERENCE: Final = Reference()


def yardstick(against: Bench | None) -> Yardstick:
    """By another backend, if there is one; otherwise by the reference."""
    return REFERENCE if against is None else AnotherBackend(against)
