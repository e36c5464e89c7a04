"""Where, when and by how much backends part on somebody's own network.

Each backend runs the same inputs. It is held to the float64 reference, layer by layer, and to the first
backend of the list; of every difference it is said whether rounding explains it. A *reader* takes part
under ``name@format``: it runs the network as written in that format.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np

from snnhw import registry
from snnhw.api import lower, make_job
from snnhw.conformance.case import Arrays, batch_of
from snnhw.conformance.compare import Parity, compared, neuron_ports, summary
from snnhw.conformance.differ import Disagreement, hosts
from snnhw.conformance.tally import Judged
from snnhw.errors import InputError
from snnhw.ir import Params, Program
from snnhw.ir.inputs import check_inputs
from snnhw.plugin import label_of

__all__ = ["Held", "Pair", "Verification", "verify"]


@dataclass(frozen=True)
class Held:
    """One backend, held to the reference.

    Attributes:
        name: of the backend, or ``reader@format``; label: what marks its results.
        dtype: of what it returned; seconds: that its run took.
        parity: of the whole network; layers: of each layer, in the order in which a step computes them.
        missing: ports of neurons that it did not return; they could not be compared.
        habits: of a reader: where it is known to part from the format, in words.
    """

    name: str
    label: str
    dtype: str
    seconds: float
    parity: Parity
    layers: Mapping[str, Parity]
    missing: tuple[str, ...] = ()
    habits: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether spikes were compared and rounding explains every difference."""
        return self.parity.ok and bool(self.parity.spikes_compared)


@dataclass(frozen=True)
class Pair:
    """Two backends, one held to the other; ``parity`` as if the second were the reference."""

    name: str
    against: str
    parity: Parity


@dataclass(frozen=True)
class Verification:
    """What a comparison found.

    Attributes:
        time_steps, batch: T and B of the run.
        held: each backend and the reference; pairs: each backend and the first of them.
    """

    time_steps: int
    batch: int
    held: tuple[Held, ...]
    pairs: tuple[Pair, ...]

    @property
    def ok(self) -> bool:
        """Whether rounding explains every difference, between any of them."""
        return all(held.ok for held in self.held) and all(pair.parity.ok for pair in self.pairs)

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


def verify(
    program: Program,
    params: Params,
    inputs: Arrays,
    on: Sequence[str],
    *,
    time_steps: int,
    options: Options | None = None,
    on_start: Callable[[str], None] | None = None,
) -> Verification:
    """Run a network on several backends and compare every neuron of it.

    Args:
        inputs: input name -> ``[T, B, ...]``, or ``[B, ...]`` when static.
        on: names of backends, or ``reader@format``.
        options: backend -> its options.
        on_start: called with each name before it runs.

    Raises:
        InputError: nothing to run on, the same name twice, or inputs that do not fit.
        PluginError: a name that is not installed, or cannot run here.
        Unsupported: a backend that cannot run this network.
        Disagreement: a recording of the wrong shape.
    """
    _check_names(on, options or {})
    check_inputs(program, {name: np.shape(x) for name, x in inputs.items()}, time_steps)
    task = _Task(program, params, inputs, time_steps, neuron_ports(program))
    if not task.ports:
        raise InputError("this network has no neurons, so that there is nothing to compare")
    seen: dict[str, Arrays] = {}
    held = []
    for name in on:
        if on_start:
            on_start(name)
        before = perf_counter()
        label, seen[name] = _record(task, name, (options or {}).get(name, {}))
        seconds = perf_counter() - before
        held.append(_held(task, name, label, seen[name], seconds))
    first, *others = on
    pairs = [Pair(other, first, _pair(task, seen[other], seen[first])) for other in others]
    return Verification(time_steps, batch_of(program, inputs), tuple(held), tuple(pairs))


def _check_names(on: Sequence[str], options: Options) -> None:
    if not on:
        raise InputError("name at least one backend to compare with the reference")
    for name in on:
        if on.count(name) > 1:
            raise InputError(f"'{name}' is named twice; each run is compared with the others, once")
    for name in options:
        if name not in on:
            raise InputError(f"options are given for '{name}', which is not among {', '.join(on)}")


def _record(task: _Task, name: str, options: Mapping[str, object]) -> tuple[str, Arrays]:
    """The label, and what was returned at every port of a neuron."""
    reader, at, format_name = name.partition("@")
    if at:
        return f"read from {format_name}", _read(task, reader, format_name)
    plugin = registry.backend(name, options)
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
    return label_of(plugin, job.options), recorded


def _read(task: _Task, name: str, format_name: str) -> Arrays:
    """What a reader makes of the network in a format that it reads."""
    reader = registry.reader(name)
    if format_name not in reader.formats:
        raise InputError(
            f"reader '{name}' does not read the format '{format_name}'; it reads: {', '.join(reader.formats)}"
        )
    written = registry.file_format(format_name)
    target = {"target": name} if name in written.capabilities().get("targets", ()) else {}
    lead = (task.time_steps,)
    varying = {
        key: np.broadcast_to(x, (*lead, *x.shape)) if key in task.program.time.static_inputs else x
        for key, x in task.inputs.items()
    }
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"network{written.suffixes[0]}"
        written.write(task.program, task.params, path, **target)
        return hosts(reader.run(path, varying, task.ports))


def _held(task: _Task, name: str, label: str, seen: Arrays, seconds: float) -> Held:
    judged = _judged(task, name, seen)
    layers = dict.fromkeys(port.rpartition(".")[0] for port in task.ports)
    return Held(
        name=name,
        label=label,
        dtype=" ".join(sorted({array.dtype.name for array in seen.values()})),
        seconds=seconds,
        parity=summary(judged, task.time_steps),
        layers={node: summary(judged, task.time_steps, node) for node in layers},
        missing=tuple(port for port in task.ports if port not in seen),
        habits=_habits(name),
    )


def _habits(name: str) -> tuple[str, ...]:
    """What a format knows about a reader of it."""
    reader, at, format_name = name.partition("@")
    if not at:
        return ()
    return tuple(registry.file_format(format_name).capabilities().get("habits", {}).get(reader, ()))


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
