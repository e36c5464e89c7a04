"""Error bounds on the reference's run: they hold, and they say where a spike may differ."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from snnhw.conformance import Case
from snnhw.ir import OPS, PRIMITIVES, Input, Neuron, Output, Pointwise, is_core
from snnhw.parity.rounding.bounded import Bounded, exactly, functions
from snnhw.parity.rounding.passing import OTHERS, ROUNDINGS
from snnhw.parity.rounding.walk import Moment, walk
from snnhw.reference import execute

UNIT = 2.0**-20

WALKED = ("margin", "near", "pointwise")


def moments(case: Case, observed: dict[str, np.ndarray] | None = None) -> list[Moment]:
    steps = walk(
        case.program,
        case.params,
        case.inputs,
        time_steps=case.time_steps,
        state=case.state,
        observed=observed,
    )
    return list(steps)


def recorded(case: Case, dtype: str) -> dict[str, np.ndarray]:
    run = execute(
        case.program,
        case.params,
        case.inputs,
        time_steps=case.time_steps,
        state=case.state,
        record=case.record,
        dtype=dtype,
    )
    return run.recordings


def test_its_values_are_the_references(cases: Mapping[str, Case]) -> None:
    for case in cases.values():
        if case.cls in WALKED and case.loss is None:
            wanted = recorded(case, "float64")
            for step, moment in enumerate(moments(case)):
                for port, bounded in _known(moment, wanted):
                    assert np.array_equal(bounded.value, wanted[port][step]), f"{case.id}, {port}"


def test_float32_stays_within_the_bounds(cases: Mapping[str, Case]) -> None:
    for case in cases.values():
        if case.cls in WALKED and case.loss is None:
            single = recorded(case, "float32")
            for step, moment in enumerate(moments(case, single)):
                _stays_within(case.id, moment, {port: array[step] for port, array in single.items()})


def _known(moment: Moment, recorded: Mapping[str, np.ndarray]) -> list[tuple[str, Bounded]]:
    """Ports of the program, and not of what its ops are made of."""
    found = [(port, bounded) for port, bounded in moment.ports.items() if port in recorded]
    assert len(found) == len(recorded)
    return found


def _stays_within(where: str, moment: Moment, single: Mapping[str, np.ndarray]) -> None:
    for port, bounded in _known(moment, single):
        node, _, name = port.rpartition(".")
        if name == "spk" and node in moment.spikes:
            spikes = moment.spikes[node]
            within = (single[port] == np.float32(spikes.value)) | spikes.open
        else:
            within = np.abs(single[port] - bounded.value) <= bounded.error
        assert within.all(), f"{where}, {port}"


def test_a_spike_that_differs_widens_only_what_follows_it(cases: Mapping[str, Case]) -> None:
    case = cases["near/dense-Leaky"]
    seen = recorded(case, "float64")
    step, sample, neuron = first_open(case, seen)
    seen["lif1.spk"][step, sample, neuron] = 1 - seen["lif1.spk"][step, sample, neuron]
    widths = [np.asarray(moment.ports["lif2_in.y"].error).max(axis=-1) for moment in moments(case, seen)]
    assert widths[step][sample] > 1e-2
    assert np.max(widths[:step], initial=0.0) < 1e-3
    assert np.max(np.delete(widths, sample, axis=1)) < 1e-3


def first_open(case: Case, seen: dict[str, np.ndarray]) -> tuple[int, int, int]:
    """Step, sample and neuron of a comparison that float32 leaves open."""
    for step, moment in enumerate(moments(case, seen)):
        for sample, neuron in np.argwhere(moment.spikes["lif1"].open):
            return step, int(sample), int(neuron)
    raise LookupError("no neuron of this case is near its threshold")


def test_every_op_has_its_number_of_roundings() -> None:
    """Or what it is made of has."""
    found = {*ROUNDINGS, *OTHERS, Input, Output, Neuron, Pointwise}
    assert {kind for kind in OPS.values() if is_core(kind)} <= found <= set(OPS.values())


def test_every_primitive_has_a_bound() -> None:
    assert set(functions(UNIT)) == set(PRIMITIVES) - {"var"}


SMOOTH = {
    "exp": -1.5,
    "log": 0.75,
    "sqrt": 2.0,
    "sigmoid": 0.3,
    "tanh": -0.8,
    "atan": 1.2,
    "neg": 3.0,
    "abs": -2.0,
}


@pytest.mark.parametrize(("name", "at"), SMOOTH.items())
def test_bounds_cover_what_the_argument_may_be(name: str, at: float) -> None:
    function = functions(0.0)[name]
    here = function(Bounded(np.array(at), 1e-3))
    for shift in (-1e-3, 1e-3):
        there = function(exactly(at + shift))
        assert abs(there.value - here.value) <= here.error * (1 + 1e-9)
    assert here.error <= 4e-3


def test_an_equality_without_error_is_a_fact() -> None:
    greater = functions(UNIT)["greater"]
    assert not greater(exactly(1.0), exactly(1.0)).error
    assert greater(Bounded(np.array(1.0), 1e-9), exactly(1.0)).error


def test_an_open_choice_is_bounded_by_both() -> None:
    table = functions(0.0)
    condition = table["greater"](Bounded(np.array([1.0, 5.0]), 0.1), exactly([1.05, 1.0]))
    chosen = table["where"](condition, exactly([3.0, 3.0]), exactly([1.0, 1.0]))
    assert chosen.value.tolist() == [1.0, 3.0]
    assert chosen.error.tolist() == [2.0, 0.0]


def test_a_level_may_change_only_where_the_bound_reaches_the_midpoint() -> None:
    nearest = functions(0.0)["nearest"]
    found = nearest(Bounded(np.array([0.1, 0.49, 0.9]), 0.02), exactly([0.0, 1.0]))
    assert found.value.tolist() == [0.0, 0.0, 1.0]
    assert found.error.tolist() == [0.0, 1.0, 0.0]


def test_a_zero_divisor_has_no_bound() -> None:
    with np.errstate(divide="ignore", invalid="ignore"):
        assert np.isinf(functions(UNIT)["div"](exactly(1.0), Bounded(np.array(0.5), 0.5)).error)


def test_every_port_has_its_own_shape(cases: Mapping[str, Case]) -> None:
    case = cases["pointwise/stranger-Integrator"]  # ports that broadcast, parameters that are scalars
    assert all(moment.ports["subject.total"].error.shape == (2, 2, 3) for moment in moments(case))  # type: ignore[union-attr]
