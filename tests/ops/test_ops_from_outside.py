"""An op of somebody else: what it takes for it to run everywhere, be captured, and be held to account.

Four things, each in one place: what it is and is made of, its meaning, examples, and the torch module that it
stands for. No backend is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from source import ROOT
from torch import nn
from torch.nn import functional as F

import snnhw as snn
from snnhw import api, lowering, registry
from snnhw.conformance.cases.making.examples import EXAMPLES, INEXACT
from snnhw.conformance.outcome import CaseResult
from snnhw.conformance.suite import all_cases, run_on
from snnhw.errors import ProgramError, Unsupported
from snnhw.ir import (
    OPS,
    FrozenMap,
    Input,
    Op,
    ParamSpec,
    Parts,
    Pointwise,
    Reshape,
    Shape,
    Sum,
    as_signal,
    expr,
    init_params,
    op,
    part,
    sequential,
    table,
    var,
)
from snnhw.nn.capture.layers import MODULES, host
from snnhw.nn.capture.signals import Converted, Signal
from snnhw.parity.rounding.passing import OTHERS, ROUNDINGS
from snnhw.reference import RULES, execute
from snnhw.reference.arrays import like, reshape, total
from snnhw.reference.elementwise import add, div, mul, sqrt
from snnhw.reference.tape import Var
from snnhw.tensors.network import OPERATIONS, TIMED
from snnhw_ipu.layers import LOWERINGS

# -- What somebody writes ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Rms(Op):
    """``y = x / sqrt(mean square + eps) * weight`` over the last axis (arXiv:1910.07467)."""

    size: int
    eps: float = 1e-5

    def params(self) -> Mapping[str, ParamSpec]:
        return {"weight": ParamSpec((self.size,), default=1.0)}

    def infer(self, shapes: Mapping[str, Shape]) -> Mapping[str, Shape]:
        return {"y": shapes["x"]}

    def parts(self, shapes: Mapping[str, Shape]) -> Parts:
        square = Pointwise(FrozenMap({"y": var("x") * var("x")}))
        root = expr.sqrt(var("total") / float(self.size) + self.eps)
        y = Pointwise(FrozenMap({"y": var("x") / root * var("weight")}), ("x", "total", "weight"))
        return {
            "square": part(square, x="x"),
            "sum": part(Sum(), x="square.y"),
            "total": part(Reshape((*shapes["x"][:-1], 1)), x="sum.y"),
            "weight": as_signal(self, "weight"),
            "": part(y, x="x", total="total.y", weight="weight.y"),
        }


def rule(here: Any) -> dict[str, Var]:
    x = here.env["x"]
    mean = div(total(mul(x, x), axis=-1), like(x, here.op.size))
    root = reshape(sqrt(add(mean, like(x, here.op.eps))), (*x.shape[:-1], 1))
    return {"y": mul(div(x, root), here.env["weight"])}


def convert(module: nn.RMSNorm, x: Signal) -> Converted:
    made = Rms(x.shape[-1], module.eps or 1e-5)
    return Converted(made, {"x": (x.port,)}, {"weight": host(module, "weight")})


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All that is told to the library; afterwards it knows nothing of it."""
    monkeypatch.setattr(table, "_ADDED", {})
    told: tuple[dict[Any, Any], ...] = (OPS, RULES, EXAMPLES, MODULES)
    before = [dict(each) for each in told]
    op(Rms)
    RULES.add(Rms)(rule)
    EXAMPLES.add(Rms)({"plain": (Rms(3), (3,)), "rows": (Rms(2, 0.125), (2, 2))})
    INEXACT.add(Rms)
    MODULES.add(nn.RMSNorm)(convert)
    yield
    INEXACT.discard(Rms)
    for each, rows in zip(told, before, strict=True):
        each.clear()
        each.update(rows)


# -- What follows ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("written")
def test_nothing_else_knows_of_it() -> None:
    for each in (OPERATIONS, TIMED, LOWERINGS, ROUNDINGS, OTHERS):
        assert Rms not in each
    for name in ("cpu", "ipu", "reference"):
        claimed = Rms in registry.load("snnhw.backends", name).capabilities().ops
        assert claimed is (name == "reference")


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize(
    ("name", "options"),
    [("reference", {}), ("cpu", {}), ("ipu", {"emulate": True})],
    ids=["reference", "cpu", "ipu"],
)
def test_conformance_makes_cases_of_it_and_backends_pass_them(name: str, options: dict[str, object]) -> None:
    found: list[CaseResult] = []
    run_on(registry.backend(name, options), options, select="Rms-", on_result=found.append)
    ids = {result.id for result in found}
    assert {"margin/Rms-plain", "gradient/Rms-rows", "gradient/static-Rms-rows"} <= ids
    assert [f"{result.id}: {result.reason}" for result in found if result.outcome != "passed"] == []


def test_once_it_is_forgotten_there_are_no_cases_of_it() -> None:
    assert [plan.id for plan in all_cases() if "Rms-" in plan.id] == []


@pytest.mark.usefixtures("written", "one_thread")
def test_a_module_of_it_is_captured_saved_loaded_and_trained(tmp_path: Path) -> None:
    torch.manual_seed(2)
    net = nn.Sequential(nn.Linear(3, 4), nn.RMSNorm(4, eps=1e-3), snn.Leaky(beta=0.9, init_hidden=True))
    x = torch.randn(5, 2, 3)
    api.save(tmp_path / "net.snn", net, x[0])
    program, params = api.load(tmp_path / "net.snn")
    assert program.nodes["1"] == Rms(4, 1e-3)
    make = partial(
        snn.compile,
        time_steps=5,
        record=("1.y",),
        loss=snn.functional.l1_rate_sparsity(),
        optimizer=snn.optim.SGD(lr=0.5),
    )
    found = {}
    for name in ("reference", "cpu"):
        with make((program, params), x[0], backend=name) as model:
            run = model.executable.run({"input": x})
            model.executable.step({"input": x}, {})
            found[name] = {"y": run.recordings["1.y"], **model.executable.get_params()}
    wanted = net[1](net[0](x)).detach()
    np.testing.assert_allclose(found["cpu"]["y"], wanted, atol=1e-6)
    for key, array in found["reference"].items():
        np.testing.assert_allclose(found["cpu"][key], array, atol=1e-6, err_msg=key)
    assert np.abs(found["cpu"]["1.weight"] - 1.0).max() > 0


@pytest.mark.usefixtures("written")
def test_it_is_explained_as_what_it_runs_as() -> None:
    program = sequential({"x": Input((4,)), "norm": Rms(4)})
    plugin = registry.backend("cpu")
    job = lowering.make_job(plugin, program, time_steps=2, batch=1)
    found = lowering.explain(plugin, program, job)
    assert found.tables["ops made of others"] == (
        ("node", "op", "runs as"),
        ("norm", "Rms", "Pointwise, Sum, Reshape, Parameter, Pointwise"),
    )
    stages = {row[1] for row in found.tables["schedule"]}
    assert {"norm.square", "norm"} <= stages


def test_the_page_for_contributors_names_the_files_of_these_tables() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = page.partition("## Adding an op")[2].partition("That is all")[0].splitlines()[4:]
    named = [re.search(r"`(snnhw/[^`]+)`", row.split("|")[2]) for row in rows if row]
    places = [found[1] for found in named if found]
    homes = [
        "snnhw.reference.RULES",
        "snnhw.conformance.cases.making.examples.EXAMPLES",
        "snnhw.nn.capture.layers.MODULES",
    ]
    assert places[0] == "snnhw/ir/ops/"
    for place, home in zip(places[1:], homes, strict=True):
        assert f'Table("{home}"' in (ROOT / place).read_text(encoding="utf-8")


# -- What is missing ---------------------------------------------------------------------------------


def test_without_a_rule_it_has_the_meaning_of_its_parts() -> None:
    program = sequential({"x": Input((4,)), "norm": Rms(4)})
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    wanted = x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5)
    found = execute(program, init_params(program), {"x": x}).outputs["output"]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.usefixtures("one_thread")
def test_without_parts_it_runs_where_a_table_has_a_row_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "_ADDED", {})
    program = sequential({"x": Input((4,)), "norm": Closed(4, 0.5)})
    x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    try:
        RULES.add(Closed)(rule)
        OPERATIONS.add(Closed)(lambda op, xs, given: F.rms_norm(xs["x"], (op.size,), given["weight"], op.eps))
        with snn.compile(program, x[0], backend="cpu", time_steps=2) as model:
            found = model.executable.run({"x": x}).outputs["output"]
        wanted = execute(program, init_params(program), {"x": x}).outputs["output"]
        np.testing.assert_allclose(found, wanted, atol=1e-6)
        with pytest.raises(Unsupported, match=r"Installed backends that could: cpu, cuda, reference"):
            snn.compile(program, x[0], backend="ipu", time_steps=2, options={"emulate": True})
    finally:
        RULES.pop(Closed, None)
        OPERATIONS.pop(Closed, None)


class Closed(Rms):
    """It does not say what it is made of."""

    parts = Op.parts  # type: ignore[assignment]  # on purpose


class Undecided(Rms):
    """It would have parts, but not here."""

    def parts(self, shapes: Mapping[str, Shape]) -> None:  # type: ignore[override]  # narrower than it may be
        return None


@pytest.mark.parametrize("kind", [Closed, Undecided])
def test_without_parts_and_rows_it_is_refused_by_name(kind: type[Rms]) -> None:
    program = sequential({"x": Input((4,)), "norm": kind(4)})
    plugin = registry.backend("cpu")
    with pytest.raises(Unsupported, match=rf"norm \({kind.__name__}\): this kind of op is not supported\n"):
        lowering.lower(
            plugin, program, init_params(program), lowering.make_job(plugin, program, time_steps=1, batch=1)
        )
    message = rf"no row for .*\.{kind.__name__}; give it parts\(\) .*, or add a row with RULES\.add\("
    with pytest.raises(ProgramError, match=message):
        execute(program, init_params(program), {"x": np.ones((1, 1, 4))})
