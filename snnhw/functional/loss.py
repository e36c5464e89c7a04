"""Losses. A signal is ``[T, B, C]``, targets are class numbers ``[B]``."""

from __future__ import annotations

from typing import Literal

from snnhw.ir import CECount, CEMembrane, CERate, Loss, MSECount, Term

__all__ = ["ce_count_loss", "ce_membrane_loss", "ce_rate_loss", "mse_count_loss"]


def ce_rate_loss() -> Loss:
    """Cross entropy of the spikes at every step, averaged over time."""
    return Loss((Term(CERate()),))


def ce_count_loss() -> Loss:
    """Cross entropy of the spike counts."""
    return Loss((Term(CECount()),))


def ce_membrane_loss(over_time: Literal["sum", "mean"] = "sum") -> Loss:
    """Cross entropy of the membrane at every step, summed (or averaged) over time: snnTorch's tutorial 5."""
    return Loss((Term(CEMembrane(over_time)),))


def mse_count_loss(correct_rate: float = 1.0, incorrect_rate: float = 0.0) -> Loss:
    """Squared distance of the spike counts from ``floor(T * rate)``, divided by T."""
    return Loss((Term(MSECount(correct_rate, incorrect_rate)),))
