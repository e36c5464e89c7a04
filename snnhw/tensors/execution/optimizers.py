"""Optimizer values as torch's fused updates.

``torch.optim`` does as much, in many lines of Python that Ctrl-C can come between: an update is counted, and
not made. Here, whoever is given the changes makes them together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor

from snnhw.ir import SGD, Adam, AdamW, Optimizer
from snnhw.tensors.execution.commit import Change

__all__ = ["OPTIMIZERS", "Memory", "Rule"]

Tensors = Mapping[str, Tensor]
Memory = dict[str, Tensor]
"""``"KEY/SLOT"`` -> what is remembered, in place."""

Rule = Callable[[Any, Tensors, Sequence[Tensor], Tensors], tuple[Memory, list[Change]]]
"""From the settings, the parameters by key, their gradients and what is remembered: what is remembered from
now on, and the changes that make the update. Nothing is written before they are called."""


def _sgd(
    value: SGD, params: Tensors, grads: Sequence[Tensor], memory: Tensors
) -> tuple[Memory, list[Change]]:
    slots = _slots(memory, params, "momentum_buffer", torch.empty_like) if value.momentum else {}
    step = partial(
        torch._fused_sgd_,
        list(params.values()),
        grads,
        list(slots.values()),
        lr=value.lr,
        momentum=value.momentum,
        weight_decay=value.weight_decay,
        nesterov=value.nesterov,
        dampening=0.0,
        maximize=False,
        is_first_step=not memory,  # the buffers are written, not read
    )
    return {**memory, **slots}, [step]


def _adam(
    update: Callable[..., Any], value: Adam, params: Tensors, grads: Sequence[Tensor], memory: Tensors
) -> tuple[Memory, list[Change]]:
    counts = _slots(memory, params, "step", _zero)
    means = _slots(memory, params, "exp_avg", torch.zeros_like)
    squares = _slots(memory, params, "exp_avg_sq", torch.zeros_like)
    steps = list(counts.values())
    step = partial(
        update,
        list(params.values()),
        grads,
        list(means.values()),
        list(squares.values()),
        [],  # their maxima, of amsgrad
        steps,
        lr=value.lr,
        beta1=value.betas[0],
        beta2=value.betas[1],
        eps=value.eps,
        weight_decay=value.weight_decay,
        amsgrad=False,
        maximize=False,
    )
    return {**counts, **means, **squares}, [partial(torch._foreach_add_, steps, 1), step]


def _slots(memory: Tensors, params: Tensors, slot: str, new: Callable[[Tensor], Tensor]) -> Memory:
    """One slot of every parameter, new ones before the first update."""
    names = {f"{key}/{slot}": param for key, param in params.items()}
    return {name: memory[name] if name in memory else new(param) for name, param in names.items()}


def _zero(param: Tensor) -> Tensor:
    """A count, in float32 whatever the parameter."""
    return torch.zeros((), dtype=torch.float32, device=param.device)


OPTIMIZERS: Final[Mapping[type[Optimizer], Rule]] = {
    SGD: _sgd,
    Adam: partial(_adam, torch._fused_adam_),
    AdamW: partial(_adam, torch._fused_adamw_),
}
"""Optimizer type -> its rule."""
