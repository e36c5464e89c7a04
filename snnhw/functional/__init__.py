"""Losses, regularisation and accuracy under snnTorch's names: ``import snnhw.functional as SF``.

Losses are values: `snnhw.compile` lowers them into the model, and called on tensors they compute.
"""

from __future__ import annotations

from torch.serialization import add_safe_globals

import snnhw.tensors.losses  # noqa: F401  # what a call on tensors means
from snnhw.functional import probe, quant, stdp_learner
from snnhw.functional.acc import accuracy_rate, accuracy_temporal
from snnhw.functional.loss import (
    LossFunctions,
    SpikeTime,
    ce_count_loss,
    ce_max_membrane_loss,
    ce_membrane_loss,
    ce_rate_loss,
    ce_temporal_loss,
    mse_count_loss,
    mse_membrane_loss,
    mse_temporal_loss,
)
from snnhw.functional.probe import (
    AttributeMonitor,
    BaseMonitor,
    GradInputMonitor,
    GradOutputMonitor,
    InputMonitor,
    OutputMonitor,
    unpack_len1_tuple,
)
from snnhw.functional.reg import l1_rate_sparsity
from snnhw.functional.tensor_losses import SpikeSteps, Unreduced
from snnhw.ir import LOSS_TERMS, Loss, Term
from snnhw.words import public

__all__ = [
    "AttributeMonitor",
    "BaseMonitor",
    "GradInputMonitor",
    "GradOutputMonitor",
    "InputMonitor",
    "LossFunctions",
    "OutputMonitor",
    "SpikeTime",
    "accuracy_rate",
    "accuracy_temporal",
    "ce_count_loss",
    "ce_max_membrane_loss",
    "ce_membrane_loss",
    "ce_rate_loss",
    "ce_temporal_loss",
    "l1_rate_sparsity",
    "mse_count_loss",
    "mse_membrane_loss",
    "mse_temporal_loss",
    "probe",
    "quant",
    "stdp_learner",
    "unpack_len1_tuple",
]

# What a checkpoint may name beside a network, and torch.load(weights_only=True) gives back.
add_safe_globals([accuracy_rate, accuracy_temporal, Loss, Term, Unreduced, SpikeSteps, *LOSS_TERMS.values()])

__getattr__, __dir__ = public(__name__, __all__)
