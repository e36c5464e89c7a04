"""Who may import whom, and other rules about the source that no reader should have to remember.

The tables at the top are the architecture; the tests below hold every file to them.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter

import pytest
from source import ROOT, Import, Module, loaded_with, modules

import snnhw

COMMON = {"errors", "words"}

LAYERS: dict[str, set[str]] = {
    "errors": set(),
    "words": set(),
    "_version": set(),
    "spikevision": set(),
    "ir": COMMON,
    "plugin": COMMON,
    "arrays": COMMON | {"plugin"},
    "session": COMMON | {"ir", "plugin", "arrays"},
    "reader": COMMON | {"plugin"},
    "target": COMMON | {"plugin"},
    "deploy": COMMON | {"ir", "passes", "reference", "plugin", "target", "registry"},
    "options": COMMON | {"plugin", "reader"},
    "registry": COMMON | {"plugin", "reader", "options"},
    "passes": COMMON | {"ir"},
    "reference": COMMON | {"ir"},
    "check": COMMON | {"ir", "passes", "plugin"},
    "lowering": COMMON | {"ir", "passes", "plugin", "registry", "check"},
    "tensors": COMMON | {"ir", "passes", "plugin", "arrays", "registry", "session"},
    "parity": COMMON | {"ir", "passes", "reference", "plugin", "lowering"},
    "verify": COMMON | {"ir", "plugin", "arrays", "reader", "registry", "lowering", "parity"},
    "spikeplot": COMMON,
    "metrics": COMMON
    | {"ir", "reference", "plugin", "arrays", "registry", "lowering", "target", "deploy", "spikeplot"},
    "conformance": COMMON
    | {"ir", "passes", "reference", "plugin", "options", "registry", "check", "lowering", "parity"},
}
"""Layer -> the other layers it may import. A layer is a file or a folder directly under snnhw/."""

FOR_TYPES_ONLY = {"plugin": {"ir"}, "target": {"ir"}}
"""What a layer may import for type checkers alone."""

TORCH_SIDE = {
    *("_layers", "_neurons", "backprop", "chips", "datasets", "export_nir", "functional", "import_nir", "nn"),
    *("optim", "spikegen", "surrogate", "tensors", "training", "utils"),
}
"""Layers that import torch. Except for `tensors`, they may import everything in snnhw."""

ON_TOP = {"__init__", "__main__", "api", "cli", "reporting"}
"""Layers that may import everything in snnhw, but the torch side only inside functions (`cli`: anywhere)."""

FOR_PLUGINS = COMMON | {"ir", "passes", "plugin", "reader", "target", "arrays", "session"}
"""The layers a plugin may import."""

FOR_SOME_PLUGINS = {
    "snnhw_reference": {"reference"},
    "snnhw_cpu": {"tensors"},
    "snnhw_cuda": {"tensors"},
    "snnhw_nir": {"reference"},  # to say how many spikes a reader's rule changes
}

SAME_NAME = {
    "Dropout": "the op, and the torch module that becomes it, under the name that torch gives it",
}
"""Public classes of the core that have their name with another one -> why."""

VENDORS = ("triton", "poptorch", "popart", "nir", "nirtorch", "h5py")
"""SDKs that may be absent, or fail when imported: never in core, never while a plugin.py loads."""

HEAVY = ("torch", "numba", "matplotlib", "sklearn", "pandas", "typer", "rich")
"""What ``import snnhw`` must not load, besides plugins."""

CORE = modules("snnhw")
PLUGINS = modules("backends")
PACKAGES = {module.package for module in PLUGINS}
FOLDERS = {f"snnhw.{layer}" for layer in LAYERS if (ROOT / "snnhw" / layer).is_dir()}
WITHIN = {
    "snnhw.conformance.cases",
    "snnhw.nn",
    "snnhw.nn.capture.capture",
    "snnhw.nn.modules",
    "snnhw.tensors.execution",
    "snnhw.tensors.network",
    "snnhw.tensors.network.loops",
    "snnhw.tensors.scans",
}
"""Folders further down that are built in storeys: tools for making cases below their sources, say."""


def none_of(offences: Iterable[str]) -> None:
    found = list(offences)
    assert not found, "\n".join(["", *found])


def site_of(imported: Import) -> str | None:
    """The layer that an import of something in snnhw reaches; None for an import of anything else."""
    if not imported.within("snnhw"):
        return None
    name = imported.target.split(".")[1] if "." in imported.target else "__init__"
    return snnhw._HOMES[name].split(".")[1] if name in snnhw._HOMES else name


# -- The walk itself ------------------------------------------------------------------------------


def test_the_walk_finds_the_project() -> None:
    assert len(CORE) >= 20
    assert {"errors", "ir", "plugin", "registry"} <= {module.layer for module in CORE}
    assert sum(len(module.imports) for module in CORE) >= 100


@pytest.mark.parametrize(
    ("text", "target", "when"),
    [
        ("import torch.nn", "torch.nn", "loading"),
        ("from torch import nn", "torch.nn", "loading"),
        ("from . import expr", "snnhw.ir.expr", "loading"),
        ("from ..errors import InputError", "snnhw.errors.InputError", "loading"),
        ("try:\n    import triton\nexcept ImportError: pass", "triton", "loading"),
        ("class A:\n    import torch", "torch", "loading"),
        ("def f():\n    import torch", "torch", "calling"),
        ("f = lambda: __import__('torch')", "torch", "calling"),
        ("importlib.import_module('torch')", "torch", "loading"),
        ("if TYPE_CHECKING:\n    import torch", "torch", "typing"),
        ("if typing.TYPE_CHECKING:\n    def f():\n        import torch", "torch", "typing"),
    ],
)
def test_the_walk_sees_every_kind_of_import(
    tmp_path_factory: pytest.TempPathFactory, text: str, target: str, when: str
) -> None:
    base = tmp_path_factory.mktemp("project")
    path = base / "snnhw" / "ir" / "file.py"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert [(each.target, each.when) for each in Module(path, base).imports] == [(target, when)]


# -- Words ---------------------------------------------------------------------------------------


def test_a_word_is_one_thing() -> None:
    """A public class has its name for itself, in all of the core."""
    homes: dict[str, list[str]] = {}
    for module in CORE:
        for node in ast.parse(module.path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(module.name)
    assert len(homes) > 200
    shared = {name: where for name, where in homes.items() if len(where) > 1}
    assert shared.keys() == SAME_NAME.keys(), shared
    assert all(SAME_NAME.values()), "each with its reason"


# -- Layers ---------------------------------------------------------------------------------------


def test_every_layer_is_in_a_table() -> None:
    known = {*LAYERS, *TORCH_SIDE, *ON_TOP}
    none_of(
        f"{module.name}: layer '{module.layer}' is in no table"
        for module in CORE
        if module.layer not in known
    )


def test_layers_import_only_those_below() -> None:
    none_of(
        f"{module.at(each.line)}: {module.layer} imports {each.target}"
        for module in CORE
        for each in module.imports
        if (reached := site_of(each)) is not None and not may_reach(module.layer, reached, each)
    )


def may_reach(layer: str, reached: str, imported: Import) -> bool:
    if reached == layer or layer not in LAYERS or reached in LAYERS[layer]:
        return True
    return imported.when == "typing" and reached in FOR_TYPES_ONLY.get(layer, set())


def test_torch_stays_on_its_side() -> None:
    none_of(
        f"{module.at(each.line)}: {module.layer} imports {each.target}"
        for module in CORE
        for each in module.imports
        if module.layer in LAYERS and module.layer not in TORCH_SIDE and each.within("torch")
    )


def test_api_meets_torch_only_inside_functions() -> None:
    none_of(
        f"{module.at(each.line)}: {module.layer} imports {each.target} when loaded"
        for module in CORE
        for each in module.imports
        if module.layer in ON_TOP - {"cli"} and each.when == "loading"
        if each.within("torch") or site_of(each) in TORCH_SIDE
    )


def test_modules_know_nothing_of_what_captures_or_compiles_them() -> None:
    """Not even inside functions: a neuron of torch's is complete without."""
    above = (
        "snnhw.nn.capture.capture",
        "snnhw.nn.model",
        "snnhw.nn.program",
        "snnhw.nn.sound",
        "snnhw.nn.alone",
    )
    none_of(
        f"{module.at(each.line)}: imports {each.target}"
        for module in CORE
        if module.name.startswith("snnhw.nn.modules")
        for each in module.imports
        if any(each.within(room) for room in above)
    )


@pytest.mark.parametrize("folder", sorted(FOLDERS | WITHIN | PACKAGES))
def test_rooms_are_loaded_one_way(folder: str) -> None:
    """A room is a file or folder directly under one of these: what one loads does not load it."""
    depth = folder.count(".") + 1
    loads: dict[str, set[str]] = {}
    for module in (module for module in [*CORE, *PLUGINS] if module.name.startswith(f"{folder}.")):
        room = module.name.split(".")[depth]
        targets = [each.target for each in module.imports if each.when == "loading" and each.within(folder)]
        loads.setdefault(room, set()).update(target.split(".")[depth] for target in targets)
    needs = {room: (targets & loads.keys()) - {room} for room, targets in loads.items()}
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        pytest.fail(f"{folder}: {' loads '.join(reversed(error.args[1]))}")


# -- Plugins --------------------------------------------------------------------------------------


def test_core_names_no_plugin_package() -> None:
    assert PACKAGES
    named = re.compile(rf"\b({'|'.join(sorted(PACKAGES))})\b")
    none_of(
        f"{module.at(number)}: names {found[0]}"
        for module in CORE
        for number, line in enumerate(module.text.splitlines(), 1)
        if (found := named.search(line))
    )


def test_core_decides_nothing_by_the_name_of_a_plugin() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    offered = {
        name
        for group in ("backends", "formats")
        for name in project["entry-points"].get(f"snnhw.{group}", {})
    }
    assert "cpu" in offered
    names = offered - LAYERS.keys()  # `reference` is a folder of core, too
    none_of(
        f"{module.at(node.lineno)}: holds the name {node.value!r}"
        for module in CORE
        if module.layer == "api" or (module.layer in LAYERS and module.layer not in TORCH_SIDE)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Constant) and node.value in names and id(node) not in _devices(module.tree)
    )


def _devices(tree: ast.Module) -> set[int]:
    """Values of ``device=``: DLPack's word for main memory, which a backend happens to share."""
    return {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.keyword) and n.arg == "device"}


def test_plugins_import_the_interface_and_not_each_other() -> None:
    none_of(
        f"{module.at(each.line)}: {module.package} imports {each.target}"
        for module in PLUGINS
        for each in module.imports
        if not plugin_may_import(module.package, each)
    )


def plugin_may_import(package: str, imported: Import) -> bool:
    top = imported.target.partition(".")[0]
    if top in PACKAGES - {package}:
        return False
    reached = site_of(imported)
    return reached is None or reached in FOR_PLUGINS | FOR_SOME_PLUGINS.get(package, set())


def test_core_imports_no_vendor() -> None:
    none_of(
        f"{module.at(each.line)}: imports {each.target}"
        for module in CORE
        for each in module.imports
        if each.within(*VENDORS)
    )


def test_loading_a_plugin_imports_no_vendor() -> None:
    by_name = {module.name: module for module in PLUGINS}
    none_of(
        f"{module.at(each.line)}: imports {each.target}, when {plugin.name} is loaded"
        for plugin in PLUGINS
        if plugin.path.name == "plugin.py"
        for module in sorted(loaded_with(plugin, by_name), key=lambda module: module.name)
        for each in module.imports
        if each.when == "loading" and each.within(*VENDORS)
    )


# -- The public names -----------------------------------------------------------------------------


def test_importing_snnhw_loads_nothing_heavy() -> None:
    script = (
        "import sys, time; start = time.perf_counter(); import snnhw; took = time.perf_counter() - start;"
        "print(f'{took * 1e3:.1f}', *sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    took, *loaded = done.stdout.split()
    print(f"import snnhw: {took} ms")
    assert "snnhw" in loaded
    none_of(f"import snnhw loads {name}" for name in loaded if name in HEAVY or name.startswith("snnhw_"))


def test_public_names_are_those_of_the_tables() -> None:
    assert sorted(snnhw.__all__) == sorted([*snnhw._HOMES, *snnhw._SUBMODULES])
    assert {*snnhw.__all__, "__version__"} <= set(dir(snnhw))


def test_type_checkers_see_the_same_names() -> None:
    (module,) = (module for module in CORE if module.name == "snnhw")
    seen = {each.target for each in module.imports if each.when == "typing"}
    homes = {f"{home}.{name}" for name, home in snnhw._HOMES.items()}
    assert seen == homes | {f"snnhw.{name}" for name in snnhw._SUBMODULES}


@pytest.mark.parametrize("name", [*snnhw.__all__, "__version__"])
def test_every_public_name_resolves(name: str) -> None:
    assert getattr(snnhw, name) is not None


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match=r"^module 'snnhw' has no attribute 'leaky'\."):
        _ = snnhw.leaky


# -- Files ----------------------------------------------------------------------------------------


def test_files_can_be_read_in_one_go() -> None:
    paths = [module.path for module in [*CORE, *PLUGINS]] + sorted((ROOT / "tests").rglob("*.py"))
    none_of(
        f"{path.relative_to(ROOT)}: {lines} lines, where 400 are the most"
        for path in paths
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 400
    )


def test_every_module_says_what_it_is_for() -> None:
    none_of(
        f"{module.at(1)}: no docstring" for module in [*CORE, *PLUGINS] if not ast.get_docstring(module.tree)
    )


def test_no_file_holds_the_path_of_a_machine() -> None:
    absolute = re.compile(r"(?<![\w.:/])/(?:home|mnt|opt|root|Users|work)/\w|[A-Z]:\\\\?Users\b")
    kinds = {".cfg", ".ipynb", ".md", ".py", ".rst", ".sh", ".toml", ".txt", ".yaml", ".yml", ""}
    folders = ("backends", "benchmarks", "docs", "examples", "findings", "snnhw", "tests", ".ci")
    roots = [ROOT / name for name in folders]
    files = [*ROOT.glob("*"), *(path for root in roots for path in root.rglob("*"))]
    # ".git" is a file in a worktree
    texts = [path for path in files if path.is_file() and path.suffix in kinds and path.name != ".git"]
    assert len(texts) >= 20
    none_of(
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in texts
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if absolute.search(line)
    )
