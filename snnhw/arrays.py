"""What an array may be, on every backend alike: dense, of real numbers, of any library.

Backends that compute in main memory take it as NumPy's, by `hosts`; those on torch by
`snnhw.tensors.arrays.as_tensor`, which asks here what is refused. Gradients are recorded for neither.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from snnhw.errors import InputError
from snnhw.plugin import Arrays

__all__ = ["ACCEPTED", "check_array", "check_forwards", "hosts", "plain", "unreadable"]

ACCEPTED: Final = "a dense array of real numbers: a torch tensor, a NumPy array, or another with __dlpack__"

NUMBERS: Final = "biuf"
"""Kinds of NumPy dtypes that are real numbers."""

KINDS: Final = {
    "c": ("complex numbers", "give the real part, or real and imaginary part as two inputs"),
    "O": ("Python objects", "give numbers, such as array.astype(float)"),
    "U": ("text", "give numbers, such as array.astype(float)"),
    "S": ("text", "give numbers, such as array.astype(float)"),
    "M": ("dates", "give numbers, such as array.astype(float)"),
    "m": ("spans of time", "give numbers, such as array.astype(float)"),
    "V": ("records", "give one field of it, such as array['name']"),
}
"""Kind of NumPy dtype -> what it holds, and what to do."""

TENSORS: Final = (
    ("is_nested", "a nested tensor", "give torch.nested.to_padded_tensor(x, 0.0)"),
    ("is_quantized", "a quantised tensor", "give x.dequantize()"),
)
"""Attribute of torch's tensors -> what they are, and what to do."""


def hosts(what: str, arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
    """Arrays of any library as NumPy's, without a copy where that can be.

    Args:
        what: what they are, such as ``"input"``, for the message.

    Raises:
        InputError: one of them is no array, or one of a kind that no backend takes; says what it is, what is
            accepted and what to do.
    """
    return {name: _host(what, name, array) for name, array in arrays.items()}


def _host(what: str, name: str, array: Any) -> npt.NDArray[Any]:
    if isinstance(array, (np.ndarray, np.generic)):
        return plain(what, name, array)
    check_array(what, name, array)
    if _is_tensor(array):
        return _from_tensor(array)
    try:
        found = _from_dlpack(array)
    except Exception as error:  # the array's own library raises what it likes
        raise unreadable(what, name, array, error) from error
    return plain(what, name, found)


def plain(what: str, name: str, array: npt.NDArray[Any] | np.generic) -> npt.NDArray[Any]:
    """A NumPy array of real numbers as every library reads them, in this machine's byte order.

    Raises:
        InputError: some of its values are masked, or are no real numbers.
    """
    if np.ma.is_masked(array):
        raise _refused(what, name, "is a masked array", "say what stands there, such as x.filled(0)")
    found = np.asarray(array)
    kind = found.dtype.kind
    if kind == "V" and found.dtype.names is None and not found.dtype.name.startswith("void"):
        return found.astype(np.float32)  # bfloat16 and its like, which NumPy has from other packages
    if kind not in NUMBERS:
        holds, instead = KINDS.get(kind, ("no numbers", "give numbers"))
        raise _refused(what, name, f"holds {holds} ({found.dtype})", instead)
    if kind == "f" and found.dtype.itemsize > 8:  # longer than any backend computes with
        return found.astype(np.float64)
    return found.astype(found.dtype.newbyteorder("="), copy=False)


def check_forwards(what: str, name: str, array: Any) -> None:
    """Refuse NumPy memory that is read backwards, where an array is to be shared and not copied.

    Raises:
        InputError: says which strides it has, and what to do.
    """
    if isinstance(array, np.ndarray) and any(stride < 0 for stride in array.strides):
        raise InputError(
            f"{what} '{name}' is a NumPy array that is read backwards (strides {list(array.strides)}), which "
            "torch cannot share; give a copy, np.ascontiguousarray(x)"
        )


def check_array(what: str, name: str, array: Any, *, values: bool = True) -> None:
    """Refuse what no backend takes, as far as it can be told without reading it.

    Args:
        values: whether it has to hold any, which a tensor on the device ``meta`` does not.

    Raises:
        InputError: says what it is, what is accepted and what to do.
    """
    if not hasattr(array, "__dlpack__"):
        raise unreadable(what, name, array, None)
    if not _is_tensor(array):
        return
    for attribute, kind, instead in TENSORS:
        if getattr(array, attribute, False):
            raise _refused(what, name, f"is {kind}", instead)
    if values and array.is_meta:
        raise _refused(what, name, "is a tensor on the device 'meta', without values", "give one elsewhere")
    layout = str(array.layout)
    if layout != "torch.strided":
        raise _refused(what, name, f"is a sparse or packed tensor ({layout})", "give x.to_dense()")
    if array.is_complex():
        holds, instead = KINDS["c"]
        raise _refused(what, name, f"holds {holds} ({array.dtype})", instead)


def _is_tensor(array: Any) -> bool:
    """Whether it is torch's, which is not imported here."""
    return hasattr(array, "layout") and hasattr(array, "is_complex") and hasattr(array, "detach")


def _from_tensor(tensor: Any) -> npt.NDArray[Any]:
    tensor = tensor.detach().cpu()
    try:
        found: npt.NDArray[Any] = tensor.resolve_neg().numpy()
    except TypeError:  # a short float that NumPy lacks; float32 holds each of their values
        found = tensor.float().numpy()
    return found


def _from_dlpack(array: Any) -> npt.NDArray[Any]:
    try:
        return np.from_dlpack(array)
    except (BufferError, RuntimeError, TypeError):  # it lies on another device
        return np.from_dlpack(array, device="cpu")


def unreadable(what: str, name: str, array: Any, error: Exception | None) -> InputError:
    """What is no array, or one that its own library does not hand over."""
    why = "is no array" if error is None else f"cannot be read ({error})"
    return InputError(
        f"{what} '{name}' is a {type(array).__name__}, which {why}; give {ACCEPTED}{_made(array)}"
    )


def _made(given: Any) -> str:
    """Code that makes an array of a list."""
    if not isinstance(given, (list, tuple)) or not given:
        return ""
    if not all(hasattr(each, "shape") for each in given):
        return "; torch.tensor(...) makes one of it"
    if len({tuple(each.shape) for each in given}) == 1:
        return "; torch.stack(...) makes one of it, along the first axis"
    return f"; it holds {len(given)} arrays of different shapes, so that each is to be given by itself"


def _refused(what: str, name: str, found: str, instead: str) -> InputError:
    return InputError(f"{what} '{name}' {found}; accepted: {ACCEPTED}; {instead}")
