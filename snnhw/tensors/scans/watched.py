"""Whether somebody looks at torch's operations themselves, who would see nothing of a kernel of ours."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

__all__ = ["watched"]

PLAIN = (Tensor, nn.Parameter, nn.Buffer)


def watched(tensors: Iterable[Tensor]) -> bool:
    """Whether operations are traced (``torch.jit.trace``, ONNX, ``make_fx``), faked, counted, transformed
    (``torch.func``, forward-mode derivatives), or done on tensors that are not torch's own kind.

    `torch.compile` is none of these: it has `snnhw.tensors.scans.compiled`.
    """
    if torch.compiler.is_compiling():
        return False
    return bool(
        torch._C._is_tracing()
        or torch._C._len_torch_dispatch_stack()
        or torch._C._functorch.peek_interpreter_stack() is not None
        or forward_ad._current_level >= 0
        or any(type(x) not in PLAIN for x in tensors)
    )
