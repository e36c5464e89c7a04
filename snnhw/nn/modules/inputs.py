"""What a neuron is called with, as its step takes it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from snnhw.errors import InputError

__all__ = ["computed", "left_in_graph", "unsqueezed", "unwrapped"]


def unsqueezed(state: Tensor | None) -> Tensor | None:
    """A passed state of one sample; one element stands for all neurons."""
    return state.unsqueeze(0) if state is not None and state.numel() > 1 else state


def unwrapped(input_: Any) -> Any:
    """The tensor itself of what holds it as its ``value``, as a brevitas layer with ``return_quant_tensor``
    gives it: scale and zero point are in the value already."""
    value = None if isinstance(input_, Tensor) else getattr(input_, "value", None)
    return value if isinstance(value, Tensor) else input_


def computed(input_: Tensor) -> Tensor:
    """The input in the dtype that the step computes in."""
    if not input_.is_floating_point():  # spikes as integers or booleans
        return input_.to(torch.get_default_dtype())
    return input_.float() if input_.dtype in (torch.float16, torch.bfloat16) else input_


def left_in_graph(layer: nn.Module, input_: Any, states: Any, named: Any) -> Any:
    """What a layer returns in a graph of ``torch.fx.symbolic_trace``, in which it stands as a module of
    torch's does: as itself, since it looks at values and keeps states."""
    tracer: Any = input_.tracer
    if layer is tracer.root:
        raise InputError(
            f"torch.fx.symbolic_trace({type(layer).__name__}(...)): a layer of neurons is one node of a "
            "graph, so trace the network that it is in, such as nn.Sequential(layer); make_fx finds torch's "
            "own operations"
        )
    return tracer.create_proxy("call_module", tracer.path_of_module(layer), (input_, *states), dict(named))
