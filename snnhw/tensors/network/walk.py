"""One pass through a program, in progress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from operator import add
from typing import Any, Final, NamedTuple, TypedDict, cast

import torch
from torch import Tensor

from snnhw.ir import (
    Clock,
    Edge,
    Neuron,
    Pointwise,
    State,
)
from snnhw.tensors.network.memo import Memo, Remembering
from snnhw.tensors.network.network import Network
from snnhw.tensors.network.ops import MOVING, OPERATIONS, Operation
from snnhw.tensors.network.stateful_ops import TIMED, Span
from snnhw.tensors.network.tape import Tape
from snnhw.tensors.network.works import work_of
from snnhw.tensors.scans.installed import provider_for
from snnhw.tensors.scans.provider import Provider, wide
from snnhw.tensors.scans.scan import BoundScan, run_step, use_of
from snnhw.tensors.watched import watched
from snnhw.tensors.work import Recorded, Work

__all__ = ["Pass", "Tensors", "Walk"]

Tensors = Mapping[str, Tensor]


class Pass(NamedTuple):
    """What one pass over time gives: ports ``[T, B, ...]``, the state after it, and by parameter key what
    training has measured."""

    ports: dict[str, Tensor]
    state: dict[str, Tensor]
    statistics: dict[str, Tensor]


SUM: Final = Recorded(lambda *xs: (reduce(add, xs),))
"""Of what arrives, left to right."""


def _cast_back(operation: Operation, op: Any, xs: Tensors, params: Tensors) -> Tensor:
    """What autocast made of a result, in the dtype of signals."""
    return operation(op, xs, params).to(next(iter(xs.values())).dtype)


def _widened(operation: Operation, op: Any, xs: Tensors, params: Tensors) -> Tensor:
    """Computed as wide as parameters are, and rounded to the dtype of signals once."""
    wider = {port: x.to(wide(x.dtype)) for port, x in xs.items()}
    return operation(op, wider, params).to(next(iter(xs.values())).dtype)


class How(TypedDict):
    """What all scans of a program have in common."""

    dt: float
    provider: Provider


@dataclass
class Walk:
    """One pass in progress.

    Attributes:
        params: parameter key -> value.
        before: state key -> what the pass starts from; what is missing starts from its initial value.
        steps: T; batch: B.
        like: a tensor of the compute dtype, on the device.
        wanted: ports to keep to the end.
        clock: the first step.
        memo: what layers remember.
        tape: notes all that is computed; None: autograd may.
        ports: what has been computed: ``[T, B, ...]``, or ``[B, ...]`` for what does not change.
        after: state key -> its value after the pass.
        statistics: parameter key -> what training has measured so far.
    """

    network: Network
    params: Tensors
    before: Tensors
    steps: int
    batch: int
    like: Tensor
    wanted: frozenset[str]
    clock: Clock
    memo: Memo = field(default_factory=Memo)
    tape: Tape | None = None
    ports: dict[str, Tensor] = field(default_factory=dict)
    after: dict[str, Tensor] = field(default_factory=dict)
    statistics: dict[str, Tensor] = field(default_factory=dict)

    # -- signals ----------------------------------------------------------------------------------

    def do(self, work: Work, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        """What it gives, in autograd's graph or on a tape. All that a pass computes is done here."""
        return self.tape.do(work, tensors) if self.tape else work(*tensors)

    def arriving(self, node: str, port: str) -> tuple[Tensor, bool]:
        """The sum of a port's edges over all steps, and whether it has no time axis."""
        signals = [*map(self.signal, self.network.program.into(node, port))]
        xs = [x for x, _ in signals]
        total = xs[0] if len(xs) == 1 else self.do(SUM, xs)[0]
        return total, all(fixed for _, fixed in signals)

    def signal(self, edge: Edge) -> tuple[Tensor, bool]:
        """What one edge brings over all steps, and whether it has no time axis."""
        x, fixed = self.ports[edge.src], edge.src in self.network.schedule.static
        return (self._delayed(edge, self.over_time(x, fixed)), False) if edge.delay else (x, fixed)

    def over_time(self, x: Tensor, fixed: bool) -> Tensor:
        """``[T, B, ...]``, whether or not it changes."""
        steps = self.steps
        return self.do(Recorded(lambda x: (x.expand(steps, *x.shape),)), [x])[0] if fixed else x

    def _delayed(self, edge: Edge, x: Tensor) -> Tensor:
        """What arrives late: first what was under way, then the signal; the rest stays under way."""
        steps, kept = self.steps, self.like.dtype

        def joined(*parts: Tensor) -> Sequence[Tensor]:
            line = torch.cat(parts)
            return line[:steps], line[steps:].to(kept, copy=True)  # a view would keep the whole line alive

        arriving, self.after[edge.key] = self.do(Recorded(joined), [self.under_way(edge), x])
        return arriving

    def under_way(self, edge: Edge) -> Tensor:
        """The content of a delayed edge before the first step, ``[delay, B, ...]``, oldest first."""
        shape = (edge.delay, self.batch, *self.network.shapes[edge.src])
        if edge.key in self.before:
            found = self.before[edge.key]
        elif isinstance(edge.init, str):
            found = self.params[edge.init].expand(shape)
        else:
            found = self.constant(self.like.new_full(shape, edge.init))
        return self._to(found, self.signals)

    @property
    def signals(self) -> torch.dtype:
        """The dtype of what passes between nodes."""
        return self.network.signals or self.like.dtype

    def in_signals(self, x: Tensor) -> Tensor:
        """What is given, as it passes between nodes."""
        return self._to(x, self.network.signals or x.dtype)

    def _to(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        return x if x.dtype == dtype else self.do(Recorded(lambda x: (x.to(dtype),)), [x])[0]

    def learns(self, x: Tensor) -> bool:
        """Whether a way back leads to a tensor."""
        return self.tape.learns(x) if self.tape else x.requires_grad

    def constant(self, x: Tensor) -> Tensor:
        """A tensor that follows from sizes alone."""
        return self.tape.constant(x) if self.tape else x

    def keep(self, name: str, found: Tensors) -> None:
        self.ports |= {f"{name}.{port}": y for port, y in found.items()}

    def forget(self, ports: frozenset[str]) -> None:
        """Let go of what nothing reads any more."""
        for port in ports - self.wanted:
            self.ports.pop(port, None)

    def used(self, name: str) -> list[str]:
        """The ports of a node that somebody reads or wants."""
        used = self.network.read | self.wanted
        return [port for port in self.network.program.nodes[name].out_ports if f"{name}.{port}" in used]

    # -- nodes ------------------------------------------------------------------------------------

    def provider(self, name: str | None = None) -> Provider:
        """Who runs a node's kernels; None: who gives room to all."""
        found = self.network.runners.get(name or "", self.network.provider)
        return found or provider_for(self.like.device.type)

    def states_of(self, name: str) -> dict[str, Tensor]:
        """A neuron's states before the pass, by their own names."""
        op = self.network.program.nodes[name]
        states = op.model.states if isinstance(op, Neuron) else ()
        keys = {state.name: f"{name}.{state.name}" for state in states}
        found = {state: self.before[key] for state, key in keys.items() if key in self.before}
        if self.tape:
            found |= {state.name: self._resting(name, state) for state in states if state.name not in found}
        return found

    def _resting(self, name: str, state: State) -> Tensor:
        shape = (self.batch, *self.network.shapes[f"{name}.{self.used(name)[0]}"])
        if isinstance(state.init, str):
            return self.params_of(name)[state.init].expand(shape)
        return self.constant(self.like.new_full(shape, state.init))

    def neuron(self, name: str) -> BoundScan:
        """A neuron over all steps: the ports that somebody wants, and its states afterwards."""
        op = self._neuron(name)
        noise = self._noise(name, self.clock, self.steps, derivatives=torch.is_grad_enabled())
        arriving = {port: self.arriving(name, port) for port in op.in_ports}
        fixed = {port for port, (_, constant) in arriving.items() if constant}
        idle = {port for port, (_, drawn) in noise.items() if not drawn}
        return use_of(
            self.network.equations[name],
            {port: x for port, (x, _) in {**arriving, **noise}.items()},
            self.params_of(name),
            self.states_of(name),
            steps=self.steps,
            outputs=self.used(name),
            static=frozenset(idle | fixed),
            **self._how(name),
        )

    def neuron_step(
        self, name: str, xs: Tensors, states: Tensors, step: int
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """A neuron over one step: inputs, ports and states are ``[B, ...]``."""
        xs = {**xs, **self.noise_at(name, step, derivatives=torch.is_grad_enabled())}
        return run_step(
            self.network.equations[name],
            xs,
            self.params_of(name),
            states,
            outputs=self.used(name),
            **self._how(name),
        )

    def noise_at(self, name: str, step: int, *, derivatives: bool) -> dict[str, Tensor]:
        """A node's random inputs at one step, ``[B, ...]``; those that derivatives alone read when asked."""
        noise = self._noise(name, self.clock.later(step), 1, derivatives=derivatives)
        return {port: x[0] if drawn else x for port, (x, drawn) in noise.items()}

    def stateless(self, name: str) -> Work:
        """A stateless node over rows ``[M, ...]``: its ports, from what arrives and its parameters."""
        op, params = self.network.program.nodes[name], [*self.network.keys[name]]
        if not isinstance(op, Pointwise):
            return work_of(op, self.operation(name), params)
        how, step = self._how(name), self.network.equations[name]

        def computed(*tensors: Tensor) -> Sequence[Tensor]:
            rows = dict(zip(op.in_ports, tensors, strict=False))
            found, _ = run_step(
                step,
                rows,
                dict(zip(params, tensors[len(rows) :], strict=True)),
                {},
                outputs=op.out_ports,
                **how,
            )
            return [found[port] for port in op.out_ports]

        return Recorded(computed)

    def operation(self, name: str) -> Operation:
        """What computes a stateless node."""
        kind = type(self.network.program.nodes[name])
        layer = self.network.layers.get(name) or OPERATIONS[kind]
        if watched([self.like]):  # a layer of one's own has kernels that nobody sees
            layer = OPERATIONS[kind]
        remembers = name in self.network.remembering and layer is self.network.layers[name]
        found = cast("Remembering", layer).at(name, self.memo) if remembers else cast("Operation", layer)
        if self.network.signals and layer is OPERATIONS[kind] and kind not in MOVING:
            found = partial(_widened, found)
        return partial(_cast_back, found) if self.autocast else found

    @property
    def autocast(self) -> bool:
        """Whether torch computes products at a lower precision than signals have."""
        return torch.is_autocast_enabled(self.like.device.type)

    def timed(
        self, name: str, x: Tensor, clock: Clock, steps: int, *, fixed: bool = False, static: bool = False
    ) -> Tensor:
        """A node that tells steps apart: ``[T, B, ...]``, or ``[B, ...]`` where nothing changes.

        Args:
            fixed: whether what arrives has no time axis; static: whether what it gives has none.
        """
        op, params = self.network.program.nodes[name], self.params_of(name)
        keys, span = self.network.keys[name], self._span(name, clock, steps)
        measured: list[str] = []

        def computed(x: Tensor, *values: Tensor) -> Sequence[Tensor]:
            arriving = (x.unsqueeze(0) if fixed else x).to(wide(x.dtype))
            wider, found = TIMED[type(op)](op, arriving, dict(zip(params, values, strict=True)), span)
            measured[:] = [keys[param] for param in found]
            y = wider.to(x.dtype)
            return (
                y[0] if static else y.expand(steps, *y.shape[1:]),
                *(value.detach() for value in found.values()),
            )

        y, *statistics = self.do(Recorded(computed), [x, *params.values()])
        self.statistics |= zip(measured, statistics, strict=True)
        return y

    def _noise(
        self, name: str, clock: Clock, steps: int, *, derivatives: bool
    ) -> dict[str, tuple[Tensor, bool]]:
        """A node's random inputs ``[T, B, ...]``, and True; zeros ``[B, ...]``, and False, for those that
        nobody asks for."""
        op = self.network.program.nodes[name]
        assert isinstance(op, (Neuron, Pointwise))
        step, span = self.network.equations[name], self._span(name, clock, steps)
        if not step.noise:
            return {}
        shape = (self.batch, *self.network.shapes[f"{name}.{op.out_ports[0]}"])
        read = step.noise if derivatives else step.drawn
        drawn = {port: span.uniform(port, shape).to(self.like) for port in read}
        zero = self.like.new_zeros(shape)
        return {port: (drawn.get(port, zero), port in drawn) for port in step.noise}

    def _span(self, name: str, clock: Clock, steps: int) -> Span:
        network = self.network
        return Span(
            name, clock, steps, network.training, self.provider(name), self.like.device, network.ranks
        )

    def _neuron(self, name: str) -> Neuron:
        op = self.network.program.nodes[name]
        assert isinstance(op, Neuron)
        return op

    def _how(self, name: str) -> How:
        return {"dt": self.network.program.time.dt, "provider": self.provider(name)}

    def params_of(self, name: str) -> dict[str, Tensor]:
        keys = self.network.keys[name]
        new = self.statistics
        return {param: new[key] if key in new else self.params[key] for param, key in keys.items()}
