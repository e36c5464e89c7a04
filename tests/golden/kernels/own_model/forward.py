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
    v0 = p0
    v1 = p2
    v2 = p1
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
                e2 = v1 + s1
                e3 = s0 - e2
                e4 = e3 > F(0.0)
                e5 = (F(1.0) if e4 else F(0.0))
                e6 = e5 * v1
                e7 = e1 - e6
                e8 = F(0.875) * s1
                e9 = s0 > v1
                e10 = (F(1.0) if e9 else F(0.0))
                e11 = v2 * e10
                e12 = e8 + e11
                e13 = v1 + e12
                e14 = e7 - e13
                e15 = e14 > F(0.0)
                e16 = (F(1.0) if e15 else F(0.0))
                S0[i] = e7
                S1[i] = e12
                y0_[i] = e16
        for i in range(n):
            f0_[i] = S0[i]
            f1_[i] = S1[i]
