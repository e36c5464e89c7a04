"""A scan as a loop over time, as data: what each pass is given, and what a step of it reads and stores.

`snnhw.passes.scan` says what is computed. Here it is laid out for who prints it in a language with loops and
memory; a printer decides how the loops are nested and where things lie, and looks for nothing itself. Names
are those of `snnhw.passes.scan`, and these, of what a pass leaves:

    n0 n1 ...   states after a step            y0 y1 ...   outputs
    f0 f1 ...   states after the last step
    X0 X1 ...   adjoints of the inputs         V0 V1 ...   adjoints of the values
    A0 A1 ...   adjoints of the states before the first step

The backward pass computes the states again from what the forward pass was given, by the same step, and then
walks back through them; nothing is kept between the passes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from snnhw.ir import Expr
from snnhw.ir.emit import read
from snnhw.passes.scan import ScanKernel, Value

__all__ = ["Argument", "Body", "Pass", "ScanLoop", "Store", "backward_loop", "forward_loop"]

Pass = Literal["forward", "backward"]

Axes = tuple[str, ...]

OVER_TIME: Final[Axes] = ("T", "R", "C")
ONCE: Final[Axes] = ("R", "C")

SIGNALS: Final = "xygX"

ORDER: Final = "sxvnag"
"""In which a step reads what it needs."""


@dataclass(frozen=True)
class Argument:
    """A tensor that a pass is given, to read or to fill.

    Attributes:
        letter, number: which it is, as above; ``a`` are the adjoints of the states after the last step.
        axes: ``T`` steps, ``R`` rows of ``C`` neurons; ``L0``, ``L1``, ... levels of a table; ``blocks``
            sums of a row. None: one number.
        wide: whether it is in float64, whatever is computed in.
    """

    letter: str
    number: int
    axes: Axes
    wide: bool = False

    @property
    def name(self) -> str:
        return f"{self.letter}{self.number}"

    @property
    def signal(self) -> bool:
        """Whether it passes between layers, or is the adjoint of what does."""
        return self.letter in SIGNALS


@dataclass(frozen=True)
class Store:
    """A value, and where it goes: there, or added to what is there."""

    name: str
    value: Expr
    adds: bool = False


@dataclass(frozen=True)
class Body:
    """What is done for one neuron: all values are computed, then each is stored."""

    stores: tuple[Store, ...]

    @property
    def values(self) -> tuple[Expr, ...]:
        return tuple(store.value for store in self.stores)

    @property
    def reads(self) -> tuple[str, ...]:
        """The variables that they need, in the order in which a kernel reads them."""
        return tuple(sorted(read(self.values), key=_place))


@dataclass(frozen=True)
class ScanLoop:
    """One pass of a scan.

    Attributes:
        arguments: in the order in which a kernel takes them.
        static: for each input, whether it has no time axis.
        tables: names of the tables.
        states: how many there are.
        once: values that are one number for the layer, from its parameters.
        columns: values of each neuron, from its parameters.
        step: forward in time: next states, and in the forward pass the outputs.
        reverse: backward in time, in the backward pass alone: adjoints of the states before a step ``a``, of
            the inputs and of the values.
    """

    name: Pass
    arguments: tuple[Argument, ...]
    static: tuple[bool, ...]
    tables: tuple[str, ...]
    states: int
    once: Body
    columns: Body
    step: Body
    reverse: Body | None = None

    @property
    def summed(self) -> tuple[str, ...]:
        """What of ``reverse`` adds up over time."""
        stores = self.reverse.stores if self.reverse else ()
        return tuple(store.name for store in stores if store.adds)

    def kind(self, letters: str) -> tuple[Argument, ...]:
        """The arguments of some kinds, in their order."""
        return tuple(argument for argument in self.arguments if argument.letter in letters)


def forward_loop(kernel: ScanKernel) -> ScanLoop:
    """All steps, from the first on."""
    outputs = [Store(f"y{n}", expr) for n, expr in enumerate(kernel.output_exprs)]
    arguments = [
        *_given(kernel),
        *(Argument("y", n, OVER_TIME) for n in range(len(kernel.output_exprs))),
        *(Argument("f", n, ONCE) for n in range(len(kernel.next_states))),
    ]
    return _loop("forward", kernel, arguments, [*_next_states(kernel), *outputs])


def backward_loop(kernel: ScanKernel) -> ScanLoop:
    """All steps, from the last one back.

    Adjoints of values that vary are left for every neuron of every row, those of others as sums in float64,
    one for each block of a row: who launches the kernel adds them up.
    """
    states, outputs = range(len(kernel.next_states)), range(len(kernel.output_exprs))
    inputs = {n: expr for n, expr in enumerate(kernel.input_grads) if expr is not None}
    values = {n: expr for n, expr in enumerate(kernel.value_grads) if expr is not None}
    arguments = [
        *_given(kernel),
        *(Argument("g", n, OVER_TIME) for n in outputs),
        *(Argument("a", n, ONCE) for n in states),
        *(Argument("X", n, ONCE if kernel.static[n] else OVER_TIME) for n in inputs),
        *(_sums(n, kernel.values[n]) for n in values),
        *(Argument("A", n, ONCE) for n in states),
    ]
    reverse = [
        *(Store(f"a{n}", expr) for n, expr in enumerate(kernel.carried)),
        *(Store(f"X{n}", expr, adds=kernel.static[n]) for n, expr in inputs.items()),
        *(Store(f"V{n}", expr, adds=True) for n, expr in values.items()),
    ]
    return _loop("backward", kernel, arguments, _next_states(kernel), Body(tuple(reverse)))


def _loop(
    name: Pass,
    kernel: ScanKernel,
    arguments: Iterable[Argument],
    step: Iterable[Store],
    reverse: Body | None = None,
) -> ScanLoop:
    return ScanLoop(
        name,
        tuple(arguments),
        kernel.static,
        kernel.tables,
        len(kernel.next_states),
        once=_values(kernel, "scalar"),
        columns=_values(kernel, "neuron"),
        step=Body(tuple(step)),
        reverse=reverse,
    )


def _next_states(kernel: ScanKernel) -> list[Store]:
    return [Store(f"n{n}", expr) for n, expr in enumerate(kernel.next_states)]


def _values(kernel: ScanKernel, layout: str) -> Body:
    """The prologue's, of one layout."""
    return Body(tuple(Store(f"v{n}", v.expr) for n, v in enumerate(kernel.values) if v.layout == layout))


def _given(kernel: ScanKernel) -> list[Argument]:
    """What both passes read."""
    return [
        *(Argument("x", n, ONCE if static else OVER_TIME) for n, static in enumerate(kernel.static)),
        *(Argument("p", n, ("C",) if layout == "neuron" else ()) for n, layout in enumerate(kernel.layouts)),
        *(Argument("t", n, (f"L{n}",)) for n in range(len(kernel.tables))),
        *(Argument("s", n, ONCE) for n in range(len(kernel.next_states))),
    ]


def _sums(number: int, value: Value) -> Argument:
    if value.layout == "neuron":
        return Argument("V", number, ONCE)
    return Argument("V", number, ("R", "blocks"), wide=True)


def _place(name: str) -> tuple[int, int]:
    return ORDER.find(name[0]), int(name[1:])
