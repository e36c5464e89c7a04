"""Machine code of NVIDIA's GPUs as instructions, with the loops that they stand in and the lines of the
source that they were made from: what the disassembler in Triton's wheel prints, read."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from triton import knobs

__all__ = ["Instruction", "Machine", "Span", "disassembled"]

Span = tuple[int, int]
"""The first instruction of a loop, and the one that jumps back to it."""

_LINE: Final = re.compile(r'//## File "[^"]*", line (\d+)')
_LABEL: Final = re.compile(r"^([.$\w]+):")
_INSTRUCTION: Final = re.compile(r"/\*[0-9a-f]{4,}\*/ +(?:@!?U?P[T\d]+ +)?([A-Z][\w.]*) *([^;]*);")
_USAGE: Final = re.compile(r"REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)")
_LOAD: Final = re.compile(r"\bld\.global\S*?(?:\.v(\d))?\.[bfsu](\d+)\b")
_BITS: Final = re.compile(r"\.U?(8|16|64|128)\b")
_REGISTER: Final = re.compile(r"\bR(\d+)")


@dataclass(frozen=True)
class Instruction:
    """One of them.

    Attributes:
        name: with its modifiers, such as ``LDG.E.128``.
        operands: as the disassembler prints them.
        lines: of the source: where it stands, then where that function is called, and so on; none in a
            function of the compiler's own.
    """

    name: str
    operands: str
    lines: tuple[int, ...]

    @property
    def kind(self) -> str:
        """Its name alone."""
        return self.name.partition(".")[0]

    @property
    def bytes(self) -> int:
        """What a load or store moves for one thread."""
        bits = _BITS.search(self.name)
        return int(bits[1]) // 8 if bits else 4

    @property
    def filled(self) -> range:
        """Registers that a load fills."""
        first = int(_REGISTER.findall(self.operands)[0])
        return range(first, first + max(1, self.bytes // 4))

    @property
    def read(self) -> frozenset[int]:
        """Registers that it reads; of a row of them, the first."""
        operands = self.operands if self.kind == "STG" else self.operands.partition(",")[2]
        return frozenset(int(number) for number in _REGISTER.findall(operands))


@dataclass(frozen=True)
class Machine:
    """A kernel's machine code.

    Attributes:
        labels: name -> the instruction that it stands before.
        registers: of a thread.
        local: bytes of a thread that its registers do not hold.
        shared: bytes of a program.
    """

    instructions: tuple[Instruction, ...]
    labels: dict[str, int]
    registers: int
    local: int
    shared: int

    @cached_property
    def loops(self) -> tuple[Span, ...]:
        """The smaller ones first."""
        found = []
        for last, instruction in enumerate(self.instructions):
            to = re.search(r"`\(([.$\w]+)\)", instruction.operands)
            if instruction.kind == "BRA" and to and self.labels[to[1]] < last:
                found.append((self.labels[to[1]], last))
        return tuple(sorted(found, key=lambda span: span[1] - span[0]))

    def inside(self, span: Span) -> tuple[Instruction, ...]:
        """The instructions of a loop."""
        return self.instructions[span[0] : span[1] + 1]

    def around(self, lines: Collection[int]) -> list[Span]:
        """The smallest loops in which loads and stores of some lines stand. What the compiler takes out of a
        loop stands in the next larger one, which is none of them."""
        spans: dict[Span, None] = {}
        for place, instruction in enumerate(self.instructions):
            if moves(instruction, lines):
                spans |= dict.fromkeys([s for s in self.loops if s[0] <= place <= s[1]][:1])
        return [
            outer
            for outer in spans
            if not any(outer[0] <= s[0] and s[1] <= outer[1] for s in spans if s != outer)
        ]


def moves(instruction: Instruction, lines: Collection[int]) -> bool:
    """Whether it loads or stores what one of these lines says, and not what a function called there does."""
    return (
        instruction.kind in {"LDG", "STG"} and len(instruction.lines) == 1 and instruction.lines[0] in lines
    )


def disassembled(cubin: bytes, ptx: str) -> Machine:
    """Machine code, and what it was assembled from, as Triton hands them out."""
    shifted = _shifted(ptx)
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        text = _said(knobs.nvidia.nvdisasm.path, "-c", "-gi", file.name)
        usage = _USAGE.search(_said(knobs.nvidia.cuobjdump.path, "-res-usage", file.name))
    assert usage, "cuobjdump says what a kernel uses"
    registers, stack, shared, local = map(int, usage.groups())
    instructions: list[Instruction] = []
    labels: dict[str, int] = {}
    lines: tuple[int, ...] = ()
    began = True  # whether the next lines are those of another instruction
    for row in text.splitlines():
        if line := _LINE.search(row):
            lines = (*(() if began else lines), int(line[1]))
            began = False
        elif label := _LABEL.match(row):
            labels[label[1]] = len(instructions)
            lines = () if label[1].startswith("$") else lines
        elif found := _INSTRUCTION.search(row):
            read = Instruction(found[1], found[2].strip(), lines)
            if read.kind == "LDG" and len(lines) == 1:
                read = replace(read, lines=(shifted[lines[0], read.bytes],))
            instructions.append(read)
            began = True
    return Machine(tuple(instructions), labels, registers, stack + local, shared)


def _shifted(ptx: str) -> dict[tuple[int, int], int]:
    """Line that a load of so many bytes is said to stand in -> where it stands. Triton 3.9, unlike 3.6,
    counts the lines of the assembly of a load, too, on from the line of the source. Two that meet so are in
    none."""
    found: dict[tuple[int, int], int] = {}
    line, begins = 0, None
    for row in ptx.splitlines():
        if at := re.match(r"\s*\.loc\s+\d+ (\d+)", row):
            line = int(at[1])
            begins = begins or line
        elif "// begin inline asm" in row:
            begins = None
        elif load := _LOAD.search(row):
            stands, size = begins or line, int(load[1] or 1) * int(load[2]) // 8
            found[line, size] = stands if found.get((line, size), stands) == stands else 0
    return found


def _said(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603  # Triton's
