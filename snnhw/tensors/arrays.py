"""Arrays of any library as tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.dlpack import from_dlpack

from snnhw.arrays import check_array, plain, unreadable

__all__ = ["as_tensor"]


def as_tensor(what: str, name: str, array: Any, *, values: bool = True) -> Tensor:
    """A tensor over the same memory where that can be.

    Args:
        what: what it is, such as ``"input"``; name: and which, for the message.
        values: whether it has to hold any, which a tensor on the device ``meta`` does not.

    Raises:
        InputError: it is no array, or none of those that `snnhw.arrays` takes.
    """
    if isinstance(array, Tensor):
        check_array(what, name, array, values=values)
        return array
    if isinstance(array, (np.ndarray, np.generic)):
        array = np.require(
            plain(what, name, array), requirements="W"
        )  # torch takes neither read-only memory ...
        if any(stride < 0 for stride in array.strides):  # ... nor what is read backwards
            array = array.copy()
    check_array(what, name, array)
    try:
        tensor: Tensor = from_dlpack(array)
    except Exception as error:  # the array's own library raises what it likes
        raise unreadable(what, name, array, error) from error
    check_array(what, name, tensor)
    return tensor
