"""What a reader's rules, and not its rounding, make of a file: it is read as it stands and by the reader's
dialect, and both are run alike, in single precision."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from snnhw.errors import InputError, LoadError
from snnhw.ir import Input, Params, Program
from snnhw.plugin import Arrays
from snnhw.reference import execute
from snnhw_nir import importing
from snnhw_nir.graph import Array, Graph
from snnhw_nir.targets.dialects import DIALECTS
from snnhw_nir.targets.meant import firing_at_ties

__all__ = ["by_rule"]


def by_rule(
    name: str, path: Path, inputs: Arrays, record: tuple[str, ...], read: Mapping[str, object]
) -> dict[str, Array]:
    """Port of spikes -> what the dialect gives where the file says another thing, else NaN; ``[T, B, ...]``.

    Args:
        name: of the reader. Of one that computes what no program does, its ties alone are foretold; of a file
            that it refuses, nothing.
    """
    graph, said = importing.read(path, **read)
    try:
        meant = _meant(name, graph, said)
    except (InputError, LoadError):
        return {}
    port_of = {node: port for port, node in meant.ports.items() if port.rpartition(".")[2] in ("spk", "y")}
    pairs = {
        port: port_of[node]
        for port in record
        if port.endswith(".spk") and (node := said.ports.get(port)) in port_of
    }
    here = _spikes(said.program, said.params, inputs, tuple(pairs))
    there = _spikes(meant.program, meant.params, inputs, tuple(pairs.values()))
    return {
        port: np.where(here[port] == there[other], np.nan, there[other])
        for port, other in pairs.items()
        if here[port].shape == there[other].shape
    }


def _meant(name: str, graph: Graph, said: importing.Read) -> importing.Read:
    if name in DIALECTS:
        return importing.of_graph(graph, dialect=name, dt=said.dt)
    return importing.of_graph(firing_at_ties(graph, said.dt), dt=said.dt, scheme=said.scheme)


def _spikes(program: Program, params: Params, inputs: Arrays, ports: tuple[str, ...]) -> Mapping[str, Array]:
    """In single precision, as simulators compute; the one input may have another name here."""
    given = dict(zip(program.named(Input), inputs.values(), strict=True))
    steps = len(next(iter(given.values())))
    single: Params = {key: np.asarray(array, np.float32) for key, array in params.items()}
    return execute(program, single, given, time_steps=steps, record=ports, dtype=np.float32).recordings
