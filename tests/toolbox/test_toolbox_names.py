"""Names of snnTorch 1.0: each is here, with members and arguments, or has a row in ``docs/snntorch.md``."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import warnings
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, Final

import pytest
import torch
from page import rows
from torch import nn

theirs: Any = pytest.importorskip("snntorch", reason="snntorch is the oracle: pip install snntorch==1.0.0")

MONITORS: Final = ("Output", "Input", "Attribute", "GradInput", "GradOutput")

ABSENT: Final[Mapping[str, set[str]]] = {
    "`spikevision`": {"spikevision"},
    "modules of its inside, `snntorch.leaky` and its like": {
        *(
            "alpha",
            "associative",
            "bntt",
            "deltaleaky",
            "graded_spikes",
            "lapicque",
            "leaky",
            "leakyparallel",
        ),
        *("linearleaky", "neurons", "rleaky", "rsynaptic", "sconv2dlstm", "slstm", "stateleaky", "synaptic"),
    },
    "`create_hook` of a monitor": {f"functional.{name}Monitor.create_hook" for name in MONITORS},
    "`SpikeTime.FirstSpike`, `MultiSpike`, `Tolerance`": {
        f"functional.SpikeTime.{name}" for name in ("FirstSpike", "MultiSpike", "Tolerance")
    },
    "`LeakyParallel.ATan`": {"LeakyParallel.ATan"},
}
"""Row of the page -> names that are not here."""

OTHERWISE: Final[Mapping[str, dict[str, Any]]] = {
    "`model_name` of `export_to_nir`": {"export_nir.export_to_nir.model_name": "snnhw"},
    "`constant_factor` of `GradedSpikes`, `num_spiking_neurons` of `AssociativeLeaky`": {
        "GradedSpikes.constant_factor": None,
        "AssociativeLeaky.num_spiking_neurons": None,
    },
}
"""Row of the page -> arguments whose default is another here."""


def modules(path: str = "") -> Iterator[tuple[str, ModuleType, ModuleType]]:
    """Each public module, under its path within the package: there and here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # its backprop's
        there, here = (importlib.import_module(f"{name}.{path}".strip(".")) for name in ("snntorch", "snnhw"))
    yield path, there, here
    for found in pkgutil.iter_modules(getattr(there, "__path__", ())):
        if not found.name.startswith("_") and found.name != "spikevision":
            yield from modules(f"{path}.{found.name}".strip("."))


def named() -> Iterator[tuple[str, Any, Any]]:
    """What modules define: its dotted name, once, there and here; of the package itself, modules, too."""
    seen = set()
    for path, there, here in modules():
        for name, value in vars(there).items():
            inner = isinstance(value, ModuleType) and not path and value.__name__.startswith("snntorch.")
            if name.startswith("_") or id(value) in seen:
                continue
            if inner or (getattr(value, "__module__", None) or "").startswith("snntorch"):
                seen.add(id(value))
                yield f"{path}.{name}".removeprefix("."), value, getattr(here, name, None)


def absent() -> set[str]:
    """Names that are not here, and members of classes that ours have not, those of torch's apart."""
    found = set()
    for name, value, mine in named():
        if mine is None:
            found.add(name)
        elif isinstance(value, type) and not issubclass(value, torch.autograd.Function):
            members = {member for member in dir(value) if not member.startswith("_")} - set(dir(nn.Module))
            found |= {f"{name}.{member}" for member in members if not hasattr(mine, member)}
    return found


def test_every_name_is_here_or_has_a_row() -> None:
    listed = set().union(*ABSENT.values())
    assert absent() | {"spikevision"} == listed
    assert rows("snntorch.md", "names") == [*ABSENT, *OTHERWISE]


def test_spikevision_says_what_to_use() -> None:
    with pytest.raises(ImportError, match="use Tonic"):
        importlib.import_module("snnhw.spikevision").spikedata  # noqa: B018  # asked for


def test_every_argument_is_here_in_its_place() -> None:
    """With its default, where the page says no other."""
    told = {name: default for each in OTHERWISE.values() for name, default in each.items()}
    differ = {}
    for name, value, mine in named():
        if mine is None or not callable(value):
            continue
        ours, wanted = (list(inspect.signature(each).parameters.values()) for each in (mine, value))
        wanted = [argument for argument in wanted if argument.kind is argument.POSITIONAL_OR_KEYWORD]
        assert [argument.name for argument in ours][: len(wanted)] == [
            argument.name for argument in wanted
        ], name
        for a, b in zip(ours, wanted, strict=False):
            if not (a.default == b.default or callable(a.default) or (not a.default and not b.default)):
                differ[f"{name}.{a.name}"] = a.default
            elif a.default is None and b.default is b.empty:
                differ[f"{name}.{a.name}"] = None
    assert differ == told
