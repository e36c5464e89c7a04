"""Vectors of 64 bytes in numba source, which its own loops do not give.

They stand in the text of a kernel, not in a module that it imports: what is kept of a kernel is found by its
text.
"""

from __future__ import annotations

from typing import Final

__all__ = ["HEAD", "LINE", "lanes"]

LINE: Final = 64
"""Bytes of a vector, and of a cache line."""

HEAD: Final = """\
import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.extending import intrinsic
from snnhw_cpu.compiling import cfunc

F = np.{dtype}
SIZE, LANES = {size}, {lanes}
LINE = SIZE * LANES
NUMBER = ir.{number}()
VECTOR = ir.VectorType(NUMBER, LANES)
WORD = ir.IntType(64)


def plus(builder, at, offset):
    return builder.add(at, ir.Constant(WORD, offset)) if offset else at


def load(builder, at, align):
    return builder.load(builder.inttoptr(at, VECTOR.as_pointer()), align=align)


def store(builder, x, at, align):
    builder.store(x, builder.inttoptr(at, VECTOR.as_pointer()), align=align)


def prefetch(builder, at):
    byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
    ask = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
    how = [ir.Constant(number, n) for n in (0, 2, 1)]  # to read; into the second level; data
    builder.call(ask, [builder.inttoptr(at, byte), *how])


"""


def lanes(dtype: str) -> dict[str, object]:
    """What `HEAD` says of a dtype."""
    size = {"float32": 4, "float64": 8}[dtype]
    return {"size": size, "lanes": LINE // size, "number": {4: "FloatType", 8: "DoubleType"}[size]}
