"""How a compiled network does on data that it is not trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import torch
from torch import Tensor

from snnhw.errors import InputError
from snnhw.ir import (
    CECount,
    CEMaxMembrane,
    CEMembrane,
    CERate,
    CETemporal,
    ClassLoss,
    Loss,
    LossKind,
    MSECount,
    MSETemporal,
    Neuron,
    Program,
)
from snnhw.ir.models.consistency import SPK
from snnhw.nn import Model
from snnhw.plugin import Result, Train
from snnhw.session.ranks import ALONE, plain
from snnhw.tensors.arrays import as_tensor
from snnhw.tensors.losses import total_loss
from snnhw.tensors.own_steps import OwnSteps
from snnhw.tensors.spiketime import first_step
from snnhw.training.feed import counted, sized
from snnhw.training.history import Scores
from snnhw.training.sharing import own_of, part_of
from snnhw.words import listing

__all__ = ["DECISIONS", "accuracy_of", "evaluate", "spikes_of"]


def _most(kind: Any, signal: Tensor, own: OwnSteps) -> Tensor:
    counts = own.sum(signal)
    classes = getattr(kind, "num_classes", None)
    return (counts if classes is None else counts.reshape(len(counts), classes, -1).sum(2)).argmax(1)


def _first(_: Any, spikes: Tensor, own: OwnSteps) -> Tensor:
    return first_step(own.own(spikes)).argmin(1)


DECISIONS: Final[Mapping[type[LossKind], Callable[[Any, Tensor, OwnSteps], Tensor]]] = {
    **dict.fromkeys((CERate, CECount, MSECount), _most),
    CEMembrane: lambda _, membrane, own: own.sum(membrane).argmax(1),
    CEMaxMembrane: lambda _, membrane, own: own.largest(membrane).argmax(1),
    **dict.fromkeys((CETemporal, MSETemporal), _first),
}
"""Kind of loss -> the class ``[B]`` that a signal ``[T, B, C]`` stands for at its own steps, where one was
trained by it."""


def evaluate(model: Model, data: Iterable[Any]) -> Scores:
    """Run a model over data, and score it as it is trained: by its loss, and where that is about classes, by
    how often the right one is found.

    Args:
        model: compiled to train.
        data: as for `fit`. Where a backend takes batches of one size only, smaller ones are filled up. Where
            several ranks train together, all call this, and the scores are those of all: each runs its part,
            or all of it under a loss that knows no share, with class weights or sums.

    Raises:
        InputError: the loss reads what the model does not return; data that is empty or does not fit.
    """
    job = trained(model)
    ranks = (job.ranks if plain(job.loss) else None) or ALONE
    part = part_of(data, ranks)
    total, spikes, samples, right, unknown = 0.0, 0.0, 0, 0, 0
    for number, batch in enumerate(part.batches, 1):
        own = own_of(model, part, batch, f"batch {number} of the validation")
        if not own:
            continue
        x, y, lengths = own
        count = counted(model.program, x)
        filled, counted_to = sized(model, x, lengths)
        ports = _ports(model, model.run(filled, lengths=counted_to), count)
        y = _on(y, next(iter(ports.values()))) | _lengths(job.loss, lengths, ports)
        total += float(_loss(job.loss, ports, y)) * count
        found = accuracy_of(job.loss, ports, y)
        right, unknown = right + (found or 0), unknown + (found is None)
        spikes += spikes_of(model.program, ports)
        samples += count
    total, spikes, counts, hits, unclear = ranks.sum([total, spikes, samples, right, unknown])
    if not counts:
        raise InputError("validate gives no batch; give data with one at least, or leave it out")
    return Scores(total / counts, None if unclear else hits / counts, spikes / counts, int(counts))


def trained(model: Model) -> Train:
    """The job of a model that trains."""
    if not isinstance(model.job, Train):
        raise InputError(
            "this model was compiled to run only; give snnhw.compile a loss= and an optimizer= to train it"
        )
    return model.job


def _ports(model: Model, found: Result, count: int) -> dict[str, Tensor]:
    """Port -> ``[T, B, ...]``, without what fills a batch up."""
    named = {port: found.outputs[name] for name, port in model.program.outputs().items()}
    return {port: x[:, :count] for port, x in {**named, **found.recordings}.items()}


def _on(y: Any, like: Tensor) -> dict[str, Tensor]:
    given = y if isinstance(y, Mapping) else {} if y is None else {"target": y}
    return {name: as_tensor("target", name, x).to(like.device) for name, x in given.items()}


def _lengths(loss: Loss, lengths: Any, ports: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The targets of the loss that are numbers of steps."""
    first = next(iter(ports.values()))
    found = torch.full(first.shape[1:2], len(first)) if lengths is None else torch.as_tensor(lengths)
    return {term.lengths: found.to(first.device) for term in loss.terms if term.lengths}


def _loss(loss: Loss, ports: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor:
    missing = sorted({str(term.of) for term in loss.terms} - ports.keys())
    if missing:
        raise InputError(
            f"the loss reads {listing(missing)}, which an evaluation does not return; compile with "
            f"record={missing!r}, or leave validate out"
        )
    return total_loss(loss, ports, targets)


def accuracy_of(loss: Loss, ports: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> int | None:
    """How many samples are taken for what they are; None where the loss is not about class numbers."""
    for term in loss.terms:
        target = targets.get(term.target)
        about = isinstance(term.kind, ClassLoss) and type(term.kind) in DECISIONS
        if about and target is not None and target.ndim == 1 and not target.is_floating_point():
            signal = ports[str(term.of)]
            own = OwnSteps(len(signal), targets.get(term.lengths))
            decided = DECISIONS[type(term.kind)](term.kind, signal, own)
            return int((decided == target).sum())
    return None


def spikes_of(program: Program, ports: Mapping[str, Tensor]) -> float:
    """All spikes of these ports."""
    fired = [x for port, x in ports.items() if is_spikes(program, port)]
    return float(torch.stack([x.sum(dtype=torch.float64) for x in fired]).sum()) if fired else 0.0


def is_spikes(program: Program, port: str) -> bool:
    node, _, name = port.rpartition(".")
    return name == SPK and isinstance(program.nodes.get(node), Neuron)
