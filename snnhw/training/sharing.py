"""What each of several ranks takes of the data, and what all of them have to agree on.

A batch is that of all ranks together, so that a run means the same in however many processes: each takes
every so manieth sample of it. Of a `torch.utils.data.DataLoader` each loads its own part alone. Data that is
shared already, by a sampler such as torch's ``DistributedSampler``, stays as it is.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from snnhw.errors import SnnhwError
from snnhw.ir import Program, infer_shapes
from snnhw.ir.targets import TargetArray, form_of
from snnhw.nn import Model
from snnhw.plugin import Ranks, Train
from snnhw.session.ranks import ALONE
from snnhw.tensors.arrays import as_tensor
from snnhw.training.feed import OneBatch, batch_of, by_name, counted

__all__ = ["NOTHING", "OwnPart", "by_first", "own_of", "part_of"]

NOTHING: Final = ()
"""What stands for a batch of which a rank has no sample."""

T = TypeVar("T")


class OwnPart(NamedTuple):
    """Of some data, this rank's.

    Attributes:
        batches: to go through.
        ranks: who takes rows of each, as they are those of all; `ALONE`: they are this rank's own.
    """

    batches: Iterable[Any]
    ranks: Ranks = ALONE


def part_of(data: Iterable[Any], ranks: Ranks) -> OwnPart:
    """This rank's part of data."""
    if ranks.size == 1 or hasattr(getattr(data, "sampler", None), "num_replicas"):
        return OwnPart(data)
    if not isinstance(data, DataLoader) or data.batch_sampler is None:
        return OwnPart(data, ranks)
    own = copy.copy(data)  # with the generators and workers' settings of the other
    sampler = _Every(data.batch_sampler, ranks.rank, ranks.size)
    vars(own).update(batch_sampler=sampler, collate_fn=_OrNothing(data.collate_fn))
    return OwnPart(own)


@dataclass(frozen=True)
class _Every:
    """Batches of numbers, each with those of one rank."""

    batches: Any
    rank: int
    size: int

    def __iter__(self) -> Iterator[list[int]]:
        return ([*batch][self.rank :: self.size] for batch in self.batches)

    def __len__(self) -> int:
        return len(self.batches)


@dataclass(frozen=True)
class _OrNothing:
    """How samples become a batch, also where there are none."""

    collate: Callable[[list[Any]], Any]

    def __call__(self, samples: list[Any]) -> Any:
        return self.collate(samples) if samples else NOTHING


def own_of(model: Model, part: OwnPart, batch: Any, where: str) -> tuple[Any, ...]:
    """This rank's ``(x, y, lengths)`` of a batch, or `NOTHING`; ``where``: for messages."""
    if isinstance(batch, tuple) and not batch:
        return NOTHING
    given = batch_of(batch, where)
    job = model.job
    assert isinstance(job, Train), "it has been asked"
    return given if part.ranks.size == 1 else _rows(model.program, job, given, part.ranks)


def _rows(program: Program, job: Train, batch: OneBatch, ranks: Ranks) -> tuple[Any, ...]:
    """Of a batch, every N-th sample for each of N ranks."""
    x, y, lengths = batch
    if lengths is not None:
        lengths = torch.as_tensor(lengths)[ranks.rank :: ranks.size]
    inputs = {name: as_tensor("input", name, array) for name, array in by_name(program, x).items()}
    static = program.time.static_inputs
    own = {name: _every(array, 0 if name in static else 1, ranks) for name, array in inputs.items()}
    if not counted(program, own):
        return NOTHING
    if y is None:
        return own, None, lengths
    given = y if isinstance(y, Mapping) else {"target": y}
    targets = {name: as_tensor("target", name, array) for name, array in given.items()}
    steps = next((len(array) for name, array in inputs.items() if name not in static), job.time_steps)
    axes = _sample_axes(program, job, targets, (steps, counted(program, inputs)))
    return own, {name: _every(array, axes.get(name, 0), ranks) for name, array in targets.items()}, lengths


def _every(array: Tensor, axis: int, ranks: Ranks) -> Tensor:
    return array[(slice(None),) * axis + (slice(ranks.rank, None, ranks.size),)]


def _sample_axes(
    program: Program, job: Train, targets: Mapping[str, Tensor], sizes: tuple[int, int]
) -> dict[str, int]:
    """Target -> the axis that its samples are on, of those that the loss takes."""
    shapes, found = infer_shapes(program).shapes, {}
    for term in job.loss.terms:
        if term.kind.takes and term.target in targets:
            target = targets[term.target]
            told = TargetArray(tuple(target.shape), str(target.dtype))
            found[term.target] = form_of(term, (*sizes, *shapes[str(term.of)]), told).axes.index("B")
    return found


def by_first(ranks: Ranks, action: Callable[[], T]) -> T:
    """What rank 0 does for all: they get its result, or raise its error."""
    done: T | BaseException | None = None
    if ranks.rank == 0:
        try:
            done = action()
        except (OSError, SnnhwError) as error:
            if ranks.size == 1:
                raise
            done = error
    done = ranks.first(done)
    if isinstance(done, BaseException):
        raise done
    return done
