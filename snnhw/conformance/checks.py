"""What each class of case asks of a backend. A check returns, or raises saying what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from snnhw.conformance.bench import Bench
from snnhw.conformance.case import Case
from snnhw.conformance.cases.training import STEPS
from snnhw.conformance.compare import Parity, hold
from snnhw.conformance.differ import Disagreement, host, hosts, same_bits, within
from snnhw.conformance.laws import LAWS
from snnhw.conformance.yardstick import gradient_of, trained, turn_of
from snnhw.ir import Params
from snnhw.plugin import Result
from snnhw.reference import execute, update

__all__ = ["CHECKS", "Check", "check"]

Check = Callable[[Bench, Case], None]

EXCUSED: Final = 2e-4
"""The share of spikes that may differ near threshold; two in any case. The bound on rounding, which is
never exhausted, reaches the threshold of fewer than one in a hundred."""

GRADIENT: Final = 2e-5
"""Relative to the largest entry of a gradient: some hundred products and sums one after the other, each
of which may add a rounding of 6e-8, and room for transcendental functions of a few more."""

EPSILON: Final = 2.0**-23
"""Of float32, in which parameters are given and returned."""

LOSS: Final = 1e-5
"""Relative: exponentials and sums over at most a hundred terms."""

TRAINED: Final = 5e-4
"""Relative to how far training moved a parameter, which may be a hundredth of its size: twenty gradients,
each with the error above, and divisions by their size."""


def exact(bench: Bench, case: Case) -> None:
    """Every bit of every port, of the final state, of the loss and of the updated parameters."""
    if case.loss is None:
        _exact_run(bench, case)
    else:
        _exact_step(bench, case)


def _exact_run(bench: Bench, case: Case) -> None:
    wanted = execute(
        case.program,
        case.params,
        case.inputs,
        time_steps=case.time_steps,
        state=case.state,
        record=case.record,
    )
    found = _run(bench, case)
    same_bits("port", found.recordings, wanted.recordings)
    same_bits("output", found.outputs, wanted.outputs)
    same_bits("final state", found.state, wanted.state)


def _exact_step(bench: Bench, case: Case) -> None:
    assert case.optimizer is not None
    wanted = gradient_of(case)
    params, _ = update(case.optimizer, case.params, wanted.params, {})
    with bench.compile(case) as executable:
        found = executable.step(case.inputs, case.targets, case.state)
        after = executable.get_params()
    same_bits("output", found.outputs, wanted.execution.outputs)
    same_bits("final state", found.state, wanted.execution.state)
    if found.loss != wanted.loss:
        raise Disagreement(f"the loss is {found.loss!r}, not {wanted.loss!r}")
    same_bits("after one update, parameter", after, params)


def pointwise(bench: Bench, case: Case) -> None:
    """Every bit, at whatever precision the backend computes in; unless it contracts, and says so."""
    found = _run(bench, case)
    if bench.capabilities.contraction:
        _explained(_held(case, found))
        return
    wanted = execute(
        case.program,
        case.params,
        case.inputs,
        time_steps=case.time_steps,
        state=case.state,
        record=case.record,
        dtype=host(next(iter(found.recordings.values()))).dtype,
    )
    same_bits("port", found.recordings, wanted.recordings)
    same_bits("final state", found.state, wanted.state)


def margin(bench: Bench, case: Case) -> None:
    """The same spikes, and everything else within the error bound."""
    _explained(_held(case, _run(bench, case)))


def near(bench: Bench, case: Case) -> None:
    """Rounding explains every differing spike, and few of them differ."""
    parity = _held(case, _run(bench, case))
    _explained(parity)
    if parity.excused_near_threshold > max(2.0, EXCUSED * parity.spikes_compared):
        raise Disagreement(
            f"{parity.excused_near_threshold} of {parity.spikes_compared} spikes differ near threshold; "
            f"rounding alone lets fewer than {EXCUSED:.2%} differ"
        )


def gradient(bench: Bench, case: Case) -> None:
    """The gradient of every parameter, seen in the first update; what is not trained stays as it is."""
    assert case.optimizer is not None
    wanted = gradient_of(case)
    with bench.compile(case) as executable:
        found = executable.step(case.inputs, case.targets, case.state)
        after = executable.get_params()
    _loss("the loss", found.loss, wanted.loss)
    _unchanged(case, after)
    for key, slope in wanted.params.items():
        before = np.asarray(case.params[key], np.float64)
        seen = (before - np.asarray(after[key], np.float64)) / case.optimizer.lr
        unit = EPSILON * (np.abs(before) + np.abs(slope))  # what rounding the new parameter takes away
        within(f"the gradient of '{key}'", seen, slope, GRADIENT * np.max(np.abs(slope)) + unit)


def training(bench: Bench, case: Case) -> None:
    """The loss of every step, and the parameters after the last."""
    wanted = trained(case, STEPS)
    with bench.compile(case) as executable:
        for step, loss in enumerate(wanted.losses):
            inputs, targets = turn_of(case, step)
            _loss(f"the loss of step {step}", executable.step(inputs, targets).loss, loss)
        after = executable.get_params()
    _unchanged(case, after)
    for key in case.program.trainable:
        way = np.max(np.abs(wanted.params[key] - np.asarray(case.params[key], np.float64)))
        within(f"trained parameter '{key}'", after[key], wanted.params[key], TRAINED * way)


def _run(bench: Bench, case: Case) -> Result:
    """One run, in a dtype that the backend declares."""
    with bench.compile(case) as executable:
        found = executable.run(case.inputs, case.state)
    result = Result(hosts(found.outputs), hosts(found.recordings), hosts(found.state))
    declared = bench.capabilities.dtypes
    for name, array in {**result.outputs, **result.recordings, **result.state}.items():
        if array.dtype.name not in declared:
            raise Disagreement(f"'{name}' is returned as {array.dtype.name}; declared: {', '.join(declared)}")
    return result


def _held(case: Case, found: Result) -> Parity:
    return hold(
        case.program,
        case.params,
        case.inputs,
        found.recordings,
        time_steps=case.time_steps,
        state=case.state,
    )


def _explained(parity: Parity) -> None:
    if not parity.ok:
        raise Disagreement(
            f"{parity.first}; in all, {parity.unexplained_mismatches} spikes and {parity.membranes_outside} "
            "other values differ by more than rounding explains"
        )


def _loss(what: str, found: float, wanted: float) -> None:
    within(what, np.float64(found), wanted, LOSS * abs(wanted))


def _unchanged(case: Case, after: Params) -> None:
    fixed = {key: array for key, array in case.params.items() if key not in case.program.trainable}
    same_bits("untrained parameter", {key: after[key] for key in fixed}, fixed)


CHECKS: Final[Mapping[str, Check]] = {
    "exact": exact,
    "pointwise": pointwise,
    "margin": margin,
    "near": near,
    "gradient": gradient,
    "training": training,
}
"""Class of case -> its check. A law brings its own."""


def check(bench: Bench, case: Case) -> None:
    """Hold a backend to a case; raises what is wrong."""
    (LAWS[case.law] if case.cls == "law" else CHECKS[case.cls])(bench, case)
