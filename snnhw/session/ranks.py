"""What a step does where several processes train one network: how much of a loss is this one's, and the door
between backward and update that all of them pass through.

A loss term that is a mean is one over the samples of all ranks. So each rank weighs it by its own share of
what the mean is divided by, and what is added up over the ranks is the whole: loss, gradients and, by the
share of samples, statistics. A sum is a sum over all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np

from snnhw.arrays import hosts
from snnhw.errors import InputError
from snnhw.ir import ClassLoss, Loss, Program, Term, infer_shapes
from snnhw.ir.inputs import state_shapes
from snnhw.plugin import Arrays, Ranks, Train

__all__ = ["ALONE", "Share", "nothing", "plain", "reduced", "share_of", "weighted"]

Groups = Mapping[str, Arrays]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Alone:
    """One process."""

    rank: int = 0
    size: int = 1
    joint: bool = False

    def sum(self, numbers: Any) -> list[float]:
        return list(numbers)

    def reduce(self, values: Arrays) -> Arrays:
        return values

    def first(self, value: Any) -> Any:
        return value


ALONE: Final[Ranks] = Alone()


class Share(NamedTuple):
    """How much of a step is this rank's.

    Attributes:
        loss: what it computes: terms weighted so that the sum over the ranks is the job's.
        samples: its share of them.
    """

    loss: Loss
    samples: float

    @property
    def name(self) -> str:
        """Of what a step computes, the same for the same."""
        return "step" if self.samples == 1.0 else f"step {[term.weight for term in self.loss.terms]}"


def weighted(loss: Loss) -> bool:
    """Whether what a mean is divided by depends on targets."""
    return any(isinstance(term.kind, ClassLoss) and term.kind.class_weights for term in loss.terms)


def plain(loss: Loss) -> bool:
    """Whether all of it are means over samples that count alike."""
    return not weighted(loss) and all(map(_is_mean, loss.terms))


def share_of(ranks: Ranks, job: Train, samples: int, targets: Arrays) -> Share:
    """This rank's part of a step; asks the others.

    Args:
        samples: that it has of this batch; 0: it only takes part.

    Raises:
        InputError: no rank has a sample.
    """
    if ranks.size == 1:
        return Share(job.loss, 1.0)
    own = [float(samples), *(_divisor(term, samples, targets) for term in job.loss.terms)]
    *totals, empty = ranks.sum([*own, float(not samples)])
    if not totals[0]:
        raise InputError("no rank has a sample of this batch; give a step one at least")
    if ranks.joint and empty:
        raise InputError(
            f"of this batch of {int(totals[0])}, {int(empty)} of {ranks.size} ranks have no sample, and "
            "joint=True normalises by those of all; give each one, as with drop_last=True, or leave it out"
        )
    parts = [mine / whole if whole else 0.0 for mine, whole in zip(own, totals, strict=True)]
    pairs = zip(job.loss.terms, parts[1:], strict=True)
    terms = [replace(term, weight=term.weight * part) if _is_mean(term) else term for term, part in pairs]
    return Share(Loss(tuple(terms)), parts[0])


def _is_mean(term: Term) -> bool:
    return isinstance(term.kind, ClassLoss) and term.kind.reduction == "mean"


def _divisor(term: Term, samples: int, targets: Arrays) -> float:
    """What a term that is a mean is divided by here: the number of samples, or what they weigh."""
    weights = term.kind.class_weights if isinstance(term.kind, ClassLoss) else None
    if weights is None or not samples:
        return float(samples)
    (classes,) = hosts("target", {term.target: targets[term.target]}).values()
    return float(np.asarray(weights)[classes.astype(int).clip(0, len(weights) - 1)].sum())


def nothing(
    program: Program, params: Mapping[str, Any], steps: int, zeros: Callable[[Shape], Any]
) -> dict[str, dict[str, Any]]:
    """What a step finds of no samples: outputs ``[T, 0, ...]`` and a state of none, no loss, no gradients,
    and statistics as they are; ``zeros`` makes arrays of the backend's own kind."""
    shapes = infer_shapes(program).shapes
    return {
        "loss": {"loss": zeros(())},
        "outputs": {name: zeros((steps, 0, *shapes[port])) for name, port in program.outputs().items()},
        "state": {key: zeros(shape) for key, shape in state_shapes(program, 0).items()},
        "grads": {key: zeros(tuple(params[key].shape)) for key in program.trainable},
        "statistics": {key: params[key] for key in program.statistics()},
    }


def reduced(ranks: Ranks, found: Groups, share: Share) -> dict[str, Arrays]:
    """The door: what a step has found, with loss, gradients and statistics those of all ranks.

    Args:
        found: ``loss``, ``grads`` and ``statistics`` of this rank, by name; other groups stay as they are.
    """
    if ranks.size == 1:
        return dict(found)
    measured = {key: value * share.samples for key, value in found["statistics"].items()}
    groups = {"loss": found["loss"], "grads": found["grads"], "statistics": measured}
    names = [(group, name) for group, xs in groups.items() for name in sorted(xs)]
    whole = ranks.reduce({f"{group}/{name}": groups[group][name] for group, name in names})
    taken: dict[str, dict[str, Any]] = {group: {} for group in groups}
    for group, name in names:
        taken[group][name] = whole[f"{group}/{name}"]
    return {**found, **taken}
