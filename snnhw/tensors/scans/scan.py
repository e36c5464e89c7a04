"""Running a pointwise node over tensors, in autograd.

The whole of it is one node of autograd's graph, whatever the number of steps; its backward pass is
derived rather than recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from snnhw.ir import StepEquations
from snnhw.tensors.autograd import Function
from snnhw.tensors.scans import compiled
from snnhw.tensors.scans.eager import EagerProvider
from snnhw.tensors.scans.installed import provider_for
from snnhw.tensors.scans.passes import Scans, computed, differentiated, fold, initial
from snnhw.tensors.scans.provider import Provider
from snnhw.tensors.scans.recorded import record
from snnhw.tensors.scans.site import ScanSite, broadcast_shape, site_of
from snnhw.tensors.watched import tracing, watched
from snnhw.tensors.work import Done, Grads, Recorded, Work

__all__ = ["BoundScan", "Found", "Scanning", "named", "run_scan", "run_step", "run_use", "step_use", "use_of"]

Tensors = Mapping[str, Tensor]
Found = tuple[dict[str, Tensor], dict[str, Tensor]]


def run_scan(
    step: StepEquations, inputs: Tensors, params: Tensors, states: Tensors, **settings: Any
) -> Found:
    """One pointwise node over all steps, with what `use_of` takes; differentiable to inputs, parameters and
    initial states.

    Returns:
        port -> ``[T, B, *shape]``, and state -> ``[B, *shape]`` after the last step.
    """
    return run_use(use_of(step, inputs, params, states, **settings))


def run_step(
    step: StepEquations,
    inputs: Tensors,
    params: Tensors,
    states: Tensors,
    *,
    outputs: Sequence[str],
    dt: float = 1.0,
    provider: Provider | None = None,
) -> Found:
    """`run_scan` for one step, without a time axis: inputs and outputs are ``[B, *shape]``."""
    return run_use(step_use(step, inputs, params, states, outputs=outputs, dt=dt, provider=provider))


def step_use(
    step: StepEquations,
    inputs: Tensors,
    params: Tensors,
    states: Tensors,
    *,
    outputs: Sequence[str],
    dt: float = 1.0,
    provider: Provider | None = None,
) -> BoundScan:
    """One pointwise node over one step, for `run_use`."""
    xs = [inputs[port] for port in step.ports]
    layer = _site_of()(
        step,
        broadcast_shape(xs, [1] * len(xs)),
        1,
        tuple(outputs),
        static=(True,) * len(xs),
        dt=dt,
        single=True,
    )
    return _use(layer, xs, params, states, provider)


EAGER: Final = EagerProvider()


class BoundScan(NamedTuple):
    """A layer of neurons, who runs it, and the tensors it reads: inputs, parameters, tables, states."""

    layer: ScanSite
    provider: Provider
    tensors: list[Tensor]

    @property
    def work(self) -> Work:
        """What computes it. A surrogate that only torch knows is left to autograd."""
        scanning = Scanning(self.layer, self.provider)
        return scanning if self.layer.step.opaque is None else Recorded(scanning)


def use_of(
    step: StepEquations,
    inputs: Tensors,
    params: Tensors,
    states: Tensors,
    *,
    steps: int,
    outputs: Sequence[str],
    static: frozenset[str] = frozenset(),
    dt: float = 1.0,
    provider: Provider | None = None,
) -> BoundScan:
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
    layer = _site_of()(step, shape, steps, tuple(outputs), static=flags, dt=dt, single=False)
    return _use(layer, xs, params, states, provider)


def _site_of() -> Callable[..., ScanSite]:
    """Sizes in a traced graph may be symbols, which no cache can hold."""
    return site_of.__wrapped__ if tracing() or watched(()) else site_of


def _use(
    layer: ScanSite, xs: list[Tensor], params: Tensors, states: Tensors, provider: Provider | None
) -> BoundScan:
    step, runs = layer.step, provider or _provider(xs[0])
    like = runs.computed(xs[0].dtype)
    tensors = [
        *xs,
        # A kernel reads numbers of one kind, and a file may hold others.
        *(p if (p := params[name]).dtype == like else p.to(like) for name in step.params),
        *(p if (p := params[name]).dtype == like else p.to(like) for name in step.tables),
        *(initial(layer, state, states, params, device=xs[0].device, dtype=like) for state in step.states),
    ]
    return BoundScan(layer, runs, tensors)


def _provider(like: Tensor) -> Provider:
    """Who runs kernels for a device; nobody, where none will run."""
    return EAGER if watched([like]) else provider_for(like.device.type)


def run_use(use: BoundScan) -> Found:
    """Its outputs by port, and its states by name."""
    return named(use.layer, Scanning(use.layer, use.provider)(*use.tensors))


def named(layer: ScanSite, found: Sequence[Tensor]) -> Found:
    """Outputs by port, and states by name, of what a layer gives."""
    ends = found[len(layer.outputs) :]
    return (
        dict(zip(layer.outputs, found, strict=False)),
        {state.name: end for state, end in zip(layer.step.states, ends, strict=True)},
    )


@dataclass(frozen=True, eq=False)
class Scanning:
    """A layer of neurons: outputs and final states from inputs, parameters, tables and states.

    Attributes:
        scans: the kernels that it has run, as all its tensors are of the same sizes.
    """

    layer: ScanSite
    provider: Provider
    scans: Scans = field(default_factory=dict, repr=False)

    def __call__(self, *tensors: Tensor) -> Sequence[Tensor]:
        layer, provider = self.layer, self.provider
        learns = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
        found: Sequence[Tensor]
        if (learns and layer.step.opaque is not None) or watched(tensors):
            found = record(layer, fold(layer, tensors))
        elif learns:
            found = _ScanFunction.apply(layer, provider, *tensors)
        else:
            found = (compiled.forward if tracing() else computed)(layer, provider, tensors)
        return found

    def forward(self, tensors: Sequence[Tensor], needs: Sequence[bool]) -> Done:
        return Done(computed(self.layer, self.provider, tensors, self.scans), tensors)

    def backward(self, kept: Any, grads: Grads, needs: Sequence[bool]) -> Grads:
        return differentiated(self.layer, self.provider, kept, grads, tuple(needs), scans=self.scans)


def _again(
    layer: ScanSite, tensors: Sequence[Tensor], adjoints: Sequence[Tensor | None], needs: Sequence[bool]
) -> tuple[Tensor | None, ...]:
    """Adjoints of all tensors, as a graph: the layer once more, in operations that torch differentiates.

    Of views, which nothing before this layer leads to: a state is often made of the parameters that are read
    besides it, and torch would follow it back to them.
    """
    tensors = [x.view_as(x) for x in tensors]
    found = record(layer, fold(layer, tensors))
    arrived = [(y, g) for y, g in zip(found, adjoints, strict=True) if g is not None and y.requires_grad]
    wanted = [x for x, need in zip(tensors, needs, strict=True) if need]
    grads = iter(
        torch.autograd.grad(
            [y for y, _ in arrived],
            wanted,
            [g for _, g in arrived],
            create_graph=True,
            allow_unused=True,
        )
        if arrived
        else [None] * len(wanted)
    )
    return tuple(next(grads) if need else None for need in needs)


class _ScanFunction(Function):
    @staticmethod
    def forward(ctx: Any, layer: ScanSite, provider: Provider, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.layer, ctx.provider = layer, provider
        ctx.save_for_backward(*tensors)
        ctx.set_materialize_grads(False)
        found = (compiled.forward if tracing() else computed)(layer, provider, tensors)
        return tuple(x.detach() for x in found)  # no views, so that a user may change them in place

    @staticmethod
    def backward(ctx: Any, *adjoints: Tensor | None) -> tuple[Any, ...]:
        needs = tuple(ctx.needs_input_grad[2:])
        if torch.is_grad_enabled() and not tracing():  # somebody wants to differentiate what this gives
            return (None, None, *_again(ctx.layer, ctx.saved_tensors, adjoints, needs))
        run = compiled.backward if tracing() else differentiated
        return (None, None, *run(ctx.layer, ctx.provider, ctx.saved_tensors, adjoints, needs))
