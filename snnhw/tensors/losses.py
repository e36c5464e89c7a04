"""Loss terms on tensors: a table from kind to function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from math import prod
from operator import add
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from snnhw.errors import InputError
from snnhw.ir import (
    CECount,
    CEMaxMembrane,
    CEMembrane,
    CERate,
    CETemporal,
    ClassLoss,
    L1Rate,
    Loss,
    LossKind,
    MSECount,
    MSEMembrane,
    MSETemporal,
    PopulationLoss,
    Term,
    ValueLoss,
)
from snnhw.ir.losses import apply_loss
from snnhw.ir.targets import CLASS_OF_STEP, Form, TargetArray, check_targets, form_of
from snnhw.tensors.arrays import as_tensor
from snnhw.tensors.own_steps import OwnSteps
from snnhw.tensors.scans.provider import wide
from snnhw.tensors.spiketime import first_step, time_error

__all__ = [
    "CLASS_LOSSES",
    "OTHER_LOSSES",
    "Range",
    "check_loss",
    "check_range",
    "checked_loss",
    "class_numbers",
    "counted_steps",
    "each",
    "for_class",
    "grouped",
    "ranges",
    "total_loss",
    "what_is",
]


def _ce(logits: Tensor, target: Tensor) -> Tensor:
    """Cross entropy of every sample: ``[..., B, C]`` gives ``[..., B]``."""
    if logits.ndim == 2:
        return cross_entropy(logits, target, reduction="none")
    steps, batch, _ = logits.shape
    folded = cross_entropy(logits.flatten(0, 1), target.expand(steps, -1).flatten(), reduction="none")
    return folded.view(steps, batch)


def grouped(kind: PopulationLoss, spikes: Tensor) -> Tensor:
    """The spikes of each class together: ``[..., C]`` gives ``[..., classes]``."""
    if kind.num_classes is None:
        return spikes
    return spikes.reshape(*spikes.shape[:-1], kind.num_classes, -1).sum(-1)


def for_class(
    target: Tensor, classes: int, right: Tensor | float, others: Tensor | float, like: Tensor
) -> Tensor:
    """``[..., classes]``: one number where the class is, another elsewhere; or ``[..., 1]`` of them."""
    hit = target[..., None] == torch.arange(classes, device=target.device)
    on, off = (x if isinstance(x, Tensor) else like.new_full((), x) for x in (right, others))
    return torch.where(hit, on, off)


def _wanted(kind: ValueLoss, form: Form, target: Tensor, like: Tensor) -> Tensor:
    """As `snnhw.ir.targets.wanted`."""
    if not form.whole:
        return target.to(like.dtype)
    numbers = target[:, None] if form is CLASS_OF_STEP else target
    return for_class(numbers, like.shape[-1], *kind.ends, like)


def _ce_membrane(kind: CEMembrane, signal: Tensor, target: Tensor, span: OwnSteps) -> Tensor:
    steps = _ce(signal, target)
    return span.sum(steps) if kind.over_time == "sum" else span.mean(steps)


def _mse_count(kind: MSECount, signal: Tensor, target: Tensor, span: OwnSteps) -> Tensor:
    neurons = signal.shape[2]
    classes = kind.classes(neurons)
    counts = span.sum(signal)
    rates = (kind.correct_rate, kind.incorrect_rate)
    right, others = (span.share((rate, neurons // classes), counts) for rate in rates)
    wanted = for_class(target, classes, right, others, signal)
    return (grouped(kind, counts) - wanted).square() / span.duration(counts)


def _first_step(signal: Tensor, span: OwnSteps) -> Tensor:
    """As `first_step`; of a neuron that is silent, the last of its sample."""
    if span.lengths is None:
        return first_step(signal)
    return first_step(span.own(signal), span.lengths.clamp(min=1) - 1)


def _mse_temporal(kind: MSETemporal, signal: Tensor, wanted: Tensor, span: OwnSteps) -> Tensor:
    steps = span.duration(signal[0])
    ahead = torch.where(wanted < 0, wanted + steps, wanted)
    return time_error(_first_step(signal, span), ahead, kind.tolerance, steps)


def _ce_temporal(kind: CETemporal, signal: Tensor, target: Tensor, span: OwnSteps) -> Tensor:
    first = _first_step(signal, span)
    return _ce(-first if kind.inverse == "negate" else 1 / (first + 1), target)


CLASS_LOSSES: Final[Mapping[type[ClassLoss], Callable[[Any, Tensor, Tensor, OwnSteps], Tensor]]] = {
    CERate: lambda kind, signal, target, span: span.mean(_ce(grouped(kind, signal), target)),
    CECount: lambda kind, signal, target, span: _ce(grouped(kind, span.sum(signal)), target),
    CEMembrane: _ce_membrane,
    CEMaxMembrane: lambda kind, signal, target, span: _ce(span.largest(signal), target),
    CETemporal: _ce_temporal,
    MSECount: _mse_count,
    MSEMembrane: lambda _, signal, wanted, span: span.mean((signal - wanted).square()),
    MSETemporal: _mse_temporal,
}
"""Kind -> its value for each sample, ``[B]`` or ``[B, ...]``, of ``[T, B, ...]`` and class numbers ``[B]``,
or of a `ValueLoss` the values that are wanted; over the steps of a `OwnSteps`."""

OTHER_LOSSES: Final[dict[type[LossKind], Callable[[Term, Tensor, Tensor, OwnSteps], Tensor]]] = {
    L1Rate: lambda term, signal, target, span: span.own(signal).sum(),
}
"""Kind -> the value of a term on a signal ``[T, B, ...]`` and, for those that take one, a target.

Kinds that are no part of the language, since only tensors have what they take, enter themselves here.
"""


def each(term: Term, signal: Tensor, target: Tensor) -> Tensor:
    """The value of a `ClassLoss` for each sample, ``[B]`` or ``[B, ...]``, weighted by its class, not
    reduced; the term's own weight and reduction are left out."""
    _check_classes(term, tuple(signal.shape), target)
    return _weighted(term, signal, target, OwnSteps(len(signal)))[0]


def _wide(signal: Tensor) -> Tensor:
    """At least float32: spikes of half precision, as under autocast, cannot be counted beyond 256 in it."""
    return signal.to(wide(signal.dtype))


def _weighted(term: Term, signal: Tensor, given: Tensor, span: OwnSteps) -> tuple[Tensor, Tensor | int]:
    """The weighted values, and the sum of the samples' weights."""
    kind, form = term.kind, form_of(term, tuple(signal.shape), what_is(given))
    assert isinstance(kind, ClassLoss)
    target = given.to(signal.device)
    if form.whole:
        target = target.long()
    compared = _wanted(kind, form, target, signal) if isinstance(kind, ValueLoss) else target
    values = span.counted(CLASS_LOSSES[type(kind)](kind, signal, compared, span))
    if kind.class_weights is None:
        return values, values.shape[0]
    weights = signal.new_tensor(kind.class_weights)[target]
    return values * weights.view(-1, *[1] * (values.ndim - 1)), weights.sum()


def _reduced(term: Term, signal: Tensor, target: Tensor, span: OwnSteps) -> Tensor:
    values, samples = _weighted(term, signal, target, span)
    assert isinstance(term.kind, ClassLoss)
    whole = values.sum()
    return whole if term.kind.reduction == "sum" else whole / (samples * prod(values.shape[1:]))


def what_is(target: Tensor) -> TargetArray:
    """What is known of a target without reading it."""
    return TargetArray(tuple(target.shape), str(target.dtype))


def total_loss(loss: Loss, signals: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor:
    """The weighted sum of a loss whose terms name their ports, left to right.

    Args:
        signals: port -> ``[T, B, ...]``.
        targets: target name -> class numbers or wanted values, see `snnhw.ir.targets`; class numbers best
            still on the host, where they are checked.

    Raises:
        InputError: the loss has no terms, or a signal or target does not suit a term.
    """
    check_loss(loss, {port: tuple(signal.shape) for port, signal in signals.items()}, targets)
    return checked_loss(loss, signals, targets)


def checked_loss(loss: Loss, signals: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor:
    """`total_loss` of targets that `check_loss` has let through."""
    return reduce(add, (_value(term, signals[str(term.of)], targets) * term.weight for term in loss.terms))


def check_loss(loss: Loss, shapes: Mapping[str, tuple[int, ...]], targets: Mapping[str, Tensor]) -> None:
    """Whether targets suit a loss; class numbers on the host are looked at.

    Args:
        shapes: port -> shape of its signal, ``[T, B, ...]``.

    Raises:
        InputError: as `total_loss` says.
    """
    for asked in ranges(loss, shapes, targets):
        asked.check(targets)


class Range(NamedTuple):
    """A target of class numbers, how many classes there are, and who counts them."""

    name: str
    target: str
    classes: int

    def check(self, targets: Mapping[str, Tensor]) -> None:
        """Raise `InputError` where a class number on the host is none."""
        check_range(self.name, targets[self.target], self.classes)


def ranges(
    loss: Loss, shapes: Mapping[str, tuple[int, ...]], targets: Mapping[str, Tensor]
) -> tuple[Range, ...]:
    """What `check_loss` looks at, of targets whose shapes and dtypes suit the loss."""
    if not loss.terms:
        raise InputError("this loss has no terms; add some, such as snnhw.functional.ce_rate_loss()")
    given = {name: what_is(target) for name, target in targets.items()}
    check_targets(loss, shapes, given)
    takers = [(term, shapes[str(term.of)]) for term in loss.terms if term.kind.takes]
    return tuple(
        Range(type(term.kind).__name__, term.target, term.kind.classes(shape[2]))
        for term, shape in takers
        if form_of(term, shape, given[term.target]).whole
    )


def _check_classes(term: Term, shape: tuple[int, ...], target: Tensor) -> None:
    if form_of(term, shape, what_is(target)).whole:
        check_range(type(term.kind).__name__, target, term.kind.classes(shape[2]))


def _value(term: Term, signal: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
    signal = _wide(signal)
    target = targets[term.target] if term.kind.takes else signal
    span = OwnSteps(len(signal), targets[term.lengths].to(signal.device) if term.lengths else None)
    if isinstance(term.kind, ClassLoss):
        return _reduced(term, signal, target, span)
    return OTHER_LOSSES[type(term.kind)](term, signal, target, span)


def class_numbers(name: str, target: Tensor, batch: int, classes: int) -> Tensor:
    """The targets, checked."""
    if not what_is(target).whole or target.shape != (batch,):
        raise InputError(
            f"{name} takes class numbers [B={batch}] of an integer dtype, "
            f"not {target.dtype} of shape {list(target.shape)}"
        )
    check_range(name, target, classes)
    return target


def check_range(name: str, target: Tensor, classes: int) -> None:
    """Torch's own functions pass over negative ones, and crash a GPU on large ones."""
    if target.device.type == "cpu" and target.numel():  # elsewhere looking would wait for the device
        target = target.long()  # torch compares no unsigned integers longer than a byte
        low, high = map(int, target.aminmax())
        if low < 0 or high >= classes:
            wrong = low if low < 0 else high
            raise InputError(f"{name} takes class numbers 0 to {classes - 1}; the targets hold {wrong}")


def counted_steps(lengths: Any, steps: int, batch: int) -> Tensor:
    """How many of T steps each sample has, ``[B]``; looked at where they are in main memory.

    Raises:
        InputError: of another shape or dtype, or outside 1 to T.
    """
    accepted = f"accepted: [B={batch}] whole numbers, from 1 to T={steps} steps of each sample"
    given = torch.tensor(lengths) if isinstance(lengths, (list, tuple)) else lengths
    found = as_tensor("argument", "lengths", given)
    if found.shape != (batch,) or not what_is(found).whole:
        dtype = str(found.dtype).removeprefix("torch.")
        raise InputError(f"lengths has shape {list(found.shape)} and dtype {dtype}; {accepted}")
    found = found.long()
    outside = found[(found < 1) | (found > steps)] if found.device.type == "cpu" else found[:0]
    if len(outside):
        raise InputError(f"lengths holds {int(outside[0])}; {accepted}")
    return found


@apply_loss.register
def _(signal: Tensor, targets: Any, loss: Loss, lengths: Any) -> Tensor:
    """Every term reads the one signal given."""
    whole = loss.of("signal")
    own = {} if lengths is None else {"lengths": counted_steps(lengths, *signal.shape[:2])}
    whole = whole.within("lengths") if own else whole
    given = {} if targets is None else {"target": as_tensor("target", "targets", targets)}
    return total_loss(
        whole, {"signal": signal}, {term.target: x for term in whole.terms for x in given.values()} | own
    )
