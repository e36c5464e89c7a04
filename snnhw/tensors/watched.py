"""Whether somebody looks at torch's operations themselves, who would see nothing of a kernel of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from snnhw.errors import InputError
from snnhw.tensors.noting import notes

__all__ = ["lasting", "refuse_strict_export", "sizes", "tracing", "untraced", "watched"]

Made = TypeVar("Made")

PLAIN = (Tensor, nn.Parameter, nn.Buffer)
FAKES = ("FakeTensor", "FunctionalTensor")
"""Kinds without values; by name, since to import them is to import torch's compiler."""


def tracing() -> bool:
    """Whether `torch.compile` is making a graph."""
    return torch.compiler.is_compiling() and not torch.compiler.is_exporting()


def refuse_strict_export() -> None:
    """Raise where Dynamo would have to look into equations, which it cannot."""
    if torch.compiler.is_exporting() and torch.compiler.is_dynamo_compiling():
        raise InputError(
            "torch.export(strict=True) cannot look into neurons; export with strict=False, torch's default"
        )


def untraced(made: Callable[[], Made]) -> Made:
    """What a function gives, of which ``torch.jit.trace`` and ONNX see nothing."""
    if tracing() or not torch._C._is_tracing():
        return made()
    put: Any = torch._C._set_tracing_state  # type: ignore[attr-defined]  # torch declares the other one only
    state = torch._C._get_tracing_state()
    put(None)
    try:
        return made()
    finally:
        put(state)


def sizes(x: Tensor) -> tuple[int, ...]:
    """A tensor's shape in numbers: a trace has it as tensors, from which other shapes than these may come."""
    return untraced(lambda: tuple(x.shape))


def watched(tensors: Iterable[Tensor]) -> bool:
    """Whether operations are traced (``torch.jit.trace``, ONNX, ``make_fx``), faked, counted, transformed
    (``torch.func``, forward-mode derivatives), or done on tensors that are not torch's own kind.

    `torch.compile` is none of these: it has `snnhw.tensors.scans.compiled`. ``torch.export`` is, as its
    programs are read where nobody knows of us.
    """
    if tracing():
        return False
    return bool(
        torch.compiler.is_exporting()
        or torch._C._is_tracing()
        or torch._C._len_torch_dispatch_stack() > notes()
        or torch._C._functorch.peek_interpreter_stack() is not None
        or forward_ad._current_level >= 0
        or any(type(x) not in PLAIN for x in tensors)
    )


def lasting(x: Tensor) -> Tensor | None:
    """A tensor that was kept: itself where it can be used now, what a gradient's transformation has wrapped
    where that is over, a copy of what inference mode made where that is over, and None where it has no value
    any more: a batch of ``vmap``, or a fake."""
    functorch: Any = torch._C._functorch
    while functorch.is_functorch_wrapped_tensor(x):
        level, stack = functorch.maybe_get_level(x), functorch.peek_interpreter_stack()
        if level > 0 and stack is not None and level <= stack.level():
            return x
        if functorch.is_batchedtensor(x):
            return None
        x = functorch.get_unwrapped(x)
    if type(x).__name__ in FAKES and not torch._C._len_torch_dispatch_stack():
        return None
    return x.clone() if x.is_inference() and not torch.is_inference_mode_enabled() else x
