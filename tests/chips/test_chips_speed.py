"""Integers in floats that hold all of them: what is proven, and that it computes the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from chips_nets import Case, loihi_case
from xylo_nets import xylo_case

from snnhw.ir import Edge, Fixed, FrozenMap, Input, Linear, Neuron, Output, Pointwise, Program, var
from snnhw.passes import exact_float
from snnhw.plugin import Run
from snnhw.reference import execute
from snnhw_cpu import network, plugin
from snnhw_cpu.plugin import CpuBackend, CpuOptions


def small(y: Any, bits: int = 8, weight: int = 8, features: int = 4) -> Program:
    """A product of so many numbers, and an equation of what it gives."""
    return Program(
        FrozenMap(
            {
                "in": Input((features,)),
                "fc": Linear(features, 2, bias=False),
                "y": Pointwise(FrozenMap({"y": y})),
                "out": Output(),
            }
        ),
        (Edge("in.y", "fc.x"), Edge("fc.y", "y.x"), Edge("y.y", "out.x")),
        formats=FrozenMap({"in.y": Fixed(bits), "fc.weight": Fixed(weight)}),
    )


x = var("x")


@pytest.mark.parametrize(
    ("program", "wanted"),
    [
        (small(x), "float32"),  # 4 * 2^7 * 2^7 = 2^16
        (small(x * 256.0), "float32"),  # 2^24, the last that it holds
        (small(x * 257.0), "float64"),
        (small(x, bits=16), "float32"),  # 4 * 2^15 * 2^7 = 2^24
        (small(x, bits=16, features=5), "float64"),
        (small(x, bits=32, weight=32), None),  # 2^64
        (small(x // 3.0), "float32"),
        (small(3.0 // x), None),  # by 0
    ],
)
def test_the_narrowest_float_that_holds_every_number(program: Program, wanted: str | None) -> None:
    assert exact_float(program) == wanted


def test_a_state_that_grows_without_end_has_no_float() -> None:
    case = xylo_case(0)
    assert exact_float(case.program) == "float32"
    assert exact_float(loihi_case(0).program) == "float64"
    growing = {
        name: replace(
            op, model=replace(op.model, integrate=FrozenMap({**op.model.integrate, "v": var("v") * 2.0}))
        )
        if isinstance(op, Neuron)
        else op
        for name, op in case.program.nodes.items()
    }
    assert exact_float(replace(case.program, nodes=FrozenMap(growing))) is None


def on_cpu(case: Case) -> Any:
    given = {name: array[:, None] for name, array in case.inputs.items()}
    shapes = {name: array.shape[1:] for name, array in case.inputs.items()}
    steps = len(next(iter(given.values())))
    job = Run(steps, shapes, 1, record=tuple(case.ports), options=CpuOptions())
    return CpuBackend().compile(case.program, case.params, job).run(given)


@pytest.mark.parametrize(
    ("make", "way"),
    [
        (loihi_case, "floats"),
        (xylo_case, "floats"),
        (xylo_case, "integers"),
        pytest.param(loihi_case, "integers", marks=pytest.mark.slow),
    ],
)
def test_cpu_gives_every_integer_of_the_reference(
    make: Callable[[int], Case], way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "integers":
        for module in (network, plugin):
            monkeypatch.setattr(module, "exact_float", lambda _: None)
    case = make(3)
    given = {name: array[:, None] for name, array in case.inputs.items()}
    wanted = execute(case.program, case.params, given, record=list(case.ports))
    found = on_cpu(case)
    for port, array in wanted.recordings.items():
        assert np.asarray(found.recordings[port]).dtype == np.int64
        np.testing.assert_array_equal(found.recordings[port], array, err_msg=port)
    for key, array in wanted.state.items():
        np.testing.assert_array_equal(found.state[key], array, err_msg=key)
    assert sum(np.abs(array).sum() for port, array in wanted.recordings.items() if port.endswith("spk"))


@pytest.mark.slow
@pytest.mark.parametrize("make", [loihi_case, xylo_case])
@pytest.mark.parametrize("seed", range(20, 28))
def test_cpu_gives_every_integer_of_many_networks(make: Callable[[int], Case], seed: int) -> None:
    case = make(seed)
    given = {name: array[:, None] for name, array in case.inputs.items()}
    wanted = execute(case.program, case.params, given, record=list(case.ports))
    found = on_cpu(case)
    for port, array in wanted.recordings.items():
        np.testing.assert_array_equal(found.recordings[port], array, err_msg=port)
