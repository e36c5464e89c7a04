"""What runs once, over all steps at once, or step by step."""

from __future__ import annotations

import pytest
from backends_nets import convolutional, delayed, feedforward, params_of, recurrent, two_loops

from snnhw.ir import (
    OPS,
    Input,
    Linear,
    Neuron,
    Output,
    Pointwise,
    Program,
    is_core,
    sequential,
)
from snnhw.ir import OPTIMIZERS as KINDS
from snnhw.plugin import Run
from snnhw.tensors.execution.optimizers import OPTIMIZERS
from snnhw.tensors.network import OPERATIONS, TIMED, plan
from snnhw_cpu.plugin import CpuBackend


def modes(program: Program) -> list[tuple[str, str]]:
    return [(", ".join(stage.nodes), stage.mode) for stage in plan(program).stages]


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (
            feedforward(),
            [("x", "folded"), ("fc1", "folded"), ("lif1", "scan"), ("fc2", "folded"), ("lif2", "scan"),
             ("output", "folded")],
        ),
        (
            feedforward(static=True),
            [("x", "once"), ("fc1", "once"), ("lif1", "scan"), ("fc2", "folded"), ("lif2", "scan"),
             ("output", "folded")],
        ),
        (
            convolutional(),
            [("x", "once"), ("conv", "once"), ("pool", "once"), ("lif", "scan"), ("mean", "folded"),
             ("flat", "folded"), ("fc", "folded"), ("output", "folded")],
        ),
        (
            recurrent(static=True),
            [("x", "once"), ("fc", "once"), ("back, lif", "stepped"), ("out", "folded"), ("spk", "folded"),
             ("read", "folded")],
        ),
        (
            delayed(),
            [("x", "folded"), ("fc", "folded"), ("sum", "folded"), ("lif", "scan"), ("output", "folded")],
        ),
        (
            two_loops(),
            [("x", "once"), ("a, b", "stepped"), ("lif", "scan"), ("c", "stepped"), ("output", "folded")],
        ),
    ],
    ids=["feedforward", "static", "convolutional", "recurrent", "delayed", "two loops"],
)  # fmt: skip
def test_typical_networks(program: Program, expected: list[tuple[str, str]]) -> None:
    found = modes(program)
    assert sorted(found) == sorted(expected)
    assert [mode for _, mode in found if mode == "stepped"] == [
        mode for _, mode in expected if mode == "stepped"
    ]


def test_tables_are_complete() -> None:
    found = {*OPERATIONS, *TIMED, Input, Output, Neuron, Pointwise}
    assert {kind for kind in OPS.values() if is_core(kind)} <= found <= set(OPS.values())
    assert set(OPTIMIZERS) == set(KINDS.values())


def test_importing_the_cpu_plugin_is_cheap() -> None:
    capabilities = CpuBackend().capabilities()
    assert {kind for kind in OPS.values() if is_core(kind)} <= set(capabilities.ops)
    assert not capabilities.contraction
    assert not capabilities.fixed_shapes
    assert CpuBackend().probe().ready


def test_a_job_without_options_has_the_usual_ones() -> None:
    program = sequential({"x": Input((2,)), "fc": Linear(2, 2)}, train=False)
    with CpuBackend().compile(program, params_of(program), Run(1, {"x": (2,)}, 1)) as executable:
        assert set(executable.get_params()) == {"fc.weight", "fc.bias"}
