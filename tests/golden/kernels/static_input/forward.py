import math

import numpy as np
from numba import carray, njit
from snnhw_cpu.compiling import cfunc

F = np.float32


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


@cfunc("void(intp, intp, intp, intp, intp, intp, intp, CPointer(float32), CPointer(float32), CPointer(float32), CPointer(float32), CPointer(float32), CPointer(float32))", error_model="numpy")
def forward(first, last, T, R, C, tile, chunk, x0s_at, p0_at, p1_at, s0s_at, y0s_at, f0s_at):
    blocks = (C + tile - 1) // tile
    x0s = carray(x0s_at, (R, C,))
    p0 = p0_at[0]
    p1 = p1_at[0]
    s0s = carray(s0s_at, (R, C,))
    y0s = carray(y0s_at, (T, R, C,))
    f0s = carray(f0s_at, (R, C,))
    u0 = (p0 if (p0 > F(0.0) or p0 != p0) else F(0.0))
    u1 = (u0 if (u0 < F(1.0) or u0 != u0) else F(1.0))
    v0 = u1
    v1 = p1
    S0 = np.empty(tile, F)
    for k in range(first, last):
        r = k // blocks
        c0 = (k % blocks) * tile
        c1 = min(c0 + tile, C)
        n = c1 - c0
        x0_ = x0s[r, c0:c1]
        s0_ = s0s[r, c0:c1]
        f0_ = f0s[r, c0:c1]
        for i in range(n):
            S0[i] = s0_[i]
        for t in range(T):
            y0_ = y0s[t, r, c0:c1]
            for i in range(n):
                s0 = S0[i]
                x0 = x0_[i]
                e0 = v0 * s0
                e1 = e0 + x0
                e2 = s0 - v1
                e3 = e2 > F(0.0)
                e4 = (F(1.0) if e3 else F(0.0))
                e5 = e4 * v1
                e6 = e1 - e5
                e7 = e6 - v1
                e8 = e7 > F(0.0)
                e9 = (F(1.0) if e8 else F(0.0))
                S0[i] = e6
                y0_[i] = e9
        for i in range(n):
            f0_[i] = S0[i]
