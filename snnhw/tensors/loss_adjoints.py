"""Adjoints of losses by hand: the operations of torch that autograd would call, without its graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import floor
from typing import Any, Final

import torch
from torch import Tensor

from snnhw.ir import CECount, CEMembrane, CERate, ClassLoss, L1Rate, Loss, LossKind, MSECount, Term
from snnhw.tensors.losses import checked_loss, for_class, grouped
from snnhw.tensors.work import Done, Grads, Recorded, Work

__all__ = ["loss_work"]


def loss_work(loss: Loss, read: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Work:
    """A loss of its targets, which were checked: from the signals ``[T, B, ...]`` of the ports that it reads,
    and then the targets, in this order."""

    def computed(*tensors: Tensor) -> Sequence[Tensor]:
        signals = dict(zip(read, tensors, strict=False))
        return (checked_loss(loss, signals, dict(zip(targets, tensors[len(read) :], strict=True))),)

    work = Recorded(computed)
    wide = all(x.itemsize >= 4 for x in read.values())  # others are widened first
    if wide and all(_written(term, targets) for term in loss.terms):
        return _Derived(work, loss, tuple(read), tuple(targets))
    return work


def _written(term: Term, targets: Mapping[str, Tensor]) -> bool:
    """Whether somebody has written down its adjoint, for such targets: one class number for each sample."""
    kind = term.kind
    if type(kind) not in ADJOINTS or term.lengths:
        return False
    return not isinstance(kind, ClassLoss) or (kind.class_weights is None and targets[term.target].ndim == 1)


@dataclass(frozen=True, eq=False)
class _Derived:
    """A loss of terms whose adjoints are written down."""

    computed: Recorded
    loss: Loss
    read: tuple[str, ...]
    targets: tuple[str, ...]

    def __call__(self, *tensors: Tensor) -> Sequence[Tensor]:
        return self.computed(*tensors)

    def forward(self, tensors: Sequence[Tensor], needs: Sequence[bool]) -> Done:
        return Done(self.computed(*tensors), tensors)

    def backward(self, kept: Any, grads: Grads, needs: Sequence[bool]) -> Grads:
        (grad,) = grads
        assert grad is not None, "it gives one number"
        given = dict(zip((*self.read, *self.targets), kept, strict=True))
        found: dict[str, Tensor] = {}
        for term in reversed(self.loss.terms):  # as autograd does
            port, kind = str(term.of), term.kind
            signal, share = given[port], grad * term.weight
            if isinstance(kind, ClassLoss):
                part = ADJOINTS[type(kind)](kind, signal, given[term.target].long(), share)
            else:
                part = ADJOINTS[type(kind)](kind, signal, signal, share)
            found[port] = found[port] + part if port in found else part
        return [found.get(port) for port in self.read] + [None] * len(self.targets)


def _mean(kind: ClassLoss, share: Tensor, numbers: int) -> Tensor:
    """The adjoint of each of so many values."""
    return share if kind.reduction == "sum" else share / numbers


def _cross_entropy(logits: Tensor, target: Tensor, share: Tensor) -> Tensor:
    """Of logits ``[..., B, C]``, from the adjoint that the values of all have."""
    likely = torch.log_softmax(logits, -1)
    lead = (*logits.shape[:-1], 1)
    right = target[:, None].expand(lead)
    hit = torch.zeros_like(likely).scatter_(-1, right, (-share).expand(lead))
    return torch._log_softmax_backward_data(hit, likely, -1, likely.dtype)


def _spread(kind: CERate | CECount | MSECount, found: Tensor, spikes: Tensor) -> Tensor:
    """From classes ``[..., classes]`` to the neurons of each."""
    if kind.num_classes is None:
        return found
    size = spikes.shape[-1] // kind.num_classes
    return found[..., None].expand(*found.shape, size).reshape(*found.shape[:-1], -1)


def _ce_rate(kind: CERate, signal: Tensor, target: Tensor, share: Tensor) -> Tensor:
    steps, batch, _ = signal.shape
    found = _cross_entropy(grouped(kind, signal), target, _mean(kind, share, batch) / steps)
    return _spread(kind, found, signal)


def _ce_count(kind: CECount, signal: Tensor, target: Tensor, share: Tensor) -> Tensor:
    found = _cross_entropy(grouped(kind, signal.sum(0)), target, _mean(kind, share, signal.shape[1]))
    return _spread(kind, found, signal).expand(signal.shape)


def _ce_membrane(kind: CEMembrane, signal: Tensor, target: Tensor, share: Tensor) -> Tensor:
    steps, batch, _ = signal.shape
    each = _mean(kind, share, batch)
    return _cross_entropy(signal, target, each if kind.over_time == "sum" else each / steps)


def _mse_count(kind: MSECount, signal: Tensor, target: Tensor, share: Tensor) -> Tensor:
    steps, batch, neurons = signal.shape
    classes = kind.classes(neurons)
    rates = (kind.correct_rate, kind.incorrect_rate)
    right, others = (floor(steps * rate * (neurons // classes)) for rate in rates)
    off = grouped(kind, signal.sum(0)) - for_class(target, classes, right, others, signal)
    found = _mean(kind, share, batch * classes) / steps * (2 * off)
    return _spread(kind, found, signal).expand(signal.shape)


ADJOINTS: Final[Mapping[type[LossKind], Callable[[Any, Tensor, Tensor, Tensor], Tensor]]] = {
    CERate: _ce_rate,
    CECount: _ce_count,
    CEMembrane: _ce_membrane,
    MSECount: _mse_count,
    L1Rate: lambda _, signal, __, share: share.expand(signal.shape),
}
"""Kind -> the adjoint of a signal ``[T, B, ...]``, from class numbers ``[B]`` and the adjoint of the term."""
