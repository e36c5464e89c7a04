"""A loop over time as one kernel, as data: its parts in order, what each reads, and what is wanted of it.

Rows of a batch never wait for each other, so whoever prints this takes a few rows through all steps: in each
step part after part, and on the way back the parts in reverse. Signals have the names of `snnhw.passes.loop`
with the number of the part behind them, and these:

    o0 o1 ...     what comes from outside the loop
    l0 l1 ...     by edge with a delay, what is under way on it before the first step, oldest first;
    m0 m1 ...     and after the last one
    h0_1 ...      states before every step and after the last, x0_1 what arrived, as the way back reads them
    w_0 b_0 ...   weight and bias of a product
    G_0 ...       adjoint of what a product gives, for the gradients of its weight
    L0 M0 ...     adjoints of m0 and l0
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from snnhw.passes.loop import ScanLoop, backward_loop, forward_loop
from snnhw.passes.scan import ScanKernel

__all__ = ["CellPart", "LoopKernel", "Part", "Port", "Product", "Saturating", "Section", "Wire"]

Port = tuple[int, int]
"""Number of a part, and of one of its outputs."""


@dataclass(frozen=True)
class Wire:
    """One edge, as a part reads it.

    Attributes:
        outside: number of a signal from outside the loop; or None, and
        source: the port that it comes from.
        line: for an edge with a delay, its number among these.
    """

    outside: int | None = None
    source: Port | None = None
    line: int | None = None


Inputs = tuple[tuple[Wire, ...], ...]
"""By port, the edges that are added up from left to right."""


@dataclass(frozen=True)
class CellPart:
    """A neuron, or a pointwise node.

    Attributes:
        scan: one step of it.
        back: the same with its way back; None where none is wanted.
    """

    inputs: Inputs
    scan: ScanKernel
    back: ScanKernel | None = None

    @property
    def states(self) -> int:
        return len(self.scan.next_states)

    @property
    def learnt(self) -> ScanKernel:
        assert self.back is not None, "a loop without a way back"
        return self.back

    @cached_property
    def forward(self) -> ScanLoop:
        return forward_loop(self.scan)

    @cached_property
    def backward(self) -> ScanLoop:
        return backward_loop(self.learnt)

    @cached_property
    def read_back(self) -> frozenset[str]:
        """What the way back reads of each step, by the names of a scan."""
        reverse = self.backward.reverse if self.back else None
        return frozenset(reverse.reads if reverse else ())


@dataclass(frozen=True)
class Product:
    """A weight times what arrives, and a bias; ``trained`` where a gradient of either is wanted."""

    inputs: Inputs
    trained: bool = False


@dataclass(frozen=True)
class Saturating:
    """A memory of so many bits, after a weight times each of what arrives has been added, one by one. Port 0
    is what arrives, port 1 the memory."""

    inputs: Inputs
    bits: int


@dataclass(frozen=True)
class Section:
    """What lies between two places of what arrives."""

    inputs: Inputs


Part = CellPart | Product | Saturating | Section


@dataclass(frozen=True)
class LoopKernel:
    """Attributes:
    parts: in the order in which they run within a step.
    static: for each signal from outside, whether it has no time axis.
    delays: for each edge with a delay, how many steps it takes.
    wanted: ports that are given back.
    trained: signals from outside whose adjoints are wanted.
    seeded: ports through which an adjoint arrives from outside.
    """

    parts: tuple[Part, ...]
    static: tuple[bool, ...]
    delays: tuple[int, ...]
    wanted: frozenset[Port]
    trained: frozenset[int] = frozenset()
    seeded: frozenset[Port] = frozenset()

    # -- what is read ---------------------------------------------------------------------------------

    @cached_property
    def lines(self) -> tuple[tuple[Port, Port], ...]:
        """For each edge with a delay, where it comes from and where it goes: a part, and a port of it."""
        found: dict[int, tuple[Port, Port]] = {}
        for to, wire in self.wires():
            if wire.line is not None:
                assert wire.source is not None
                found[wire.line] = wire.source, to
        return tuple(found[number] for number in range(len(self.delays)))

    def wires(self) -> Iterator[tuple[Port, Wire]]:
        """Where each edge goes, and the edge."""
        for number, part in enumerate(self.parts):
            for port, wires in enumerate(part.inputs):
                for wire in wires:
                    yield (number, port), wire

    # -- what is kept for the way back ----------------------------------------------------------------

    @cached_property
    def kept_states(self) -> tuple[Port, ...]:
        """A cell, and a state of it."""
        return tuple(
            (number, state)
            for number, part in self.cells
            for state in range(part.states)
            if {f"s{state}", f"n{state}"} & part.read_back
        )

    @cached_property
    def read_inputs(self) -> tuple[Port, ...]:
        """A cell, and a port of it, which its way back reads."""
        return tuple(
            (number, port)
            for number, part in self.cells
            for port in range(len(part.inputs))
            if f"x{port}" in part.read_back
        )

    @cached_property
    def kept_inputs(self) -> tuple[Port, ...]:
        """Those, and what arrives at products whose weights are trained."""
        return (*self.read_inputs, *((number, 0) for number, part in self.products if part.trained))

    # -- adjoints -------------------------------------------------------------------------------------

    def readers(self, port: Port) -> tuple[list[int], list[Port]]:
        """Who reads a port: edges with a delay; then parts at once, the last one first."""
        late = [number for number, (source, _) in enumerate(self.lines) if source == port]
        now = [to for to, wire in self.wires() if wire.source == port and wire.line is None]
        return late, sorted(now, key=lambda to: -to[0])

    @cached_property
    def borrowed(self) -> dict[int, Port]:
        """Products whose adjoint is that of one input of another part, as nothing else reads them."""
        found = {}
        for number, _ in self.products:
            late, now = self.readers((number, 0))
            if not late and len(now) == 1 and (number, 0) not in self.seeded:
                found[number] = now[0]
        return found

    @cached_property
    def stored(self) -> frozenset[Port]:
        """Inputs of parts whose adjoints are left for every step."""
        outside = {
            to for to, wire in self.wires() if wire.outside in self.trained and wire.outside is not None
        }
        lent = {to for number, to in self.borrowed.items() if self.trains(number)}
        return frozenset(outside | lent)

    def differentiated(self, to: Port) -> bool:
        """Whether there is an adjoint of what arrives there."""
        part = self.parts[to[0]]
        return not isinstance(part, CellPart) or part.learnt.input_grads[to[1]] is not None

    def trains(self, number: int) -> bool:
        part = self.parts[number]
        return isinstance(part, Product) and part.trained

    @property
    def cells(self) -> list[tuple[int, CellPart]]:
        return [(n, part) for n, part in enumerate(self.parts) if isinstance(part, CellPart)]

    @property
    def weighted(self) -> list[int]:
        """Parts that have a weight."""
        return [n for n, part in enumerate(self.parts) if isinstance(part, (Product, Saturating))]

    @property
    def products(self) -> list[tuple[int, Product]]:
        return [(n, part) for n, part in enumerate(self.parts) if isinstance(part, Product)]
