"""The arrays of a run, in main memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from snnhw.ir import Program

__all__ = ["Array", "Arrays", "batch_of", "host", "hosts"]

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]


def host(array: Any) -> Array:
    """An array of any kind, in main memory, as NumPy's."""
    if isinstance(array, (np.ndarray, np.generic)):
        return np.asarray(array)
    if hasattr(array, "element_size") and array.is_floating_point() and array.element_size() < 4:
        array = array.float()  # a tensor of a kind that NumPy may lack; float32 holds its values
    try:
        return np.from_dlpack(array)
    except (BufferError, RuntimeError, TypeError):  # it lies on another device
        return np.from_dlpack(array, device="cpu")


def hosts(arrays: Mapping[str, Any]) -> dict[str, Array]:
    """`host`, by name."""
    return {name: host(array) for name, array in arrays.items()}


def batch_of(program: Program, inputs: Arrays) -> int:
    """B: the first axis of a static input, the second of any other."""
    name, array = next(iter(inputs.items()))
    return int(np.shape(array)[0 if name in program.time.static_inputs else 1])
