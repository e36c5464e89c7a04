"""From a file, or an object of the package ``nir``, to a program."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from snnhw.errors import InputError, LoadError
from snnhw.ir import Params, Program
from snnhw.ir.models.textbook import SCHEMES
from snnhw.plugin import Report
from snnhw_nir.convention import Convention
from snnhw_nir.exporting import rebuilt
from snnhw_nir.files.file import read_graph
from snnhw_nir.files.limits import LIMITS, Limits
from snnhw_nir.files.metadata import Settings, recover, settings_of
from snnhw_nir.graph import Graph
from snnhw_nir.reading.gains import gained
from snnhw_nir.reading.programs import named_program_of
from snnhw_nir.targets.meant import convention_of, hints, meant, reading_dialect

__all__ = ["OPTIONS", "Read", "load", "of_graph", "program_from", "read"]

OPTIONS: Final = ("dt", "scheme", "dialect", "reset", "recurrence", "gain", "max_bytes")

AS_SPYX: Final = (
    "r is 1 - dt/tau for every neuron, as Spyx alone writes it, and so is the reset: read as by Spyx, "
    "which ignores r; dialect='nir' reads the file as it stands"
)

GAINS: Final = ("neuron", "weights")
"""Where what a neuron multiplies its input by may stand."""


@dataclass(frozen=True)
class Read:
    """A graph as a program.

    Attributes:
        ports: output port of the program -> node of the graph that gives it, under its dotted name.
        dt, scheme: of the reading.
        notes: what has to be known of it.
    """

    program: Program
    params: Params
    ports: Mapping[str, str]
    dt: float
    scheme: str
    notes: tuple[str, ...] = ()


def load(path: Path, **options: Any) -> tuple[Program, Params, Report]:
    """Read a file; see `snnhw_nir.plugin.NirFormat.read`."""
    _, found = read(path, **options)
    return found.program, found.params, Report(found.notes)


def program_from(graph: Graph, **options: Any) -> tuple[Program, Params, Report]:
    """The program of a graph; options as for `load`, without ``max_bytes``."""
    found = of_graph(graph, **options)
    return found.program, found.params, Report(found.notes)


def read(path: Path, **options: Any) -> tuple[Graph, Read]:
    """The graph of a file, and what it is as a program."""
    most = options.pop("max_bytes", LIMITS.bytes)
    if isinstance(most, bool) or not (isinstance(most, int | float) and most >= 0):
        raise InputError(
            f"'{path}': max_bytes={most!r}: give the most bytes that the file may take, such as 1e9"
        )
    graph = read_graph(path, Limits(bytes=int(min(most, sys.maxsize))))
    try:
        return graph, of_graph(graph, **options)
    except LoadError as error:
        raise LoadError(f"cannot load '{path}': {error}") from error
    except InputError as error:
        raise InputError(f"'{path}': {error}") from error


def of_graph(
    graph: Graph,
    *,
    dt: float | None = None,
    scheme: str | None = None,
    dialect: str | None = None,
    reset: str | None = None,
    recurrence: str | None = None,
    gain: str = "neuron",
) -> Read:
    """The program of a graph: the one that was written, if snnhw did, or what the graph says."""
    if dialect not in (None, "nir"):
        return _as_read_by(
            str(dialect), graph, dt=dt, scheme=scheme, reset=reset, recurrence=recurrence, gain=gain
        )
    _check_gain(gain)
    its = reset == "subtract" and scheme in (None, "euler") and recurrence in (None, "spikes")
    if its and dialect is None and dt is not None and (found := _spyxs(graph, dt, gain)):
        return found
    reset, recurrence = reset or "to_value", recurrence or "spikes"
    notes: list[str] = []
    settings = None if dt is not None and scheme is not None else settings_of(graph)
    asked = dt is not None or scheme is not None
    asked = asked or (reset, recurrence, gain) != ("to_value", "spikes", "neuron")
    if settings and not asked:
        try:
            return Read(*recover(graph, settings, rebuilt), settings.dt, settings.scheme)
        except LoadError as error:
            kept = f"dt={settings.dt:g} and '{settings.scheme}'"
            notes.append(f"{error}; the graph alone was read, with {kept} from the metadata")
    convention = _convention(settings, dt, scheme, reset, recurrence)
    notes += hints(graph, convention.dt)
    return _program(graph, convention, gain, notes)


def _spyxs(graph: Graph, dt: float, gain: str) -> Read | None:
    """What Spyx makes of a file that only Spyx writes; None for any other file, and for what it refuses."""
    if not hints(graph, dt):
        return None
    try:
        found = _as_read_by("spyx", graph, dt=dt, scheme=None, reset=None, recurrence=None, gain=gain)
    except LoadError:
        return None
    return replace(found, notes=(AS_SPYX, *found.notes))


def _as_read_by(
    name: str,
    graph: Graph,
    *,
    dt: float | None,
    scheme: str | None,
    reset: str | None,
    recurrence: str | None,
    gain: str,
) -> Read:
    """The program that a reader makes of a graph, whoever wrote it."""
    dialect = reading_dialect(name)
    _check_gain(gain)
    scheme = scheme or dialect.schemes[0]
    if scheme not in dialect.schemes:
        taken = ", ".join(dialect.schemes)
        raise InputError(f"scheme={scheme!r}: dialect={name!r} takes steps by {taken}; leave scheme out")
    its = {"reset": dialect.reset.removesuffix("_late"), "recurrence": dialect.loop}
    for option, value in {"reset": reset, "recurrence": recurrence}.items():
        if value not in (None, its[option]):
            raise InputError(
                f"{option}={value!r}: dialect={name!r} settles it: {its[option]!r}; leave {option} out"
            )
    settings = settings_of(graph)
    dt = dt if dt is not None else settings.dt if settings else dialect.dt
    if dialect.fixed and dt != dialect.dt:
        raise InputError(f"dt={dt!r}: dialect={name!r} reads every file with dt={dialect.dt:g}; leave dt out")
    if dt is None:
        raise InputError(f"NIR files do not say dt, and dialect={name!r} takes none for granted: give dt=")
    convention = convention_of(dialect, dt, scheme)
    graph, notes = meant(graph, dialect, dt)
    return _program(graph, convention, gain, list(notes))


def _program(graph: Graph, convention: Convention, gain: str, notes: list[str]) -> Read:
    if gain == "weights":
        graph, said = gained(graph)
        notes += said
    return Read(*named_program_of(graph, convention), convention.dt, convention.scheme, tuple(notes))


def _check_gain(gain: str) -> None:
    if gain not in GAINS:
        raise InputError(f"gain={gain!r}: give one of {', '.join(GAINS)}")


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
