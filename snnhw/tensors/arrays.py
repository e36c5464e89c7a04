"""Arrays of any library as tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.dlpack import from_dlpack

from snnhw.errors import InputError

__all__ = ["as_tensor"]


def as_tensor(what: str, name: str, array: Any) -> Tensor:
    """A tensor over the same memory where that can be.

    Args:
        what: what it is, such as ``"input"``; name: and which, for the message.

    Raises:
        InputError: it is no array, or one that torch cannot read.
    """
    if isinstance(array, Tensor):
        return array
    if isinstance(array, (np.ndarray, np.generic)):
        array = np.require(array, requirements="W")  # torch takes neither read-only memory ...
        if any(stride < 0 for stride in array.strides):  # ... nor what is read backwards
            array = array.copy()
    try:
        tensor: Tensor = from_dlpack(array)
    except (AttributeError, BufferError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"{what} '{name}' is a {type(array).__name__} that torch cannot read; give a torch tensor, a "
            f"NumPy array, or another array with __dlpack__ ({error})"
        ) from error
    return tensor
