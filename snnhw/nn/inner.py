"""Modules without files, for import paths that snnTorch has inside."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import ModuleType

__all__ = ["publish"]


def publish(package: str, modules: Mapping[str, Mapping[str, object]]) -> None:
    """Let ``package.NAME`` be imported, with what the table says that it holds.

    A module that stands in ``sys.modules`` once its package is imported needs no finder.
    """
    for name, held in modules.items():
        path = f"{package}.{name}"
        module = ModuleType(path, f"What snnTorch has in a module of this name: {', '.join(held)}.")
        module.__dict__.update(held, __all__=sorted(held), __package__=package)
        sys.modules[path] = module
        setattr(sys.modules[package], name, module)
