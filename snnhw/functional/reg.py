"""Regularisation: terms to add to a loss."""

from __future__ import annotations

from snnhw.ir import L1Rate, Loss, Term

__all__ = ["l1_rate_sparsity"]


def l1_rate_sparsity(Lambda: float = 1e-5) -> Loss:  # snnTorch's spelling
    """``Lambda`` times the number of spikes, of the output or of any port: ``.of("lif1.spk")``."""
    return Loss((Term(L1Rate(), weight=Lambda),))
