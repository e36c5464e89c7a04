"""Running a pointwise node over tensors, in autograd.

The whole of it is one node of autograd's graph, whatever the number of steps; its backward pass is
derived rather than recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.compiler import is_compiling as tracing

from snnhw.errors import InputError
from snnhw.ir import State, Step, evaluate
from snnhw.passes import ScanKernel
from snnhw.tensors import compiled
from snnhw.tensors.autograd import Function
from snnhw.tensors.layer import Layer, broadcast_shape, layer_of
from snnhw.tensors.namespace import torch_namespace
from snnhw.tensors.provider import Provider, ScanInputs, provider_for
from snnhw.tensors.recorded import record

__all__ = [
    "Found",
    "Use",
    "computed",
    "epilogue",
    "fold",
    "run_scan",
    "run_step",
    "run_use",
    "split",
    "use_of",
]

Tensors = Mapping[str, Tensor]
Found = tuple[dict[str, Tensor], dict[str, Tensor]]


def run_scan(step: Step, inputs: Tensors, params: Tensors, states: Tensors, **settings: Any) -> Found:
    """One pointwise node over all steps, with what `use_of` takes; differentiable to inputs, parameters and
    initial states.

    Returns:
        port -> ``[T, B, *shape]``, and state -> ``[B, *shape]`` after the last step.
    """
    return run_use(use_of(step, inputs, params, states, **settings))


def run_step(
    step: Step,
    inputs: Tensors,
    params: Tensors,
    states: Tensors,
    *,
    outputs: Sequence[str],
    dt: float = 1.0,
    provider: Provider | None = None,
) -> Found:
    """`run_scan` for one step, without a time axis: inputs and outputs are ``[B, *shape]``."""
    xs = [inputs[port] for port in step.ports]
    layer = _layer_of()(
        step,
        broadcast_shape(xs, [1] * len(xs)),
        1,
        tuple(outputs),
        static=(True,) * len(xs),
        dt=dt,
        single=True,
    )
    return run_use(_use(layer, xs, params, states, provider))


class Use(NamedTuple):
    """A layer of neurons, who runs it, and the tensors it reads: inputs, parameters, tables, states."""

    layer: Layer
    provider: Provider
    tensors: list[Tensor]


def use_of(
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
) -> Use:
    """One pointwise node over all steps, for `run_use`.

    Args:
        inputs: port -> ``[T, B, *shape]``, or ``[B, *shape]`` for the ports in ``static``; the shapes
            of one sample broadcast against each other.
        params: parameter -> ``[]`` or the layer's rank with 1 where shared; tables ``[L]``.
        states: state -> ``[B, *shape]``; a state left out starts from its initial value.
        steps: T.
        outputs: the ports wanted.
        provider: who runs the kernel; None: whoever is installed for the device.
    """
    xs = [inputs[port] for port in step.ports]
    flags = tuple(port in static for port in step.ports)
    shape = broadcast_shape(xs, [1 if flag else 2 for flag in flags])
    layer = _layer_of()(step, shape, steps, tuple(outputs), static=flags, dt=dt, single=False)
    return _use(layer, xs, params, states, provider)


def _layer_of() -> Callable[..., Layer]:
    """Sizes in a traced graph may be symbols, which no cache can hold."""
    return layer_of.__wrapped__ if tracing() else layer_of


def _use(layer: Layer, xs: list[Tensor], params: Tensors, states: Tensors, provider: Provider | None) -> Use:
    step, like = layer.step, xs[0].dtype
    tensors = [
        *xs,
        # A kernel reads numbers of one kind, and a file may hold others.
        *(p if (p := params[name]).dtype == like else p.to(like) for name in step.params),
        *(p if (p := params[name]).dtype == like else p.to(like) for name in step.tables),
        *(initial(layer, state, states, params, xs[0]) for state in step.states),
    ]
    return Use(layer, provider or provider_for(xs[0].device.type), tensors)


def run_use(use: Use) -> Found:
    """Its outputs by port, and its states by name."""
    layer, provider, tensors = use
    step = layer.step
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        if step.opaque is not None:
            found = record(layer, step.opaque, fold(layer, tensors))
        else:
            found = _ScanFunction.apply(layer, provider, *tensors)
    else:
        found = (compiled.forward if tracing() else computed)(layer, provider, tensors)
    ends = found[len(layer.outputs) :]
    return (
        dict(zip(layer.outputs, found, strict=False)),
        {state.name: end for state, end in zip(step.states, ends, strict=True)},
    )


def initial(layer: Layer, state: State, states: Tensors, params: Tensors, like: Tensor) -> Tensor:
    """A state before the first step: what is passed, or its initial value."""
    if state.name in states:
        given = states[state.name]
        if tuple(given.shape) != layer.shape:
            raise InputError(
                f"state '{state.name}' has shape {tuple(given.shape)}, but the layer is {layer.shape} "
                "(batch first); pass the state of the same batch, or none to start from rest"
            )
        return given
    if isinstance(state.init, str):
        return params[state.init].expand(layer.shape)
    return torch.full(layer.shape, state.init, dtype=like.dtype, device=like.device)


def split(layer: Layer, tensors: Sequence[Tensor]) -> tuple[Sequence[Tensor], ...]:
    """Inputs, parameters, tables, states."""
    step = layer.step
    one = len(step.ports)
    two = one + len(step.params)
    three = two + len(step.tables)
    return tensors[:one], tensors[one:two], tensors[two:three], tensors[three:]


def fold(layer: Layer, tensors: Sequence[Tensor]) -> ScanInputs:
    """The tensors of a use in a kernel's shapes."""
    inputs, params, tables, states = split(layer, tensors)
    return ScanInputs(
        layer.steps,
        [layer.fold_input(x, static) for x, static in zip(inputs, layer.static, strict=True)],
        [layer.fold_param(name, param) for name, param in zip(layer.step.params, params, strict=True)],
        tables,
        [layer.fold_state(state) for state in states],
    )


def computed(layer: Layer, provider: Provider, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Outputs and final states, without a graph."""
    given = fold(layer, tensors)
    _, scan = layer.scan(provider, given.inputs[0], given.params)
    found = scan.forward(given)
    return (
        *(layer.unfold_output(x) for x in found.outputs),
        *map(layer.unfold_state, found.states),
    )


def differentiated(
    layer: Layer,
    provider: Provider,
    tensors: Sequence[Tensor],
    adjoints: Sequence[Tensor | None],
    needs: tuple[bool, ...],
) -> tuple[Tensor | None, ...]:
    """Adjoints of all tensors, from those of the outputs and the final states; None is zero."""
    inputs, params, tables, _ = split(layer, tensors)
    count = len(layer.outputs)
    outputs = {port: g for port, g in zip(layer.outputs, adjoints, strict=False) if g is not None}
    given = fold(layer, tensors)
    kernel, scan = layer.scan(
        provider, given.inputs[0], given.params, tuple(outputs), needs[: len(inputs) + len(params)]
    )
    grads = scan.backward(
        given,
        [layer.fold_output(g) for g in outputs.values()],
        [None if g is None else layer.fold_state(g) for g in adjoints[count:]],
    )
    return (
        *(
            None if g is None else layer.unfold_input(g, static, tuple(x.shape))
            for g, static, x in zip(grads.inputs, layer.static, inputs, strict=True)
        ),
        *epilogue(kernel, layer, params, tables, grads.values),
        *(None for _ in tables),
        *map(layer.unfold_state, grads.states),
    )


def epilogue(
    kernel: ScanKernel,
    layer: Layer,
    params: Sequence[Tensor],
    tables: Sequence[Tensor],
    adjoints: Sequence[Tensor | None],
) -> list[Tensor | None]:
    """The gradient of every parameter from the values' adjoints, computed in float64."""
    if not kernel.epilogue:
        return [None] * len(params)
    env = {f"p{number}": param.double() for number, param in enumerate(params)}
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


def _reduce(grad: Tensor, param: Tensor, sample: tuple[int, ...]) -> Tensor:
    """Sum over the axes that a parameter shares."""
    if param.numel() == 1:
        return grad.sum().reshape(param.shape).to(param.dtype)
    return grad.expand(sample).sum_to_size(param.shape).to(param.dtype)


class _ScanFunction(Function):
    @staticmethod
    def forward(ctx: Any, layer: Layer, provider: Provider, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.layer, ctx.provider = layer, provider
        ctx.save_for_backward(*tensors)
        ctx.set_materialize_grads(False)
        return (compiled.forward if tracing() else computed)(layer, provider, tensors)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *adjoints: Tensor | None) -> tuple[Any, ...]:
        needs = tuple(ctx.needs_input_grad[2:])
        run = compiled.backward if tracing() else differentiated
        return (None, None, *run(ctx.layer, ctx.provider, ctx.saved_tensors, adjoints, needs))
