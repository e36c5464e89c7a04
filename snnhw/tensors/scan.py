"""Running a pointwise node over tensors: prologue, scan, epilogue, and their place in autograd."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import torch
from torch import Tensor

from snnhw.errors import InputError
from snnhw.ir import FrozenMap, Step, evaluate
from snnhw.passes import Request, ScanKernel, derive
from snnhw.tensors.eager import EagerProvider
from snnhw.tensors.namespace import torch_namespace
from snnhw.tensors.provider import Provider, Scan, ScanInputs

__all__ = ["run_scan"]

Tensors = Mapping[str, Tensor]
EAGER = EagerProvider()


def run_scan(
    step: Step,
    inputs: Tensors,
    params: Tensors,
    states: Tensors,
    *,
    steps: int,
    outputs: Sequence[str],
    static: frozenset[str] = frozenset(),
    dt: float = 1.0,
    provider: Provider = EAGER,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """One pointwise node over all steps; differentiable to inputs, parameters and initial states.

    Args:
        inputs: port -> ``[T, B, *shape]``, or ``[B, *shape]`` for the ports in ``static``; shapes
            broadcast against each other.
        params: parameter -> ``[]`` or the layer's rank with 1 where shared; tables ``[L]``.
        states: state -> ``[B, *shape]``; a state left out starts from its initial value.
        steps: T.
        outputs: the ports wanted.

    Returns:
        port -> ``[T, B, *shape]``, and state -> ``[B, *shape]`` after the last step.
    """
    shape = torch.broadcast_shapes(*(x.shape[0 if port in static else 1 :] for port, x in inputs.items()))
    layer = _Layer(step, tuple(shape), steps, tuple(outputs), static, dt)
    xs = [layer.signal(inputs[port], port in static) for port in step.ports]
    initial = [layer.initial(state.name, state.init, states, params, xs[0]) for state in step.states]
    given = [params[name] for name in step.params]
    tables = [params[name] for name in step.tables]
    tensors = [*xs, *given, *tables, *initial]
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        found = _ScanFunction.apply(layer, provider, *tensors)
    else:
        kernel = _kernel(layer, given, [False] * len(tensors))
        found, _ = _forward(layer, kernel, provider, tensors, keep=False)
    unfolded = [layer.unfold(tensor) for tensor in found]
    ends = unfolded[len(layer.outputs) :]
    return (
        dict(zip(layer.outputs, unfolded, strict=False)),
        {state.name: end for state, end in zip(step.states, ends, strict=True)},
    )


@dataclass(frozen=True)
class _Layer:
    """One use of a step: its shape ``[B, *shape]`` and what is wanted of it."""

    step: Step
    shape: tuple[int, ...]
    steps: int
    outputs: tuple[str, ...]
    static: frozenset[str]
    dt: float

    def signal(self, x: Tensor, static: bool) -> Tensor:
        """``[B, N]`` or ``[T, B, N]``, contiguous."""
        lead = () if static else (self.steps,)
        return x.expand(*lead, *self.shape).reshape(*lead, self.shape[0], -1).contiguous()

    def initial(self, name: str, init: float | str, states: Tensors, params: Tensors, like: Tensor) -> Tensor:
        flat = (self.shape[0], prod(self.shape[1:]))
        if name in states:
            if tuple(states[name].shape) != self.shape:
                raise InputError(
                    f"state '{name}' has shape {tuple(states[name].shape)}, but the layer is {self.shape} "
                    "(batch first); pass the state of the same batch, or none to start from rest"
                )
            return states[name].reshape(flat).contiguous()
        if isinstance(init, str):
            return params[init].expand(self.shape).reshape(flat).contiguous()
        return torch.full(flat, init, dtype=like.dtype, device=like.device)

    def unfold(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:-2], *self.shape)


def _kernel(layer: _Layer, params: Sequence[Tensor], needs: Sequence[bool]) -> ScanKernel:
    """The kernel for one use; ``needs`` says which inputs and parameters want a gradient."""
    ports, names = layer.step.ports, layer.step.params
    varying = [name for name, param in zip(names, params, strict=True) if param.numel() > 1]
    request = Request(
        outputs=layer.outputs,
        adjoints=layer.outputs if any(needs) else (),
        static=layer.static,
        input_grads=frozenset(port for port, need in zip(ports, needs, strict=False) if need),
        param_grads=frozenset(name for name, need in zip(names, needs[len(ports) :], strict=False) if need),
        layouts=FrozenMap(dict.fromkeys(varying, "neuron")),
        dt=layer.dt,
    )
    return derive(layer.step, request)


def _prologue(
    kernel: ScanKernel, layer: _Layer, params: Sequence[Tensor], tables: Sequence[Tensor]
) -> list[Tensor]:
    """Every value from the parameters: ``[]``, or ``[N]``."""
    if not kernel.values:
        return []
    env = _numbered("p", params) | dict(zip(kernel.tables, tables, strict=True))
    namespace = torch_namespace(params[0].dtype, params[0].device)
    found = evaluate([value.expr for value in kernel.values], env, namespace)
    return [
        x.reshape(()) if value.layout == "scalar" else x.expand(layer.shape[1:]).reshape(-1).contiguous()
        for value, x in zip(kernel.values, found, strict=True)
    ]


def _epilogue(
    kernel: ScanKernel,
    layer: _Layer,
    params: Sequence[Tensor],
    tables: Sequence[Tensor],
    adjoints: Sequence[Tensor | None],
) -> list[Tensor | None]:
    """The gradient of every parameter from the values' adjoints, computed in float64."""
    if not kernel.epilogue:
        return [None] * len(params)
    env = _numbered("p", [param.double() for param in params])
    env |= {name: table.double() for name, table in zip(kernel.tables, tables, strict=True)}
    for number, adjoint in enumerate(adjoints):
        if adjoint is not None:
            env[f"c{number}"] = adjoint.reshape(layer.shape[1:]) if adjoint.ndim else adjoint
    namespace = torch_namespace(torch.float64, params[0].device)
    found = dict(zip(kernel.epilogue, evaluate([*kernel.epilogue.values()], env, namespace), strict=True))
    return [
        _reduce(found[name], param, layer.shape[1:]) if name in found else None
        for name, param in zip(kernel.params, params, strict=True)
    ]


def _reduce(grad: Tensor, param: Tensor, layer: tuple[int, ...]) -> Tensor:
    """Sum over the axes that a parameter shares."""
    if param.numel() == 1:
        return grad.sum().reshape(param.shape).to(param.dtype)
    return grad.expand(layer).sum_to_size(param.shape).to(param.dtype)


def _numbered(letter: str, tensors: Sequence[Tensor]) -> dict[str, Tensor]:
    return {f"{letter}{number}": tensor for number, tensor in enumerate(tensors)}


@lru_cache(maxsize=1024)
def _compiled(kernel: ScanKernel, dtype: torch.dtype, device: torch.device, provider: Provider) -> Scan:
    return provider.compile(kernel, dtype, device)


def _split(layer: _Layer, tensors: Sequence[Tensor]) -> tuple[list[Tensor], ...]:
    """Inputs, parameters, tables, states."""
    parts, start = [], 0
    step = layer.step
    for count in (len(step.ports), len(step.params), len(step.tables), len(step.states)):
        parts.append(list(tensors[start : start + count]))
        start += count
    return tuple(parts)


def _forward(
    layer: _Layer, kernel: ScanKernel, provider: Provider, tensors: Sequence[Tensor], *, keep: bool
) -> tuple[list[Tensor], Any]:
    inputs, params, tables, states = _split(layer, tensors)
    scan = _compiled(kernel, inputs[0].dtype, inputs[0].device, provider)
    given = ScanInputs(layer.steps, inputs, _prologue(kernel, layer, params, tables), tables, states)
    found = scan.forward(given, keep=keep)
    return [*found.outputs, *found.states], (scan, given, found.saved)


class _ScanFunction(torch.autograd.Function):
    """A scan in autograd: one node for all steps, its backward derived rather than recorded."""

    @staticmethod
    def forward(ctx: Any, layer: _Layer, provider: Provider, *tensors: Tensor) -> tuple[Tensor, ...]:
        _, ctx.params, _, _ = _split(layer, tensors)
        ctx.layer, ctx.kernel = layer, _kernel(layer, ctx.params, ctx.needs_input_grad[2:])
        found, ctx.rest = _forward(layer, ctx.kernel, provider, tensors, keep=True)
        ctx.set_materialize_grads(False)
        return tuple(found)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *adjoints: Tensor | None) -> tuple[Any, ...]:
        layer: _Layer = ctx.layer
        scan, given, saved = ctx.rest
        flat = [None if adjoint is None else adjoint.contiguous() for adjoint in adjoints]
        count = len(layer.outputs)
        grads = scan.backward(given, saved, flat[:count], flat[count:])
        params = _epilogue(ctx.kernel, layer, ctx.params, given.tables, grads.values)
        return (None, None, *grads.inputs, *params, *(None for _ in given.tables), *grads.states)
