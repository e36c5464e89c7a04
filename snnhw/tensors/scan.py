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
from snnhw.tensors.namespace import torch_namespace
from snnhw.tensors.provider import Provider, Scan, ScanInputs, provider_for

__all__ = ["run_scan"]

Tensors = Mapping[str, Tensor]


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
    provider: Provider | None = None,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """One pointwise node over all steps; differentiable to inputs, parameters and initial states.

    Args:
        inputs: port -> ``[T, B, *shape]``, or ``[B, *shape]`` for the ports in ``static``; shapes
            broadcast against each other.
        params: parameter -> ``[]`` or the layer's rank with 1 where shared; tables ``[L]``.
        states: state -> ``[B, *shape]``; a state left out starts from its initial value.
        steps: T.
        outputs: the ports wanted.
        provider: who runs the kernel; None: whoever is installed for the device.

    Returns:
        port -> ``[T, B, *shape]``, and state -> ``[B, *shape]`` after the last step.
    """
    shapes = [x.shape[0 if port in static else 1 :] for port, x in inputs.items()]
    shape = shapes[0] if len(shapes) == 1 else torch.broadcast_shapes(*shapes)
    layer = _Layer(step, tuple(shape), steps, tuple(outputs), static, dt)
    xs = [layer.signal(inputs[port], port in static) for port in step.ports]
    initial = [layer.initial(state.name, state.init, states, params, xs[0]) for state in step.states]
    given = [params[name] for name in step.params]
    tables = [params[name] for name in step.tables]
    tensors = [*xs, *given, *tables, *initial]
    provider = provider or provider_for(xs[0].device.type)
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        found = _ScanFunction.apply(layer, provider, *tensors)
    else:
        found = _forward(layer, provider, tensors)
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


def _kernel(
    layer: _Layer, params: Sequence[Tensor], adjoints: tuple[str, ...] | None = None, needs: Sequence[bool] = ()
) -> ScanKernel:
    """The kernel for one use.

    Args:
        adjoints: None for the forward pass; else the outputs through which a gradient arrives.
        needs: which inputs and parameters want a gradient.
    """
    ports, names = layer.step.ports, layer.step.params
    varying = [name for name, param in zip(names, params, strict=True) if param.numel() > 1]
    request = Request(
        outputs=layer.outputs if adjoints is None else adjoints,
        adjoints=adjoints or (),
        static=layer.static,
        input_grads=frozenset(port for port, need in zip(ports, needs, strict=False) if need),
        param_grads=frozenset(name for name, need in zip(names, needs[len(ports) :], strict=False) if need),
        layouts=FrozenMap(dict.fromkeys(varying, "neuron")),
        dt=layer.dt,
    )
    return derive(layer.step, request)


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


def _given(layer: _Layer, tensors: Sequence[Tensor]) -> ScanInputs:
    """With every parameter one number or one for each neuron."""
    inputs, params, tables, states = _split(layer, tensors)
    flat = [
        p.reshape(()) if p.numel() == 1 else p.expand(layer.shape[1:]).reshape(-1).contiguous() for p in params
    ]
    return ScanInputs(layer.steps, inputs, flat, tables, states)


def _forward(layer: _Layer, provider: Provider, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    inputs, params, _, _ = _split(layer, tensors)
    kernel = _kernel(layer, params)
    scan = _compiled(kernel, inputs[0].dtype, inputs[0].device, provider)
    found = scan.forward(_given(layer, tensors))
    return (*found.outputs, *found.states)


def _backward(
    layer: _Layer,
    provider: Provider,
    tensors: Sequence[Tensor],
    adjoints: Sequence[Tensor | None],
    needs: Sequence[bool],
) -> tuple[Tensor | None, ...]:
    """Adjoints of all tensors, from those of the outputs and the final states; None is zero."""
    inputs, params, tables, _ = _split(layer, tensors)
    flat = [None if adjoint is None else adjoint.contiguous() for adjoint in adjoints]
    outputs = {port: g for port, g in zip(layer.outputs, flat, strict=False) if g is not None}
    kernel = _kernel(layer, params, tuple(outputs), needs)
    scan = _compiled(kernel, inputs[0].dtype, inputs[0].device, provider)
    grads = scan.backward(_given(layer, tensors), list(outputs.values()), flat[len(layer.outputs) :])
    return (
        *grads.inputs,
        *_epilogue(kernel, layer, params, tables, grads.values),
        *(None for _ in tables),
        *grads.states,
    )


class _ScanFunction(torch.autograd.Function):
    """A scan in autograd: one node for all steps, its backward derived rather than recorded."""

    @staticmethod
    def forward(ctx: Any, layer: _Layer, provider: Provider, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.layer, ctx.provider = layer, provider
        ctx.save_for_backward(*tensors)
        ctx.set_materialize_grads(False)
        return _forward(layer, provider, tensors)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *adjoints: Tensor | None) -> tuple[Any, ...]:
        needs = ctx.needs_input_grad[2:]
        return (None, None, *_backward(ctx.layer, ctx.provider, ctx.saved_tensors, adjoints, needs))
