"""What is compiled of a chunk, what `explain` says of building, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from chunk_nets import (
    LIF_LOSS,
    STEPS,
    WINDING_LOSS,
    emulated,
    normed,
    winding,
    winding_data,
)
from ipu_calls import LOSS, B, backend, network

from snnhw.errors import InputError, Unsupported
from snnhw.ir import (
    MODELS,
    SGD,
    Adam,
    CERate,
    Input,
    Linear,
    Loss,
    Neuron,
    Program,
    Term,
    TimeAxis,
    sequential,
    trainable,
)
from snnhw.lowering import make_job
from snnhw.plugin import Train
from snnhw_ipu.chunks import CARRY, GRADIENT
from snnhw_ipu.explain import captured
from snnhw_ipu.forms import forms_of
from snnhw_ipu.options import IpuOptions
from snnhw_ipu.worker.double.graph import final_loss, unsupported
from snnhw_ipu.worker.double.restrictions import restricted
from snnhw_ipu.worker.double.size import dead_nodes, popart_nodes

NODES = "nodes given to PopART, forward (about)"

# -- what is compiled ---------------------------------------------------------------------------------


def readme(steps: int, chunk: int = 0) -> tuple[Program, Train]:
    """The network of the README."""
    net = sequential(
        {
            "x": Input((784,)),
            "fc1": Linear(784, 1000),
            "lif1": Neuron(MODELS["Leaky"]),
            "fc2": Linear(1000, 10),
            "lif2": Neuron(MODELS["Leaky"]),
        }
    )
    program = replace(trainable(net), time=TimeAxis(static_inputs=("x",)))
    job = make_job(
        backend(),
        program,
        time_steps=steps,
        batch=128,
        loss=Loss((Term(CERate(), of="lif2.spk"),)),
        optimizer=Adam(lr=5e-4),
        options={"emulate": True, "chunk": chunk},
    )
    assert isinstance(job, Train)
    return program, job


def building(steps: int, chunk: int = 0) -> dict[str, str]:
    program, job = readme(steps, chunk)
    rows: Any = backend().explain(program, job).tables["building (an estimate)"]
    return dict(rows)


@pytest.mark.parametrize("chunk", [25, 100])
def test_long_sequences_stay_small(chunk: int) -> None:
    """Of T = 400 PopTorch's own front end made 27 270 nodes, with four for every difference."""
    table = building(400, chunk)
    assert int(table[NODES]) <= 27270 // 4
    assert table["of them for nothing"] == "0"


def test_explain_says_what_building_costs() -> None:
    table = building(100)
    nodes = int(table[NODES])
    assert nodes > 25 * 100
    assert float(table["shapes inferred meanwhile, half its square (about)"]) == pytest.approx(
        nodes**2 / 2, rel=0.1
    )
    assert table["the same with chunk=50"].endswith(f"of {nodes // 2} nodes or somewhat more")
    assert 1 <= float(building(100, 20)["the same for all steps at once (at most)"]) / (nodes**2 / 2) <= 1.5
    tables: Any = backend().explain(*readme(100, chunk=20)).tables
    assert {("time steps, unrolled", "20"), ("chunks of so many", "5")} <= set(tables["program"])
    assert tables["refused by PopTorch 3.4"][1:] == (("none", ""),)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_poptorch_can_lower_it(dtype: Any) -> None:
    program, _ = winding()
    options = IpuOptions(emulate=True, chunk=2, dtype=dtype)
    train = make_job(
        backend(),
        program,
        time_steps=STEPS,
        batch=B,
        loss=WINDING_LOSS,
        optimizer=SGD(lr=0.1),
        options={"emulate": True, "chunk": 2, "dtype": dtype},
    )
    forms = forms_of(program, train, options)
    lowered = forms["train", "continued"]
    assert {name.partition(":")[0] + ":" for name in lowered.trained} == {GRADIENT, CARRY}
    graph = captured(program, lowered, B, dtype, training=True)
    assert unsupported(graph) + restricted(graph) == []
    assert dead_nodes(graph) == 0
    assert popart_nodes(graph) == len(graph.nodes)
    final_loss(graph)


# -- what cannot be -----------------------------------------------------------------------------------


def test_chunks_are_of_one_length() -> None:
    program, params = winding()
    with pytest.raises(InputError, match=r"chunk is 4, and 6 steps .* accepted: 1, 2, 3, 6"):
        emulated(program, params, {"chunk": 4})
    with pytest.raises(ValueError, match=r"chunk is -1; give a number of steps, or 0 for all"):
        IpuOptions(chunk=-1)
    with emulated(program, params, {"chunk": 100}) as executable:  # all of them at once
        executable.run(winding_data()[0])


def test_replicas_would_need_gradients_of_their_own() -> None:
    program, params = network()
    with pytest.raises(
        InputError, match=r"chunk is 2 and replication is 2: .* train on one, or without chunk"
    ):
        emulated(program, params, {"chunk": 2, "replication": 2}, loss=LOSS)


def test_statistics_of_all_steps_are_not_those_of_a_chunk() -> None:
    program, params = normed(stats="folded")
    with pytest.raises(
        Unsupported, match=r"norm: it normalises by statistics of all steps, .* without chunk"
    ):
        emulated(program, params, {"chunk": 2}, loss=LIF_LOSS)
