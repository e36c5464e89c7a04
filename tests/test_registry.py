"""Discovery: what is found, what is imported for it, and what a plugin that fails does to the others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_plugins import GOOD, World

from snnhw import registry
from snnhw.errors import (
    DuplicatePlugin,
    InterfaceMismatch,
    PluginError,
    PluginUnavailable,
    UnknownPlugin,
)
from snnhw.plugin import BACKENDS, FORMATS, INTERFACE, Probe

REPOSITORY = Path(__file__).parents[1]

RAISES_ON_IMPORT = {
    "ImportError": ("import sdk_of_nobody", "ModuleNotFoundError: No module named 'sdk_of_nobody'."),
    "AssertionError": ("assert 1 > 2, 'torch is too new'", "AssertionError: torch is too new."),
    "SyntaxError": ("def", "SyntaxError: invalid syntax ({module}.py, line 1)."),
    "SystemExit": ("raise SystemExit(3)", "SystemExit: 3."),
    "no such class": ("x = 1", "AttributeError: module '{module}' has no attribute 'Plugin'."),
}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    world = World(tmp_path)
    monkeypatch.setattr(sys, "path", world.path)
    yield world
    for module in world.imported:
        del sys.modules[module]


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def probing(body: str) -> str:
    return changed('return Probe("ready", device="{name} itself")', body)


# -- What is imported -----------------------------------------------------------------------------


def test_listing_is_sorted_and_imports_no_plugin(world: World) -> None:
    for name in ("zeta", "alpha", "mid"):
        world.offer(name)
    world.offer("paper", group=FORMATS)
    assert registry.names(BACKENDS) == ("alpha", "mid", "zeta")
    assert registry.names(FORMATS) == ("paper",)
    assert registry.names("snnhw.nothing") == ()
    assert world.imported == []


def test_selecting_imports_one_plugin_and_no_other(world: World) -> None:
    world.offer("one")
    chosen = world.offer("two")
    world.offer("three", "raise AssertionError")
    assert registry.load(BACKENDS, "two").name == "two"
    assert world.imported == [chosen]


def test_what_is_installed_while_running_is_found(world: World) -> None:
    world.offer("early")
    assert registry.names(BACKENDS) == ("early",)
    world.offer("late")
    assert registry.names(BACKENDS) == ("early", "late")
    assert registry.backend("late").name == "late"


def test_backend_and_format_come_ready(world: World) -> None:
    world.offer("chip")
    world.offer("paper", group=FORMATS)
    assert registry.backend("chip").name == "chip"
    assert registry.file_format("paper").name == "paper"


EMULATED = """
from dataclasses import dataclass
from snnhw.plugin import INTERFACE, Probe

@dataclass(frozen=True)
class Options:
    emulate: bool = False

class Plugin:
    name = "{name}"
    interface = INTERFACE
    Options = Options

    def probe(self):
        return Probe("no device", reason="nothing on the bus")
"""


def test_what_stands_in_for_a_device_needs_none(world: World) -> None:
    world.offer("chip", EMULATED)
    assert registry.backend("chip", {"emulate": "true"}).name == "chip"
    with pytest.raises(PluginUnavailable, match=r"nothing on the bus"):
        registry.backend("chip", {"emulate": False})


ELSEWHERE = EMULATED.replace("emulate: bool = False", "where: str = ''").replace(
    "class Plugin:",
    """    def probe(self):
        return Probe("ready" if self.where == "there" else "missing", reason="not " + self.where)

class Plugin:""",
)


def test_options_that_say_where_it_runs_are_asked_whether_it_can(world: World) -> None:
    world.offer("chip", ELSEWHERE)
    assert registry.backend("chip", {"where": "there"}).name == "chip"
    with pytest.raises(PluginUnavailable, match=r"cannot run here \(missing\): not somewhere"):
        registry.backend("chip", {"where": "somewhere"})
    with pytest.raises(PluginUnavailable, match=r"nothing on the bus"):
        registry.backend("chip")


def test_the_registry_needs_no_torch() -> None:
    script = "import sys, snnhw.registry; print('torch' in sys.modules)"
    assert run(script, cwd=REPOSITORY) == "False"


# -- Errors, one test for each message --------------------------------------------------------------


def test_unknown(world: World) -> None:
    world.offer("cuda")
    world.offer("cpu")
    with pytest.raises(UnknownPlugin) as caught:
        registry.load(BACKENDS, "quantum")
    assert str(caught.value) == (
        "no installed distribution offers a backend 'quantum'. Installed backends: cpu, cuda."
    )


def test_unknown_but_close(world: World) -> None:
    world.offer("cuda")
    world.offer("cpu")
    with pytest.raises(UnknownPlugin) as caught:
        registry.backend("cida")
    assert str(caught.value) == (
        "no installed distribution offers a backend 'cida'. Did you mean 'cuda'? "
        "Installed backends: cpu, cuda."
    )


@pytest.mark.usefixtures("world")
def test_unknown_where_nothing_is_installed() -> None:
    with pytest.raises(UnknownPlugin, match=r"Installed backends: none\.$"):
        registry.load(BACKENDS, "cpu")


def test_a_format_is_not_a_backend(world: World) -> None:
    world.offer("cpu")
    world.offer("paper", group=FORMATS)
    with pytest.raises(UnknownPlugin) as caught:
        registry.backend("paper")
    assert str(caught.value) == (
        "'paper' is a format, which reads and writes files; a backend was asked for. Installed backends: cpu."
    )


def test_a_backend_is_not_a_format(world: World) -> None:
    world.offer("cpu")
    with pytest.raises(UnknownPlugin) as caught:
        registry.file_format("cpu")
    assert str(caught.value) == (
        "'cpu' is a backend, which runs programs; a format was asked for. Installed formats: none."
    )


def test_duplicate(world: World) -> None:
    world.offer("twin", distribution="snnhw-red")
    world.offer("between")
    world.offer("twin", distribution="snnhw-blue")
    with pytest.raises(DuplicatePlugin) as caught:
        registry.load(BACKENDS, "twin")
    assert str(caught.value) == (
        "backend 'twin' is offered by more than one distribution: snnhw-blue 1.2 and snnhw-red 1.2. "
        "Uninstall all but one of them."
    )
    assert world.imported == []
    assert registry.names(BACKENDS) == ("between", "twin")


@pytest.mark.parametrize("kind", RAISES_ON_IMPORT)
def test_unavailable_because_it_cannot_be_imported(world: World, kind: str) -> None:
    source, words = RAISES_ON_IMPORT[kind]
    module = world.offer("chip", source)
    with pytest.raises(PluginUnavailable) as caught:
        registry.load(BACKENDS, "chip")
    assert str(caught.value) == (
        "backend 'chip' (from snnhw-chip 1.2) cannot be used: importing it failed with "
        + words.format(module=module)
        + " Upgrade or uninstall it; other backends work without it."
    )
    assert caught.value.__cause__ is not None


def test_unavailable_because_it_cannot_be_constructed(world: World) -> None:
    world.offer("chip", changed("def probe(self):", "def __init__(self):\n        raise OSError"))
    with pytest.raises(PluginUnavailable) as caught:
        registry.load(BACKENDS, "chip")
    assert str(caught.value) == (
        "backend 'chip' (from snnhw-chip 1.2) cannot be used: constructing it failed with OSError. "
        "Upgrade or uninstall it; other backends work without it."
    )
    assert isinstance(caught.value.__cause__, OSError)


def test_unavailable_because_it_has_another_name(world: World) -> None:
    world.offer("chip", changed('name = "{name}"', 'name = "chap"'))
    with pytest.raises(PluginUnavailable) as caught:
        registry.load(BACKENDS, "chip")
    assert str(caught.value) == (
        "backend 'chip' (from snnhw-chip 1.2) cannot be used: its class calls itself 'chap'. "
        "Its author makes `name` equal to the name of the entry point."
    )


def test_unavailable_on_this_machine(world: World) -> None:
    answer = 'return Probe("missing", reason="the SDK is not installed", install="pip install chip-sdk")'
    world.offer("chip", probing(answer))
    world.offer("cpu")
    with pytest.raises(PluginUnavailable) as caught:
        registry.backend("chip")
    assert str(caught.value) == (
        "backend 'chip' is installed but cannot run here (missing): the SDK is not installed.\n"
        "To mend it: pip install chip-sdk\n"
        "Other installed backends: cpu."
    )


def test_unavailable_because_its_probe_raises(world: World) -> None:
    world.offer("chip", probing('raise SystemExit("no licence")'))
    with pytest.raises(PluginUnavailable) as caught:
        registry.backend("chip")
    assert str(caught.value) == (
        "backend 'chip' is installed but cannot run here (broken): its probe raised SystemExit: no licence."
    )


@pytest.mark.parametrize(
    ("spoken", "upgrade"),
    [
        (INTERFACE + 1, "snnhw"),
        (INTERFACE - 1, "the plugin; docs/writing_a_backend.md tells its author what has changed"),
    ],
)
def test_interface_mismatch(world: World, spoken: int, upgrade: str) -> None:
    world.offer("chip", changed("interface = INTERFACE", f"interface = {spoken}"))
    with pytest.raises(InterfaceMismatch) as caught:
        registry.load(BACKENDS, "chip")
    assert str(caught.value) == (
        f"backend 'chip' (from snnhw-chip 1.2) was written for version {spoken} of snnhw.plugin; "
        f"this snnhw has version {INTERFACE}. Upgrade {upgrade}."
    )


def test_interface_missing(world: World) -> None:
    world.offer("chip", changed("interface = INTERFACE", ""))
    with pytest.raises(InterfaceMismatch) as caught:
        registry.load(BACKENDS, "chip")
    assert str(caught.value) == (
        "backend 'chip' (from snnhw-chip 1.2) does not say which version of snnhw.plugin it was written for; "
        f"this snnhw has version {INTERFACE}. "
        f"Its author states it as a class attribute: interface = {INTERFACE}."
    )


def test_the_errors_are_told_apart() -> None:
    kinds = [UnknownPlugin, DuplicatePlugin, PluginUnavailable, InterfaceMismatch]
    assert all(issubclass(kind, PluginError) for kind in kinds)
    assert not any(issubclass(kind, other) for kind in kinds for other in kinds if kind is not other)


@pytest.mark.parametrize("source", ["raise KeyboardInterrupt", probing("raise KeyboardInterrupt")])
def test_ctrl_c_is_not_swallowed(world: World, source: str) -> None:
    world.offer("slow", source)
    with pytest.raises(KeyboardInterrupt):
        registry.backend("slow")


# -- Probing ----------------------------------------------------------------------------------------


def test_probe_tells_what_the_plugin_says(world: World) -> None:
    world.offer("chip", probing('return Probe("no device", reason="nothing on the bus")'))
    assert registry.probe(BACKENDS, "chip") == Probe("no device", reason="nothing on the bus")


@pytest.mark.usefixtures("world")
def test_probe_of_an_unknown_name_is_an_answer_too() -> None:
    found = registry.probe(BACKENDS, "nowhere")
    assert found.status == "missing"
    assert found.reason.startswith("no installed distribution offers a backend 'nowhere'.")


def test_probe_that_returns_something_else(world: World) -> None:
    world.offer("chip", probing("return True"))
    assert registry.probe(BACKENDS, "chip") == Probe(
        "broken", reason="its probe returned True, where a snnhw.plugin.Probe is expected"
    )


def test_one_plugin_that_fails_does_not_hurt_the_others(tmp_path: Path) -> None:
    world = World(tmp_path)
    for number, (source, _) in enumerate(RAISES_ON_IMPORT.values()):
        world.offer(f"import{number}", source)
    world.offer("interrupts", "raise KeyboardInterrupt")
    world.offer("alien", changed("interface = INTERFACE", "interface = 77"))
    world.offer("raises", probing("raise AssertionError('no')"))
    world.offer("twin", distribution="snnhw-red")
    world.offer("twin", distribution="snnhw-blue")
    world.offer("hangs_in_import", "import time; time.sleep(3600)")
    world.offer("hangs_in_probe", probing("import time; time.sleep(3600)"))
    world.offer("good")

    # It ends, with two plugins still hanging.
    found = json.loads(run(SURVEY, *world.path, cwd=REPOSITORY, home=tmp_path))

    ready = {name for name, (status, _) in found.items() if status == "ready"}
    assert ready == {"good"}
    assert {status for name, (status, _) in found.items() if name not in ready} == {"broken"}
    assert found["hangs_in_import"][1] == found["hangs_in_probe"][1] == "it did not answer in 12 s"
    assert found["raises"][1] == "its probe raised AssertionError: no."
    assert found["interrupts"][1] == "KeyboardInterrupt."
    assert found["twin"][1].startswith("backend 'twin' is offered by more than one distribution")
    assert len(found) == len(RAISES_ON_IMPORT) + 7


SURVEY = """
import json, sys
from snnhw import registry
sys.path[:] = sys.argv[1:]
found = registry.survey(registry.BACKENDS, timeout=12)
assert registry.backend("good").name == "good"
print(json.dumps({name: (probe.status, probe.reason) for name, probe in found.items()}))
"""


def run(script: str, *arguments: str, cwd: Path, home: Path | None = None) -> str:
    """The output of a script in a Python of its own, whose caches are kept in ``home``."""
    environment = {**os.environ, **({"XDG_CACHE_HOME": str(home)} if home else {})}
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
