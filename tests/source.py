"""Reading the project's own source: which file imports what, and when."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parents[1]
FOLDERS = {"snnhw": ROOT, "backends": ROOT / "backends"}  # folder -> what its modules are named from

When = Literal["loading", "calling", "typing"]


@dataclass(frozen=True)
class Import:
    """One import: of ``snnhw.ir.Program``, say, whether that is a module or a name in one."""

    target: str
    line: int
    when: When

    def within(self, *packages: str) -> bool:
        return any(self.target == name or self.target.startswith(f"{name}.") for name in packages)


@dataclass(frozen=True)
class Module:
    """One Python file of the project."""

    path: Path
    base: Path

    @property
    def name(self) -> str:
        return ".".join(self.path.relative_to(self.base).with_suffix("").parts).removesuffix(".__init__")

    @property
    def package(self) -> str:
        return self.path.relative_to(self.base).parts[0]

    @property
    def layer(self) -> str:
        """``snnhw/ir/expr.py`` -> ``ir``; ``snnhw/__init__.py`` -> ``__init__``."""
        return self.path.relative_to(self.base).with_suffix("").parts[1]

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        return tuple(self._imports(self.tree, "loading"))

    def at(self, line: int) -> str:
        return f"{self.path.relative_to(ROOT)}:{line}"

    def _imports(self, node: ast.AST, when: When) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            match child:
                case ast.Import(names=aliases):
                    yield from (Import(alias.name, child.lineno, when) for alias in aliases)
                case ast.ImportFrom(names=aliases):
                    source = self._source(child)
                    yield from (Import(f"{source}.{alias.name}", child.lineno, when) for alias in aliases)
                case ast.Call(args=[ast.Constant(value=str(target)), *_]) if "import" in ast.unparse(
                    child.func
                ):
                    yield Import(target, child.lineno, when)  # import_module("..."), __import__("...")
                case ast.If(test=test) if "TYPE_CHECKING" in ast.unparse(test):
                    yield from self._imports(child, "typing")
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                    yield from self._imports(child, "calling" if when == "loading" else when)
                case _:
                    yield from self._imports(child, when)

    def _source(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        folder = self.path.relative_to(self.base).parts[: -node.level]
        return ".".join([*folder, *([node.module] if node.module else [])])


def modules(folder: str) -> list[Module]:
    base = FOLDERS[folder]
    return [Module(path, base) for path in sorted((ROOT / folder).rglob("*.py"))]


def loaded_with(module: Module, siblings: dict[str, Module]) -> set[Module]:
    """The module, and those of ``siblings`` that importing it imports as well."""
    seen: set[Module] = set()
    waiting = [module]
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        targets = (each.target for each in one.imports if each.when == "loading")
        names = (name for target in [one.name, *targets] for name in _prefixes(target))
        waiting += [siblings[name] for name in names if name in siblings]
    return seen


def _prefixes(target: str) -> list[str]:
    parts = target.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
