"""Distributions that exist for one test only, discovered as real ones are: through ``sys.path``."""

from __future__ import annotations

import importlib
import itertools
import sys
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path

GOOD = """
from snnhw.plugin import INTERFACE, NoOptions, Probe

class Plugin:
    name = "{name}"
    interface = INTERFACE
    Options = NoOptions

    def probe(self):
        return Probe("ready", device="{name} itself")
"""

_numbers = itertools.count()


@dataclass
class World:
    """A folder holding invented distributions; with `path` as ``sys.path`` there are no others."""

    root: Path
    modules: list[str] = field(default_factory=list)

    @property
    def path(self) -> list[str]:
        home = sysconfig.get_path("stdlib")
        standard = [entry for entry in sys.path if entry.startswith(home) and "-packages" not in entry]
        return [str(self.root), *standard]

    @property
    def imported(self) -> list[str]:
        return [module for module in self.modules if module in sys.modules]

    def offer(
        self, name: str, source: str = GOOD, *, group: str = "snnhw.backends", distribution: str = ""
    ) -> str:
        """Install a distribution with one entry point, leading to ``source``; gives the module's name."""
        distribution = distribution or f"snnhw-{name}"
        module = f"invented_{name}_{next(_numbers)}"
        (self.root / f"{module}.py").write_text(source.replace("{name}", name))
        info = self.root / f"{distribution.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}:Plugin\n")
        importlib.invalidate_caches()
        self.modules.append(module)
        return module
