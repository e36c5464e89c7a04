"""PopTorch's own operations, as far as a program may meet them."""

from __future__ import annotations

from typing import Any, Callable, Mapping, Sequence

import torch
from torch import Tensor

from .capture import ACTIVE, isRunningOnIpu
from .errors import Error

__all__ = ["cond", "custom_op", "for_loop", "nop", "set_available_memory"]

Body = Callable[..., Any]


def for_loop(count: int, body: Body, inputs: list[Tensor]) -> list[Tensor]:
    """A loop on the device, which cannot be trained through. Here it is unrolled."""
    if not isinstance(inputs, list):
        raise ValueError("poptorch.for_loop expects input tensors (inputs) to be a list of tensors.")
    for place, tensor in enumerate(inputs):
        if not isinstance(tensor, Tensor):
            raise ValueError(
                "poptorch.for_loop expects input tensors (inputs) to be a list of tensors. "
                "(Object contained in list at index %d is not torch.tensor)" % place
            )
    _only_in_inference("for_loop", "write the loop in Python")
    values = [tensor.clone() for tensor in inputs]
    for _ in range(count):
        found = body(*values)
        values = list(found) if isinstance(found, (list, tuple)) else [found]
        if len(values) != len(inputs):
            raise Error("body of poptorch.for_loop takes %d tensors, gives %d" % (len(inputs), len(values)))
    return values


def cond(condition: Tensor, then_body: Body, then_inps: Any, else_body: Body, else_inps: Any) -> list[Tensor]:
    """A branch on the device, which cannot be trained through. Here both sides are computed."""
    if not isinstance(then_inps, list) or not isinstance(else_inps, list):
        raise ValueError("poptorch.cond expects then_inps and else_inps tensors to be a list of tensors.")
    if not isRunningOnIpu():
        return _listed(then_body(*then_inps) if condition else else_body(*else_inps))
    _only_in_inference("cond", "choose with torch.where")
    sides = zip(_listed(then_body(*then_inps)), _listed(else_body(*else_inps)))
    return [torch.where(condition, a, b) for a, b in sides]


def _listed(found: Any) -> list[Tensor]:
    return list(found) if isinstance(found, (list, tuple)) else [found]


def _only_in_inference(name: str, instead: str) -> None:
    if ACTIVE and ACTIVE[-1].training:
        raise Error("poptorch.%s() is only supported in inference; %s" % (name, instead))


def nop(tensor: Tensor) -> Tensor:
    """The tensor itself."""
    return _tensor("nop", tensor)


def set_available_memory(tensor: Tensor, available_memory_proportion: float) -> Tensor:
    """The tensor itself; on an IPU, a bound on the memory of the product that made it."""
    assert 0 < available_memory_proportion <= 1, "available_memory_proportion is a share between 0 and 1"
    return _tensor("set_available_memory", tensor)


def _tensor(name: str, tensor: Any) -> Tensor:
    if not isinstance(tensor, Tensor):
        raise Error("poptorch.%s takes a torch.tensor. %s is not supported." % (name, type(tensor)))
    return tensor


def custom_op(
    inputs: Sequence[Tensor],
    name: str,
    domain: str,
    domain_version: int,
    example_outputs: Sequence[Tensor],
    attributes: Mapping[str, Any] | None = None,
) -> list[Tensor]:
    """On the host, zeros of the example's shapes, as there; captured, an error: its code is for IPUs."""
    for key, value in (attributes or {}).items():
        for text in (key, *(value if isinstance(value, (list, tuple)) else [value])):
            if isinstance(text, str) and not text.isascii():
                raise ValueError("%s contains non-ASCII characters." % text)
    if isRunningOnIpu():
        raise Error("custom operation %s.%s runs on an IPU only; it cannot be emulated" % (domain, name))
    return [torch.zeros_like(each) for each in example_outputs]
