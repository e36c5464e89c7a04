"""One use of a pointwise step on tensors: its geometry, and the kernels made for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from math import prod
from typing import Any

import torch
from torch import Tensor

from snnhw.errors import InputError
from snnhw.ir import FrozenMap, StepEquations
from snnhw.passes import Layout, Request, ScanKernel, derive
from snnhw.tensors.scans.provider import Provider, Scan

__all__ = ["ScanSite", "site_of"]

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class ScanSite:
    """A layer of neurons over some steps. Equal uses share one object, made by `site_of`.

    Attributes:
        shape: ``[B, *sample]``.
        outputs: the ports wanted.
        static: for each input port, whether it has no time axis.
        single: one step, and no time axis anywhere.
    """

    step: StepEquations
    shape: Shape
    steps: int
    outputs: tuple[str, ...]
    static: tuple[bool, ...]
    dt: float
    single: bool
    scans: dict[Any, tuple[ScanKernel, Scan]] = field(default_factory=dict, repr=False)

    @cached_property
    def flat(self) -> Shape:
        """``[B, N]``."""
        return self.shape[0], prod(self.shape[1:])

    # -- between a user's shapes and a kernel's -------------------------------------------------------

    def fold_input(self, x: Tensor, static: bool) -> Tensor:
        """``[B, N]`` or ``[T, B, N]``, contiguous."""
        if static and x.shape == self.flat:
            return x.contiguous()
        lead = self.shape[:1] if static else (self.steps, self.shape[0])
        sample = self.shape[1:]
        if x.shape[len(lead) :] != sample:  # samples align on the right, without the batch
            missing = len(self.shape) - 1 - (x.ndim - len(lead))
            x = x.reshape(*lead, *(1,) * missing, *x.shape[len(lead) :]).expand(*lead, *sample)
        return x.reshape(*lead, self.flat[1]).contiguous()

    def unfold_input(self, grad: Tensor, static: bool, like: Shape) -> Tensor:
        """The adjoint of an input, in the input's own shape."""
        if grad.shape == like:
            return grad
        lead = self.shape[:1] if static else (self.steps, self.shape[0])
        whole = grad.reshape(*lead, *self.shape[1:])
        if tuple(whole.shape) == like:
            return whole
        narrow = (*lead, *(1,) * (whole.ndim - len(like)), *like[len(lead) :])
        return whole.sum_to_size(narrow).reshape(like)

    def fold_param(self, name: str, param: Tensor) -> Tensor:
        """One number ``[]``, or ``[N]``."""
        if param.numel() == 1:
            return param if param.ndim == 0 else param.reshape(())
        try:
            return param.expand(self.shape[1:]).reshape(-1).contiguous()
        except RuntimeError:
            raise InputError(
                f"parameter '{name}' of shape {list(param.shape)} does not fit samples of shape "
                f"{list(self.shape[1:])}; give one number, or 1 or the size on every axis"
            ) from None

    def fold_state(self, state: Tensor) -> Tensor:
        return (state if state.shape == self.flat else state.reshape(self.flat)).contiguous()

    def unfold_state(self, state: Tensor) -> Tensor:
        return state if state.shape == self.shape else state.view(self.shape)

    @cached_property
    def over_time(self) -> tuple[Shape, Shape]:
        """An output's shape, a user's and a kernel's."""
        return self.shape if self.single else (self.steps, *self.shape), (self.steps, *self.flat)

    def fold_output(self, adjoint: Tensor) -> Tensor:
        return adjoint.reshape(self.over_time[1]).contiguous()

    def unfold_output(self, x: Tensor) -> Tensor:
        return x.reshape(self.over_time[0])

    # -- kernels --------------------------------------------------------------------------------------

    def scan(
        self,
        provider: Provider,
        like: Tensor,
        params: Sequence[Tensor],
        adjoints: tuple[str, ...] | None = None,
        needs: tuple[bool, ...] = (),
    ) -> tuple[ScanKernel, Scan]:
        """The kernel for one pass, compiled.

        Args:
            like: of the compute dtype and device.
            adjoints: None for the forward pass; else the outputs through which a gradient arrives.
            needs: which inputs and parameters want a gradient.
        """
        varying = tuple(param.numel() > 1 for param in params)
        key = (provider, like.dtype, like.device, varying, adjoints, needs)
        if key not in self.scans:
            kernel = derive(self.step, self._request(varying, adjoints, needs))
            self.scans[key] = kernel, provider.compile(kernel, like.dtype, like.device)
        return self.scans[key]

    def _request(
        self, varying: Sequence[bool], adjoints: tuple[str, ...] | None, needs: Sequence[bool]
    ) -> Request:
        ports, names = self.step.ports, self.step.params
        wanted = [name for name, need in zip((*ports, *names), needs, strict=False) if need]
        layouts: dict[str, Layout] = {name: "neuron" for name, yes in zip(names, varying, strict=True) if yes}
        return Request(
            outputs=self.outputs if adjoints is None else adjoints,
            adjoints=adjoints or (),
            static=frozenset(port for port, static in zip(ports, self.static, strict=True) if static),
            input_grads=frozenset(wanted) & frozenset(ports),
            param_grads=frozenset(wanted) & frozenset(names),
            layouts=FrozenMap(layouts),
            dt=self.dt,
        )


@lru_cache(maxsize=4096)
def site_of(
    step: StepEquations,
    shape: Shape,
    steps: int,
    outputs: tuple[str, ...],
    *,
    static: tuple[bool, ...],
    dt: float,
    single: bool,
) -> ScanSite:
    """The layer of one use; its kernels are found again with it."""
    return ScanSite(step, shape, steps, outputs, static, dt, single)


def broadcast_shape(inputs: Sequence[Tensor], leads: Sequence[int]) -> Shape:
    """``[B, *sample]`` of the layer that these inputs feed; ``leads`` counts axes before the sample."""
    if len(inputs) == 1:
        return tuple(inputs[0].shape[leads[0] - 1 :])
    samples = [x.shape[lead:] for x, lead in zip(inputs, leads, strict=True)]
    batch = inputs[0].shape[leads[0] - 1]
    return (batch, *torch.broadcast_shapes(*samples))
