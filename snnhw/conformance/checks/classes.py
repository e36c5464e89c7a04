"""What each class of case asks of a backend. A check returns, or raises saying what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from snnhw.conformance.bench import Bench, dtype_of, run_of, shifts_of, slopes_of, trained_by
from snnhw.conformance.case import Case
from snnhw.conformance.cases.training import STEPS
from snnhw.conformance.checks.against import COMPARISONS
from snnhw.conformance.checks.laws import LAWS
from snnhw.conformance.checks.slack import (
    TRAINED,
    changing,
    explained,
    few,
    near_loss,
    near_slope,
    near_statistics,
    unchanged,
    way_of,
)
from snnhw.conformance.expected import gradient_of, reference_run, trained
from snnhw.parity.arrays import Array, Arrays, host
from snnhw.parity.comparison import Parity, hold
from snnhw.parity.differ import same_bits, within
from snnhw.parity.measured import every_bit, measuring, of_parity, relative, worst_slope
from snnhw.parity.result import NOTHING, Disagreement, Measured
from snnhw.plugin import Result
from snnhw.reference import update
from snnhw.reference.trace import lines

__all__ = ["CHECKS", "Check", "check"]

Check = Callable[[Bench, Case], Measured]


def exact(bench: Bench, case: Case) -> Measured:
    """Every bit of every port, of the final state, of the loss and of the updated parameters."""
    return _exact_run(bench, case) if case.loss is None else _exact_step(bench, case)


def _exact_run(bench: Bench, case: Case) -> Measured:
    return every_bit(case.program, run_of(bench, case), reference_run(case))


def _exact_step(bench: Bench, case: Case) -> Measured:
    assert case.optimizer is not None
    wanted = gradient_of(case)
    params, _ = update(case.optimizer, case.params, wanted.params, {})
    with bench.compile(case) as executable:
        found = executable.step(case.inputs, case.targets, case.state)
        after = executable.get_params()
    measured = Measured(gradient_error=worst_slope(slopes_of(case, after), wanted.params))
    with measuring(measured):
        same_bits("output", found.outputs, wanted.execution.outputs)
        same_bits("final state", found.state, wanted.execution.state)
        if found.loss != wanted.loss:
            raise Disagreement(f"the loss is {found.loss!r}, not {wanted.loss!r}")
        same_bits("after one update, parameter", after, {**params, **wanted.execution.statistics})
    return measured


def pointwise(bench: Bench, case: Case) -> Measured:
    """Every bit, at whatever precision the backend computes in; unless it contracts, and says so."""
    if case.loss is not None:
        return _pointwise_step(bench, case)
    found = run_of(bench, case)
    if bench.capabilities.contraction:
        return _explained(_held(case, found))
    return every_bit(case.program, found, reference_run(case, dtype_of(found)))


def _pointwise_step(bench: Bench, case: Case) -> Measured:
    """Every bit of what flowed back into the inputs; parameters sum over time, in no order."""
    if bench.capabilities.contraction:
        return gradient(bench, case)
    with bench.compile(case) as executable:
        found = executable.step(case.inputs, case.targets, case.state)
        after = executable.get_params()
    dtype = host(next(iter(found.outputs.values()))).dtype
    wanted = gradient_of(case, dtype=dtype.name)
    target = {key: np.negative(slope) for key, slope in shifts_of(wanted.params).items()}
    measured = Measured(gradient_error=worst_slope(slopes_of(case, after), wanted.params))
    with measuring(measured):
        same_bits("output", found.outputs, wanted.execution.outputs)
        same_bits("final state", found.state, wanted.execution.state)
        same_bits("the negative of the adjoint", shifts_of(after), target)
    return measured


def margin(bench: Bench, case: Case) -> Measured:
    """The same spikes, and everything else within the error bound."""
    return _explained(_held(case, run_of(bench, case)))


def near(bench: Bench, case: Case) -> Measured:
    """Rounding explains every differing spike, and few of them differ."""
    parity = _held(case, run_of(bench, case))
    measured = _explained(parity)
    with measuring(measured):
        few(parity)
    return measured


def gradient(bench: Bench, case: Case) -> Measured:
    """The gradient of every parameter, seen in the first update; what is not trained stays as it is."""
    wanted = gradient_of(case)
    with bench.compile(case) as executable:
        found = executable.step(case.inputs, case.targets, case.state)
        after = executable.get_params()
    seen = slopes_of(case, after)
    measured = Measured(gradient_error=worst_slope(seen, wanted.params))
    with measuring(measured):
        near_loss("the loss", found.loss, wanted.loss)
        unchanged(case, after)
        for key, slope in wanted.params.items():
            near_slope(case, key, seen[key], slope)
        near_statistics(after, wanted.execution.statistics)
    return measured


def training(bench: Bench, case: Case) -> Measured:
    """The loss of every step, and the parameters after the last."""
    wanted = trained(case, STEPS)
    losses, after = trained_by(bench, case, STEPS)
    ways = {key: way_of(case, key, wanted.params[key]) for key in sorted(changing(case))}
    errors = [relative(after[key], wanted.params[key], way) for key, way in ways.items()]
    measured = Measured(gradient_error=max(errors, default=None))
    with measuring(measured):
        for step, (loss, target) in enumerate(zip(losses, wanted.losses, strict=True)):
            near_loss(f"the loss of step {step}", loss, target)
        unchanged(case, after)
        for key, way in ways.items():
            within(f"trained parameter '{key}'", after[key], wanted.params[key], TRAINED * way)
    return measured


def _held(case: Case, found: Result) -> Parity:
    """A run within bounds: its recordings are held to the reference, and all else to its recordings."""
    program, seen = case.program, found.recordings
    outputs = {name: port for name, port in program.outputs().items() if port in seen}
    same_bits("output", {name: found.outputs[name] for name in outputs}, _at(outputs, seen))
    ends = {
        line.key: line for line in lines(program) if line.source in seen and line.length <= case.time_steps
    }
    last = {
        key: seen[line.source][case.time_steps - line.length :] if line.edge else seen[line.source][-1]
        for key, line in ends.items()
    }
    same_bits("as it was recorded, final state", last, {key: found.state[key] for key in ends})
    return hold(program, case.params, case.inputs, seen, time_steps=case.time_steps, state=case.state)


def _at(ports: Mapping[str, str], seen: Arrays) -> dict[str, Array]:
    return {name: seen[port] for name, port in ports.items()}


def _explained(parity: Parity) -> Measured:
    measured = of_parity(parity)
    with measuring(measured):
        explained(parity)
    return measured


CHECKS: Final[Mapping[str, Check]] = {
    "exact": exact,
    "pointwise": pointwise,
    "margin": margin,
    "near": near,
    "gradient": gradient,
    "training": training,
}
"""Class of case -> its check. A law brings its own."""


def check(bench: Bench, case: Case, against: Bench | None = None) -> Measured:
    """Hold a backend to a case, by the reference or by another backend; raises what is wrong."""
    if against is not None:
        return COMPARISONS[case.cls](bench, against, case)
    if case.cls == "law":
        LAWS[case.law](bench, case)
        return NOTHING
    return CHECKS[case.cls](bench, case)
