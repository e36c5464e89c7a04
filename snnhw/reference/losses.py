"""What each kind of loss term is, on the tape. Signals are ``[T, B, C]``, class numbers ``[B]``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import floor
from typing import Any, Final

import numpy as np

from snnhw.errors import InputError
from snnhw.ir import CECount, CEMembrane, CERate, L1Rate, Loss, LossKind, MSECount, Term
from snnhw.reference.arrays import mean, total
from snnhw.reference.elementwise import add, div, mul, sub
from snnhw.reference.tape import Array, Var, constant, result

__all__ = ["TERMS", "loss_value", "ports_of"]

Rule = Callable[[Any, Var, Array], Var]


def ports_of(loss: Loss) -> tuple[str, ...]:
    """The ports that a loss reads, each once."""
    for term in loss.terms:
        if term.of is None:
            raise InputError(
                f"term {type(term.kind).__name__} does not say which port it reads; "
                "resolve the loss against the program first, or give one with of('node.port')"
            )
    return tuple(dict.fromkeys(str(term.of) for term in loss.terms))


def loss_value(loss: Loss, signals: Mapping[str, Var], targets: Mapping[str, Array]) -> Var:
    """The sum of the weighted terms, left to right.

    Args:
        signals: port -> ``[T, B, ...]``.
        targets: target name -> class numbers ``[B]``.
    """
    values = [_term(term, signals[str(term.of)], targets) for term in loss.terms]
    if not values:
        raise InputError("a loss needs at least one term; this one has none")
    value = values[0]
    for following in values[1:]:
        value = add(value, following)
    return value


def _term(term: Term, signal: Var, targets: Mapping[str, Array]) -> Var:
    classes = np.empty(0, int)
    if term.kind.target == "class":
        classes = _class_numbers(term, signal.shape, targets[term.target])
    return mul(TERMS[type(term.kind)](term.kind, signal, classes), _number(signal, term.weight))


def _class_numbers(term: Term, shape: tuple[int, ...], given: Array) -> Array:
    """The targets of a term, checked against its signal."""
    if len(shape) != 3:
        raise InputError(
            f"{type(term.kind).__name__} reads a signal [T, B, C]; '{term.of}' gives {list(shape)}"
        )
    if given.dtype.kind not in "iu":
        raise InputError(
            f"target '{term.target}' holds {given.dtype}; accepted: whole numbers, one class each"
        )
    outside = given[(given < 0) | (given >= shape[2])]
    if outside.size:
        raise InputError(
            f"target '{term.target}' holds class {outside[0]}; '{term.of}' has {shape[2]} neurons, "
            f"so classes 0 to {shape[2] - 1} are accepted"
        )
    return given


def _ce_membrane(kind: CEMembrane, membrane: Var, classes: Array) -> Var:
    value = mean(_cross_entropy(membrane, classes))
    steps = membrane.shape[0] if kind.over_time == "sum" else 1
    return mul(value, _number(membrane, steps))


def _mse_count(kind: MSECount, spikes: Var, classes: Array) -> Var:
    steps, _, neurons = spikes.shape
    right = classes[:, None] == np.arange(neurons)
    wanted = np.where(right, floor(steps * kind.correct_rate), floor(steps * kind.incorrect_rate))
    miss = sub(total(spikes, axis=0), constant(wanted.astype(spikes.value.dtype)))
    return div(mean(mul(miss, miss)), _number(spikes, steps))


TERMS: Final[Mapping[type[LossKind], Rule]] = {
    CERate: lambda kind, spikes, classes: mean(_cross_entropy(spikes, classes)),
    CECount: lambda kind, spikes, classes: mean(_cross_entropy(total(spikes, axis=0), classes)),
    CEMembrane: _ce_membrane,
    MSECount: _mse_count,
    L1Rate: lambda kind, spikes, classes: total(spikes),
}
"""Kind of term -> its value, unweighted."""


def _cross_entropy(logits: Var, classes: Array) -> Var:
    """``-log softmax(logits)[class]`` over the last axis: ``[..., B, C]`` gives ``[..., B]``.

    The largest logit is taken off first, so that no exponential overflows.
    """
    shifted = logits.value - logits.value.max(axis=-1, keepdims=True)
    log_softmax = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    chosen = np.broadcast_to(classes, log_softmax.shape[:-1])[..., None]
    hit = chosen == np.arange(log_softmax.shape[-1])
    value = -np.take_along_axis(log_softmax, chosen, axis=-1)[..., 0]
    return result(value, (logits, lambda g: g[..., None] * (np.exp(log_softmax) - hit)))


def _number(like: Var, value: float) -> Var:
    """A constant in the dtype of a signal."""
    return constant(like.value.dtype.type(value))
