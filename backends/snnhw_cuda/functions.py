"""The functions of the language that Triton has not, or rounds in its own way, at one compute dtype ``F``.

Their text is the beginning of every kernel that is printed; `snnhw_cuda.triton_pieces` takes what it needs.
Each is written in additions, multiplications and rounded divisions, so that a GPU computes what the
interpreter does: Triton's own exp, log and tanh are approximations of the hardware there. Methods and
coefficients are those of the Cephes library (S. L. Moshier), as published;
`tests/cuda/test_cuda_functions.py` has the errors.
"""

from __future__ import annotations

from typing import Final

import triton
import triton.language as tl

F: Final = tl.constexpr(tl.float32)
"""A printed kernel has a line of its own for it."""


@triton.jit
def const(number: tl.constexpr):
    """A number at the compute dtype; a division by a bare one would become a multiplication."""
    return tl.full((), number, F)


@triton.jit
def div(a, b):
    """Rounded correctly, which ``/`` in float32 is not."""
    if F == tl.float32:
        return tl.div_rn(a, b)
    else:
        return a / b


@triton.jit
def sqrt(x):
    """Rounded correctly, subnormal numbers included."""
    if F == tl.float32:
        return tl.sqrt_rn(x)
    else:
        return tl.sqrt(x)


@triton.jit
def exp(x):
    """e to the power x: 2 to the power of a whole number, times a polynomial within half a binade."""
    if F == tl.float64:
        return tl.exp(x)
    else:
        # 1.5 * 2**23: a sum with it is rounded to a whole number
        n = (tl.minimum(tl.maximum(x, -104.0), 89.0) * 1.4426950408889634 + 12582912.0) - 12582912.0
        r = (x - n * 0.693359375) - n * -2.12194440e-4
        p = 1.9875691500e-4 * r + 1.3981999507e-3
        p = p * r + 8.3334519073e-3
        p = p * r + 4.1665795894e-2
        p = p * r + 1.6666665459e-1
        p = p * r + 5.0000001201e-1
        y = (p * (r * r) + r) + 1.0
        whole = n.to(tl.int32)
        half = whole // 2  # in two factors, as the scale itself may be beyond the largest number
        y = y * ((half + 127) << 23).to(tl.float32, bitcast=True)
        y = y * ((whole - half + 127) << 23).to(tl.float32, bitcast=True)
        y = tl.where(x > 88.7228317, float("inf"), tl.where(x < -103.972084, 0.0, y))
        return tl.where(x != x, x, y)


@triton.jit
def log(x):
    """The natural logarithm: of the exponent, and of a fraction around 1."""
    if F == tl.float64:
        return tl.log(x)
    else:
        small = x < 1.17549435e-38
        wide = tl.where(small, x * 8388608.0, x)
        bits = wide.to(tl.int32, bitcast=True)
        n = ((bits >> 23) - 126).to(tl.float32) - tl.where(small, 23.0, 0.0)
        m = ((bits & 0x007FFFFF) | 0x3F000000).to(tl.float32, bitcast=True)
        low = m < 0.707106781186547524
        n = n - tl.where(low, 1.0, 0.0)
        m = tl.where(low, m + m, m) - 1.0
        z = m * m
        p = 7.0376836292e-2 * m - 1.1514610310e-1
        p = p * m + 1.1676998740e-1
        p = p * m - 1.2420140846e-1
        p = p * m + 1.4249322787e-1
        p = p * m - 1.6668057665e-1
        p = p * m + 2.0000714765e-1
        p = p * m - 2.4999993993e-1
        p = p * m + 3.3333331174e-1
        y = (p * m) * z
        y = (y + n * -2.12194440e-4) - 0.5 * z
        y = (m + y) + n * 0.693359375
        y = tl.where(x == 0.0, -float("inf"), tl.where(x < 0.0, float("nan"), y))
        return tl.where((x == float("inf")) | (x != x), x, y)


@triton.jit
def sigmoid(x):
    """``1 / (1 + exp(-x))``, without overflow at either end."""
    small = exp(-tl.abs(x))
    return div(tl.where(x >= 0.0, 1.0, small).to(F), 1.0 + small)


@triton.jit
def tanh(x):
    """The hyperbolic tangent: a polynomial near 0, and of exp beyond."""
    z = x * x
    if F == tl.float64:
        p = (-9.64399179425052238628e-1 * z - 9.92877231001918586564e1) * z - 1.61468768441708447952e3
        q = ((z + 1.12811678491632931402e2) * z + 2.23548839060100448583e3) * z + 4.84406305325125486048e3
        near = x + (x * z) * div(p, q)
    else:
        p = -5.70498872745e-3 * z + 2.06390887954e-2
        p = p * z - 5.37397155531e-2
        p = p * z + 1.33314422036e-1
        p = p * z - 3.33332819422e-1
        near = (p * z) * x + x
    size = tl.abs(x)
    far = 1.0 - div(const(2.0), exp(size + size) + 1.0)
    return tl.where(size > 0.625, tl.where(x < 0.0, -far, far), tl.where(x == 0.0, x, near))


@triton.jit
def atan(x):
    """The inverse tangent, in radians: a polynomial near 0, to which an angle is turned from beyond."""
    size = tl.abs(x)
    middle: tl.constexpr = 0.66 if F == tl.float64 else 0.414213562373095048802
    large = size > 2.41421356237309504880
    over = size > middle
    top = tl.where(large, -1.0, tl.where(over, size - 1.0, size)).to(F)
    w = div(top, tl.where(large, size, tl.where(over, size + 1.0, 1.0)).to(F))
    turned = tl.where(over, const(0.785398163397448309616), const(0.0))
    turned = tl.where(large, const(1.57079632679489661923), turned)
    z = w * w
    if F == tl.float64:
        p = -8.750608600031904122785e-1 * z - 1.615753718733365076637e1
        p = p * z - 7.500855792314704667340e1
        p = p * z - 1.228866684490136173410e2
        p = p * z - 6.485021904942025371773e1
        q = z + 2.485846490142306297962e1
        q = q * z + 1.650270098316988542046e2
        q = q * z + 4.328810604912902668951e2
        q = q * z + 4.853903996359136964868e2
        q = q * z + 1.945506571482613964425e2
        y = w * (z * div(p, q)) + w
        rest = tl.where(over, const(3.061616997868382943065e-17), const(0.0))
        y = y + tl.where(large, const(6.123233995736765886130e-17), rest)
    else:
        p = 8.05374449538e-2 * z - 1.38776856032e-1
        p = p * z + 1.99777106478e-1
        p = p * z - 3.33329491539e-1
        y = (p * z) * w + w
        rest = tl.where(over, const(-2.18556941e-8), const(0.0))
        y = y + tl.where(large, const(-4.37113883e-8), rest)
    y = turned + y
    return tl.where(x < 0.0, -y, tl.where(x == 0.0, x, y))


@triton.jit
def minimum(a, b):
    """A NaN in either operand comes through, and a tie gives the second, as the language says."""
    return tl.where((a < b) | (a != a), a, b)


@triton.jit
def maximum(a, b):
    """Likewise."""
    return tl.where((a > b) | (a != a), a, b)


@triton.jit
def nearest(x, levels, count):
    """The nearest of so many levels in memory: the first of two as near, and the last one beyond them."""
    best = tl.load(levels)
    low = best
    high = best
    found = tl.where(x == x, best, best)
    for k in range(1, count):
        level = tl.load(levels + k)
        low = tl.minimum(low, level)
        high = tl.maximum(high, level)
        found = tl.where(tl.abs(x - level) < tl.abs(x - found), level, found)
    return tl.where(x > high, high, tl.where(x < low, low, found))


@triton.jit
def plus(a, b):
    """What a sum adds with."""
    return a + b


@triton.jit
def total(x):
    """The sum over a block, in float64 and in one order."""
    return tl.reduce(x.to(tl.float64), 0, plus)
