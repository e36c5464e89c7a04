"""Stateless ops, each with its way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from snnhw.tensors.network.adjoints import Adjoint, packed, written_adjoint
from snnhw.tensors.network.ops import Operation
from snnhw.tensors.work import Done, Grads, Recorded, Work

__all__ = ["Folded", "work_of"]


def work_of(op: Any, operation: Operation, params: Sequence[str]) -> Work:
    """A stateless op over rows ``[M, ...]``: y from its ports, and from those of its parameters that it has,
    in order."""
    adjoint = written_adjoint(op, operation)
    if adjoint:
        return _Derived(op, operation, adjoint, tuple(params))

    def computed(*tensors: Tensor) -> Sequence[Tensor]:
        return (operation(op, *_apart(op, params, tensors)),)

    return Recorded(computed)


def _apart(
    op: Any, params: Sequence[str], tensors: Sequence[Tensor]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    ports = op.in_ports
    xs = dict(zip(ports, tensors, strict=False))
    return xs, dict(zip(params, tensors[len(ports) :], strict=True))


@dataclass(frozen=True, eq=False)
class _Derived:
    """An op whose adjoint somebody has written down."""

    op: Any
    operation: Operation
    adjoint: Adjoint
    params: tuple[str, ...]

    def __call__(self, *tensors: Tensor) -> Sequence[Tensor]:
        return (self.operation(self.op, *_apart(self.op, self.params, tensors)),)

    def forward(self, tensors: Sequence[Tensor], needs: Sequence[bool]) -> Done:
        xs, params = _apart(self.op, self.params, tensors)
        if "x" in xs:
            xs["x"] = packed(self.operation, self.op, xs["x"])
        return Done((self.operation(self.op, xs, params),), (xs, params))

    def backward(self, kept: Any, grads: Grads, needs: Sequence[bool]) -> Grads:
        names = (*self.op.in_ports, *self.params)
        wanted = frozenset(name for name, need in zip(names, needs, strict=True) if need)
        (grad,), (xs, params) = grads, kept
        assert grad is not None, "y is all that it gives"
        found = self.adjoint(self.op, xs, params, grad, wanted)
        return [found.get(name) for name in names]


@dataclass(frozen=True, eq=False)
class Folded:
    """Work over rows ``[M, ...]``, done on all steps as one batch.

    Attributes:
        lead: T and B.
        fixed: for each of the tensors that are signals, the first ones, whether it has no time axis.
    """

    work: Work
    lead: tuple[int, int]
    fixed: tuple[bool, ...]

    def __call__(self, *tensors: Tensor) -> Sequence[Tensor]:
        return self._unfolded(self.work(*self._rows(tensors)))

    def forward(self, tensors: Sequence[Tensor], needs: Sequence[bool]) -> Done:
        found, kept = self.work.forward(self._rows(tensors), needs)
        return Done(self._unfolded(found), kept)

    def backward(self, kept: Any, grads: Grads, needs: Sequence[bool]) -> Grads:
        found = self.work.backward(kept, [None if g is None else g.flatten(0, 1) for g in grads], needs)
        count = len(self.fixed)
        signals = [
            None if g is None else self._steps(g, fixed) for g, fixed in zip(found, self.fixed, strict=False)
        ]
        return [*signals, *found[count:]]

    def _rows(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        signals = zip(tensors, self.fixed, strict=False)
        rows = [(x.expand(self.lead[0], *x.shape) if fixed else x).flatten(0, 1) for x, fixed in signals]
        return [*rows, *tensors[len(self.fixed) :]]

    def _unfolded(self, found: Sequence[Tensor]) -> list[Tensor]:
        return [y.reshape(*self.lead, *y.shape[1:]) for y in found]

    def _steps(self, grad: Tensor, fixed: bool) -> Tensor:
        """The adjoint of a signal."""
        whole = grad.reshape(*self.lead, *grad.shape[1:])
        return whole.sum_to_size(whole.shape[1:]) if fixed else whole
