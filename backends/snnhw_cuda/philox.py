"""Philox 4x64 of 10 rounds in Triton: the random numbers of `snnhw.ir.noise`, drawn where they are needed.

J. K. Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3" (SC 2011) gives the rounds and their
constants.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def word(number):
    """64 bits without a sign."""
    return tl.cast(number, tl.int64).to(tl.uint64, bitcast=True)


@triton.jit
def stored(out, first, count, bits, at: tl.constexpr):
    """The two numbers of a word of each block, multiples of 2**-24."""
    low = ((bits & 0xFFFFFFFF) >> 8).to(tl.int32)
    high = (bits >> 40).to(tl.int32)
    place = first + at
    tl.store(out + place, low.to(tl.float32) * 5.9604644775390625e-08, mask=place < count)
    place = first + at + 1
    tl.store(out + place, high.to(tl.float32) * 5.9604644775390625e-08, mask=place < count)


@triton.jit(do_not_specialize=["count", "key0", "key1", "step", "sequence", "held"])
def uniform(
    out,
    count,
    key0: tl.int64,
    key1: tl.int64,
    step: tl.int64,
    sequence: tl.int64,
    held: tl.int64,
    LIMIT: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """So many numbers of each step, from a step on; a program draws some blocks of eight of one step."""
    programs = (count + 8 * BLOCK - 1) // (8 * BLOCK)
    program = tl.cast(tl.program_id(0), tl.int64)
    t = program // programs
    block = program % programs * BLOCK + tl.arange(0, BLOCK)
    a = word(block + 1)
    b = word(block * 0 + (tl.cast(step, tl.int64) + t) % LIMIT)
    c = word(block * 0 + sequence)
    d = word(block * 0 + held)
    k0 = word(key0)
    k1 = word(key1)
    m0 = tl.full((), 0xD2E7470EE14C6C93, tl.uint64)
    m1 = tl.full((), 0xCA5A826395121157, tl.uint64)
    w0 = tl.full((), 0x9E3779B97F4A7C15, tl.uint64)
    w1 = tl.full((), 0xBB67AE8584CAA73B, tl.uint64)
    for _ in tl.static_range(10):
        high = tl.umulhi(a, m0)
        low = a * m0
        other = tl.umulhi(c, m1)
        b, a, d, c = c * m1, other ^ b ^ k0, low, high ^ d ^ k1
        k0 += w0
        k1 += w1
    first = block * 8
    step_out = out + t * count
    stored(step_out, first, count, a, 0)
    stored(step_out, first, count, b, 2)
    stored(step_out, first, count, c, 4)
    stored(step_out, first, count, d, 6)
