"""A pointwise node in torch's own autograd: slow, but for what no expression says the derivative of."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from snnhw.ir import Expr, Namespace, Opaque, StepEquations, evaluate, spike, var
from snnhw.ir.expr import replace
from snnhw.tensors.autograd import Function
from snnhw.tensors.custom import spikes_of
from snnhw.tensors.namespace import torch_namespace
from snnhw.tensors.scans.provider import ScanInputs
from snnhw.tensors.scans.site import ScanSite

__all__ = ["record", "recording"]

SPIKE = "spike"  # no model may use the name


def record(layer: ScanSite, surrogate: Opaque, given: ScanInputs) -> tuple[Tensor, ...]:
    """Outputs and final states of a layer whose spikes a user's function makes."""
    step, like = layer.step, given.inputs[0]
    namespace = recording(like.dtype, like.device)
    fixed = dict(zip((*step.params, *step.tables), (*given.params, *given.tables), strict=True))
    fixed["dt"] = torch.tensor(layer.dt, dtype=like.dtype, device=like.device)
    condition, roots = _around_spike(step, surrogate, layer.outputs)
    names = [state.name for state in step.states]
    states, stacks = list(given.states), []
    for t in range(given.steps):
        inputs = [x if static else x[t] for x, static in zip(given.inputs, layer.static, strict=True)]
        env = fixed | dict(zip((*step.ports, *names), (*inputs, *states), strict=True))
        (z,) = evaluate([condition], env, namespace)
        env[SPIKE] = spikes_of(surrogate, z.expand(layer.flat).reshape(layer.shape)).reshape(layer.flat)
        found = [value.expand(layer.flat) for value in evaluate(roots, env, namespace)]
        states = found[: len(states)]
        stacks.append(found[len(states) :])
    outputs = [torch.stack(values) for values in zip(*stacks, strict=True)]
    return (*map(layer.unfold_output, outputs), *map(layer.unfold_state, states))


def _around_spike(
    step: StepEquations, surrogate: Opaque, outputs: tuple[str, ...]
) -> tuple[Expr, list[Expr]]:
    """The fire condition, and next states and outputs in which the spike is a variable."""
    assert step.fire is not None
    roots = [*step.updates.values(), *(step.outputs[port] for port in outputs)]
    return step.fire, replace(roots, {spike(step.fire, surrogate): var(SPIKE)})


class _Graft(Function):
    """``graft`` of the language: a value, and its derivative to each x."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, *pairs: Tensor) -> Tensor:
        ctx.save_for_backward(*pairs[1::2])
        ctx.shapes = [x.shape for x in pairs[::2]]
        return value.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        found: list[Tensor | None] = [None]
        for d, shape in zip(ctx.saved_tensors, ctx.shapes, strict=True):
            found += [(grad * d).sum_to_size(shape), None]
        return tuple(found)


def _graft(value: Tensor, *pairs: Tensor) -> Tensor:
    found: Tensor = _Graft.apply(value.detach(), *pairs) if pairs else value.detach()
    return found


@lru_cache(maxsize=64)
def recording(dtype: torch.dtype, device: torch.device) -> Namespace:
    """Torch's functions under autograd, with the language's gradients where torch's differ."""
    plain = torch_namespace(dtype, device)

    def choose(value: Tensor, a: Tensor, b: Tensor, first: Tensor) -> Tensor:
        return _graft(value, a, first.to(dtype), b, (~first).to(dtype))

    return {
        **plain,
        "minimum": lambda a, b: choose(torch.minimum(a, b), a, b, b > a),
        "maximum": lambda a, b: choose(torch.maximum(a, b), a, b, a > b),
        "nearest": lambda x, table: _graft(plain["nearest"](x, table), x, torch.ones_like(x)),
        "graft": _graft,
    }
