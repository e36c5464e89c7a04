"""Pieces of Triton source: operations, the functions that they call, and loads and stores of a block."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Final

from snnhw.ir.emit import Target
from snnhw.passes import Argument

__all__ = ["TARGET", "array", "call", "function", "head", "indented", "kernel", "load", "signal", "store"]

_OPS = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "div({0}, {1})",
    "floordiv": "tl.floor(div({0}, {1}))",
    "neg": "{0} * const(-1.0)",  # a bare minus is 0 - x there, which has no -0
    "abs": "tl.abs({0})",
    "exp": "exp({0})",
    "log": "log({0})",
    "sqrt": "sqrt({0})",
    "sigmoid": "sigmoid({0})",
    "tanh": "tanh({0})",
    "atan": "atan({0})",
    "minimum": "minimum({0}, {1})",
    "maximum": "maximum({0}, {1})",
    "greater": "{0} > {1}",
    "where": "tl.where({0}, {1}, {2})",
    "nearest": "nearest({0}, {1})",
}


def _constant(value: float) -> str:
    return f"const({value!r})" if abs(value) < float("inf") else f'const(float("{value!r}"))'


TARGET = Target(ops=_OPS, constant=_constant)

_HEAD: Final = """\
import triton
import triton.language as tl

F = tl.constexpr(tl.{dtype})
"""


@lru_cache
def _functions() -> dict[str, str]:
    """Name of a function of `snnhw_cuda.functions` -> its text; each after those that it calls."""
    text = files("snnhw_cuda").joinpath("functions.py").read_text()  # importing it would import Triton
    parts = re.split(r"\n\n\n(?=@triton\.jit\n)", text)[1:]
    return {part.split("def ", 1)[1].split("(", 1)[0]: part.strip() for part in parts}


def head(dtype: str, code: str) -> str:
    """What stands above some code: the functions that it calls, and those that they do, at a dtype."""
    wanted: list[str] = []
    for name, text in reversed(_functions().items()):
        if any(re.search(rf"\b(?<!\.){name}\(|\b{name}\)$", user, re.MULTILINE) for user in [code, *wanted]):
            wanted.append(text)
    return "\n\n\n".join([_HEAD.format(dtype=dtype).rstrip(), *reversed(wanted)]) + "\n\n\n"


def indented(lines: Iterable[str]) -> list[str]:
    """One level in."""
    return [f"    {line}" for line in lines]


def array(argument: Argument) -> str:
    """What an argument is called: an address, even of one number."""
    return f"{argument.name}s"


def function(name: str, arguments: Sequence[str], lines: Iterable[str], results: Sequence[str]) -> list[str]:
    """A function of one step."""
    given = f"return {', '.join(results)}"
    return ["@triton.jit", f"def {name}({', '.join(arguments)}):", *indented([*lines, given]), "", ""]


def kernel(name: str, arguments: Iterable[str], lines: Iterable[str]) -> list[str]:
    """What is launched: ``name(T, R, C, ..., BLOCK)``, for a block of neurons of one row. Neither T nor the
    length of a chunk is compiled in."""
    sizes = ["T", *arguments]
    fixed = ", ".join(repr(size) for size in ("T", "M") if size in sizes)
    return [
        f"@triton.jit(do_not_specialize=[{fixed}])",
        f"def {name}({', '.join([*sizes, 'BLOCK: tl.constexpr'])}):",
        *indented(lines),
    ]


def call(results: Sequence[str], name: str, arguments: Sequence[str]) -> str:
    """A function's results, by name."""
    return f"{', '.join(results)} = {name}({', '.join(arguments)})"


def load(name: str, address: str) -> str:
    """A block, at the compute dtype; nothing is read beyond the row."""
    return f"{name} = tl.load({address}, mask=inside, other=0.0)"


def signal(name: str, address: str) -> str:
    """A block of a signal, at the compute dtype, whatever that of the signal."""
    return f"{load(name, address)}.to(F)"


def store(address: str, value: str) -> str:
    """A block, to where it belongs, rounded to nearest where that is narrower."""
    return f"tl.store({address}, {value}, mask=inside)"
