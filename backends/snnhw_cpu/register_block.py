"""Products of a few rows with a matrix, in registers: what a kernel of a loop over time calls at each step.

Every sum begins with its bias and takes the inputs in their order, with one rounding for each, whichever
way: rows that are mostly zero skip these, others are taken four at a time. So a sum depends neither on the
batch nor on what else is active. Four rows of 64 numbers stay in registers while all inputs pass by; with
AVX2, of 16.

It is a kernel of its own, which others call by its address: they are compiled in a quarter of the time.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from snnhw_cpu.kernel import Kernel, compiled

__all__ = ["CALL", "IMPORTS", "LANES", "multiply"]

LANES: Final = 16
"""Columns of a matrix are made up to a multiple of so many."""

IMPORTS: Final = """\
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
"""

CALL: Final = """\
@intrinsic
def call(typingctx, function, x, w, bias, y, m, K, O, P, active, edge, skips):
    # the product whose address this is, see register_block; all others are addresses, too, and numbers
    def codegen(context, builder, signature, args):
        kind = ir.FunctionType(ir.VoidType(), [ir.IntType(64)] * 11)
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), args[1:])
        return context.get_dummy_value()
    return types.void(*[types.intp] * 12), codegen


@njit(error_model="numpy")
def multiply(at, x, w, bias, y, m, K, O, active, edge, skips):
    addresses = x.ctypes.data, w.ctypes.data, bias.ctypes.data, y.ctypes.data
    call(at, *addresses, m, K, O, w.shape[1], active.ctypes.data, edge.ctypes.data, skips)


"""

SOURCE: Final = '''\
import platform

import numpy as np
from llvmlite import binding, ir
from numba import carray, njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from snnhw_cpu.compiling import cfunc

F = np.{dtype}
X86 = platform.machine() in ("x86_64", "AMD64")
FEATURES = binding.get_host_cpu_features() if X86 else {}
LINE = 64 if FEATURES.get("avx512f") else 32
ACROSS = 4 if LINE == 64 else 2
FUSED = not X86 or FEATURES.get("fma", False)
SIZE = np.dtype(F).itemsize
LANES = LINE // SIZE
WIDE = ACROSS * LANES
WORD, INDEX = ir.IntType(64), ir.IntType(32)
NUMBER = ir.FloatType() if SIZE == 4 else ir.DoubleType()
VECTOR = ir.VectorType(NUMBER, LANES)


def at(builder, address, offset):
    return builder.add(address, ir.Constant(WORD, offset))


def load(builder, address, kind, align=SIZE):
    return builder.load(builder.inttoptr(address, kind.as_pointer()), align=align)


def splat(builder, address):
    nothing = ir.Constant(VECTOR, ir.Undefined)
    one = builder.insert_element(nothing, load(builder, address, NUMBER), ir.Constant(INDEX, 0))
    return builder.shuffle_vector(one, nothing, ir.Constant(ir.VectorType(INDEX, LANES), [0] * LANES))


def added(builder, total, x, line):
    if not FUSED:
        return builder.fadd(total, builder.fmul(x, line))
    kind = ir.FunctionType(VECTOR, [VECTOR] * 3)
    fma = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{LANES}f{8 * SIZE}")
    return builder.call(fma, [x, line, total])


def block(rows, vectors, listed):
    # y[rows, columns] = start + x[rows, :] @ w[:, columns], for as many columns as the vectors hold; of all
    # inputs, or of those that are listed. Takes addresses, and bytes from one row to the next
    @intrinsic
    def product(typingctx, x, x_row, which, count, w, w_row, start, y, y_row):
        def codegen(context, builder, signature, args):
            x, x_row, which, count, w, w_row, start, y, y_row = args
            sums = [[cgutils.alloca_once(builder, VECTOR) for _ in range(vectors)] for _ in range(rows)]
            for line in sums:
                for v in range(vectors):
                    builder.store(load(builder, at(builder, start, v * LINE), VECTOR), line[v])
            with cgutils.for_range(builder, count) as loop:
                k = loop.index
                if listed:
                    place = builder.add(which, builder.mul(k, ir.Constant(WORD, 4)))
                    k = builder.zext(load(builder, place, INDEX, 4), WORD)
                line = builder.add(w, builder.mul(k, w_row))
                lines = [load(builder, at(builder, line, v * LINE), VECTOR) for v in range(vectors)]
                place = builder.add(x, builder.mul(k, ir.Constant(WORD, SIZE)))
                for r in range(rows):
                    value = splat(builder, builder.add(place, builder.mul(x_row, ir.Constant(WORD, r))))
                    for v in range(vectors):
                        total = added(builder, builder.load(sums[r][v]), value, lines[v])
                        builder.store(total, sums[r][v])
            for r in range(rows):
                row = builder.add(y, builder.mul(y_row, ir.Constant(WORD, r)))
                for v in range(vectors):
                    to = builder.inttoptr(at(builder, row, v * LINE), VECTOR.as_pointer())
                    builder.store(builder.load(sums[r][v]), to, align=SIZE)
            return context.get_dummy_value()
        return types.void(*[types.intp] * 9), codegen
    return product


four, four_edge = block(4, ACROSS, False), block(4, 1, False)
some, some_edge = block(1, ACROSS, True), block(1, 1, True)


@njit(error_model="numpy")
def listed(x, r, rows, K, active, skips):
    # the inputs of some rows that are not zero, or all; how many there are stands behind them
    total = 0
    for b in range(rows):
        count = 0
        row = x[(r + b) * K:(r + b + 1) * K]
        for k in range(K):
            active[b * K + count] = k
            count += (not skips) or row[k] != 0
        active[4 * K + 1 + b] = count
        total += count
    return total


@cfunc("void(CPointer({dtype}), intp, intp, CPointer({dtype}), {eleven})", error_model="numpy")
def product(x_at, ws, bs, y_at, m, K, O, P, active_at, edge_at, skips):
    """y[m, O] = bias + x[m, K] @ w[K, P][:, :O], x and y flat, P whole vectors; bias [P]. active is room for
    4 K + 5 places, edge for 64 numbers; skips: whether it is worth looking for zeros."""
    x, y = carray(x_at, (m * K,)), carray(y_at, (m * O,))
    active, edge = carray(active_at, (4 * K + 5,)), carray(edge_at, (64,))
    stride = P * SIZE
    xs, ys, room, places = x.ctypes.data, y.ctypes.data, edge.ctypes.data, active.ctypes.data
    for r in range(0, m, 4):
        rows = min(4, m - r)
        total = 4 * K
        if skips or rows < 4:
            total = listed(x, r, rows, K, active, skips != 0)
        one = rows < 4 or total < K
        here = xs + r * K * SIZE
        c = 0
        while c < O:
            left = O - c
            wc, bc = ws + c * SIZE, bs + c * SIZE
            to, apart = (room, LANES * SIZE) if left < LANES else (ys + (r * O + c) * SIZE, O * SIZE)
            if one:
                for b in range(rows):
                    row, place, count = here + b * K * SIZE, places + 4 * b * K, active[4 * K + 1 + b]
                    if left >= WIDE:
                        some(row, 0, place, count, wc, stride, bc, to + b * apart, 0)
                    else:
                        some_edge(row, 0, place, count, wc, stride, bc, to + b * apart, 0)
            elif left >= WIDE:
                four(here, K * SIZE, 0, K, wc, stride, bc, to, apart)
            else:
                four_edge(here, K * SIZE, 0, K, wc, stride, bc, to, apart)
            if left < LANES:
                for b in range(rows):
                    for o in range(left):
                        y[(r + b) * O + c + o] = edge[b * LANES + o]
            c += WIDE if left >= WIDE else LANES
'''


@lru_cache(maxsize=2)
def multiply(dtype: str) -> Kernel:
    """The product for one dtype."""
    source = SOURCE.replace("{eleven}", f"intp, intp, intp, intp, CPointer(int32), CPointer({dtype}), intp")
    return compiled(source.replace("{dtype}", dtype), "product")
