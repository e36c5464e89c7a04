"""From a program to a file: the graph, what its reader needs, and what is lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from snnhw.errors import ExportError, InputError, LoadError
from snnhw.ir import Neuron, Params, Program, free_variables
from snnhw.plugin import Report
from snnhw_nir.convention import DT, Convention
from snnhw_nir.files.file import to_nir, write_graph
from snnhw_nir.files.metadata import Settings, embed
from snnhw_nir.graph import Graph, from_tree, to_tree
from snnhw_nir.reading.programs import program_of
from snnhw_nir.targets.changes import ADVICE, Change, changes, measured
from snnhw_nir.targets.dialects import Dialect, dialect_of
from snnhw_nir.targets.draft import Draft
from snnhw_nir.targets.fitting import fitted, misfits
from snnhw_nir.targets.lateness import early_biases, layers_before
from snnhw_nir.targets.meant import convention_of, meant
from snnhw_nir.targets.remarks import remarks
from snnhw_nir.writing.graphs import graph_of
from snnhw_nir.writing.nesting import nested as nested_graph

__all__ = ["as_object", "export", "graph_for", "rebuilt"]


def export(
    program: Program,
    params: Params,
    path: Path,
    *,
    target: str = "nir",
    dt: float | None = None,
    scheme: str | None = None,
    lossy: str = "error",
    nested: bool = False,
    groups: str = "zeros",
    sample: Any = None,
) -> Report:
    """Write a file; see `snnhw_nir.plugin.NirFormat.write`."""
    options: dict[str, Any] = {"target": target, "dt": dt, "scheme": scheme, "lossy": lossy, "sample": sample}
    graph, report = graph_for(program, params, nested=nested, groups=groups, **options)
    return Report((*report.notes, *write_graph(path, graph)), report.lost)


def as_object(program: Program, params: Params, **options: Any) -> tuple[Any, Report]:
    """A ``nir.NIRGraph`` in the place of a file."""
    graph, report = graph_for(program, params, **options)
    return to_nir(graph), report


def graph_for(
    program: Program,
    params: Params,
    *,
    target: str = "nir",
    dt: float | None = None,
    scheme: str | None = None,
    lossy: str = "error",
    nested: bool = False,
    groups: str = "zeros",
    sample: Any = None,
) -> tuple[Graph, Report]:
    """The graph for a target, with our metadata, and every choice that lost something."""
    if lossy not in ("error", "allow"):
        raise InputError(f"lossy={lossy!r}: give 'error' to refuse what would change spikes, or 'allow'")
    if groups not in ("zeros", "kept"):
        raise InputError(f"groups={groups!r}: give 'zeros' for what every reader takes, or 'kept'")
    dialect = dialect_of(target)
    length, said = _dt(program, dialect, dt), scheme or _scheme(program, dialect)
    settings = Settings(length, said, target, bool(nested), groups)
    Convention(settings.dt, settings.scheme)  # refuses what makes no sense
    if settings.scheme not in dialect.schemes:
        raise InputError(
            f"'{target}' takes steps by {', '.join(dialect.schemes)}, not by '{settings.scheme}'"
        )
    if settings.nested and not dialect.nested:
        raise InputError(f"files for '{target}' are written flat, as it was held to them: leave nested out")
    draft = _drafted(program, params, settings)
    reasons = misfits(draft, dialect)
    if reasons:
        raise ExportError(
            reasons, f"These are limits of {dialect.verified}; target='nir' writes the file for others"
        )
    found = _changed(program, draft, dialect)
    lost: list[str] = []
    if found:
        convention = convention_of(dialect, settings.dt, settings.scheme)
        if convention.neurons == "spyx":
            reader = program_of(meant(draft.graph, dialect, settings.dt)[0], convention)
        else:
            reader = program_of(draft.graph, replace(convention, recurrence="spikes", neurons="textbook"))
        late = layers_before(program, program.named(Neuron)) if dialect.late else {}
        lost = measured(found, program, params, reader, sample=sample, late=late)
    if lost and lossy == "error":
        raise ExportError(lost, ADVICE)
    graph, flat = _shaped(draft, settings)
    notes = (*lost, *remarks(program, params, draft.graph, dialect, settings), *draft.notes, *flat)
    return embed(graph, program, params, settings), Report(notes, tuple(lost))


def _changed(program: Program, draft: Draft, dialect: Dialect) -> list[Change]:
    """Resets that become others, and, where spikes are late, biases that are not."""
    there = {port.rpartition(".")[0]: node for port, node in draft.ports.items() if port.endswith(".spk")}
    found = [replace(change, there=there.get(change.node, "")) for change in changes(program, dialect)]
    here = {node: name for name, node in there.items()}
    for layer, cell in early_biases(draft, dialect):
        words = f"hears the bias of {layer} a step before the first spikes"
        found.append(Change(here[cell], words, cell))
    return found


def rebuilt(program: Program, params: Params, settings: Settings) -> tuple[Graph, Mapping[str, str]]:
    """The graph that a program gives under settings, without metadata; and which node gives which port."""
    draft = _drafted(program, params, settings)
    return _shaped(draft, settings)[0], draft.ports


def _shaped(draft: Draft, settings: Settings) -> tuple[Graph, tuple[str, ...]]:
    return nested_graph(draft.graph, draft.arriving) if settings.nested else (draft.graph, ())


def _drafted(program: Program, params: Params, settings: Settings) -> Draft:
    with np.errstate(over="ignore", invalid="ignore"):  # judged below
        written = graph_of(program, params, settings.dt, settings.scheme)
        dialect = dialect_of(settings.target)
        dialect = replace(dialect, groups=dialect.groups and settings.groups == "kept")
        draft = fitted(written, dialect, settings.dt)
    try:
        from_tree(to_tree(draft.graph))  # what is written can be read
    except LoadError as error:
        raise ExportError([str(error)], "NIR holds a neuron's numbers in single precision") from error
    return draft


def _dt(program: Program, dialect: Dialect, dt: float | None) -> float:
    if _in_seconds(program):
        if dt not in (None, program.time.dt):
            raise InputError(
                f"dt={dt:g}, but the program's neurons are in seconds and its step is {program.time.dt:g} s"
            )
        dt = program.time.dt
    chosen = dt if dt is not None else dialect.dt or DT
    if dialect.fixed and chosen != dialect.dt:
        raise InputError(f"'{dialect.name}' reads every file with dt={dialect.dt:g}, not {chosen:g}")
    return chosen


def _in_seconds(program: Program) -> bool:
    """Whether a neuron's equations say ``dt``."""
    found = {op for op in program.nodes.values() if isinstance(op, Neuron)}
    return any("dt" in free_variables(*op.equations().updates.values()) for op in found)


def _scheme(program: Program, dialect: Dialect) -> str:
    """That of the neurons, where they have one."""
    names = {op.model.name for op in program.nodes.values() if isinstance(op, Neuron)}
    exact = any("Exponential" in name for name in names)
    old = any(name.endswith("Old") for name in names)
    scheme = ("exponential" if exact else "euler") + "_old" * old
    return scheme if scheme != "euler" else dialect.schemes[0]
