"""Where, when and by how much backends part on somebody's own network.

Each backend runs the same inputs. It is held to the float64 reference, layer by layer, and to the first
backend of the list; of every difference it is said whether rounding explains it. A *reader* takes part
under ``name@format``: it runs the very file that the network came from, or, where that is of another format,
the network as written for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np

from snnhw import registry
from snnhw.api import lower, make_job
from snnhw.conformance.case import Arrays, batch_of
from snnhw.conformance.compare.differ import Disagreement, hosts
from snnhw.conformance.compare.parity import Parity, compared, neuron_ports, summary
from snnhw.conformance.compare.tally import Judged
from snnhw.errors import DeviceError, ExportError, InputError, LoadError
from snnhw.ir import Params, Program
from snnhw.ir.inputs import check_inputs
from snnhw.plugin import Backend, Format, label_of
from snnhw.reader import Reader

__all__ = ["Held", "Pair", "Source", "Verification", "verify"]


@dataclass(frozen=True)
class Source:
    """The file that a network came from, and the options with which its format read it."""

    path: Path
    read: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Held:
    """One backend or reader, held to the reference.

    Attributes:
        name: of the backend, or ``reader@format``; label: what marks its results.
        dtype: of what it returned; seconds: that its run took.
        parity: of the whole network; layers: of each layer, in the order in which a step computes them.
        missing: ports of neurons that it did not return; they could not be compared.
        loads, runs: of a reader: whether it takes the file, and runs it; failure: why not.
        known: of a reader: why it is known to give another thing than this file says, in words.
    """

    name: str
    label: str
    dtype: str
    seconds: float
    parity: Parity
    layers: Mapping[str, Parity]
    missing: tuple[str, ...] = ()
    loads: bool = True
    runs: bool = True
    failure: str = ""
    known: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether it ran, spikes were compared, and rounding explains every difference."""
        return self.runs and _explained(self.parity, self.name) and bool(self.parity.spikes_compared)


@dataclass(frozen=True)
class Pair:
    """Two backends, one held to the other; ``parity`` as if the second were the reference."""

    name: str
    against: str
    parity: Parity

    @property
    def ok(self) -> bool:
        """Whether rounding explains every difference."""
        return _explained(self.parity, self.name, self.against)


def _explained(parity: Parity, *names: str) -> bool:
    """A reader rounds its parameters to its own, so that only its spikes are judged."""
    return parity.ok or (not parity.unexplained_mismatches and any("@" in name for name in names))


@dataclass(frozen=True)
class Verification:
    """What a comparison found.

    Attributes:
        time_steps, batch: T and B of the run.
        held: each backend and the reference; pairs: each backend that ran and the first of them.
    """

    time_steps: int
    batch: int
    held: tuple[Held, ...]
    pairs: tuple[Pair, ...]

    @property
    def ok(self) -> bool:
        """Whether rounding explains every difference, between any of them."""
        return all(held.ok for held in self.held) and all(pair.ok for pair in self.pairs)

    @property
    def fired(self) -> bool:
        """Whether any neuron fired: where none does, equal spikes say little."""
        return any(held.parity.spikes_fired for held in self.held)


Options = Mapping[str, Mapping[str, object]]
"""Backend -> its options."""


@dataclass(frozen=True)
class _Task:
    """What all of them are asked."""

    program: Program
    params: Params
    inputs: Arrays
    time_steps: int
    ports: tuple[str, ...]
    source: Source | None


def verify(
    program: Program,
    params: Params,
    inputs: Arrays,
    on: Sequence[str],
    *,
    time_steps: int,
    source: Source | None = None,
    options: Options | None = None,
    on_start: Callable[[str], None] | None = None,
) -> Verification:
    """Run a network on several backends and compare every neuron of it.

    A reader that does not take the file, or fails at it, is a result; a backend that fails is an error.

    Args:
        inputs: input name -> ``[T, B, ...]``, or ``[B, ...]`` when static.
        on: names of backends, or ``reader@format``.
        source: the file that the network came from: what readers of its format are given, as it is.
        options: backend -> its options.
        on_start: called with each name before it runs.

    Raises:
        InputError: nothing to run on, the same name twice, or inputs that do not fit.
        PluginError: a name that is not installed, or cannot run here.
        Unsupported: a backend that cannot run this network.
        Disagreement: a recording of the wrong shape.
    """
    options = options or {}
    _check_names(on, options)
    check_inputs(program, {name: np.shape(x) for name, x in inputs.items()}, time_steps)
    task = _Task(program, params, inputs, time_steps, neuron_ports(program), source)
    if not task.ports:
        raise InputError("this network has no neurons, so that there is nothing to compare")
    ready = {name: _plugin(name, options.get(name, {})) for name in on}
    seen: dict[str, Arrays] = {}
    held = []
    for name, plugin in ready.items():
        if on_start:
            on_start(name)
        before = perf_counter()
        found = _run(task, plugin, options.get(name, {}))
        seconds = perf_counter() - before
        if not found.failure:
            seen[name] = found.seen
        held.append(_held(task, name, found, seconds))
    pairs = [Pair(other, first, _pair(task, seen[other], seen[first])) for first, other in _with_first(seen)]
    return Verification(time_steps, batch_of(program, inputs), tuple(held), tuple(pairs))


def _with_first(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    first, *others = [*names, ""]
    yield from ((first, other) for other in others if other)


def _check_names(on: Sequence[str], options: Options) -> None:
    if not on:
        raise InputError("name at least one backend to compare with the reference")
    for name in on:
        if on.count(name) > 1:
            raise InputError(f"'{name}' is named twice; each run is compared with the others, once")
    for name in options:
        if name not in on:
            raise InputError(f"options are given for '{name}', which is not among {', '.join(on)}")


# -- Running --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Found:
    """What one of them gave; ``failure``: why it gave nothing, and whether it got as far as to load."""

    label: str
    seen: Arrays = field(default_factory=dict)
    known: tuple[str, ...] = ()
    loads: bool = True
    failure: str = ""


Plugin = Backend | tuple[Reader, Format]


def _plugin(name: str, options: Mapping[str, object]) -> Plugin:
    """What runs under that name; all are found before the first of them runs."""
    reader_name, at, format_name = name.partition("@")
    if not at:
        return registry.backend(name, options)
    reader = registry.reader(reader_name, options)
    if format_name not in reader.formats:
        listed = ", ".join(reader.formats)
        raise InputError(
            f"reader '{reader_name}' does not read the format '{format_name}'; it reads: {listed}"
        )
    return reader, registry.file_format(format_name)


def _run(task: _Task, plugin: Plugin, options: Mapping[str, object]) -> _Found:
    if isinstance(plugin, tuple):
        return _read(task, *plugin, options)
    job = make_job(
        plugin,
        task.program,
        time_steps=task.time_steps,
        batch=batch_of(task.program, task.inputs),
        record=task.ports,
        options=options,
    )
    with lower(plugin, task.program, task.params, job) as executable:
        found = executable.run(task.inputs)
        recorded = {port: np.array(array) for port, array in hosts(found.recordings).items()}
    return _Found(label_of(plugin, job.options), recorded)


def _read(task: _Task, reader: Reader, written: Format, options: Mapping[str, object]) -> _Found:
    """What a reader makes of the file, or of the network as it is written for it."""
    label = f"read from {written.name}"
    with TemporaryDirectory() as folder:
        source = task.source
        try:
            if source is None or source.path.suffix not in written.suffixes:
                source = _written(task, reader, written, Path(folder))
            known = reader.known(source.path, source.read)
        except (ExportError, LoadError) as error:
            return _Found(label, loads=False, failure=str(error))
        lead = (task.time_steps,)
        varying = {
            key: np.broadcast_to(x, (*lead, *x.shape)) if key in task.program.time.static_inputs else x
            for key, x in task.inputs.items()
        }
        chosen = registry.build_options(reader, options, "reader")
        try:
            seen = reader.run(source.path, varying, task.ports, read=source.read, options=chosen)
        except (DeviceError, InputError, LoadError) as error:
            loads = isinstance(error, DeviceError)
            return _Found(label, known=known, loads=loads, failure=str(error))
    return _Found(label, hosts(seen), known)


def _written(task: _Task, reader: Reader, written: Format, folder: Path) -> Source:
    target = {"target": reader.name} if reader.name in written.capabilities().get("targets", ()) else {}
    source = Source(folder / f"network{written.suffixes[0]}")
    written.write(task.program, task.params, source.path, **target)
    return source


# -- Comparing ------------------------------------------------------------------------------------


def _held(task: _Task, name: str, found: _Found, seconds: float) -> Held:
    layers = dict.fromkeys(port.rpartition(".")[0] for port in task.ports)
    judged = _judged(task, name, found.seen) if not found.failure else []
    return Held(
        name=name,
        label=found.label,
        dtype=" ".join(sorted({array.dtype.name for array in found.seen.values()})),
        seconds=seconds,
        parity=summary(judged, task.time_steps),
        layers={node: summary(judged, task.time_steps, node) for node in layers},
        missing=tuple(port for port in task.ports if port not in found.seen) if not found.failure else (),
        loads=found.loads,
        runs=not found.failure,
        failure=found.failure,
        known=found.known,
    )


def _pair(task: _Task, seen: Arrays, against: Arrays) -> Parity:
    common = [port for port in task.ports if port in seen and port in against]
    mine, theirs = ({port: arrays[port] for port in common} for arrays in (seen, against))
    return summary(_judged(task, "", mine, theirs), task.time_steps)


def _judged(task: _Task, name: str, seen: Arrays, against: Arrays | None = None) -> list[Judged]:
    try:
        return compared(
            task.program, task.params, task.inputs, seen, time_steps=task.time_steps, against=against
        )
    except Disagreement as error:
        raise InputError(f"what '{name}' returned cannot be compared: {error}") from error
