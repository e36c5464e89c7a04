"""What each kind of loss term is, on the tape. Signals are ``[T, B, ...]``, class numbers ``[B]``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from math import floor, prod
from typing import Any, Final

import numpy as np

from snnhw.errors import InputError
from snnhw.ir import (
    CECount,
    CEMaxMembrane,
    CEMembrane,
    CERate,
    CETemporal,
    ClassLoss,
    L1Rate,
    Loss,
    LossKind,
    MSECount,
    MSEMembrane,
    MSETemporal,
    PopulationLoss,
    Term,
    ValueLoss,
)
from snnhw.ir.targets import Form, TargetArray, form_of, wanted
from snnhw.reference.arrays import concatenate, largest, like, pick, reshape, total, transpose
from snnhw.reference.elementwise import add, div, mul, sub
from snnhw.reference.tape import Array, Var, constant, result

__all__ = ["TERMS", "loss_value", "ports_of"]

Rule = Callable[[Any, Var, Array], Var]

NONE: Final[Array] = np.empty(0, int)
"""What a term is given that compares with nothing."""


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
        targets: target name -> class numbers or wanted values, in a form that the term takes.
    """
    values = [_term(term, signals[str(term.of)], targets) for term in loss.terms]
    if not values:
        raise InputError("a loss needs at least one term; this one has none")
    value = values[0]
    for following in values[1:]:
        value = add(value, following)
    return value


def _term(term: Term, signal: Var, targets: Mapping[str, Array]) -> Var:
    kind, lengths = term.kind, _lengths(term, signal, targets)
    if isinstance(kind, ClassLoss):
        given = targets[term.target]
        form = form_of(term, signal.shape, TargetArray(given.shape, str(given.dtype)))
        if form.whole:
            _check_classes(term, kind, signal.shape, given)
        compared = given
        if isinstance(kind, ValueLoss):
            compared = wanted(form, given, signal.shape[-1], kind.ends)
        alone = [_alone(kind, signal, _own(form, compared, *each), *each) for each in enumerate(lengths)]
        values = concatenate(alone, axis=0) if lengths else TERMS[type(kind)](kind, signal, compared)
        value = _reduced(kind, values, given)
    else:
        alone = [_alone(kind, signal, NONE, *each) for each in enumerate(lengths)]
        value = reduce(add, alone) if lengths else TERMS[type(kind)](kind, signal, NONE)
    return mul(value, like(signal, term.weight))


def _lengths(term: Term, signal: Var, targets: Mapping[str, Array]) -> list[int]:
    """How many steps of each sample count; empty where all do."""
    if not term.lengths:
        return []
    given, steps = targets[term.lengths], signal.shape[0]
    outside = given[(given < 0) | (given > steps)]
    if outside.size:
        raise InputError(f"'{term.lengths}' holds {outside[0]}; accepted: 0 to T={steps} steps of a sample")
    return [int(each) for each in given]


def _alone(kind: LossKind, signal: Var, compared: Array, sample: int, steps: int) -> Var:
    """The values of one sample, as of a run of it over its own steps; nothing where there are none."""
    own = pick(pick(signal, range(max(steps, 1)), axis=0), [sample], axis=1)
    values = TERMS[type(kind)](kind, own, compared)
    return values if steps else mul(values, like(signal, 0))


def _own(form: Form, compared: Array, sample: int, steps: int) -> Array:
    """What one sample is compared with at its own steps."""
    compared = compared[: max(steps, 1)] if "T" in form.axes else compared
    return compared.take([sample], axis=form.axes.index("B")) if "B" in form.axes else compared


def _check_classes(term: Term, kind: ClassLoss, shape: tuple[int, ...], given: Array) -> None:
    known = kind.classes(shape[2])
    outside = given[(given < 0) | (given >= known)]
    if outside.size:
        raise InputError(
            f"target '{term.target}' holds class {outside[0]}; '{term.of}' has {shape[2]} neurons, "
            f"so classes 0 to {known - 1} are accepted"
        )


def _reduced(kind: ClassLoss, values: Var, classes: Array) -> Var:
    """The sum over samples ``[B, ...]``, or their mean, each weighted by its class."""
    batch, dtype = values.shape[0], values.value.dtype
    weights = np.ones(batch, dtype)
    if kind.class_weights is not None:
        weights = np.array(kind.class_weights, dtype)[classes]
        values = mul(values, constant(weights.reshape(batch, *[1] * (len(values.shape) - 1))))
    whole = total(values)
    if kind.reduction == "sum":
        return whole
    return div(whole, like(whole, weights.sum() * prod(values.shape[1:])))


def _over_time(values: Var) -> Var:
    """The mean over steps: ``[T, ...]`` gives ``[...]``."""
    return div(total(values, axis=0), like(values, values.shape[0]))


def _grouped(kind: PopulationLoss, spikes: Var) -> Var:
    """The spikes of each class together: ``[..., C]`` gives ``[..., classes]``."""
    neurons = spikes.shape[-1]
    groups = kind.classes(neurons)
    apart = reshape(spikes, (*spikes.shape[:-1], groups, neurons // groups))
    return total(apart, axis=len(spikes.shape))


def _ce_membrane(kind: CEMembrane, membrane: Var, classes: Array) -> Var:
    values = _cross_entropy(membrane, classes)
    return total(values, axis=0) if kind.over_time == "sum" else _over_time(values)


def _mse_count(kind: MSECount, spikes: Var, classes: Array) -> Var:
    steps, _, neurons = spikes.shape
    groups = kind.classes(neurons)
    right, other = (
        floor(steps * rate * (neurons // groups)) for rate in (kind.correct_rate, kind.incorrect_rate)
    )
    counts = np.where(classes[:, None] == np.arange(groups), right, other)
    return div(_square(sub(total(_grouped(kind, spikes), axis=0), like(spikes, counts))), like(spikes, steps))


def _mse_membrane(_: MSEMembrane, membrane: Var, values: Array) -> Var:
    return _over_time(_square(sub(membrane, like(membrane, values))))


def _mse_temporal(kind: MSETemporal, spikes: Var, steps_wanted: Array) -> Var:
    steps = spikes.shape[0]
    ahead = np.where(steps_wanted < 0, steps_wanted + steps, steps_wanted)
    miss = sub(_first_step(spikes), like(spikes, ahead))
    counted = like(spikes, np.abs(miss.value) >= kind.tolerance)
    return _square(div(mul(miss, counted), like(spikes, steps)))


def _ce_temporal(kind: CETemporal, spikes: Var, classes: Array) -> Var:
    first = _first_step(spikes)
    if kind.inverse == "negate":
        return _cross_entropy(sub(like(spikes, 0), first), classes)
    one = like(spikes, 1)
    return _cross_entropy(div(one, add(first, one)), classes)


TERMS: Final[Mapping[type[LossKind], Rule]] = {
    CERate: lambda kind, spikes, classes: _over_time(_cross_entropy(_grouped(kind, spikes), classes)),
    CECount: lambda kind, spikes, classes: _cross_entropy(total(_grouped(kind, spikes), axis=0), classes),
    CEMembrane: _ce_membrane,
    CEMaxMembrane: lambda kind, membrane, classes: _cross_entropy(
        largest(transpose(membrane, (1, 2, 0))), classes
    ),
    CETemporal: _ce_temporal,
    MSECount: _mse_count,
    MSEMembrane: _mse_membrane,
    MSETemporal: _mse_temporal,
    L1Rate: lambda kind, spikes, classes: total(spikes),
}
"""Kind of term -> its value for each sample, ``[B]`` or ``[B, ...]``; without classes, its value.

The third argument is class numbers ``[B]``; of a `ValueLoss` the values that are wanted instead.
"""


def _square(x: Var) -> Var:
    return mul(x, x)


def _first_step(spikes: Var) -> Var:
    """The step of the first spike, ``[T, B, C]`` to ``[B, C]``; the last step where there is none."""
    fired = spikes.value != 0
    first = np.where(fired.any(axis=0), fired.argmax(axis=0), len(fired) - 1)
    there = np.arange(len(fired))[:, None, None] == first
    return result(first.astype(spikes.value.dtype), (spikes, lambda g: -g * there))


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
