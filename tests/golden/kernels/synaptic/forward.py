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


@cfunc("void(intp, intp, intp, intp, intp, intp, intp, CPointer(float32), CPointer(float32), CPointer(float32), CPointer(float32), CPointer(float32), CPointer(float32), CPointer(float32), CPointer(float32), CPointer(float32))", error_model="numpy")
def forward(first, last, T, R, C, tile, chunk, x0s_at, p0_at, p1_at, p2_at, s0s_at, s1s_at, y0s_at, f0s_at, f1s_at):
    blocks = (C + tile - 1) // tile
    x0s = carray(x0s_at, (T, R, C,))
    p0 = p0_at[0]
    p1 = p1_at[0]
    p2 = p2_at[0]
    s0s = carray(s0s_at, (R, C,))
    s1s = carray(s1s_at, (R, C,))
    y0s = carray(y0s_at, (T, R, C,))
    f0s = carray(f0s_at, (R, C,))
    f1s = carray(f1s_at, (R, C,))
    u0 = (p0 if (p0 > F(0.0) or p0 != p0) else F(0.0))
    u1 = (u0 if (u0 < F(1.0) or u0 != u0) else F(1.0))
    u2 = (p1 if (p1 > F(0.0) or p1 != p1) else F(0.0))
    u3 = (u2 if (u2 < F(1.0) or u2 != u2) else F(1.0))
    v0 = u1
    v1 = u3
    v2 = p2
    S0 = np.empty(tile, F)
    S1 = np.empty(tile, F)
    for k in range(first, last):
        r = k // blocks
        c0 = (k % blocks) * tile
        c1 = min(c0 + tile, C)
        n = c1 - c0
        s0_ = s0s[r, c0:c1]
        s1_ = s1s[r, c0:c1]
        f0_ = f0s[r, c0:c1]
        f1_ = f1s[r, c0:c1]
        for i in range(n):
            S0[i] = s0_[i]
            S1[i] = s1_[i]
        for t in range(T):
            x0_ = x0s[t, r, c0:c1]
            y0_ = y0s[t, r, c0:c1]
            for i in range(n):
                s0 = S0[i]
                s1 = S1[i]
                x0 = x0_[i]
                e0 = v0 * s0
                e1 = e0 + x0
                e2 = v1 * s1
                e3 = e2 + e1
                e4 = s1 - v2
                e5 = e4 > F(0.0)
                e6 = (F(1.0) if e5 else F(0.0))
                e7 = e6 * v2
                e8 = e3 - e7
                e9 = e8 - v2
                e10 = e9 > F(0.0)
                e11 = (F(1.0) if e10 else F(0.0))
                S0[i] = e1
                S1[i] = e8
                y0_[i] = e11
        for i in range(n):
            f0_[i] = S0[i]
            f1_[i] = S1[i]
