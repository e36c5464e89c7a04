"""Proving a case exact: the reference itself, run on numbers that refuse to be rounded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain

import numpy as np

from snnhw.conformance.case import Case, Proof, clock_of, ports_of
from snnhw.ir import Namespace, Params, Program
from snnhw.parity.arrays import Array
from snnhw.parity.rounding.dyadic import Dyadic, NotExact
from snnhw.reference import execute, gradients, update
from snnhw.reference.arrays import stack
from snnhw.reference.elementwise import namespace
from snnhw.reference.losses import loss_value
from snnhw.reference.losses import ports_of as ports_read
from snnhw.reference.tape import Var, constant, leaf, pull
from snnhw.reference.unroll import Memory, Trace, lines, rest, trace

__all__ = ["prove", "proven"]


def proven(case: Case) -> Case:
    """The same case with its proof."""
    return replace(case, proof=prove(case))


def prove(case: Case) -> Proof:
    """Run the case, and its training step if it has one, without a single rounding.

    Raises:
        NotExact: some result might depend on order, contraction or rounding.
    """
    weights = {key: _leaf(case.program, key, array) for key, array in case.params.items()}
    run = _run(case, weights)
    _agrees(case, run)
    seen = [_values(chain(*run.signals.values(), *run.margins.values()))]
    if case.loss is not None:
        seen.append(_step(case, weights, run))
    numbers = list(chain(*seen))
    return Proof(
        grid=min(number.finest for number in numbers),
        largest=int(max(number.largest for number in numbers)),
    )


_DYADIC = np.frompyfunc(Dyadic.of, 1, 1)


def _exactly(array: object) -> Array:
    """The same numbers, as an array of objects."""
    return np.asarray(_DYADIC(np.asarray(array)), object)


def _leaf(program: Program, key: str, array: Array) -> Var:
    return (leaf if key in program.trainable else constant)(_exactly(array))


_FUNCTIONS: Namespace = {**namespace(object), "const": lambda value: constant(_exactly(value))}


def _run(case: Case, weights: Mapping[str, Var]) -> Trace:
    static = case.program.time.static_inputs
    inputs = {
        name: (constant(_exactly(array)),) * case.time_steps
        if name in static
        else tuple(constant(_exactly(step)) for step in array)
        for name, array in case.inputs.items()
    }
    return trace(
        case.program,
        weights,
        inputs,
        _memory(case, weights),
        _FUNCTIONS,
        watch=ports_of(case.program),
        margins=True,
        clock=clock_of(case),
        training=case.loss is not None,
    )


def _memory(case: Case, weights: Mapping[str, Var]) -> Memory:
    if case.state is None:
        return rest(case.program, weights, _FUNCTIONS, case.batch)
    return {
        line.key: tuple(
            constant(_exactly(slot))
            for slot in (case.state[line.key] if line.edge else [case.state[line.key]])
        )
        for line in lines(case.program)
    }


def _step(case: Case, weights: Params | Mapping[str, Var], run: Trace) -> Iterator[Dyadic]:
    """One update, and the numbers in it."""
    assert case.loss is not None
    assert case.optimizer is not None
    signals = {port: stack(run.signals[port]) for port in ports_read(case.loss)}
    value = loss_value(case.loss, signals, case.targets)
    trained = {key: var for key, var in weights.items() if isinstance(var, Var) and var.tracked}
    adjoints = pull([(value, np.array(Dyadic.of(1.0), object))], list(trained.values()))
    grads = dict(zip(trained, adjoints, strict=True))
    after, _ = update(case.optimizer, {key: var.value for key, var in trained.items()}, grads, {})
    _agrees_after(case, float(value.value), after)
    yield from _values([value])
    yield from _numbers(chain(after.values(), grads.values()))


def _values(found: Iterable[Var]) -> Iterator[Dyadic]:
    return _numbers(var.value for var in found)


def _numbers(arrays: Iterable[object]) -> Iterator[Dyadic]:
    for array in arrays:
        yield from map(Dyadic.of, np.asarray(array, object).ravel())


def _agrees(case: Case, run: Trace) -> None:
    """The float64 reference and its shadow must be one and the same."""
    found = execute(
        case.program,
        case.params,
        case.inputs,
        time_steps=case.time_steps,
        state=case.state,
        record=ports_of(case.program),
        training=case.loss is not None,
        clock=clock_of(case),
    )
    for port, values in run.signals.items():
        if not _same(found.recordings[port], np.stack([value.value for value in values])):
            raise NotExact(f"the reference's {port} is not what exact numbers give")


def _agrees_after(case: Case, value: float, after: Mapping[str, Array]) -> None:
    assert case.loss is not None
    assert case.optimizer is not None
    found = gradients(
        case.program,
        case.params,
        case.inputs,
        case.targets,
        case.loss,
        time_steps=case.time_steps,
        state=case.state,
        clock=clock_of(case),
    )
    params, _ = update(case.optimizer, case.params, found.params, {})
    if found.loss != value or not all(_same(params[key], array) for key, array in after.items()):
        raise NotExact("the reference's training step is not what exact numbers give")


def _same(reference: Array, shadow: object) -> bool:
    return np.array_equal(reference, np.asarray(shadow, object).astype(float))
