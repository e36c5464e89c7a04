"""Pieces that both passes of a kernel are put together from, as lines of numba source."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from snnhw.ir.emit import Emitted, Target, emit
from snnhw.passes import ScanKernel

__all__ = [
    "TARGET",
    "Argument",
    "arguments_read",
    "block",
    "function",
    "indented",
    "loads",
    "loop",
    "names_read",
    "needed",
    "row",
    "scalars",
    "step_rows",
]

_OPS = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "neg": "-{0}",
    "abs": "abs({0})",
    "exp": "math.exp({0})",
    "log": "math.log({0})",
    "sqrt": "math.sqrt({0})",
    "sigmoid": "sigmoid({0})",
    "tanh": "math.tanh({0})",
    "atan": "math.atan({0})",
    # A NaN in either operand comes through, and a tie gives the second, as the language says.
    "minimum": "({0} if ({0} < {1} or {0} != {0}) else {1})",
    "maximum": "({0} if ({0} > {1} or {0} != {0}) else {1})",
    "greater": "{0} > {1}",
    "where": "({1} if {0} else {2})",
    "nearest": "nearest({0}, {1})",
}

TARGET = Target(ops=_OPS, constant=lambda value: f"F({value!r})")
"""Literals are wrapped: a bare one would widen float32 arithmetic to float64."""

_HEAD = """\
import math

import numpy as np
from numba import carray, njit
from snnhw_cpu.compiling import cfunc

F = np.{dtype}


@njit(error_model="numpy")
def sigmoid(x):
    small = math.exp(-abs(x))
    return (F(1.0) if x >= F(0.0) else small) / (F(1.0) + small)


@njit(error_model="numpy")
def nearest(x, table):
    best, low, high = 0, table[0], table[0]
    for k in range(1, table.size):
        low, high = min(low, table[k]), max(high, table[k])
        if abs(x - table[k]) < abs(x - table[best]):
            best = k
    return high if x > high else low if x < low else table[best]


"""


def names_read(kernel: ScanKernel) -> dict[str, str]:
    """What both passes may read -> its name in the code, which is the kernel's own."""
    counts = {"s": len(kernel.next_states), "x": len(kernel.inputs), "v": len(kernel.values)}
    names = {f"{letter}{n}": f"{letter}{n}" for letter, count in counts.items() for n in range(count)}
    return names | {table: f"t{n}s" for n, table in enumerate(kernel.tables)}


def loads(kernel: ScanKernel, state: str, body: Emitted) -> list[str]:
    """Reading one neuron's states, inputs and values, as far as the body needs them."""
    lines = [f"s{n} = {state.format(n)}" for n in range(len(kernel.next_states))]
    lines += [f"x{n} = x{n}_[i]" for n in range(len(kernel.inputs))]
    lines += [f"v{n} = v{n}_[i]" for n in _varying(kernel)]
    return needed(lines, body)


def needed(lines: Iterable[str], body: Emitted) -> list[str]:
    """Of assignments, those whose name the body mentions."""
    words = set(re.findall(r"\w+", " ".join([*body.lines, *body.roots])))
    return [line for line in lines if line.partition(" ")[0] in words]


def _varying(kernel: ScanKernel) -> list[int]:
    """Numbers of the values that differ from neuron to neuron."""
    return [n for n, value in enumerate(kernel.values) if value.layout == "neuron"]


def scalars(kernel: ScanKernel) -> list[str]:
    """The prologue: values that are one number, computed once; room for a block of the others."""
    numbers = [n for n, value in enumerate(kernel.values) if value.layout == "scalar"]
    body = emit([kernel.values[n].expr for n in numbers], _param_names(kernel), TARGET, prefix="u")
    values = [f"v{n} = {text}" for n, text in zip(numbers, body.roots, strict=True)]
    return [*body.lines, *values, *(f"v{n}_ = np.empty(tile, F)" for n in _varying(kernel))]


def _block_values(kernel: ScanKernel) -> list[str]:
    """The prologue of a block: values that differ from neuron to neuron."""
    numbers = _varying(kernel)
    body = emit([kernel.values[n].expr for n in numbers], _param_names(kernel), TARGET, prefix="u")
    arrays = [n for n in range(len(kernel.params)) if kernel.layouts[n] == "neuron"]
    read = needed([f"p{n} = p{n}s[c0 + i]" for n in arrays], body)
    results = [f"v{n}_[i] = {text}" for n, text in zip(numbers, body.roots, strict=True)]
    return loop([*read, *body.lines, *results])


def _param_names(kernel: ScanKernel) -> dict[str, str]:
    params = {f"p{n}": f"p{n}" for n in range(len(kernel.params))}
    return params | {table: f"t{n}s" for n, table in enumerate(kernel.tables)}


def block(kernel: ScanKernel) -> list[str]:
    """Where a task lies, and what in it does not change over time."""
    return [
        "r = k // blocks",
        "c0 = (k % blocks) * tile",
        "c1 = min(c0 + tile, C)",
        "n = c1 - c0",
        *(f"x{n}_ = x{n}s[r, c0:c1]" for n, static in enumerate(kernel.static) if static),
        *_block_values(kernel),
        *(f"s{n}_ = s{n}s[r, c0:c1]" for n in range(len(kernel.next_states))),
    ]


def step_rows(kernel: ScanKernel) -> list[str]:
    """The inputs of one step."""
    return [f"x{n}_ = x{n}s[t, r, c0:c1]" for n, static in enumerate(kernel.static) if not static]


def loop(lines: Iterable[str]) -> list[str]:
    """Over the neurons of a block; nothing when there is nothing to do."""
    body = list(lines)
    return ["for i in range(n):", *indented(body)] if body else []


def indented(lines: str | Iterable[str]) -> list[str]:
    """One level in."""
    return [f"    {line}" for line in ([lines] if isinstance(lines, str) else lines)]


def row(name: str, numbers: Iterable[int]) -> list[str]:
    """One name for each number: ``row("x{}", [0, 1])`` is ``["x0", "x1"]``."""
    return [name.format(n) for n in numbers]


def arguments_read(kernel: ScanKernel) -> list[Argument]:
    """What both passes read."""
    return [
        *(Argument(f"x{n}s", "R, C" if static else "T, R, C") for n, static in enumerate(kernel.static)),
        *(
            Argument(f"p{n}s", "C") if layout == "neuron" else Argument(f"p{n}", "")
            for n, layout in enumerate(kernel.layouts)
        ),
        *(Argument(f"t{n}s", f"L{n}") for n in range(len(kernel.tables))),
        *(Argument(f"s{n}s", "R, C") for n in range(len(kernel.next_states))),
    ]


class Argument(NamedTuple):
    """An address, and the shape of what lies there; no shape: one number."""

    name: str
    shape: str
    dtype: str = "F"

    def unpack(self) -> str:
        if not self.shape:
            return f"{self.name} = {self.name}_at[0]"
        return f"{self.name} = carray({self.name}_at, ({self.shape},))"


def function(
    name: str,
    arguments: Sequence[Argument],
    setup: Sequence[str],
    task: Sequence[str],
    *,
    dtype: str,
) -> str:
    """``name(first, last, T, R, C, tile, chunk, addresses..., sizes of tables...)`` over a range of tasks."""
    kinds = {"F": dtype, "D": "float64"}
    tables = sum(argument.shape.startswith("L") for argument in arguments)
    pointers = [f"CPointer({kinds[argument.dtype]})" for argument in arguments]
    signature = ", ".join([*["intp"] * 7, *pointers, *["intp"] * tables])
    names = [f"{argument.name}_at" for argument in arguments] + row("L{}", range(tables))
    lines = [
        f'@cfunc("void({signature})", error_model="numpy")',
        f"def {name}(first, last, T, R, C, tile, chunk, {', '.join(names)}):",
        *indented("blocks = (C + tile - 1) // tile"),
        *indented(argument.unpack() for argument in arguments),
        *indented(setup),
        *indented("for k in range(first, last):"),
        *indented(indented(task)),
    ]
    return _HEAD.format(dtype=dtype) + "\n".join(lines) + "\n"
