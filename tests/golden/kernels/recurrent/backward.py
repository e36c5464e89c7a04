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


@cfunc("void(intp, intp, intp, intp, intp, intp, intp, CPointer(float32), CPointer(float32), CPointer(float32), CPointer(float32), CPointer(float32), CPointer(float32), CPointer(float32), CPointer(float64), CPointer(float64), CPointer(float32))", error_model="numpy")
def backward(first, last, T, R, C, tile, chunk, x0s_at, p0_at, p1_at, s0s_at, g0s_at, a0s_at, X0s_at, V0s_at, V1s_at, A0s_at):
    blocks = (C + tile - 1) // tile
    x0s = carray(x0s_at, (R, C,))
    p0 = p0_at[0]
    p1 = p1_at[0]
    s0s = carray(s0s_at, (R, C,))
    g0s = carray(g0s_at, (T, R, C,))
    a0s = carray(a0s_at, (R, C,))
    X0s = carray(X0s_at, (R, C,))
    V0s = carray(V0s_at, (R, blocks,))
    V1s = carray(V1s_at, (R, blocks,))
    A0s = carray(A0s_at, (R, C,))
    chunks = (T + chunk - 1) // chunk
    u0 = (p0 if (p0 > F(0.0) or p0 != p0) else F(0.0))
    u1 = (u0 if (u0 < F(1.0) or u0 != u0) else F(1.0))
    v0 = u1
    v1 = p1
    S0 = np.empty((min(chunk, T) + 1, tile), F)
    K0 = np.empty((chunks, tile), F)
    Z0 = np.empty(tile, F)
    X0 = np.empty(tile, F)
    V0 = np.empty(tile, F)
    V1 = np.empty(tile, F)
    for k in range(first, last):
        r = k // blocks
        c0 = (k % blocks) * tile
        c1 = min(c0 + tile, C)
        n = c1 - c0
        x0_ = x0s[r, c0:c1]
        s0_ = s0s[r, c0:c1]
        a0_ = a0s[r, c0:c1]
        A0_ = A0s[r, c0:c1]
        for i in range(n):
            K0[0, i] = s0_[i]
            Z0[i] = a0_[i]
        for i in range(n):
            X0[i] = F(0.0)
            V0[i] = F(0.0)
            V1[i] = F(0.0)
        for w in range(2 * chunks - 1):
            q = min(w, 2 * chunks - 2 - w)
            m = min(chunk, T - q * chunk)
            for i in range(n):
                S0[0, i] = K0[q, i]
            for j in range(m):
                t = q * chunk + j
                s0_ = S0[j]
                n0_ = S0[j + 1]
                for i in range(n):
                    s0 = s0_[i]
                    x0 = x0_[i]
                    e0 = v0 * s0
                    e1 = e0 + x0
                    e2 = s0 - v1
                    e3 = e2 > F(0.0)
                    e4 = (F(1.0) if e3 else F(0.0))
                    e5 = e4 * v1
                    e6 = e1 - e5
                    n0_[i] = e6
            if w < chunks - 1:
                for i in range(n):
                    K0[q + 1, i] = S0[chunk, i]
            else:
                for j in range(m - 1, -1, -1):
                    t = q * chunk + j
                    s0_ = S0[j]
                    n0_ = S0[j + 1]
                    g0_ = g0s[t, r, c0:c1]
                    for i in range(n):
                        s0 = s0_[i]
                        n0 = n0_[i]
                        a0 = Z0[i]
                        g0 = g0_[i]
                        e0 = n0 - v1
                        e1 = F(3.141592653589793) * e0
                        e2 = e1 * e1
                        e3 = F(1.0) + e2
                        e4 = F(1.0) / e3
                        e5 = g0 * e4
                        e6 = a0 + e5
                        e7 = e6 * v0
                        e8 = e6 * s0
                        e9 = -e5
                        e10 = -e6
                        e11 = s0 - v1
                        e12 = e11 > F(0.0)
                        e13 = (F(1.0) if e12 else F(0.0))
                        e14 = e10 * e13
                        e15 = e9 + e14
                        Z0[i] = e7
                        X0[i] += e6
                        V0[i] += e8
                        V1[i] += e15
        for i in range(n):
            A0_[i] = Z0[i]
        X0_ = X0s[r, c0:c1]
        for i in range(n):
            X0_[i] = X0[i]
        total = 0.0
        for i in range(n):
            total += V0[i]
        V0s[r, k % blocks] = total
        total = 0.0
        for i in range(n):
            total += V1[i]
        V1s[r, k % blocks] = total
