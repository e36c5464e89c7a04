"""The two passes of a scan on tensors of a user's shapes, without a graph of autograd's.

What is given is folded into a kernel's shapes, and what it gives is unfolded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from snnhw.errors import InputError
from snnhw.ir import State, evaluate
from snnhw.passes import NOWHERE, ScanKernel
from snnhw.tensors.namespace import torch_namespace
from snnhw.tensors.scans.provider import Provider, Scan, ScanInputs
from snnhw.tensors.scans.site import ScanSite

__all__ = ["Scans", "computed", "differentiated", "epilogue", "fold", "initial", "split"]

Tensors = Mapping[str, Tensor]


def initial(
    layer: ScanSite,
    state: State,
    states: Tensors,
    params: Tensors,
    *,
    device: torch.device,
    dtype: torch.dtype,
) -> Tensor:
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
    return torch.full(layer.shape, state.init, dtype=dtype, device=device)


def split(layer: ScanSite, tensors: Sequence[Tensor]) -> tuple[Sequence[Tensor], ...]:
    """Inputs, parameters, tables, states."""
    step = layer.step
    one = len(step.ports)
    two = one + len(step.params)
    three = two + len(step.tables)
    return tensors[:one], tensors[one:two], tensors[two:three], tensors[three:]


def fold(layer: ScanSite, tensors: Sequence[Tensor]) -> ScanInputs:
    """The tensors of a use in a kernel's shapes."""
    inputs, params, tables, states = split(layer, tensors)
    return ScanInputs(
        layer.steps,
        [layer.fold_input(x, static) for x, static in zip(inputs, layer.static, strict=True)],
        [layer.fold_param(name, param) for name, param in zip(layer.step.params, params, strict=True)],
        tables,
        [layer.fold_state(state) for state in states],
    )


Scans = dict[object, tuple[ScanKernel, Scan]]
"""The kernels of one use, by pass, outputs that have an adjoint, and what wants one."""


def computed(
    layer: ScanSite, provider: Provider, tensors: Sequence[Tensor], scans: Scans | None = None
) -> tuple[Tensor, ...]:
    """Outputs and final states, without a graph.

    Args:
        scans: kernels of this use that need not be looked for again; new ones are added.
    """
    given = fold(layer, tensors)
    scans = {} if scans is None else scans
    if None not in scans:
        scans[None] = layer.scan(provider, given.inputs[0], given.params)
    _, scan = scans[None]
    found = scan.forward(given)
    return (
        *(layer.unfold_output(x) for x in found.outputs),
        *map(layer.unfold_state, found.states),
    )


def differentiated(
    layer: ScanSite,
    provider: Provider,
    tensors: Sequence[Tensor],
    adjoints: Sequence[Tensor | None],
    needs: tuple[bool, ...],
    *,
    scans: Scans | None = None,
) -> tuple[Tensor | None, ...]:
    """Adjoints of all tensors, from those of the outputs and the final states; None is zero. ``scans`` as for
    `computed`."""
    inputs, params, tables, _ = split(layer, tensors)
    count = len(layer.outputs)
    outputs = {port: g for port, g in zip(layer.outputs, adjoints, strict=False) if g is not None}
    given = fold(layer, tensors)
    scans, asked = {} if scans is None else scans, (*outputs, *needs)
    if asked not in scans:
        wanted = needs[: len(inputs) + len(params)]
        scans[asked] = layer.scan(provider, given.inputs[0], given.params, tuple(outputs), wanted)
    kernel, scan = scans[asked]
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
    layer: ScanSite,
    params: Sequence[Tensor],
    tables: Sequence[Tensor],
    adjoints: Sequence[Tensor | None],
) -> list[Tensor | None]:
    """The gradient of every parameter from the values' adjoints, computed in float64; None where nothing that
    has a gradient reads it, which is something else than 0 to who decays weights."""
    if not kernel.epilogue:
        return [None] * len(params)
    env = {f"p{number}": param.double() for number, param in enumerate(params)}
    env |= {name: table.double() for name, table in zip(kernel.tables, tables, strict=True)}
    for number, adjoint in enumerate(adjoints):
        if adjoint is not None:
            env[f"c{number}"] = adjoint.reshape(layer.shape[1:]) if adjoint.ndim else adjoint
    namespace = torch_namespace(torch.float64, params[0].device)
    reached = {name: expr for name, expr in kernel.epilogue.items() if expr is not NOWHERE}
    found = dict(zip(reached, evaluate([*reached.values()], env, namespace), strict=True))
    return [
        _reduce(found[name], param, layer.shape[1:]) if name in found else None
        for name, param in zip(kernel.params, params, strict=True)
    ]


def _reduce(grad: Tensor, param: Tensor, sample: tuple[int, ...]) -> Tensor:
    """Sum over the axes that a parameter shares."""
    if param.numel() == 1:
        return grad.sum().reshape(param.shape).to(param.dtype)
    return grad.expand(sample).sum_to_size(param.shape).to(param.dtype)
