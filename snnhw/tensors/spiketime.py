"""Times of spikes as tensors that a gradient flows through."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from snnhw.tensors.autograd import Function

__all__ = ["first_step", "spike_steps", "time_error"]


class _SpikeSteps(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(spikes: Tensor, count: int, last: Tensor | int) -> tuple[Tensor, Tensor]:
        fired = spikes != 0
        order = fired.cumsum(0)  # the n-th spike is where this first is n
        sought = torch.arange(1, count + 1, device=spikes.device).view(-1, *[1] * spikes.ndim)
        there = fired & (order == sought)  # [count, T, ...]
        steps = torch.where(there.any(1), there.byte().argmax(1), last)
        return steps.to(spikes.dtype), steps

    @staticmethod
    def setup_context(
        ctx: Any, inputs: tuple[Tensor, int, Tensor | int], output: tuple[Tensor, Tensor]
    ) -> None:
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(output[1])
        ctx.shape = inputs[0].shape

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor, None, None]:
        (steps,) = ctx.saved_tensors
        return grad.new_zeros(ctx.shape).scatter_add(0, steps, -grad), None, None


def spike_steps(spikes: Tensor, count: int, last: Tensor | None = None) -> Tensor:
    """The steps of the first ``count`` spikes of every neuron: ``[T, ...]`` gives ``[count, ...]``.

    A spike that does not come counts as one at the last step. What flows back goes, with its sign
    changed, to the spike at that step: more of it would be earlier (snnTorch's ``SpikeTime``).

    Args:
        last: the number of that step for each sample, ``[B]``, of spikes ``[T, B, ...]``; None: T - 1.
    """
    end = (
        len(spikes) - 1 if last is None else last.view(-1, *[1] * (spikes.ndim - 2)).expand(spikes.shape[1:])
    )
    found: Tensor = _SpikeSteps.apply(spikes, count, end)[0]
    return found


def first_step(spikes: Tensor, last: Tensor | None = None) -> Tensor:
    """The step of every neuron's first spike: ``[T, ...]`` gives ``[...]``; see `spike_steps`."""
    return spike_steps(spikes, 1, last)[0]


def time_error(steps: Tensor, wanted: Tensor, tolerance: float, duration: Tensor | int) -> Tensor:
    """``((steps - wanted) / duration)^2``, and nothing where the two are less than ``tolerance`` apart."""
    miss = steps - wanted
    counted = miss if tolerance == 0 else torch.where(miss.abs() < tolerance, 0, miss)
    return (counted / duration).square()
