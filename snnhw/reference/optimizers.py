"""Update rules: torch.optim's formulas, one parameter at a time, in NumPy.

What an optimizer remembers is a plain dict, ``"parameter key/slot"`` -> array, with torch's names of
slots: ``"fc1.weight/exp_avg"``. A slot appears with its first use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any, Final, Generic, TypeVar

import numpy as np

from snnhw.ir import SGD, Adam, Adamax, AdamW, Optimizer, RMSprop
from snnhw.reference.tape import Array

__all__ = ["UPDATES", "clip_by_norm", "update"]

O_co = TypeVar("O_co", bound=Optimizer, covariant=True)

Updated = tuple[Array, dict[str, Array]]
"""A weight and its slots, after the update."""


@dataclass(frozen=True)
class Due(Generic[O_co]):
    """One parameter whose turn it is.

    Attributes:
        settings: the optimizer.
        weight: the parameter; grad: its gradient.
        slots: what is remembered of it.
    """

    settings: O_co
    weight: Array
    grad: Array
    slots: Mapping[str, Array]


def update(
    optimizer: Optimizer,
    params: Mapping[str, Array],
    grads: Mapping[str, Array],
    memory: Mapping[str, Array],
) -> tuple[dict[str, Array], dict[str, Array]]:
    """One update: the parameters after it, and what the optimizer remembers.

    Args:
        grads: parameter key -> gradient; parameters without one stay.
        memory: what the last update gave; empty before the first.
    """
    kind = type(optimizer)
    after, remembered = dict(params), dict(memory)
    for key, grad in grads.items():
        slots = [slot.name for slot in kind.remembers]
        known = {slot: memory[f"{key}/{slot}"] for slot in slots if f"{key}/{slot}" in memory}
        after[key], new = UPDATES[kind](Due(optimizer, params[key], grad, known))
        remembered |= {f"{key}/{slot}": array for slot, array in new.items()}
    return after, remembered


def clip_by_norm(grads: Mapping[str, Array], limit: float) -> dict[str, Array]:
    """The gradients scaled down together, so that their joint 2-norm is at most ``limit``.

    The factor is ``limit / (norm + 1e-6)``, at most 1, as in torch's ``clip_grad_norm_``.
    """
    norm = sqrt(sum(float(np.sum(np.square(grad))) for grad in grads.values()))
    factor = min(limit / (norm + 1e-6), 1.0)
    return {key: grad * factor for key, grad in grads.items()}


def _sgd(due: Due[SGD]) -> Updated:
    settings, grad = due.settings, _decayed(due.grad, due.weight, due.settings.weight_decay)
    if not settings.momentum:
        return due.weight - settings.lr * grad, {}
    before = due.slots.get("momentum_buffer")
    velocity = grad if before is None else settings.momentum * before + grad
    direction = grad + settings.momentum * velocity if settings.nesterov else velocity
    return due.weight - settings.lr * direction, {"momentum_buffer": velocity}


def _adam(due: Due[Adam]) -> Updated:
    return _adam_step(due, due.weight, _decayed(due.grad, due.weight, due.settings.weight_decay))


def _adamw(due: Due[AdamW]) -> Updated:
    return _adam_step(due, due.weight * (1 - due.settings.lr * due.settings.weight_decay), due.grad)


def _adam_step(due: Due[Adam], weight: Array, grad: Array) -> Updated:
    settings, (first, second) = due.settings, due.settings.betas
    step = int(due.slots.get("step", 0)) + 1
    mean = due.slots.get("exp_avg", np.zeros_like(grad))
    square = due.slots.get("exp_avg_sq", np.zeros_like(grad))
    mean = mean + (1 - first) * (grad - mean)
    square = second * square + (1 - second) * grad * grad
    width = np.sqrt(square) / sqrt(1 - second**step) + settings.eps
    rate = settings.lr / (1 - first**step)
    return weight - rate * (mean / width), {"step": np.array(step), "exp_avg": mean, "exp_avg_sq": square}


def _adamax(due: Due[Adamax]) -> Updated:
    settings, grad = due.settings, _decayed(due.grad, due.weight, due.settings.weight_decay)
    step = int(due.slots.get("step", 0)) + 1
    mean = due.slots.get("exp_avg", np.zeros_like(grad))
    largest = due.slots.get("exp_inf", np.zeros_like(grad))
    mean = mean + (1 - settings.betas[0]) * (grad - mean)
    largest = np.maximum(settings.betas[1] * largest, np.abs(grad) + settings.eps)
    rate = settings.lr / (1 - settings.betas[0] ** step)
    after = due.weight - rate * (mean / largest)
    return after, {"step": np.array(step), "exp_avg": mean, "exp_inf": largest}


def _rmsprop(due: Due[RMSprop]) -> Updated:
    settings, grad = due.settings, _decayed(due.grad, due.weight, due.settings.weight_decay)
    square = settings.alpha * due.slots.get("square_avg", np.zeros_like(grad))
    square = square + (1 - settings.alpha) * grad * grad
    slots, spread = {"square_avg": square}, square
    if settings.centered:
        mean = due.slots.get("grad_avg", np.zeros_like(grad))
        slots["grad_avg"] = mean + (1 - settings.alpha) * (grad - mean)
        spread = square - slots["grad_avg"] ** 2
    direction = grad / (np.sqrt(spread) + settings.eps)
    if settings.momentum:
        before = due.slots.get("momentum_buffer", np.zeros_like(grad))
        direction = slots["momentum_buffer"] = settings.momentum * before + direction
    return due.weight - settings.lr * direction, slots


def _decayed(grad: Array, weight: Array, weight_decay: float) -> Array:
    return grad + weight_decay * weight if weight_decay else grad


UPDATES: Final[Mapping[type[Optimizer], Callable[[Due[Any]], Updated]]] = {
    SGD: _sgd,
    Adam: _adam,
    AdamW: _adamw,
    Adamax: _adamax,
    RMSprop: _rmsprop,
}
"""Optimizer type -> its rule."""
