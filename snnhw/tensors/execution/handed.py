"""Arrays as an executable takes them over and hands them on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from torch import Tensor

from snnhw.plugin import Arrays

__all__ = ["host", "in_memory", "number"]

Array = np.ndarray[Any, Any]


def in_memory(arrays: Arrays) -> Arrays:
    """With tensors as anybody can read them."""
    if not isinstance(arrays, Mapping):
        return arrays  # to be refused
    return {
        name: x.detach().cpu() if isinstance(x, Tensor) and not x.is_meta else x for name, x in arrays.items()
    }


def number(loss: Tensor) -> float:
    """A number where nothing has to be waited for; else what can be used like one."""
    return float(loss.detach()) if loss.device.type == "cpu" else cast("float", loss.detach())


def host(tensor: Tensor) -> Array:
    """A copy in main memory."""
    array: Array = tensor.detach().cpu().numpy()
    return array.copy()
