"""Pieces of the source of a loop's kernel that both of its passes have: places, rings, values of cells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from snnhw.ir.emit import emit
from snnhw.passes import CellPart, LoopArgument, LoopKernel, Port, ScanLoop, width
from snnhw_cpu.numba_pieces import TARGET, columns, indented, loop

__all__ = ["LoopPieces", "array", "unpacked"]


class LoopPieces:
    """What both passes print alike."""

    def __init__(self, kernel: LoopKernel, given: Iterable[LoopArgument]) -> None:
        self.kernel = kernel
        self.given = {argument.name: argument for argument in given}

    # -- places -----------------------------------------------------------------------------------

    def width(self, to: Port) -> str:
        """Of what arrives at a part."""
        return width(self.kernel, to)

    def slices(self, letters: str, *, changing: bool) -> list[str]:
        """A block of each argument: of the step at hand, or of those that do not change over time."""
        return [
            self.slice(argument.name, "t" if changing else None)
            for argument in self.given.values()
            if argument.letter in letters and (argument.axes[0] == "T") == changing
        ]

    def slice(self, name: str, step: str | None, called: str = "") -> str:
        at = self.block(name)
        return f"{called or name}_ = {name}s[{f'{step}, ' if step else ''}{at}]"

    def block(self, name: str) -> str:
        size = self.given[name].axes[-1]
        return f"r0 * {size}:(r0 + m) * {size}"

    def copied(self, to: str, source: str, size: str) -> list[str]:
        """A block, from one place to another."""
        return [f"n = m * {size}", *loop([f"{to}[i] = {source}[i]"])]

    def rings(self) -> list[str]:
        """Room for what is under way on each edge."""
        return [
            f"E{n} = np.empty(({delay + 1}, rows * N{source[0]}), F)"
            for n, (delay, (source, _)) in enumerate(zip(self.kernel.delays, self.kernel.lines, strict=True))
        ]

    def turn(self, step: str) -> list[str]:
        """The place of each ring for some step."""
        return [
            f"E{n}_ = E{n}[{step.format(delay=delay)} % {delay + 1}]"
            for n, delay in enumerate(self.kernel.delays)
        ]

    def moved(self, letter: str, place: str, *, into: bool) -> list[str]:
        """All that is under way on each edge, out of an argument or into it."""
        found = []
        for n, (delay, (source, _)) in enumerate(zip(self.kernel.delays, self.kernel.lines, strict=True)):
            ring, whole = f"E{n}[{place} % {delay + 1}]", f"{letter}{n}s[j, {self.block(f'{letter}{n}')}]"
            to, source_ = (ring, whole) if into else (whole, ring)
            found += [f"for j in range({delay}):"]
            found += indented(
                [f"to_, from_ = {to}, {source_}", *self.copied("to_", "from_", f"N{source[0]}")]
            )
        return found

    def room(self) -> list[str]:
        """What products need."""
        widths = [f"{axis}{n}" for n, _ in self.kernel.products for axis in "NK"]
        if not widths:
            return []
        most = widths[0] if len(widths) == 1 else f"max({', '.join(widths)})"
        return [f"active = np.empty(4 * {most} + 5, np.int32)", "edge = np.empty(64, F)"]

    # -- cells ------------------------------------------------------------------------------------

    def values(self) -> list[str]:
        """What is made of the parameters of cells: numbers, and rows for all samples of a block."""
        found = []
        for k, cell in self.kernel.cells:
            scan, names = cell.forward, _names(k, cell)
            body = emit(scan.once.values, names, TARGET, prefix=f"u{k}_")
            found += body.lines
            found += [f"{s.name}_{k} = {text}" for s, text in zip(scan.once.stores, body.roots, strict=True)]
            if not scan.columns.stores:
                continue
            rows = [f"{store.name}_{k}_" for store in scan.columns.stores]
            found += [f"{name} = np.empty(rows * N{k}, F)" for name in rows]
            varying = {p.name: f"{p.name}_{k}s[i]" for p in scan.kind("p") if p.axes}
            into = {store.name: f"{store.name}_{k}_[i]" for store in scan.columns.stores}
            found += [f"n = N{k}", *columns(scan.columns, names, varying, into, prefix="u")]
            found += [f"for i in range(N{k}, rows * N{k}):"]
            found += indented(f"{name}[i] = {name}[i - N{k}]" for name in rows)
        return found

    def cell(
        self, k: int, cell: CellPart, body: ScanLoop, places: Mapping[str, str], into: Mapping[str, str]
    ) -> list[str]:
        """One step of it, for all of a block."""
        rows = {store.name: f"{store.name}_{k}_[i]" for store in cell.forward.columns.stores}
        what = body.reverse or body.step
        return [f"n = m * N{k}", *columns(what, _names(k, cell), {**rows, **places}, into)]


# -- names ------------------------------------------------------------------------------------------


def _names(k: int, cell: CellPart) -> dict[str, str]:
    """What a cell's expressions call a number, in the text: of the layer, with the part's number."""
    passes = [cell.forward, *([cell.backward] if cell.back else [])]
    bodies = [body for scan in passes for body in (scan.once, scan.columns, scan.step, scan.reverse) if body]
    read = {name: name for body in bodies for name in body.reads}
    scalar = {store.name: f"{store.name}_{k}" for store in cell.forward.once.stores}
    params = {p.name: f"{p.name}_{k}" for p in cell.forward.kind("p") if not p.axes}
    return read | scalar | params | {name: f"{name}_{k}s" for name in cell.forward.tables}


def array(argument: LoopArgument) -> str:
    """``x0_1s`` where it is an array, ``p0_1`` where it is one number."""
    return f"{argument.name}s" if argument.axes else argument.name


def unpacked(argument: LoopArgument) -> str:
    """An address, as what lies there: samples of a batch side by side."""
    name, axes = array(argument), [*argument.axes]
    if not axes:
        return f"{name} = {name}_at[0]"
    if "R" in axes and len(axes) > 1:
        axes = [axis.replace("+", " + ") for axis in axes[: axes.index("R")]] + [f"R * {axes[-1]}"]
    return f"{name} = carray({name}_at, ({', '.join(axes)},))"
