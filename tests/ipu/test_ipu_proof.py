"""Every model, op and loss that the plugin claims, captured: only operations that PopTorch can lower."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace

import pytest
from ipu_calls import backend, bench

from snnhw.check import prepared, reasons_against
from snnhw.conformance import Case, LazyCase, all_cases
from snnhw.ir import LOSS_TERMS, Adamax, Optimizer
from snnhw.ir.optimizers import OPTIMIZERS as ALL_OPTIMIZERS
from snnhw.plugin import Train
from snnhw_ipu.explain import captured
from snnhw_ipu.forms import forms_of
from snnhw_ipu.layers import LOWERINGS
from snnhw_ipu.losses import LOSSES
from snnhw_ipu.optimizers import OPTIMIZERS, settings
from snnhw_ipu.options import IpuOptions
from snnhw_ipu.plans import Lowered
from snnhw_ipu.worker.double.graph import final_loss, unsupported
from snnhw_ipu.worker.double.restrictions import restricted
from snnhw_ipu.worker.double.size import dead_nodes


def claimed() -> Iterator[Case]:
    """One case for each op, model and loss."""
    subjects: dict[str, LazyCase] = {}
    for lazy in all_cases():
        if lazy.cls == "gradient":
            name = lazy.id.partition("/")[2]
            subject = name if name.startswith(("loss-", "surrogate-")) else name.partition("-")[0]
            subjects.setdefault(subject, lazy)
    return (lazy.case for lazy in subjects.values())


def functions(lowered: Lowered) -> set[str]:
    """What a recipe asks for."""
    stages = lowered.recipe["stages"]
    parts = [*(stage[name] for stage in stages for name in ("before", "each")), lowered.recipe["after"]]
    return {call for part in parts for _, call, _, _ in part}


def test_no_operation_is_one_that_poptorch_cannot_lower() -> None:
    seen: set[type] = set()
    losses: set[type] = set()
    for case in claimed():
        job = bench().job(case)
        assert isinstance(job, Train)
        assert not reasons_against(case.program, backend().capabilities(), job)
        program = prepared(case.program, backend().capabilities())
        forms = forms_of(program, job, job.options)
        train, run = (forms[use, "rest"] for use in ("train", "run"))
        graphs = [captured(program, train, case.batch, "float32", training=True)]
        final_loss(graphs[0])
        if functions(run) - functions(train):  # otherwise a run asks for no more than training does
            graphs.append(captured(program, run, case.batch, "float32", training=False))
        half = forms_of(program, job, replace(job.options, dtype="float16"))["train", "rest"]
        graphs.append(captured(program, half, case.batch, "float16", training=True))
        assert [dead_nodes(graph) for graph in graphs] == [0] * len(graphs), case.id
        assert [unsupported(graph) + restricted(graph) for graph in graphs] == [[]] * len(graphs), case.id
        seen |= {type(op) for op in program.nodes.values()}
        losses |= {type(term.kind) for term in job.loss.terms}
    assert set(LOWERINGS) <= seen
    assert set(LOSSES) <= losses


def test_every_loss_of_the_language_is_claimed() -> None:
    assert set(LOSSES) == set(LOSS_TERMS.values())


def test_every_optimizer_is_claimed_that_poptorch_has() -> None:
    assert {*ALL_OPTIMIZERS.values()} - {*OPTIMIZERS} == {Adamax}


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_an_optimizer_is_claimed_with_all_its_settings(kind: type[Optimizer]) -> None:
    assert set(settings(kind(lr=0.5), None)) == {item.name for item in fields(kind)}


def test_half_precision_stays_half_and_losses_are_single() -> None:
    (case,) = (lazy.case for lazy in all_cases() if lazy.id == "gradient/dense-Leaky")
    job = bench(dtype="float16").job(case)
    lowered = forms_of(case.program, job, IpuOptions(emulate=True, dtype="float16"))["train", "rest"]
    graph = captured(case.program, lowered, case.batch, "float16", training=True)
    dtypes = [str(dtype) for _, dtype in graph.shapes.values()]
    assert "torch.float64" not in dtypes
    assert str(graph.shapes[final_loss(graph)][1]) == "torch.float32"
