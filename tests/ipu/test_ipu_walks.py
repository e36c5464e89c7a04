"""What needs all steps at once divides a program into several walks through time; the reference agrees."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
from ipu_calls import B, T, backend, compiled, data, job_of, network

from snnhw.errors import InputError, Unsupported
from snnhw.ir import (
    MODELS,
    SGD,
    BatchNorm1d,
    CECount,
    Edge,
    FrozenMap,
    Input,
    L1Rate,
    Linear,
    Loss,
    Neuron,
    Output,
    Program,
    Term,
    init_params,
    trainable,
)
from snnhw.lowering import lower, make_job
from snnhw.plugin import Arrays, Backend, Executable, Run, Train
from snnhw_ipu.forms import forms_of
from snnhw_ipu.options import IpuOptions
from snnhw_reference.plugin import ReferenceBackend

REFERENCE = cast("Backend", ReferenceBackend())
LOSS = Loss((Term(CECount(), of="lif3.spk"), Term(L1Rate(), of="lif1.spk", weight=0.01)))


def tangled(stats: Any = "folded", steps: int | None = None) -> Program:
    """Two norms one behind the other; edges past them, at once and late; a loop behind the second."""
    edges = (
        *[Edge("x.y", name) for name in ("fc1.x", "past.x")],
        Edge("fc1.y", "norm1.x"),
        Edge("x.y", "norm1.x", delay=1, init=0.25),  # late, into what waits
        Edge("norm1.y", "lif1.x"),
        Edge("lif1.spk", "fc2.x"),
        Edge("fc2.y", "norm2.x"),
        Edge("norm2.y", "lif2.x"),
        Edge("lif2.spk", "back.x", delay=1),
        Edge("back.y", "lif2.x"),
        Edge("lif2.spk", "fc3.x"),
        Edge("fc3.y", "lif3.x"),
        Edge("past.y", "lif3.x"),  # computed before the first norm
        Edge("lif1.mem", "lif3.x", delay=2),  # from the walk between the norms
        Edge("lif3.spk", "out.x"),
    )
    nodes = {
        "x": Input((4,)),
        "fc1": Linear(4, 4),
        "past": Linear(4, 4),
        "norm1": BatchNorm1d(4, stats=stats, time_steps=steps, eps=0.25),
        "lif1": Neuron(MODELS["Leaky"]),
        "fc2": Linear(4, 4),
        "norm2": BatchNorm1d(4, stats="folded", eps=0.25),
        "lif2": Neuron(MODELS["Leaky"]),
        "back": Linear(4, 4),
        "fc3": Linear(4, 4),
        "lif3": Neuron(MODELS["Leaky"]),
        "out": Output(),
    }
    return trainable(Program(FrozenMap(nodes), edges))


def job(plugin: Backend, program: Program, **options: object) -> Run | Train:
    return make_job(plugin, program, time_steps=T, batch=B, loss=LOSS, optimizer=SGD(lr=0.1), options=options)


def both(program: Program) -> tuple[Executable, Executable]:
    given = {f"lif{n}.{name}": x for n in (1, 2, 3) for name, x in (("beta", 0.9), ("threshold", 0.1))}
    params = init_params(program, seed=1, given={**given, "past.bias": 0.15})
    ours = lower(backend(), program, params, job(backend(), program, emulate=True))
    return ours, lower(REFERENCE, program, params, job(REFERENCE, program, dtype="float32"))


@pytest.mark.parametrize("norm", [("folded", None), ("per_step", 2 * T)], ids=["folded", "through time"])
def test_the_reference_agrees(norm: tuple[str, int | None]) -> None:
    ours, reference = both(tangled(*norm))
    x, y = data()
    with ours, reference:
        states: list[Arrays] = []
        for going_on in (False, True, False):
            found = [
                each.step({"x": x}, {"target": y}, states[number] if going_on else None)
                for number, each in enumerate((ours, reference))
            ]
            states = [each.state for each in found]
            mine, theirs = found
            assert mine.loss == pytest.approx(theirs.loss, rel=1e-5)
            own = _arrays({**mine.outputs, **mine.state})
            for name, array in _arrays({**theirs.outputs, **theirs.state}).items():
                np.testing.assert_allclose(own[name], array, atol=1e-5, err_msg=name)
        assert 0 < own["out"].mean() < 1
        params = _arrays(reference.get_params())
        for name, array in _arrays(ours.get_params()).items():
            np.testing.assert_allclose(array, params[name], rtol=1e-4, atol=1e-5, err_msg=name)
        run, wanted = (_arrays(each.run({"x": x}).outputs)["out"] for each in (ours, reference))
        np.testing.assert_allclose(run, wanted, atol=1e-5)


def _arrays(found: Arrays) -> dict[str, npt.NDArray[Any]]:
    return {name: np.asarray(array) for name, array in found.items()}


def test_every_norm_that_waits_divides_the_walk_in_training_alone() -> None:
    program = tangled()
    forms = forms_of(program, job(backend(), program, emulate=True), IpuOptions(emulate=True))
    assert len(forms["train", "rest"].recipe["stages"]) == 3
    assert len(forms["run", "rest"].recipe["stages"]) == 1
    explanation = backend().explain(program, job(backend(), program, emulate=True))
    assert ("walks through all steps", "3") in explanation.tables["program"]
    assert explanation.tables["refused by PopTorch 3.4"][1:] == (("none", ""),)


def test_a_step_beyond_the_last_that_has_parameters() -> None:
    ours, reference = both(tangled("per_step", T + 1))
    x, y = data()
    with ours, reference:
        first = ours.step({"x": x}, {"target": y})
        with pytest.raises(InputError, match=r"norm1 .*parameters for 6 steps, .* steps 5 to 9"):
            ours.step({"x": x}, {"target": y}, first.state)


def test_statistics_of_parts_of_a_batch_are_other_ones() -> None:
    program, _ = network()
    nodes = {**program.nodes, "norm": BatchNorm1d(6)}
    edges = [replace(edge, src="norm.y") if edge.src == "fc1.y" else edge for edge in program.edges]
    normed = Program(FrozenMap(nodes), (*edges, Edge("fc1.y", "norm.x")), trainable=program.trainable)
    params = init_params(normed, seed=1, given={"lif1.beta": 0.9, "lif2.beta": 0.8})
    with pytest.raises(
        Unsupported,
        match=r"(?s)norm: it normalises by statistics of the batch, .* in 2 parts.*could: cpu, .*reference\.",
    ):
        compiled(normed, params, job_of(normed, gradient_accumulation=2))
    with compiled(normed, params, job_of(normed, device_iterations=2)) as executable:
        executable.run({"x": data()[0]})  # running statistics are the same for all parts
