"""From a file, or an object of the package ``nir``, to a program."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from snnhw.errors import InputError, LoadError
from snnhw.ir import Params, Program
from snnhw.ir.models.textbook import SCHEMES
from snnhw.plugin import Report
from snnhw_nir.convention import Convention
from snnhw_nir.exact import Settings, recover, settings_of
from snnhw_nir.exporting import rebuilt
from snnhw_nir.file import read_graph
from snnhw_nir.gains import gained
from snnhw_nir.graph import Graph
from snnhw_nir.guard import MAX_BYTES
from snnhw_nir.reading import program_of

__all__ = ["OPTIONS", "load", "program_from"]

OPTIONS: Final = ("dt", "scheme", "reset", "recurrence", "gain", "max_bytes")

GAINS: Final = ("neuron", "weights")
"""Where what a neuron multiplies its input by may stand."""


def load(path: Path, *, max_bytes: int = MAX_BYTES, **options: Any) -> tuple[Program, Params, Report]:
    """Read a file; see `snnhw_nir.plugin.NirFormat.read`."""
    graph = read_graph(path, max_bytes)
    try:
        return program_from(graph, **options)
    except LoadError as error:
        raise LoadError(f"cannot load '{path}': {error}") from error
    except InputError as error:
        raise InputError(f"'{path}': {error}") from error


def program_from(
    graph: Graph,
    *,
    dt: float | None = None,
    scheme: str | None = None,
    reset: str = "to_value",
    recurrence: str = "spikes",
    gain: str = "neuron",
) -> tuple[Program, Params, Report]:
    """The program of a graph: the one that was written, if snnhw did, or what the graph says."""
    if gain not in GAINS:
        raise InputError(f"gain={gain!r}: give one of {', '.join(GAINS)}")
    notes: list[str] = []
    settings = None if dt is not None and scheme is not None else settings_of(graph)
    asked = dt is not None or scheme is not None
    asked = asked or (reset, recurrence, gain) != ("to_value", "spikes", "neuron")
    if settings and not asked:
        try:
            return (*recover(graph, settings, rebuilt), Report())
        except LoadError as error:
            kept = f"dt={settings.dt:g} and '{settings.scheme}'"
            notes.append(f"{error}; the graph alone was read, with {kept} from the metadata")
    convention = _convention(settings, dt, scheme, reset, recurrence)
    if gain == "weights":
        graph, said = gained(graph)
        notes += said
    program, params = program_of(graph, convention)
    return program, params, Report(tuple(notes))


def _convention(
    settings: Settings | None, dt: float | None, scheme: str | None, reset: Any, recurrence: Any
) -> Convention:
    dt = dt if dt is not None or settings is None else settings.dt
    scheme = scheme if scheme is not None or settings is None else settings.scheme
    missing = [name for name, value in (("dt", dt), ("scheme", scheme)) if value is None]
    if missing:
        raise InputError(
            f"NIR files do not say {' and '.join(missing)}, and this one was not written by snnhw: give the "
            "length of a step in seconds, such as dt=1e-4 (snnTorch's and SpikingJelly's), and "
            f"scheme= one of {', '.join(SCHEMES)}"
        )
    assert dt is not None
    assert scheme is not None
    return Convention(dt, scheme, reset, recurrence)
