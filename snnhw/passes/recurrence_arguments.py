"""What the two passes of a `LoopKernel` are given, in the order in which a kernel takes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from snnhw.passes.loop import Pass
from snnhw.passes.recurrence import CellPart, LoopKernel, Part, Port, Product, Saturating, Section

__all__ = ["LoopArgument", "arguments", "sizes", "width"]


@dataclass(frozen=True)
class LoopArgument:
    """A tensor that a pass is given, to read or to fill.

    Attributes:
        letter, number, part: which it is, as `snnhw.passes.recurrence` has the names.
        axes: ``T`` steps, ``T+1`` with what was before the first, ``R`` rows, ``N0 N1 ...`` places of what
            a part gives, ``K0 K1 ...`` of what arrives at it, ``P0 ...`` and ``Q0 ...`` the same made up to
            whole vectors, ``L0_1 ...`` levels of a table; in figures, how many steps an edge takes. None: one
            number.
        wide: whether it is in float64, whatever is computed in.
    """

    letter: str
    number: int
    part: int | None
    axes: tuple[str, ...]
    wide: bool = False

    @property
    def name(self) -> str:
        return f"{self.letter}{self.number}" + ("" if self.part is None else f"_{self.part}")


def width(kernel: LoopKernel, port: Port) -> str:
    """The axis of what arrives at a port of a part."""
    part = kernel.parts[port[0]]
    own = isinstance(part, CellPart) or (isinstance(part, Saturating) and port[1] == 1)
    return f"{'N' if own else 'K'}{port[0]}"


def sizes(kernel: LoopKernel) -> tuple[str, ...]:
    """All axes but T and R, and ``B0 B1 ...``, where sections begin."""
    return tuple(size for number, part in enumerate(kernel.parts) for size in _sizes(number, part))


def _sizes(number: int, part: Part) -> list[str]:
    if isinstance(part, CellPart):
        return [f"N{number}", *(f"L{n}_{number}" for n in range(len(part.scan.tables)))]
    return [f"{letter}{number}" for letter in _SIZES[type(part)]]


_SIZES: Final[Mapping[type, str]] = {Product: "NKPQ", Saturating: "NKP", Section: "NKB"}


def arguments(kernel: LoopKernel, passed: Pass) -> tuple[LoopArgument, ...]:
    """Of one pass."""
    return _forward(kernel) if passed == "forward" else _backward(kernel)


def _forward(kernel: LoopKernel) -> tuple[LoopArgument, ...]:
    return (
        *_outside(kernel),
        *_given(kernel),
        *map(_turned, kernel.weighted),
        *(LoopArgument("b", 0, n, (f"P{n}",)) for n, _ in kernel.products),
        *_states(kernel, "s"),
        *_lines(kernel, "l"),
        *(LoopArgument("y", port, part, ("T", "R", f"N{part}")) for part, port in sorted(kernel.wanted)),
        *_kept(kernel, kernel.kept_inputs),
        *_states(kernel, "f"),
        *_lines(kernel, "m"),
    )


def _backward(kernel: LoopKernel) -> tuple[LoopArgument, ...]:
    return (
        *_given(kernel),
        *(LoopArgument("w", 0, n, (f"N{n}", f"Q{n}")) for n, _ in kernel.products),
        *_kept(kernel, kernel.read_inputs),
        *(LoopArgument("g", port, part, ("T", "R", f"N{part}")) for part, port in sorted(kernel.seeded)),
        *_states(kernel, "a"),
        *_lines(kernel, "L"),
        *(
            LoopArgument("X", port, part, ("T", "R", width(kernel, (part, port))))
            for part, port in sorted(kernel.stored)
        ),
        *(
            LoopArgument("G", 0, n, ("T", "R", f"N{n}"))
            for n, part in kernel.products
            if part.trained and n not in kernel.borrowed
        ),
        *_sums(kernel),
        *_states(kernel, "A"),
        *_lines(kernel, "M"),
    )


def _outside(kernel: LoopKernel) -> Iterator[LoopArgument]:
    first: dict[int, Port] = {}
    for to, wire in kernel.wires():
        if wire.outside is not None:
            first.setdefault(wire.outside, to)
    for number, static in enumerate(kernel.static):
        axes = ("R", width(kernel, first[number]))
        yield LoopArgument("o", number, None, axes if static else ("T", *axes))


def _given(kernel: LoopKernel) -> Iterator[LoopArgument]:
    """Parameters and tables of cells."""
    for part, cell in kernel.cells:
        for n, layout in enumerate(cell.scan.layouts):
            yield LoopArgument("p", n, part, (f"N{part}",) if layout == "neuron" else ())
        for n in range(len(cell.scan.tables)):
            yield LoopArgument("t", n, part, (f"L{n}_{part}",))


def _turned(part: int) -> LoopArgument:
    return LoopArgument("w", 0, part, (f"K{part}", f"P{part}"))


def _states(kernel: LoopKernel, letter: str) -> Iterator[LoopArgument]:
    for part, cell in kernel.cells:
        for n in range(cell.states):
            yield LoopArgument(letter, n, part, ("R", f"N{part}"))


def _lines(kernel: LoopKernel, letter: str) -> Iterator[LoopArgument]:
    for n, ((source, _), delay) in enumerate(zip(kernel.lines, kernel.delays, strict=True)):
        yield LoopArgument(letter, n, None, (str(delay), "R", f"N{source[0]}"))


def _kept(kernel: LoopKernel, inputs: Iterable[Port]) -> Iterator[LoopArgument]:
    for part, state in kernel.kept_states:
        yield LoopArgument("h", state, part, ("T+1", "R", f"N{part}"))
    for part, port in inputs:
        yield LoopArgument("x", port, part, ("T", "R", width(kernel, (part, port))))


def _sums(kernel: LoopKernel) -> Iterator[LoopArgument]:
    for part, cell in kernel.cells:
        for n, (value, grad) in enumerate(zip(cell.learnt.values, cell.learnt.value_grads, strict=True)):
            if grad is not None:
                neuron = value.layout == "neuron"
                yield LoopArgument("V", n, part, ("R", f"N{part}") if neuron else ("R",), wide=not neuron)
