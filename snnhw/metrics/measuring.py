"""A program, its parameters and data to a report: batch after batch, of which one is held at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import reduce
from math import prod
from operator import add
from typing import Final

import numpy as np

from snnhw.arrays import hosts
from snnhw.errors import InputError
from snnhw.ir import Neuron, Params, Program
from snnhw.ir.inputs import check_inputs, state_shapes
from snnhw.ir.models.consistency import SPK
from snnhw.ir.noise import CLOCK
from snnhw.lowering import lower, make_job
from snnhw.metrics.data import Batch, filled
from snnhw.metrics.deciding import check_decision, right
from snnhw.metrics.histogram import histogram
from snnhw.metrics.records import Footprint, LayerActivity, NetworkReport, SynapticOperations
from snnhw.metrics.synapses import Fan, arriving, fans, operations, sources
from snnhw.plugin import Arrays, Backend, Executable, label_of
from snnhw.registry import build_options
from snnhw.target import Array

__all__ = ["MEMBRANES", "measure"]

MEMBRANES: Final = ("mem", "v")
"""Names of the state that is looked at; else it is the last one."""


@dataclass(frozen=True, eq=False)
class _Seen:
    """Of some batches; adds up."""

    samples: int
    steps: int
    right: int | None
    layers: tuple[LayerActivity, ...]
    synapses: tuple[SynapticOperations, ...]
    raster: Mapping[str, Array]
    itemsize: int

    def __add__(self, other: _Seen) -> _Seen:
        known = self.right is not None and other.right is not None
        return _Seen(
            self.samples + other.samples,
            max(self.steps, other.steps),
            (self.right or 0) + (other.right or 0) if known else None,
            tuple(map(add, self.layers, other.layers)),
            tuple(map(add, self.synapses, other.synapses)),
            self.raster,
            self.itemsize,
        )


@dataclass(frozen=True)
class _Plan:
    """What is looked at in every batch."""

    program: Program
    params: Params
    fans: tuple[Fan, ...]
    membranes: Mapping[str, str | None]  # layer that fires -> the port of its membrane
    output: str  # whose largest number is the answer
    decide: str

    @property
    def record(self) -> tuple[str, ...]:
        fired = [f"{name}.{SPK}" for name in self.membranes]
        return tuple(dict.fromkeys([*fired, *filter(None, self.membranes.values()), *sources(self.program)]))


def measure(
    program: Program,
    params: Params,
    batches: Iterable[Batch],
    plugin: Backend,
    *,
    time_steps: int | None = None,
    decide: str = "sum",
    options: Mapping[str, object] | None = None,
) -> NetworkReport:
    """Run a network on data and count.

    Args:
        batches: input name -> ``[T, B, ...]``, static: ``[B, ...]``, and classes ``[B]`` or None. The first
            is the largest, where a backend takes one size only.
        time_steps: T, where every input is static.
        decide: how the answer is read off the output, see `snnhw.metrics.DECISIONS`.
        options: of the backend.

    Raises:
        InputError: data that do not fit, that are not finite, or none.
        Unsupported: the backend cannot run this network.
    """
    check_decision(decide)
    plan = _Plan(program, params, fans(program, params), _membranes(program), _output(program), decide)
    parts = _over(plan, batches, plugin, time_steps, options or {})
    first = next(parts, None)
    if first is None:
        raise InputError("the data hold no batch; give one sample at least")
    found = reduce(add, parts, first)
    return NetworkReport(
        backend=plugin.name,
        label=label_of(plugin, build_options(plugin, options or {})),
        samples=found.samples,
        time_steps=found.steps,
        right=found.right,
        layers=found.layers,
        synapses=found.synapses,
        footprint=_footprint(program, params, plan.fans, found.itemsize),
        weights={fan.name: histogram(params[program.param_keys(fan.name)["weight"]]) for fan in plan.fans},
        raster=found.raster,
    )


def _membranes(program: Program) -> dict[str, str | None]:
    """Layers that fire, and the port of each one's membrane."""
    found: dict[str, str | None] = {}
    for name in program.named(Neuron):
        states = [port for port in program.nodes[name].out_ports if port != SPK]
        named = [port for port in MEMBRANES if port in states] or states[-1:]
        if SPK in program.nodes[name].out_ports:
            found[name] = f"{name}.{named[0]}" if named else None
    return found


def _output(program: Program) -> str:
    """The first output that is spikes; without one, the first."""
    outputs = program.outputs()
    fired = [name for name, port in outputs.items() if port in {f"{n}.{SPK}" for n in program.named(Neuron)}]
    return [*fired, *outputs][0]


def _over(
    plan: _Plan, batches: Iterable[Batch], plugin: Backend, steps: int | None, options: Mapping[str, object]
) -> Iterator[_Seen]:
    """Each batch, run and counted."""
    fixed = plugin.capabilities().fixed_shapes
    with ExitStack() as stack:
        executable: Executable | None = None
        size = 0
        for inputs, labels in batches:
            shapes = {name: x.shape for name, x in inputs.items()}
            now, samples = check_inputs(plan.program, shapes, steps)
            if executable is None:
                size = samples
                job = make_job(
                    plugin, plan.program, time_steps=now, batch=size, record=plan.record, options=options
                )
                executable = stack.enter_context(lower(plugin, plan.program, plan.params, job))
            found = executable.run(filled(plan.program, inputs, size) if fixed else inputs)
            seen = {
                port: x[:, :samples]
                for port, x in hosts("recording", {**found.outputs, **found.recordings}).items()
            }
            yield _seen(plan, seen, labels)


def _seen(plan: _Plan, seen: Arrays, labels: Array | None) -> _Seen:
    layers = tuple(_activity(plan, name, seen) for name in plan.membranes)
    output = seen[plan.output]
    return _Seen(
        samples=output.shape[1],
        steps=output.shape[0],
        right=None if labels is None else right(plan.decide, output, labels),
        layers=layers,
        synapses=tuple(
            operations(fan, arriving(plan.program, plan.params, fan.name, seen)) for fan in plan.fans
        ),
        raster={name: _spikes_of_first(seen[f"{name}.{SPK}"]) for name in plan.membranes},
        itemsize=output.dtype.itemsize,
    )


def _activity(plan: _Plan, name: str, seen: Arrays) -> LayerActivity:
    spikes, port = seen[f"{name}.{SPK}"], plan.membranes[name]
    steps, batch = spikes.shape[:2]
    fired = (spikes != 0).reshape(steps, batch, -1)
    op = plan.program.nodes[name]
    assert isinstance(op, Neuron)
    return LayerActivity(
        name=name,
        model=op.model.name,
        samples=batch,
        cells=fired.size,
        per_step=fired.sum((1, 2)),
        per_neuron=fired.sum((0, 1)),
        membrane=None if port is None else histogram(seen[port]),
    )


def _spikes_of_first(spikes: Array) -> Array:
    """Step and neuron of each spike of the first sample, ``[2, spikes]``."""
    return np.array(np.nonzero(spikes[:, 0].reshape(len(spikes), -1)))


def _footprint(program: Program, params: Params, layers: tuple[Fan, ...], itemsize: int) -> Footprint:
    states = [shape for key, shape in state_shapes(program, 1).items() if key != CLOCK]
    arrays = [np.asarray(params[key]) for key in program.params()]
    return Footprint(
        parameters=sum(x.size for x in arrays),
        parameter_bytes=sum(x.nbytes for x in arrays),
        state_bytes=itemsize * sum(map(prod, states)),
        weights=sum(fan.weights for fan in layers),
        zeros=sum(fan.zeros for fan in layers),
    )
