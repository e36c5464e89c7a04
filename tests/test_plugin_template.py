"""The template of a plugin, as a stranger would use it: out of tree, installed, held to the suite."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from snnhw_template.plugin import TemplateBackend

    from snnhw.plugin import Backend

    TEMPLATE_IS_A_BACKEND: Backend = TemplateBackend()

ROOT = Path(__file__).parents[1]
TEMPLATE = ROOT / "examples" / "plugin_template"
BUILT = shutil.ignore_patterns("build", "*.egg-info", "__pycache__")
PAGE = ROOT / "docs" / "writing_a_backend.md"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the template in it, installed without a network."""
    base = tmp_path_factory.mktemp("stranger")
    source, target = base / "source", base / "site"
    shutil.copytree(TEMPLATE, source, ignore=BUILT)
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet"]
    command = [sys.executable, "-m", "pip", "install", *offline, "--target", str(target), str(source)]
    subprocess.run(command, check=True, cwd=base)
    return target


def python(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python with the template on its path, started far from this repository."""
    paths = [str(installed), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "COLUMNS": "120"}
    environment.pop("PYTEST_ADDOPTS", None)
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=installed.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_is_found(installed: Path) -> None:
    done = python(installed, "-m", "snnhw", "backends")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^template\s+ready", done.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    "which",
    [("-k", "Leaky or Linear or law"), pytest.param((), marks=pytest.mark.slow)],
    ids=["some", "all"],
)
def test_it_passes_the_suite(which: tuple[str, ...], installed: Path) -> None:
    done = python(
        installed,
        "-m",
        "pytest",
        "--pyargs",
        "snnhw.conformance",
        "--snnhw-backend",
        "template",
        *which,
        "-p",
        "no:cacheprovider",
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "snnhw backend: template\n" in done.stdout
    (passed,) = re.findall(r"(\d+) passed", done.stdout)
    assert int(passed) > 100
    assert "failed" not in done.stdout


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
def test_where_all_is_declined_pytest_fails(workers: tuple[str, ...], installed: Path) -> None:
    """It does not train."""
    suite = ("-m", "pytest", "-q", "--pyargs", "snnhw.conformance", "--snnhw-backend", "template", *workers)
    done = python(installed, *suite, "-k", "gradient/Linear-", "-p", "no:cacheprovider")
    assert done.returncode == 1, done.stdout
    assert "snnhw: nothing was run: all of 3 cases were declined" in done.stdout
    if workers:
        return
    done = python(installed, *suite, "-k", "gradient/Linear- or exact/Linear-bias", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout
    assert "nothing was run" not in done.stdout


def test_a_run_of_it_is_compared_with_others(installed: Path, tmp_path: Path) -> None:
    file = tmp_path / "net.snn"
    script = (
        "import sys; from snnhw.ir import MODELS, Input, Linear, Neuron, init_params, sequential;"
        "from snnhw.ir.files import save;"
        "net = sequential({'x': Input((4,)), 'fc': Linear(4, 5), 'lif': Neuron(MODELS['Leaky'])});"
        "save(sys.argv[1], net, init_params(net, given={'lif.beta': 0.9}))"
    )
    assert python(installed, "-c", script, str(file)).returncode == 0
    done = python(installed, "-m", "snnhw", "verify", str(file), "--on", "template,reference")
    assert done.returncode == 0, done.stderr
    assert "template and the reference: every spike is equal." in done.stdout


def test_its_list_of_known_failures_is_installed_and_strict(installed: Path) -> None:
    listed = installed / "snnhw_template" / "conformance_xfail.txt"
    before = listed.read_text(encoding="utf-8")
    assert before == (TEMPLATE / "snnhw_template" / "conformance_xfail.txt").read_text(encoding="utf-8")
    arguments = ("-m", "snnhw", "conformance", "template", "--class", "exact", "--select", "Linear-bias")
    try:
        listed.write_text("exact/Linear-bias  # sums the wrong way round, https://example.org/1\n")
        done = python(installed, *arguments)
        assert done.returncode == 1
        assert "listed as a known failure (sums the wrong way round, https://example.org/1)" in done.stdout
        listed.write_text("exact/Linear-bies  # why, https://example.org/1\n")
        done = python(installed, *arguments)
        assert done.returncode == 1
        assert "there is no conformance case 'exact/Linear-bies'. Did you mean" in done.stderr
    finally:
        listed.write_text(before, encoding="utf-8")


# -- The page that explains it ----------------------------------------------------------------------


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_what_the_page_shows_is_in_the_files() -> None:
    sources = [path.read_text(encoding="utf-8") for path in sorted(TEMPLATE.rglob("*.py"))]
    sources.append((TEMPLATE / "pyproject.toml").read_text(encoding="utf-8"))
    shown = [*blocks("python"), *blocks("toml")]
    assert len(shown) >= 4
    for block in shown:
        assert any(block in source for source in sources), block


def test_its_first_steps_give_a_backend_of_another_name(tmp_path: Path) -> None:
    """As the page has them, word for word; what comes of it is imported and named."""
    steps = blocks("bash")[0]
    shutil.copytree(TEMPLATE, tmp_path / "examples" / "plugin_template", ignore=BUILT)
    subprocess.run(["bash", "-euc", steps], check=True, cwd=tmp_path)
    made = tmp_path / "chip"
    left = [
        path for path in made.rglob("*.*") if path.is_file() and "emplate" in path.read_text(encoding="utf-8")
    ]
    assert left == []
    script = "from snnhw_chip.plugin import ChipBackend as C; print(C.name, C().capabilities().train)"
    assert python(made, "-c", script).stdout == "chip False\n"
    project = tomllib.loads((made / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"] == {"snnhw.backends": {"chip": "snnhw_chip.plugin:ChipBackend"}}


def test_the_template_is_three_short_files() -> None:
    kept = {".toml", ".py"}
    files = [path for path in TEMPLATE.rglob("*") if path.suffix in kept and "build" not in path.parts]
    assert sorted(path.name for path in files) == ["executable.py", "plugin.py", "pyproject.toml"]
    lines = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert sum(lines.values()) < 220, lines


def test_the_page_names_the_entry_point_and_the_version_of_the_interface() -> None:
    from snnhw.plugin import BACKENDS, INTERFACE

    project = tomllib.loads((TEMPLATE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert list(project["entry-points"]) == [BACKENDS]
    assert f"| {INTERFACE} | " in PAGE.read_text(encoding="utf-8"), "what this version has changed"
    assert f"interface = {INTERFACE}  #" in (TEMPLATE / "snnhw_template" / "plugin.py").read_text()


def test_the_backend_on_torch_that_the_page_shows_trains_and_is_explained() -> None:
    import torch

    import snnhw as snn
    from snnhw.conformance import CaseResult, run_on
    from snnhw.lowering import explain, make_job

    page: dict[str, Any] = {}
    (shown,) = blocks("py")
    exec(shown, page)
    plugin: Backend = page["XpuBackend"]()
    found: list[CaseResult] = []
    run_on(plugin, quick=True, on_result=found.append)
    assert len(found) > 50
    floats = [each for each in found if each.cls != "integer"]  # which it does not claim to compute in
    assert [f"{each.id}: {each.reason}" for each in floats if each.outcome != "passed"] == []
    net = torch.nn.Sequential(torch.nn.Linear(6, 5), snn.Leaky(beta=0.9, init_hidden=True))
    program = snn.capture(net, torch.zeros(4, 6)).program
    told = explain(plugin, program, make_job(plugin, program, time_steps=3, batch=4))
    assert [row[0] for row in told.tables["kernels"]] == ["node", "1"]
    assert [text.startswith("ScanLoop(name='forward'") for text in told.sources.values()] == [True]
