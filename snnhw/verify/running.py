"""Running a network on a backend, or in somebody else's simulator by way of a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from snnhw import registry
from snnhw.errors import DeviceError, ExportError, InputError, LoadError
from snnhw.ir import Params, Program
from snnhw.lowering import lower, make_job
from snnhw.parity.arrays import Arrays, batch_of, hosts
from snnhw.parity.comparison import is_reference
from snnhw.plugin import Backend, Format, label_of
from snnhw.reader import Reader

__all__ = ["Ran", "Source", "Task", "found_on", "plugin_of"]


@dataclass(frozen=True)
class Source:
    """The file that a network came from, and the options with which its format read it."""

    path: Path
    read: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """What all of them are asked."""

    program: Program
    params: Params
    inputs: Arrays
    time_steps: int
    ports: tuple[str, ...]
    source: Source | None


@dataclass(frozen=True)
class Ran:
    """What one of them gave; ``failure``: why it gave nothing, and whether it got as far as to load.
    ``is_reference``: it is the reference itself. ``ruled``: port -> the spikes that a known rule gives where
    they are not the file's, else NaN."""

    label: str
    seen: Arrays = field(default_factory=dict)
    ruled: Arrays = field(default_factory=dict)
    known: tuple[str, ...] = ()
    loads: bool = True
    failure: str = ""
    is_reference: bool = False


Plugin = Backend | tuple[Reader, Format]


def plugin_of(name: str, options: Mapping[str, object]) -> Plugin:
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


def found_on(task: Task, plugin: Plugin, options: Mapping[str, object]) -> Ran:
    """What a backend records, or a reader; where a reader gives nothing, why.

    Raises:
        Unsupported: a backend that cannot run this network.
    """
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
    itself = is_reference(plugin, recorded)
    return Ran(label_of(plugin, job.options), recorded, is_reference=itself)


def _read(task: Task, reader: Reader, written: Format, options: Mapping[str, object]) -> Ran:
    """What a reader makes of the file, or of the network as it is written for it."""
    label = f"read from {written.name}"
    with TemporaryDirectory() as folder:
        source = task.source
        try:
            if source is None or source.path.suffix not in written.suffixes:
                source = _written(task, reader, written, Path(folder))
            known = reader.known(source.path, source.read)
        except (ExportError, LoadError) as error:
            return Ran(label, loads=False, failure=str(error))
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
            return Ran(label, known=known, loads=loads, failure=str(error))
        ruled = reader.by_rule(source.path, varying, task.ports, read=source.read)
    return Ran(label, hosts(seen), hosts(ruled), known)


def _written(task: Task, reader: Reader, written: Format, folder: Path) -> Source:
    target = {"target": reader.name} if reader.name in written.capabilities().get("targets", ()) else {}
    source = Source(folder / f"network{written.suffixes[0]}")
    written.write(task.program, task.params, source.path, **target)
    return source
