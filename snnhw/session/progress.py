"""How far a training run has come, and how a backend keeps that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from snnhw.ir import Optimizer, Slot

__all__ = ["GRADIENTS", "Layout", "Progress"]


@dataclass(frozen=True)
class Progress:
    """How far a training run has come. Replaced as a whole, so that nobody ever finds half of a step.

    Attributes:
        optimizer: with its present settings; None where nothing is trained.
        updates: how many there have been; pending: calls of ``step`` since; sequence: sequences so far.
        grads: key -> what the pending calls have added up.
        memory: ``"KEY/SLOT"`` -> what the optimizer remembers; empty before the first update.
        own: what the backend adds.
    """

    optimizer: Optimizer | None
    updates: int = 0
    pending: int = 0
    sequence: int = 0
    grads: Mapping[str, Any] = field(default_factory=dict)
    memory: Mapping[str, Any] = field(default_factory=dict)
    own: Mapping[str, Any] = field(default_factory=dict)

    def waiting(self, sequence: int, grads: Mapping[str, Any]) -> Progress:
        """After a call that only adds to an update to come."""
        return replace(self, sequence=sequence, pending=self.pending + 1, grads=grads)

    def updated(self, sequence: int, memory: Mapping[str, Any]) -> Progress:
        """After a call that ended with an update."""
        return replace(self, sequence=sequence, updates=self.updates + 1, pending=0, grads={}, memory=memory)


@dataclass(frozen=True)
class Layout:
    """How a backend keeps what an update needs.

    Attributes:
        name: two backends of the same name take each other's states.
        grads: whether pending calls are kept as the gradient they have added up.
        slots: optimizer type -> what is remembered, where that is not as the optimizer says.
        every: whether every update counts for every parameter, those that no loss reads among them.
        memory: dtype of what is remembered; "" for the one that is computed in.
    """

    name: str
    grads: bool = True
    slots: Mapping[type[Optimizer], tuple[Slot, ...]] = field(default_factory=dict)
    every: bool = True
    memory: str = ""

    def slots_of(self, optimizer: Optimizer) -> tuple[Slot, ...]:
        return self.slots.get(type(optimizer), optimizer.remembers)


GRADIENTS: Final = Layout("gradients")
"""Gradients are added up, and the optimizer remembers what it says."""
