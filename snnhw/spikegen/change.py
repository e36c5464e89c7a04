"""Delta modulation: spikes where a value changes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from snnhw.errors import InputError
from snnhw.tensors.arrays import as_tensor

__all__ = ["delta"]


def delta(data: Any, threshold: float = 0.1, padding: bool = False, off_spike: bool = False) -> Tensor:
    """1 where the data has risen by ``threshold`` or more since the step before, else 0.

    Args:
        data: ``[T, ...]``, of any real dtype.
        threshold: how much is enough, in units of the data.
        padding: compare the first step with itself rather than with 0.
        off_spike: -1 where the data has fallen as much.

    Returns:
        spikes of the data's shape and dtype; int8 for unsigned integers with ``off_spike``.

    Raises:
        InputError: data without a time axis.
    """
    values = as_tensor("delta", "data", data, values=False)
    if values.ndim == 0 or not len(values):
        raise InputError(f"delta takes data [T, ...], not a tensor of shape {list(values.shape)}")
    wide = values if values.is_floating_point() else values.long()  # unsigned differences would wrap around
    before = torch.cat([wide[:1] if padding else torch.zeros_like(wide[:1]), wide[:-1]])
    change = wide - before
    spikes = (change >= threshold).to(torch.int8)
    if not off_spike:
        return spikes.to(values.dtype)
    spikes -= (change <= -threshold).to(torch.int8)
    unsigned = values.dtype in (torch.uint8, torch.bool)
    return spikes if unsigned else spikes.to(values.dtype)
