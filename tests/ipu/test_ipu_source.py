"""The worker's code stays within Python 3.8, and imports nothing that its environment lacks."""

from __future__ import annotations

import ast
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from source import ROOT, Module, modules

WORKER = ROOT / "backends" / "snnhw_ipu" / "worker"
FILES = [module for module in modules("backends") if WORKER in module.path.parents]
PLAIN = {"__init__.py", "__main__.py"}
"""Without annotations; the second is read by any Python, see `test_ipu_worker`."""

MAY = {"numpy", "torch", "poptorch", "snnhw_ipu"}


def test_there_is_a_worker() -> None:
    assert {module.path.name for module in FILES} >= {"__main__.py", "frames.py", "session.py", "executor.py"}


@pytest.mark.parametrize("module", FILES, ids=lambda module: str(module.path.relative_to(WORKER)))
def test_a_file_is_python_3_8(module: Module) -> None:
    ast.parse(module.text, feature_version=(3, 8))
    assert "from __future__ import annotations" in module.text or module.path.name in PLAIN


@pytest.mark.parametrize("module", FILES, ids=lambda module: str(module.path.relative_to(WORKER)))
def test_a_file_imports_only_what_a_poplar_environment_has(module: Module) -> None:
    for each in module.imports:
        top = each.target.partition(".")[0]
        assert top in MAY or top in sys.stdlib_module_names, f"{module.at(each.line)}: {each.target}"
        if top == "snnhw_ipu":
            assert each.within("snnhw_ipu.worker")


@pytest.mark.parametrize("module", FILES, ids=lambda module: str(module.path.relative_to(WORKER)))
def test_no_type_is_built_while_running_that_3_8_cannot_build(module: Module) -> None:
    """``list[int]`` outside an annotation fails there, whatever is imported from __future__."""
    annotations = {
        id(part)
        for node in ast.walk(module.tree)
        for note in (getattr(node, "annotation", None), getattr(node, "returns", None))
        if note is not None
        for part in ast.walk(note)
    }
    for node in ast.walk(module.tree):
        if (
            isinstance(node, ast.Subscript)
            and isinstance(node.value, ast.Name)
            and id(node) not in annotations
        ):
            assert node.value.id not in {"list", "dict", "tuple", "set", "type"}, module.at(node.lineno)


def vermin(folder: Path, *files: Path) -> subprocess.CompletedProcess[str]:
    """Whether some files need more than Python 3.8."""
    code = "from vermin import main; main()"
    command = [sys.executable, "-c", code, "-t=3.8-", "--no-tips", "--violations", *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


@pytest.mark.skipif(importlib.util.find_spec("vermin") is None, reason="vermin is not installed")
def test_vermin_agrees_and_notices_what_is_newer(tmp_path: Path) -> None:
    done = vermin(tmp_path, WORKER)
    assert done.returncode == 0, done.stdout
    newer = tmp_path / "newer.py"
    newer.write_text("print('snnhw'.removeprefix('s'))\n")
    assert "3.9" in vermin(tmp_path, newer).stdout
    assert vermin(tmp_path, newer).returncode != 0


def test_python_3_8_compiles_it(tmp_path: Path) -> None:
    python = shutil.which("python3.8")
    if python is None or subprocess.run([python, "-V"], capture_output=True, check=False).returncode:
        pytest.skip("there is no Python 3.8 here")
    files = [str(module.path) for module in FILES]
    code = "import sys\nfor path in sys.argv[1:]: compile(open(path).read(), path, 'exec')"
    done = subprocess.run(
        [python, "-c", code, *files], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
