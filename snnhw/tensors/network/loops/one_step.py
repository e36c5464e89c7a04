"""All nodes of a loop at one step, forward and back."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from snnhw.ir import Edge
from snnhw.tensors.network.adjoints import adjoint_of
from snnhw.tensors.network.loops.buffers import Rooms, follow
from snnhw.tensors.network.loops.nodes import Cell, LoopNode, Place, Stateless
from snnhw.tensors.network.loops.steps import Adjoints, Carry, Pending, Record, Span, Steps, called
from snnhw.tensors.network.walk import Tensors
from snnhw.tensors.scans.site import ScanSite

__all__ = ["Running", "product_of"]


class Running:
    """The steps of a loop on the tensors that it is given."""

    def __init__(self, steps: Steps, given: Tensors) -> None:
        self._steps, self._given = steps, given
        self._outside = {key: None if key in steps.fixed else given[key].unbind() for key in steps.outside}
        self._keys = {name: steps.keys(name) for name in steps.nodes}
        self._cells = {name: self._cell(name, layer) for name, layer in steps.layers.items()}
        self._others = {
            name: product_of(steps, given, name) for name in steps.nodes if name not in self._cells
        }
        self._parts: dict[str, LoopNode] = {
            name: self._cells.get(name) or self._others[name] for name in steps.nodes
        }

    def _cell(self, name: str, layer: ScanSite) -> Cell:
        steps, step, keys = self._steps, layer.step, self._keys[name]
        derivatives = bool(steps.trained)
        return Cell(
            name,
            layer,
            steps.walk.provider(name),
            params=[self._given[keys[param]] for param in step.params],
            tables=[self._given[keys[table]].to(steps.walk.like.dtype) for table in step.tables],
            needs=(
                *(port in steps.wanted[name] for port in step.ports),
                *(keys[param] in steps.trained for param in step.params),
            ),
            wanted=frozenset(steps.ports),
            noise=partial(steps.walk.noise_at, name, derivatives=derivatives) if step.noise else None,
            like=steps.walk.like,
            signal=steps.walk.like.new_empty(0, dtype=steps.walk.signals),
        )

    # -- some steps -------------------------------------------------------------------------------

    def forward(self, moment: Carry, span: Span, history: Rooms, *, keep: bool) -> tuple[Carry, list[Record]]:
        """The moment after some steps, and their records."""
        records, rooms = [], self._steps.rooms(*span)
        for step in range(*span):
            moment, record = self._forward(moment, Place(step, history, rooms))
            if keep:
                records.append(record)
        return moment, records

    def backward(self, kept: list[Record], span: Span, seeds: Tensors, adjoints: Adjoints) -> None:
        """Some steps back: adjoints of the moment after them become those of the moment before.

        Args:
            seeds: port -> its adjoint at all steps, as far as it comes from outside the loop.
        """
        rooms = self._steps.rooms(*span)
        for step in reversed(range(*span)):
            now = {port: g[step] for port, g in seeds.items()}
            self._backward(kept[step - span[0]], Place(step, rooms, rooms), now, adjoints)
        self._settle(adjoints)

    # -- forward ----------------------------------------------------------------------------------

    def _forward(self, moment: Carry, at: Place) -> tuple[Carry, Record]:
        """The moment after a step, and the step's record."""
        steps = self._steps
        now: dict[str, Tensor] = {}
        arrived: dict[str, Tensors] = {}
        states: dict[str, Sequence[Tensor]] = {}
        for name, part in self._parts.items():
            xs = {
                port: self._sum([self._signal(edge, now, moment, at.step) for edge in into], at, edge_name)
                for port, edge_name, into in steps.into[name]
            }
            ports, states[name] = part.forward(xs, moment.states[name], at)
            now |= ports
            arrived[name] = xs
        lines = {key: (*moment.lines[key][1:], now[edge.src]) for key, edge in steps.lines.items()}
        return Carry(states, lines), Record(moment.states, arrived)

    def _sum(self, signals: list[Tensor], at: Place, name: str) -> Tensor:
        """What arrives at a port: its edges, left to right."""
        first, *others = signals
        if not others:
            return first
        shape = torch.broadcast_shapes(*(x.shape for x in signals))
        total = torch.add(first, others[0], out=at.chunk.at(name, at.step, shape, first))
        for x in others[1:]:
            total += x
        return total

    def _signal(self, edge: Edge, now: Tensors, moment: Carry, step: int) -> Tensor:
        name = called(edge)
        if name in self._outside:
            changing = self._outside[name]
            return self._given[name] if changing is None else changing[step]
        return moment.lines[edge.key][0] if edge.delay else now[edge.src]

    # -- back -------------------------------------------------------------------------------------

    def _backward(self, record: Record, at: Place, ports: dict[str, Tensor], adjoints: Adjoints) -> None:
        """One step back: adjoints of the moment after it become those of the moment before.

        Args:
            ports: adjoints of the step's own ports, as far as they come from outside the loop.
        """
        steps = self._steps
        for key, edge in steps.lines.items():
            *earlier, last = adjoints.lines[key]
            adjoints.lines[key] = [None, *earlier]
            if last is not None:
                _add(ports, edge.src, last)
        for name in reversed(steps.nodes):
            part, xs = self._parts[name], record.arrived[name]
            if part.trained and f"{name}.y" in ports:
                adjoints.pending.setdefault(name, []).append((xs, ports[f"{name}.y"]))
            found = part.backward(xs, record.states[name], ports, adjoints.states[name], at)
            adjoints.states[name] = found.states
            if found.values:
                before = adjoints.values.get(name)
                adjoints.values[name] = found.values if before is None else [*map(_sum, before, found.values)]
            for port, _, into in steps.into[name]:
                if port in found.arrived:
                    for edge in into:
                        self._spread(edge, found.arrived[port], at.step, ports, adjoints)

    def _spread(
        self, edge: Edge, grad: Tensor, step: int, ports: dict[str, Tensor], adjoints: Adjoints
    ) -> None:
        """Hand an adjoint on to where the edge comes from."""
        steps, key = self._steps, called(edge)
        if key in steps.lines:
            adjoints.lines[key] = [grad, *adjoints.lines[key][1:]]
        elif key not in steps.outside:
            _add(ports, edge.src, grad)
        elif key in steps.trained and key in steps.fixed:
            _add(adjoints.given, key, grad)
        elif key in steps.trained:
            signal = adjoints.signals.setdefault(key, [None] * steps.count)
            before = signal[step]  # of an edge that is there more than once
            signal[step] = grad if before is None else before + grad

    def _settle(self, adjoints: Adjoints) -> None:
        """The gradients of weights, as far as the steps since the last call have a part in them."""
        joined = self._steps.joined
        for name, backwards in adjoints.pending.items():
            for parts in _runs(backwards[::-1]):
                xs = {port: joined([x[port] for x, _ in parts]).flatten(0, 1) for port in parts[0][0]}
                grad = joined([g for _, g in parts]).flatten(0, 1)
                for param, found in self._others[name].gradients(xs, grad).items():
                    _add(adjoints.given, self._keys[name][param], found)
        adjoints.pending = {}

    def finish(self, adjoints: Adjoints) -> None:
        """The gradients of the neurons' own parameters."""
        for name, values in adjoints.values.items():
            for param, grad in self._cells[name].gradients(values).items():
                _add(adjoints.given, self._keys[name][param], grad)


def product_of(steps: Steps, given: Tensors, name: str) -> Stateless:
    """A node without states or equations."""
    keys, op, operation = steps.keys(name), steps.op(name), steps.walk.operation(name)
    return Stateless(
        f"{name}.y",
        op,
        operation,
        adjoint_of(op, operation),
        params={param: given[key] for param, key in keys.items()},
        wanted=steps.wanted[name],
        trained=frozenset(param for param, key in keys.items() if key in steps.trained),
        kept=f"{name}.y" in steps.ports,
    )


def _runs(parts: list[Pending]) -> list[list[Pending]]:
    """The steps of a chunk at once; or the first one apart, which may have read what was there before the
    loop, where the others' signals then need no copy."""
    apart = len(parts) > 1 and _follow(parts[1:]) and not _follow(parts)
    return [parts[:1], parts[1:]] if apart else [parts]


def _follow(parts: list[Pending]) -> bool:
    return all(map(follow, zip(*([*x.values(), g] for x, g in parts), strict=True)))


def _add(sums: dict[str, Tensor], name: str, grad: Tensor) -> None:
    sums[name] = sums[name] + grad if name in sums else grad


def _sum(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    return None if one is None or other is None else one + other
