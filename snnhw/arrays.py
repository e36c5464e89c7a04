"""Arrays of any library as NumPy's, for backends that compute in main memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from snnhw.errors import InputError
from snnhw.plugin import Arrays

__all__ = ["hosts"]


def hosts(what: str, arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
    """Any arrays in main memory as NumPy's, without a copy where that can be.

    Args:
        what: what they are, such as ``"input"``, for the message.

    Raises:
        InputError: one of them is no array, or one that NumPy cannot read.
    """
    return {name: _host(what, name, array) for name, array in arrays.items()}


def _host(what: str, name: str, array: Any) -> npt.NDArray[Any]:
    if isinstance(array, (np.ndarray, np.generic)):
        return np.asarray(array)
    try:
        return np.from_dlpack(array)
    except (AttributeError, BufferError, RuntimeError, TypeError) as error:
        raise InputError(
            f"{what} '{name}' is a {type(array).__name__}, which NumPy cannot read: {error}; "
            "give an array in main memory that no gradient is recorded for"
        ) from error
