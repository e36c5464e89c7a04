"""The whole suite on the backends that are here, and its two doors: a function, and pytest."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from snnhw import conformance, parity
from snnhw.conformance import CLASSES, CaseResult, ConformanceReport, run, run_on
from snnhw.errors import InputError, UnknownPlugin
from snnhw.ir import MODELS, SURROGATES, Params, Program
from snnhw.plugin import (
    INTERFACE,
    Backend,
    Capabilities,
    Executable,
    Explanation,
    Probe,
    Run,
    Train,
)
from snnhw_reference.plugin import ReferenceOptions

ROOT = Path(__file__).parents[2]

FEW = {"law": 26, "training": 4}
"""Classes that compile few kernels, and how many at most."""


def assert_ok(found: ConformanceReport) -> None:
    assert found.ok, "\n".join(
        f"{case.id}: {case.reason}" for case in found.cases if case.outcome == "failed"
    )
    assert found.passed == len(found.cases)


# -- The backends that are here -------------------------------------------------------------------


@pytest.mark.parametrize("quick", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_reference_conforms(*, quick: bool) -> None:
    assert_ok(run("reference", {"dtype": "float64"}, quick=quick))


@pytest.mark.slow
def test_the_reference_conforms_in_single_precision() -> None:
    assert_ok(run("reference", {"dtype": "float32"}, classes=["law", "near", "pointwise"]))


@pytest.mark.usefixtures("plain_torch")
def test_torch_conforms(derived: set[str]) -> None:
    """All cases, without waiting for a compiler; and how many kernels there are to compile."""
    assert_ok(run("cpu"))
    print(f"{len(derived)} kernels for {len(MODELS)} models")
    assert len(derived) <= 25 * (1 + len(MODELS)) + 2 * len(SURROGATES)


@pytest.mark.parametrize(("cls", "kernels"), FEW.items())
def test_cpu_conforms_where_few_kernels_are_compiled(cls: str, kernels: int, derived: set[str]) -> None:
    assert_ok(run("cpu", classes=[cls]))
    print(f"{len(derived)} kernels")
    assert 0 < len(derived) <= kernels


def test_every_model_runs_on_compiled_kernels(derived: set[str]) -> None:
    """Forward and backward, in a network, with parameters for every neuron."""
    found = run("cpu", select="/dense-", classes=["gradient"])
    assert_ok(found)
    assert found.passed == len(MODELS)
    print(f"{len(derived)} kernels")
    assert len(derived) <= 2 * len(MODELS) + 6  # forward, and forward with backward


@pytest.mark.slow
@pytest.mark.parametrize("cls", [cls for cls in CLASSES if cls not in FEW])
def test_cpu_conforms(cls: str) -> None:
    assert_ok(run("cpu", classes=[cls]))


def test_cpu_conforms_in_double_precision() -> None:
    assert_ok(run("cpu", {"dtype": "float64"}, select="law/agrees"))


# -- The function ---------------------------------------------------------------------------------


def test_cases_are_selected_by_a_part_of_their_id(reference: Backend) -> None:
    found = run_on(reference, select="Linear-", classes=["exact", "pointwise"])
    assert found.passed == len(found.cases) == 6
    assert all(case.id.startswith("exact/Linear-") for case in found.cases)


def test_cases_are_selected_by_several_texts(reference: Backend) -> None:
    found = run_on(reference, select=["exact/Add", "exact/midpoints"], classes=["exact"])
    assert {case.id for case in found.cases} >= {"exact/midpoints"}
    assert {case.id.partition("-")[0] for case in found.cases} == {"exact/Add", "exact/midpoints"}


def test_nothing_selected_is_not_ok(reference: Backend) -> None:
    found = run_on(reference, select="no such case")
    assert found.cases == ()
    assert not found.ok


def test_results_are_told_as_they_come(reference: Backend) -> None:
    told: list[CaseResult] = []
    found = run_on(reference, select="law/splits", on_result=told.append)
    assert tuple(told) == found.cases
    assert len(told) == 3


def test_a_misspelt_class_is_an_error(reference: Backend) -> None:
    with pytest.raises(
        InputError, match=r"no class 'laws' .* Did you mean 'law'\? Classes: exact, integer, pointwise"
    ):
        run_on(reference, classes=["laws"])


def test_a_misspelt_option_is_an_error_before_anything_runs(reference: Backend) -> None:
    with pytest.raises(InputError, match="has no option 'dtyp'"):
        run_on(reference, {"dtyp": "float32"})


def test_an_option_of_the_backend_it_is_held_to_bears_its_name() -> None:
    found = run("cpu", {"reference.dtype": "float32"}, select="pointwise/Pointwise", against="reference")
    assert found.ok
    assert (found.against, found.failed) == ("reference", 0)
    with pytest.raises(InputError, match="backend 'reference' has no option 'dtyp'"):
        run("cpu", {"reference.dtyp": "float32"}, select="exact/Add", against="reference")
    with pytest.raises(InputError, match=r"backend 'cpu' has no option 'ipu\.emulate'"):
        run("cpu", {"ipu.emulate": "true"}, select="exact/Add", against="reference")


def test_an_unknown_backend_is_an_error() -> None:
    with pytest.raises(UnknownPlugin, match="no installed distribution offers a backend 'chip'"):
        run("chip")


@dataclass
class Labelled:
    """A backend whose results are marked."""

    plugin: Backend
    name: str = "chip"
    label: str = "emulated on paper"
    interface: int = INTERFACE
    Options: type = ReferenceOptions

    def probe(self) -> Probe:
        return self.plugin.probe()

    def compile(self, program: Program, params: Params, job: Run | Train) -> Executable:
        return self.plugin.compile(program, params, job)

    def explain(self, program: Program, job: Run | Train) -> Explanation:
        return self.plugin.explain(program, job)

    def capabilities(self) -> Capabilities:
        return replace(self.plugin.capabilities(), label=self.label)


def test_the_report_carries_the_label(reference: Backend) -> None:
    found = run_on(Labelled(reference), select="exact/Add")
    assert (found.backend, found.label) == ("chip", "emulated on paper")


@dataclass(frozen=True)
class StandIn:
    """Options of a backend that may have something else in its place."""

    interpret: bool = False

    @property
    def label(self) -> str:
        return "interpreted" if self.interpret else ""


def test_an_option_puts_its_own_label_on_the_report(reference: Backend) -> None:
    plugin = Labelled(reference, Options=StandIn)
    assert run_on(plugin, select="exact/Add").label == "emulated on paper"
    assert run_on(plugin, {"interpret": "true"}, select="exact/Add").label == "interpreted"


# -- Pytest ---------------------------------------------------------------------------------------


def pytest_run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--pyargs",
        "snnhw.conformance",
        "-p",
        "no:cacheprovider",
    ]
    return subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def test_pytest_runs_the_cases_it_is_asked_for() -> None:
    done = pytest_run("--snnhw-backend", "reference", "--snnhw-option", "dtype=float32", "-k", "law/splits")
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout
    assert "snnhw backend: reference\n" in done.stdout


def test_pytest_labels_what_stands_in_for_the_device_in_every_form(tmp_path: Path) -> None:
    file = tmp_path / "results.xml"
    options = ("--snnhw-backend", "ipu", "--snnhw-option", "emulate=true", "-k", "exact/Add")
    done = pytest_run("-q", *options, "--junitxml", str(file))
    assert done.returncode == 0, done.stdout
    assert "\nsnnhw backend: ipu (emulated on torch " in done.stdout
    assert file.read_text().count('<property name="snnhw backend" value="ipu (emulated on torch ') == 2


def test_pytest_without_a_backend_skips_and_says_why() -> None:
    done = pytest_run("-rs")
    assert done.returncode == 0, done.stdout
    assert "no backend to test; name one with --snnhw-backend" in done.stdout
    assert "1 skipped" in done.stdout


def test_the_pytest_plugin_is_light() -> None:
    """It is loaded in every session of an environment where snnhw is installed."""
    script = (
        "import sys, snnhw.conformance.pytest_plugin;"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not {"numpy", "torch", "stevedore", "msgspec", "numba"} & set(done.stdout.split())


def test_what_is_reached_as_conformance_is_the_layer_of_parity() -> None:
    for name in ("Live", "Mismatch", "Parity", "hold", "parity"):
        assert getattr(conformance, name) is getattr(parity, name)
    assert all(getattr(conformance, name) is not None for name in conformance.__all__)
    with pytest.raises(AttributeError, match=r"^module 'snnhw.conformance' has no attribute 'Plan'$"):
        _ = conformance.Plan
