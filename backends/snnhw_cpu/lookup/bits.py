"""Numbers as bits: whether they are 0, 32 to a word."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import torch
from torch import Tensor

from snnhw_cpu.kernel import Kernel, compiled
from snnhw_cpu.lookup.vectors import HEAD, lanes
from snnhw_cpu.threads import share

__all__ = ["SIGNS", "Words", "pack"]

BLOCK: Final = 64
"""Rows that are packed at a time: a word of each is written side by side."""

SIGNS: Final = """\
@intrinsic
def signs(typingctx, at):
    # of 32 numbers: bit n, whether the n-th is not 0; bit 32 + n, whether it is neither 0 nor 1
    def codegen(context, builder, signature, args):
        def marks(test, x, number):
            hit = builder.fcmp_unordered("!=", x, ir.Constant(VECTOR, [ir.Constant(NUMBER, number)] * LANES))
            return hit if test is None else builder.and_(test, hit)

        found = ir.Constant(WORD, 0)
        for n in range(32 // LANES):
            x = load(builder, plus(builder, args[0], n * LINE), SIZE)
            some = marks(None, x, 0.0)
            for shift, test in ((0, some), (32, marks(some, x, 1.0))):
                mask = builder.zext(builder.bitcast(test, ir.IntType(LANES)), WORD)
                found = builder.or_(found, builder.shl(mask, ir.Constant(WORD, shift + n * LANES)))
        return found
    return types.uint64(types.intp), codegen


"""

PACK: Final = '''\
@cfunc("void(intp, intp, intp, intp, intp, {pointers})", error_model="numpy")
def pack(first, last, M, K, W, x_at, b_at, other_at):
    """Words [W, M] of x [M, K]; other[0] becomes 1 if a number is neither 0 nor 1. Tasks: blocks of rows."""
    x = carray(x_at, (M, K))
    b = carray(b_at, (W, M))
    start = x.ctypes.data
    whole = K // 32
    wrong = np.uint64(0)
    for block in range(first, last):
        m0 = block * {block}
        m1 = min(M, m0 + {block})
        for w in range(whole):
            line = b[w]
            for m in range(m0, m1):
                found = signs(start + (m * K + w * 32) * SIZE)
                line[m] = np.uint32(found)
                wrong |= found >> np.uint64(32)
        if whole < W:
            for m in range(m0, m1):
                word = np.uint32(0)
                for k in range(whole * 32, K):
                    v = x[m, k]
                    word |= np.uint32(v != F(0.0)) << np.uint32(k - whole * 32)
                    wrong |= np.uint64((v != F(0.0)) & (v != F(1.0)))
                b[whole, m] = word
    if wrong:
        carray(other_at, (1,))[0] = 1
'''

TURN: Final = '''\
import numpy as np
from numba import carray
from snnhw_cpu.compiling import cfunc


@cfunc("void(intp, intp, intp, intp, intp, intp, CPointer(uint32), CPointer(uint32))", error_model="numpy")
def turn(first, last, M, K, W, V, b_at, t_at):
    """Words [V, K] along M, from words [W, M] along K. Tasks: words of 32 rows."""
    b = carray(b_at, (W, M))
    t = carray(t_at, (V, K))
    a = np.empty(32, np.uint32)
    for v in range(first, last):
        rows = min(32, M - 32 * v)
        for w in range(W):
            for j in range(rows):
                a[j] = b[w, 32 * v + j]
            for j in range(rows, 32):
                a[j] = np.uint32(0)
            step, mask = 16, np.uint32(0x0000FFFF)
            while step:
                shift = np.uint32(step)
                for base in range(0, 32, 2 * step):
                    for j in range(base, base + step):  # squares off the diagonal change places
                        swap = ((a[j] >> shift) ^ a[j + step]) & mask
                        a[j] ^= swap << shift
                        a[j + step] ^= swap
                step //= 2
                mask ^= mask << np.uint32(step)
            for j in range(min(32, K - 32 * w)):
                t[v, 32 * w + j] = a[j]
'''


@dataclass(frozen=True, eq=False)
class Words:
    """Bits ``[M, K]``.

    Attributes:
        words: ``[W, M]`` in int32; bit n of ``words[w, m]`` is the one of row m and input ``32 w + n``, zero
            behind the last input.
        inputs: K.
    """

    words: Tensor
    inputs: int

    @property
    def rows(self) -> int:
        """M."""
        return self.words.shape[1]

    def turned(self, wake: int) -> Words:
        """The same bits as ``[K, M]``."""
        found = self.words.new_empty(-(-self.rows // 32), self.inputs)
        sizes = (self.rows, self.inputs, len(self.words), len(found))
        pointers = (self.words.data_ptr(), found.data_ptr())
        share(
            _turn().call,
            len(found),
            (*sizes, *pointers),
            cost=self.words.numel() * 32,
            wake=wake,
            reads=[self.words],
            writes=[found],
        )
        return Words(found, self.rows)


def pack(x: Tensor, wake: int) -> tuple[Words, bool]:
    """Which numbers of ``[M, K]``, contiguous, are not 0; and whether all the others are 1."""
    rows, inputs = x.shape
    words = torch.empty(-(-inputs // 32), rows, dtype=torch.int32)
    other = torch.zeros(1, dtype=torch.int32)
    pointers = (x.data_ptr(), words.data_ptr(), other.data_ptr())
    share(
        _pack(str(x.dtype).removeprefix("torch.")).call,
        -(-rows // BLOCK),
        (rows, inputs, len(words), *pointers),
        cost=rows * inputs,
        wake=wake,
        reads=[x],
        writes=[words, other],
    )
    return Words(words, inputs), not other.item()


@lru_cache(maxsize=2)
def _pack(dtype: str) -> Kernel:
    pointers = f"CPointer({dtype}), CPointer(uint32), CPointer(int32)"
    return compiled(
        HEAD.format(dtype=dtype, **lanes(dtype)) + SIGNS + PACK.format(pointers=pointers, block=BLOCK), "pack"
    )


@lru_cache(maxsize=1)
def _turn() -> Kernel:
    return compiled(TURN, "turn")
