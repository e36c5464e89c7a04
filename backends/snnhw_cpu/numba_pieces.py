"""Pieces of numba source: operations, a loop over the neurons of a block, and the frame of a function."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from snnhw.ir.emit import Target, emit
from snnhw.passes import Argument, Body

__all__ = ["TARGET", "array", "columns", "function", "head_of", "indented", "loop", "row"]

_OPS = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "floordiv": "floordiv({0}, {1})",
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
{imports}from snnhw_cpu.compiling import cfunc

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


_FLOORDIV = (
    """\
@njit(error_model="numpy")
def floordiv(a, b):
    return np.floor(a / b)


""",
    """\
@njit(error_model="numpy")
def floordiv(a, b):
    return a // b


""",
)
"""Of floats and of integers; in kernels that divide so."""


def head_of(dtype: str, text: str, imports: str = "") -> str:
    """What stands before a kernel: what it imports, the dtype, and how integers or floats are divided to the
    floor, where they are."""
    floor = _FLOORDIV[dtype.startswith("int")] if "floordiv(" in text else ""
    return _HEAD.format(dtype=dtype, imports=imports) + floor


def columns(
    body: Body,
    names: Mapping[str, str],
    places: Mapping[str, str],
    into: Mapping[str, str],
    prefix: str = "e",
) -> list[str]:
    """A body for every neuron of a block.

    Args:
        names: variable or table -> what it is called.
        places: variable -> where neuron ``i`` finds it; one that is absent is at hand.
        into: name of a store -> where neuron ``i`` leaves it.
        prefix: of the names of what is computed on the way.
    """
    emitted = emit(body.values, names, TARGET, prefix)
    stored = zip(body.stores, emitted.roots, strict=True)
    return loop(
        [
            *(f"{name} = {places[name]}" for name in body.reads if name in places),
            *emitted.lines,
            *(f"{into[store.name]} {'+=' if store.adds else '='} {text}" for store, text in stored),
        ]
    )


def loop(lines: Iterable[str]) -> list[str]:
    """Over the neurons of a block; nothing when there is nothing to do."""
    body = list(lines)
    return ["for i in range(n):", *indented(body)] if body else []


def indented(lines: Iterable[str]) -> list[str]:
    """One level in."""
    return [f"    {line}" for line in lines]


def row(name: str, numbers: Iterable[int]) -> list[str]:
    """One name for each number: ``row("x{}", [0, 1])`` is ``["x0", "x1"]``."""
    return [name.format(n) for n in numbers]


def array(argument: Argument) -> str:
    """What an argument is called: ``x0s`` where it is an array, ``p0`` where it is one number."""
    return f"{argument.name}s" if argument.axes else argument.name


def _unpacked(argument: Argument) -> str:
    """An address, as what lies there."""
    name = array(argument)
    return f"{name} = " + (
        f"carray({name}_at, ({', '.join(argument.axes)},))" if argument.axes else f"{name}_at[0]"
    )


def function(
    name: str, arguments: Iterable[Argument], setup: Iterable[str], task: Iterable[str], *, dtype: str
) -> str:
    """``name(first, last, T, R, C, tile, chunk, addresses..., sizes of tables...)`` over a range of tasks."""
    arguments = list(arguments)
    tables = [argument.axes[0] for argument in arguments if argument.letter == "t"]
    pointers = [f"CPointer({'float64' if argument.wide else dtype})" for argument in arguments]
    signature = ", ".join([*["intp"] * 7, *pointers, *["intp"] * len(tables)])
    names = [*(f"{array(argument)}_at" for argument in arguments), *tables]
    lines = [
        f'@cfunc("void({signature})", error_model="numpy")',
        f"def {name}(first, last, T, R, C, tile, chunk, {', '.join(names)}):",
        *indented(["blocks = (C + tile - 1) // tile"]),
        *indented(map(_unpacked, arguments)),
        *indented(setup),
        *indented(["for k in range(first, last):"]),
        *indented(indented(task)),
    ]
    text = "\n".join(lines) + "\n"
    return head_of(dtype, text) + text
