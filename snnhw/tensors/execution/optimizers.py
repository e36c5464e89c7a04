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

from snnhw.ir import SGD, Adam, Adamax, AdamW, Optimizer, RMSprop
from snnhw.tensors.execution.commit import Change

__all__ = ["OPTIMIZERS", "Memory", "Rule"]

Tensors = Mapping[str, Tensor]
Memory = dict[str, Tensor]
"""``"KEY/SLOT"`` -> what is remembered, in place."""

Rule = Callable[[Any, Tensors, Sequence[Tensor], Tensors], tuple[Memory, list[Change]]]
"""From the settings, the parameters by key, their gradients and what is remembered: what is remembered from
now on, and the changes that make the update. Nothing is written before they are called; they write what is
remembered in place, so that they may be made again on the same tensors."""


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


# Where torch has nothing fused, what is new is computed beside the old, and then takes its place.


def _adamax(
    value: Adamax, params: Tensors, grads: Sequence[Tensor], memory: Tensors
) -> tuple[Memory, list[Change]]:
    slots = {
        **_slots(memory, params, "step", _zero),
        **_slots(memory, params, "exp_avg", torch.zeros_like),
        **_slots(memory, params, "exp_inf", torch.zeros_like),
    }
    new: Memory = {}
    moves = []
    for (key, weight), grad in zip(params.items(), grads, strict=True):
        given = _decayed(value.weight_decay, weight, grad)
        step = slots[f"{key}/step"] + 1
        mean = slots[f"{key}/exp_avg"].lerp(given, 1 - value.betas[0])
        largest = (value.betas[1] * slots[f"{key}/exp_inf"]).maximum(given.abs() + value.eps)
        # In double precision: powers of what single precision holds are not good enough.
        rate = value.lr / (1 - value.betas[0] ** step.double())
        new |= {f"{key}/step": step, f"{key}/exp_avg": mean, f"{key}/exp_inf": largest}
        moves.append(rate.to(mean.dtype) * (mean / largest))
    return slots, _taking_place(slots, new, params, moves)


def _rmsprop(
    value: RMSprop, params: Tensors, grads: Sequence[Tensor], memory: Tensors
) -> tuple[Memory, list[Change]]:
    asked = {"square_avg": True, "grad_avg": value.centered, "momentum_buffer": value.momentum}
    slots: Memory = {**memory}
    for name in (name for name, used in asked.items() if used):
        slots |= _slots(memory, params, name, torch.zeros_like)
    new: Memory = {}
    moves = []
    for (key, weight), grad in zip(params.items(), grads, strict=True):
        given = _decayed(value.weight_decay, weight, grad)
        square = value.alpha * slots[f"{key}/square_avg"]
        new[f"{key}/square_avg"] = spread = square.addcmul(given, given, value=1 - value.alpha)
        if value.centered:
            mean = slots[f"{key}/grad_avg"].lerp(given, 1 - value.alpha)
            new[f"{key}/grad_avg"] = mean
            spread = spread.addcmul(mean, mean, value=-1)
        move = given / (spread.sqrt() + value.eps)
        if value.momentum:
            new[f"{key}/momentum_buffer"] = move = value.momentum * slots[f"{key}/momentum_buffer"] + move
        moves.append(value.lr * move)
    return slots, _taking_place(slots, new, params, moves)


def _taking_place(slots: Memory, new: Memory, params: Tensors, moves: list[Tensor]) -> list[Change]:
    """What is remembered becomes what is new of it, and the parameters move."""
    remember = partial(torch._foreach_copy_, [slots[name] for name in new], [*new.values()])
    return [remember, partial(torch._foreach_sub_, [*params.values()], moves)]


def _decayed(decay: float, weight: Tensor, grad: Tensor) -> Tensor:
    return grad.add(weight, alpha=decay) if decay else grad


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
    Adamax: _adamax,
    RMSprop: _rmsprop,
}
"""Optimizer type -> its rule."""
