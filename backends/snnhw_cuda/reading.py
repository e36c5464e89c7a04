"""What the machine code of a kernel shows: registers, accesses to memory, steps in flight, bytes of each
step, and which functions multiply and add in one rounding."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from snnhw.passes import ScanLoop
from snnhw_cuda.ahead import NVIDIA, Code
from snnhw_cuda.machine import Instruction, Machine, disassembled, moves
from snnhw_cuda.traffic import Traffic, grouped, traffic

__all__ = ["Loop", "Reading", "read"]


@dataclass(frozen=True)
class Loop:
    """One loop over whole groups of steps.

    Attributes:
        said: what it should move.
        signals, kept: bytes that it moves, of one neuron and step.
        width: bytes of its narrowest access; 0 where it makes none.
        ahead: steps whose loads stand before the first store.
        flight: steps whose loads stand before the first use of what is loaded, too: there a thread waits.
    """

    said: Traffic
    signals: float
    kept: float
    width: int
    ahead: float
    flight: float

    def __str__(self) -> str:
        return f"{self.said.loop} {self.signals:g}" + (f" + {self.kept:g}" if self.kept else "")


@dataclass(frozen=True)
class Reading:
    """One kernel on one GPU; loops for NVIDIA's alone.

    Attributes:
        spilled: bytes of a thread that its registers do not hold.
        fused: function of the source -> how many fused multiply-adds it was compiled to.
    """

    code: Code
    registers: int
    spilled: int
    loops: tuple[Loop, ...] = ()
    fused: Mapping[str, int] | None = None

    @property
    def width(self) -> int:
        return min((loop.width for loop in self.loops if loop.width), default=0)

    @property
    def flight(self) -> float:
        return min((loop.flight for loop in self.loops if loop.said.loaded), default=0)


def read(code: Code, loop: ScanLoop, group: int) -> Reading:
    """A kernel that `snnhw_cuda.ahead.kernel_code` compiled.

    Args:
        group: what it was given.
    """
    if code.target not in NVIDIA:
        registers, *spilled = (_stated(code, name) for name in _AMD)
        return Reading(code, registers, sum(spilled))
    group = grouped(loop, "float64" if code.itemsize > 4 else "float32", group)
    machine = disassembled(code.asm["cubin"], code.text)
    bodies = zip(traffic(loop), _bodies(code.source, group), strict=True)
    loops = tuple(found for said, body in bodies for found in _loops(machine, code, said, body, group))
    return Reading(code, machine.registers, machine.local, loops, fused(machine, code.source))


_KEPT = re.compile(r"\((slot|begin|held)\b")

_AMD = ("vgpr_count", "vgpr_spill_count", "sgpr_spill_count", "private_segment_fixed_size")


def _stated(code: Code, name: str) -> int:
    found = re.search(rf"\.{name}: +(\d+)", code.text)
    assert found, name
    return int(found[1])


def _bodies(source: str, group: int) -> Iterator[dict[int, str]]:
    """The lines of each loop over whole groups, by number."""
    rows = source.splitlines()
    for start, row in enumerate(rows):
        if re.fullmatch(rf" *for t in range\(.*, -?{group}\):", row):
            depth = len(row) - len(row.lstrip())
            body = {}
            for number, line in enumerate(rows[start + 1 :], start + 2):
                if len(line) - len(line.lstrip()) <= depth:
                    break
                body[number] = line.strip()
            yield body


def _loops(
    machine: Machine, code: Code, said: Traffic, body: Mapping[int, str], group: int
) -> Iterator[Loop]:
    """What became of one loop: more than one where the compiler unrolls it and leaves a rest."""
    for span in machine.around(body):
        inside = machine.inside(span)
        accesses = [instruction for instruction in inside if moves(instruction, body)]
        moved = Counter[int]()
        for access in accesses:
            moved[access.lines[0]] += access.bytes
        sizes = {line: code.itemsize if _KEPT.search(body[line]) else code.signal for line in moved}
        copies = min(moved[line] / (code.each * size) for line, size in sizes.items())  # of the loop's body
        each = group * copies * code.each
        kept = sum(moved[line] for line in moved if _KEPT.search(body[line]))
        total = sum(moved.values())
        step = code.each * max(1, said.read * code.signal + said.again * code.itemsize)
        ahead, flight = (loaded / step for loaded in _before(inside, body))
        width = min(access.bytes for access in accesses)
        yield Loop(said, (total - kept) / each, kept / each, width, ahead, flight)


def _before(inside: Sequence[Instruction], body: Mapping[int, str]) -> tuple[int, int]:
    """Bytes that are loaded before the first store, and of them those before the first use of any."""
    loaded, used, filled = 0, None, set[int]()
    for instruction in inside:
        stores = instruction.kind == "STG" and moves(instruction, body)
        if used is None and (stores or filled & instruction.read):
            used = loaded
        if stores:
            break
        if moves(instruction, body):
            loaded += instruction.bytes
            filled |= set(instruction.filled)
    return loaded, loaded if used is None else used


def fused(machine: Machine, source: str) -> dict[str, int]:
    """Function -> fused multiply-adds; those of the compiler's own functions are ``""``."""
    spans = {
        f.name: (f.lineno, f.end_lineno) for f in ast.parse(source).body if isinstance(f, ast.FunctionDef)
    }
    found = Counter[str]()
    for instruction in machine.instructions:
        if instruction.kind in {"FFMA", "DFMA"}:
            inner = instruction.lines[:1]
            found[next((n for n, (a, b) in spans.items() if inner and a <= inner[0] <= (b or a)), "")] += 1
    return dict(found)
