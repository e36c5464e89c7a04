"""What a config names in files of the user's: the network and the data."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from snnhw.errors import InputError
from snnhw.words import did_you_mean

__all__ = ["batches", "first_step", "network"]


def network(beside: Path, given: str) -> Any:
    """A torch module; or, of a ``.snn`` file, program and parameters.

    Raises:
        InputError: it is not there, or something else.
    """
    if ":" not in given:
        from snnhw import api

        return api.load(beside / given)
    found = _named(beside, given, "network")
    made = found() if callable(found) and not isinstance(found, nn.Module) else found
    if not isinstance(made, nn.Module):
        raise InputError(
            f"network = '{given}' is {type(made).__name__}; accepted: a torch module, or a function that "
            "makes one"
        )
    return made


def batches(beside: Path, given: str, key: str) -> Any:
    """Batches, or what a function gives."""
    from snnhw.training.feed import check_data

    found = _named(beside, given, key)
    made = found() if callable(found) and not hasattr(found, "__iter__") else found
    check_data(made, f"{key} = '{given}'")
    return made


def _named(beside: Path, given: str, key: str) -> Any:
    file, _, name = given.rpartition(":")
    if not file.endswith(".py") or not name:
        raise InputError(f"{key} = '{given}': accepted: 'file.py:name', beside the config")
    module = _loaded(beside / file)
    if not hasattr(module, name):
        known = [each for each in vars(module) if not each.startswith("_")]
        raise InputError(
            f"{key} = '{given}': '{file}' holds no '{name}'.{did_you_mean(name, known)} It holds "
            f"{', '.join(known) or 'nothing'}."
        )
    return getattr(module, name)


def _loaded(path: Path) -> ModuleType:
    """A file as Python would import it, its own folder first."""
    path = path.resolve()
    name = path.stem
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) == str(path):
        return known
    if not path.is_file():
        raise InputError(f"there is no file '{path}'; files are looked for beside the config")
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, "it ends in .py"
    assert spec.loader is not None, "likewise"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # processes that load data find what they are sent
    spec.loader.exec_module(module)
    return module


def first_step(data: Any, *, static: bool) -> tuple[Any, int | None]:
    """One step of the first batch, and how many steps that has; None where nothing changes over time. No
    random number is drawn for it that the first epoch would miss."""
    from snnhw.training.feed import batch_of
    from snnhw.training.randomness import drawn_from, restore, states

    generators = drawn_from(data)
    before = states(generators)
    batch = next(iter(data), None)
    restore(generators, before)
    if batch is None:
        raise InputError("data gives no batch; give data with one at least")
    x = batch_of(batch, "the first batch").x
    if static:
        return x, None
    if isinstance(x, dict):
        return {name: each[0] for name, each in x.items()}, len(next(iter(x.values())))
    return x[0], len(x)
