"""Every way in which the CPU may run is held to the reference, and a fault in any of them is noticed."""

from __future__ import annotations

import pytest
from path_faults import COARSE, FAULTS

from snnhw.conformance import CLASSES, CaseResult, ConformanceReport, all_cases, run
from snnhw.conformance.bench import Bench
from snnhw.conformance.outcome import judge
from snnhw_cpu.plugin import CpuBackend

CPU = Bench(CpuBackend())


def ways_beside(path: str) -> list[str]:
    """The other ways of the same decision."""
    name, _, way = path.partition(":")
    return [f"{name}:{other}" for other in CPU.capabilities.paths[name] if other != way]


def judged(path: str, case_id: str) -> CaseResult:
    (lazy,) = (lazy for lazy in all_cases() if lazy.id == case_id)
    return judge(CPU.forced[path], lazy)


def assert_ok(found: ConformanceReport) -> None:
    failed = [f"{case.id}: {case.reason}" for case in found.cases if case.outcome == "failed"]
    assert found.ok, "\n".join(failed)


def test_there_is_a_fault_for_every_way() -> None:
    assert set(FAULTS) == set(CPU.forced)


def test_a_way_that_the_options_rule_out_is_none() -> None:
    keeping = Bench(CpuBackend(), {"deterministic": True}).forced
    assert set(CPU.forced) - set(keeping) == {"linear:skip", "linear:lookup"}


@pytest.mark.parametrize("path", FAULTS)
def test_a_fault_is_caught_where_its_way_is_forced_and_nowhere_else(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    FAULTS[path].plant(monkeypatch.setattr)
    for case_id in FAULTS[path].caught:
        assert judged(path, case_id).outcome == "failed", f"{case_id} did not notice"
        for other in ways_beside(path):
            found = judged(other, case_id)
            assert found.outcome == "passed", f"{case_id} with {other}: {found.reason}"


def test_a_fault_of_another_precision_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    COARSE.plant(monkeypatch.setattr)
    wanted = {lazy.id: lazy for lazy in all_cases()}
    for case_id in COARSE.caught:
        found = judge(CPU, wanted[case_id])
        assert found.outcome == "failed", f"{case_id} did not notice"
        assert "with precision=bf16" in found.reason
    assert judge(CPU, wanted["exact/Linear-bias"]).outcome == "passed"


DECIDED = (
    "exact/Linear",
    "exact/Conv2d",
    "exact/Leaky",
    "exact/at-threshold",
    "integer/wrap",
    "pointwise/Leaky",
    "margin/recurrent",
    "near/dense",
    "gradient/Leaky",
    "gradient/unwatched",
    "training/SGD",
    "training/Adam-",
    "law/splits",
    "law/trains-alike",
    "law/resumes",
    "law/lives",
    "law/rounds",
)
"""Of a quick look, the cases of every class on which the decisions bear most. The others say again on each
way what they say on none."""


@pytest.mark.parametrize("path", CPU.forced)
def test_every_class_holds_on_every_way(path: str) -> None:
    found = run("cpu", {"paths": path}, quick=True, select=DECIDED)
    assert found.ok, "\n".join(
        f"{case.id}: {case.reason}" for case in found.cases if case.outcome == "failed"
    )
    assert {case.cls for case in found.cases} == set(CLASSES)
    assert found.passed == len(found.cases)


@pytest.mark.slow
def test_every_case_holds_on_every_way() -> None:
    found = run("cpu", paths=True)
    assert found.ok, "\n".join(
        f"{case.id}: {case.reason}" for case in found.cases if case.outcome == "failed"
    )
    assert found.passed == len(found.cases) == len(all_cases()) * (1 + len(FAULTS))


def test_a_report_names_the_way() -> None:
    found = run("cpu", {"paths": "linear:dense"}, select="exact/Add-one", paths=True)
    ids = [case.id for case in found.cases]
    first = ids.index("exact/Add-one@chains:apart")
    assert ids[0] == "exact/Add-one"
    assert not any("@linear" in each for each in ids)  # as forced by the option
    assert found.cases[first].cls == "exact"
