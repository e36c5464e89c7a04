"""A backend that lists core ops alone runs every op, with the same results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from snnhw import lowering
from snnhw.conformance.outcome import CaseResult
from snnhw.conformance.suite import run_on
from snnhw.errors import Unsupported
from snnhw.ir import (
    MODELS,
    OPS,
    SGD,
    AvgPool1d,
    CERate,
    Edge,
    Flatten,
    FrozenMap,
    Input,
    LayerNorm,
    Linear,
    Loss,
    MaxPool2d,
    Neuron,
    Op,
    Output,
    Params,
    Program,
    StraightThrough,
    Sum,
    Term,
    Upsample,
    init_params,
    is_core,
    sequential,
    trainable,
)
from snnhw.plugin import Capabilities, Support
from snnhw_cpu.plugin import CpuBackend
from snnhw_reference.plugin import ReferenceBackend

MADE = sorted(kind.__name__ for kind in OPS.values() if not (is_core(kind) or kind.whole_only))


class CoreOnly(CpuBackend):
    """The CPU backend as if torch had core ops alone, and not all of those."""

    def __init__(self, *without: type[Op]) -> None:
        self.without = without

    def capabilities(self) -> Capabilities:
        found = super().capabilities()
        core = {kind: how for kind, how in found.ops.items() if is_core(kind) and kind not in self.without}
        return replace(found, ops=core)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", MADE)
def test_it_passes_the_cases_of_ops_that_it_knows_the_parts_of(name: str) -> None:
    found: list[CaseResult] = []
    run_on(CoreOnly(), select=[f"/{name}-", f"/static-{name}-"], on_result=found.append)
    assert len(found) >= 3
    assert [f"{each.id}: {each.reason}" for each in found if each.outcome != "passed"] == []


def recurrent() -> tuple[Program, Params]:
    """A norm that hears its own output two steps ago, and the spikes that follow it one step ago."""
    nodes: dict[str, Op] = {
        "x": Input((2, 4)),
        "enc.norm": LayerNorm((4,)),
        "lif": Neuron(MODELS["Leaky"], surrogate=StraightThrough()),
        "pool": AvgPool1d((2,), (2,)),
        "flat": Flatten(),
        "out": Output(),
    }
    edges = [
        Edge("x.y", "enc.norm.x"),
        Edge("enc.norm.y", "enc.norm.x", delay=2, init=0.25),
        Edge("lif.spk", "enc.norm.x", delay=1),
        Edge("enc.norm.y", "lif.x"),
        Edge("lif.spk", "pool.x"),
        Edge("pool.y", "flat.x"),
        Edge("flat.y", "out.x"),
    ]
    program = trainable(Program(FrozenMap(nodes), tuple(edges)))
    return program, init_params(program, given={"lif.beta": 0.75, "enc.norm.bias": 0.9})


@pytest.mark.usefixtures("one_thread")
def test_in_a_loop_states_and_gradients_are_those_of_the_op() -> None:
    """A run that goes on from a state of the other backend, and a step of training."""
    program, params = recurrent()
    draw = np.random.default_rng(4)
    x, targets = draw.normal(size=(6, 3, 2, 4)).astype(np.float32), {"target": np.array([0, 1, 3])}
    found = []
    for plugin, other in ((CoreOnly(), ReferenceBackend()), (ReferenceBackend(), CoreOnly())):
        kept: list[Mapping[str, object]] = []
        for each in (other, plugin):
            job = lowering.make_job(
                each,
                program,
                time_steps=6,
                batch=3,
                record=("enc.norm.y", "pool.y", "lif.mem"),
                loss=Loss((Term(CERate()),)),
                optimizer=SGD(lr=1.0),
            )
            with lowering.lower(each, program, params, job) as executable:
                result = executable.run({"x": x}, kept[-1] if kept else None)
                kept.append(result.state)
                if each is plugin:
                    executable.step({"x": x}, targets)
                    found.append({**result.recordings, **result.state, **executable.get_params()})
    apart, one = found
    assert {"lif.spk->enc.norm.x", "enc.norm.y->enc.norm.x", "enc.norm.weight"} <= apart.keys()
    assert apart.keys() == one.keys()
    for name, array in one.items():
        np.testing.assert_allclose(apart[name], array, atol=2e-5, err_msg=name)
    assert np.abs(np.asarray(one["enc.norm.weight"]) - params["enc.norm.weight"]).max() > 1e-3


def test_what_is_lacking_is_said_with_the_node() -> None:
    program = sequential({"x": Input((2, 4)), "norm": LayerNorm((4,)), "up": Upsample((2,))})
    plugin = CoreOnly(Sum, MaxPool2d)
    job = lowering.make_job(plugin, program, time_steps=1, batch=1)
    message = (
        r"norm \(LayerNorm\): this kind of op is not supported, nor, of what it is made of, Sum\n"
        r"Installed backends that could: .*reference"
    )
    with pytest.raises(Unsupported, match=message):
        lowering.lower(plugin, program, init_params(program), job)


@pytest.mark.parametrize("turned", [False, True])
def test_a_saved_run_is_of_what_was_written_however_it_runs(turned: bool) -> None:
    """So that it outlives the day on which a backend gets a rule of its own for an op."""
    layers: dict[str, Op] = {
        "x": Input((4,)),
        "fc": Linear(4, 4),
        "norm": LayerNorm((4,)),
        "lif": Neuron(MODELS["Leaky"]),
    }
    program = sequential(layers)
    params = init_params(program, given={"lif.beta": 0.5})
    x = np.random.default_rng(0).normal(0.5, 1.0, (3, 2, 4)).astype(np.float32)
    loss = Loss((Term(CERate(), of="lif.spk"),))
    made = []
    for plugin in (CoreOnly(), CpuBackend()):
        job = lowering.make_job(plugin, program, time_steps=3, batch=2, loss=loss, optimizer=SGD(lr=0.5))
        made.append(lowering.lower(plugin, program, params, job))
    here, there = made[::-1] if turned else made
    here.step({"x": x}, {"target": np.array([0, 1])})
    there.load_state(here.save_state())
    for key, array in here.get_params().items():
        np.testing.assert_array_equal(there.get_params()[key], array, err_msg=key)


def test_a_refusal_names_the_node_that_was_written() -> None:
    """And the part of it that is refused."""

    class NoSums(CoreOnly):
        def capabilities(self) -> Capabilities:
            found = super().capabilities()
            odd = Support(why_not=lambda op: "sums are wrong on this device")
            return replace(found, ops={**found.ops, Sum: odd})

    program = sequential({"x": Input((4,)), "norm": LayerNorm((4,))})
    plugin = NoSums()
    job = lowering.make_job(plugin, program, time_steps=1, batch=1)
    with pytest.raises(Unsupported) as caught:
        lowering.lower(plugin, program, init_params(program), job)
    assert set(caught.value.reasons) == {"norm (LayerNorm), as Sum: sums are wrong on this device"}
