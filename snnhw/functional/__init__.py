"""Losses, regularisation and accuracy under snnTorch's names: ``import snnhw.functional as SF``.

Losses are values: `snnhw.compile` lowers them into the model, and called on tensors they compute.
"""

from __future__ import annotations

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
