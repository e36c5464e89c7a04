"""What is explained is what runs: every source, and no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from backends_nets import (
    convolutional,
    delayed,
    feedforward,
    leaky,
    network,
    params_of,
    recurrent,
    two_loops,
)

import snnhw_cpu.provider
from snnhw.ir import (
    SGD,
    Add,
    BatchNorm1d,
    Dropout,
    Edge,
    Input,
    L1Rate,
    Linear,
    Loss,
    Op,
    Opaque,
    Output,
    Program,
    Term,
    sequential,
)
from snnhw.plugin import Explanation, Run, Train
from snnhw.tensors.network.loops.fused import launch_of
from snnhw.tensors.scans.site import site_of
from snnhw_cpu.plugin import CpuBackend, CpuOptions

T, B = 5, 3


def by_itself(z: torch.Tensor) -> torch.Tensor:
    return (z > 0).to(z.dtype) + 0.0 * torch.nan_to_num(z)


def opaque() -> Program:
    """A neuron whose derivative only torch knows, behind one that has equations."""
    layers: dict[str, Op] = {
        "x": Input((5,)),
        "lif": leaky(),
        "fc": Linear(5, 3),
        "own": leaky(surrogate=Opaque(by_itself, "by_itself", "it is tried here")),
    }
    return sequential(layers)


def normalised() -> Program:
    layers: dict[str, Op] = {"x": Input((5,)), "fc": Linear(5, 3), "norm": BatchNorm1d(3), "lif": leaky()}
    return sequential(layers)


def per_neuron() -> Program:
    """Two layers of the same equations, one with a decay for each neuron; the loop has both."""
    nodes: dict[str, Op] = {
        "x": Input((5,)),
        "a": leaky(),
        "sum": Add(),
        "b": leaky(param_shapes={"beta": (5,)}),
        "output": Output(),
    }
    wires = [
        Edge("x.y", "a.x"), Edge("a.spk", "sum.x"), Edge("b.spk", "sum.x", delay=2), Edge("sum.y", "b.x"),
        Edge("b.mem", "output.x"),
    ]  # fmt: skip
    return network(nodes, wires)


NETWORKS: Mapping[str, Callable[[], Program]] = {
    "feedforward": feedforward,
    "static": lambda: feedforward(static=True),
    "convolutional": convolutional,
    "recurrent": lambda: recurrent(static=True),
    "delayed": delayed,
    "two loops": two_loops,
    "opaque": opaque,
    "normalised": normalised,
    "per neuron": per_neuron,
}


def forget() -> None:
    """Kernels that were compiled before."""
    site_of.cache_clear()
    launch_of.cache_clear()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """The sources that are asked for to be compiled; what stands for their kernels does nothing."""
    found: set[str] = set()

    def compiled(source: str, name: str) -> SimpleNamespace:
        assert f"def {name}(" in source
        found.add(source)
        return SimpleNamespace(call=lambda *_: None)

    monkeypatch.setattr(snnhw_cpu.provider, "compiled", compiled)
    forget()
    yield found
    forget()


def job_of(program: Program, *ports: str, options: CpuOptions, time_steps: int = T) -> Run | Train:
    """One that trains where there are ports for a loss."""
    shapes = {name: op.shape for name, op in program.nodes.items() if isinstance(op, Input)}
    run = Run(time_steps, shapes, B, options=options)
    loss = Loss(tuple(Term(L1Rate(), of=port) for port in ports))
    return Train(**vars(run), loss=loss, optimizer=SGD(lr=0.1)) if ports else run


def carry_out(program: Program, job: Run | Train) -> None:
    """What the job is for, once."""
    static = program.time.static_inputs
    inputs = {
        name: np.ones((*([] if name in static else [job.time_steps]), B, *shape), np.float32)
        for name, shape in job.sample_shapes.items()
    }
    with CpuBackend().compile(program, params_of(program), job) as executable:
        executable.step(inputs, {}) if isinstance(job, Train) else executable.run(inputs)


def told(program: Program, job: Run | Train) -> Explanation:
    return CpuBackend().explain(program, job)


def named(explanation: Explanation) -> set[str]:
    """The files that the table of kernels names."""
    _, *rows = explanation.tables["kernels"]
    files = [file for row in rows for cell in row[-2:] for file in cell.split(", ")]
    return set(files) - {"-"}


@pytest.mark.parametrize("paths", ["", "chains:apart,loops:recorded"])
@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_explained_is_what_is_compiled(name: str, paths: str, asked: set[str]) -> None:
    program, options = NETWORKS[name](), CpuOptions(paths=paths)
    spiking = [f"{node}.spk" for node, op in program.nodes.items() if "spk" in op.out_ports]
    jobs = [
        job_of(program, options=options),
        job_of(program, *program.outputs().values(), options=options),
        job_of(program, *spiking, options=options),
        job_of(program, *spiking, options=options, time_steps=1),
    ]
    for job in jobs:
        forget()
        asked.clear()
        explanation = told(program, job)
        assert not asked, "to explain compiles nothing"
        carry_out(program, job)
        assert asked, "every one of these networks has neurons"
        assert set(explanation.sources.values()) == asked
        assert named(explanation) == explanation.sources.keys()


def test_a_loop_has_one_kernel_or_each_neuron_has_one_of_one_step() -> None:
    program = recurrent(static=True)
    for paths, name, facts in (
        ("", "back, lif", ("mem", "-", "-")),
        ("loops:kept", "lif", ("mem", "2 for the layer", "x")),
    ):
        run = told(program, job_of(program, options=CpuOptions(paths=paths)))
        (row,) = (row for row in run.tables["kernels"] if row[0] == name)
        assert row == (name, *facts, "forward_0.py", "-")
        train = told(program, job_of(program, "out.y", options=CpuOptions(paths=paths)))
        (row,) = (row for row in train.tables["kernels"] if row[0] == name)
        assert row[-2:] == ("forward_0.py", "backward_1.py")


def test_what_only_torch_can_differentiate_has_no_kernel_of_ours_in_training() -> None:
    program = opaque()
    run = told(program, job_of(program, options=CpuOptions()))
    assert [row[0] for row in run.tables["kernels"]] == ["node", "lif", "own"]
    train = told(program, job_of(program, "own.spk", options=CpuOptions()))
    assert [row[0] for row in train.tables["kernels"]] == ["node", "lif"]


def test_equal_kernels_are_shown_once() -> None:
    program = feedforward()
    found = told(program, job_of(program, "lif2.spk", options=CpuOptions()))
    assert list(found.sources) == ["forward_0.py", "backward_1.py"]
    _, one, other = found.tables["kernels"]
    assert one[1:] == other[1:]


def test_sources_are_of_the_dtype() -> None:
    program = feedforward()
    for dtype in ("float32", "float64"):
        options = CpuOptions(dtype=dtype)
        (source,) = told(program, job_of(program, options=options)).sources.values()
        assert f"F = np.{dtype}" in source


def test_the_schedule_is_explained() -> None:
    program = recurrent(static=True)
    rows = told(program, job_of(program, options=CpuOptions())).tables["schedule"]
    assert rows[0] == ("stage", "nodes", "runs", "because")
    assert ("2", "back, lif", "stepped", "a loop over time, in one kernel") in rows
    assert ("1", "fc", "once", "nothing in it changes over time") in rows


def test_what_keeps_a_loop_from_one_kernel_is_said() -> None:
    program = recurrent(static=True)
    for options, why in (
        (CpuOptions(paths="loops:kept"), "no kernel takes all steps"),
        (CpuOptions(precision="bf16"), "back runs in a way of its own"),
    ):
        rows = told(program, job_of(program, options=options)).tables["schedule"]
        assert ("2", "back, lif", "stepped", f"a loop over time, step by step: {why}") in rows


def test_a_recorded_port_is_an_output_of_the_kernel() -> None:
    program = feedforward()
    run = job_of(program, options=CpuOptions())
    (plain,) = told(program, run).sources.values()
    both = told(program, replace(run, record=("lif1.mem",))).sources.values()
    assert plain in both
    assert [("y1s" in source) for source in both] == [source != plain for source in both]


def test_calls_are_listed_or_it_is_said_why() -> None:
    def calls(program: Program, paths: str = "") -> tuple[str, ...]:
        explained = CpuBackend().explain(program, job_of(program, "lif.spk", options=CpuOptions(paths=paths)))
        return explained.tables["calls"][1]

    layers: dict[str, Op] = {"x": Input((5,)), "fc": Linear(5, 3), "lif": leaky()}
    program = sequential(layers)
    assert calls(program)[0] == "as a list of what they compute"
    assert "4,194,304 bytes" in calls(program)[1]
    assert calls(program, "steps:tape") == ("one by one", "no lists are kept")
    chancy = sequential({"x": Input((5,)), "left": Dropout(0.5), "lif": leaky()})
    assert calls(chancy) == ("one by one", "what left does depends on the call")
    own = CpuBackend().explain(opaque(), job_of(opaque(), "own.spk", options=CpuOptions()))
    how, why = own.tables["calls"][1]
    assert how == "one by one"
    assert why.endswith("is called anew at every step")
