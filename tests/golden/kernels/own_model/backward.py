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


@cfunc("void(intp, intp, intp, intp, intp, intp, intp, CPointer(float32), CPointer(float32), CPointer(float32), CPointer(float32), CPointer(float32), CPointer(float32), CPointer(float32), CPointer(float32), CPointer(float32), CPointer(float32), CPointer(float64), CPointer(float64), CPointer(float64), CPointer(float32), CPointer(float32))", error_model="numpy")
def backward(first, last, T, R, C, tile, chunk, x0s_at, p0_at, p1_at, p2_at, s0s_at, s1s_at, g0s_at, a0s_at, a1s_at, X0s_at, V0s_at, V1s_at, V2s_at, A0s_at, A1s_at):
    blocks = (C + tile - 1) // tile
    x0s = carray(x0s_at, (T, R, C,))
    p0 = p0_at[0]
    p1 = p1_at[0]
    p2 = p2_at[0]
    s0s = carray(s0s_at, (R, C,))
    s1s = carray(s1s_at, (R, C,))
    g0s = carray(g0s_at, (T, R, C,))
    a0s = carray(a0s_at, (R, C,))
    a1s = carray(a1s_at, (R, C,))
    X0s = carray(X0s_at, (T, R, C,))
    V0s = carray(V0s_at, (R, blocks,))
    V1s = carray(V1s_at, (R, blocks,))
    V2s = carray(V2s_at, (R, blocks,))
    A0s = carray(A0s_at, (R, C,))
    A1s = carray(A1s_at, (R, C,))
    chunks = (T + chunk - 1) // chunk
    v0 = p0
    v1 = p2
    v2 = p1
    S0 = np.empty((min(chunk, T) + 1, tile), F)
    S1 = np.empty((min(chunk, T) + 1, tile), F)
    K0 = np.empty((chunks, tile), F)
    K1 = np.empty((chunks, tile), F)
    Z0 = np.empty(tile, F)
    Z1 = np.empty(tile, F)
    V0 = np.empty(tile, F)
    V1 = np.empty(tile, F)
    V2 = np.empty(tile, F)
    for k in range(first, last):
        r = k // blocks
        c0 = (k % blocks) * tile
        c1 = min(c0 + tile, C)
        n = c1 - c0
        s0_ = s0s[r, c0:c1]
        s1_ = s1s[r, c0:c1]
        a0_ = a0s[r, c0:c1]
        a1_ = a1s[r, c0:c1]
        A0_ = A0s[r, c0:c1]
        A1_ = A1s[r, c0:c1]
        for i in range(n):
            K0[0, i] = s0_[i]
            K1[0, i] = s1_[i]
            Z0[i] = a0_[i]
            Z1[i] = a1_[i]
        for i in range(n):
            V0[i] = F(0.0)
            V1[i] = F(0.0)
            V2[i] = F(0.0)
        for w in range(2 * chunks - 1):
            q = min(w, 2 * chunks - 2 - w)
            m = min(chunk, T - q * chunk)
            for i in range(n):
                S0[0, i] = K0[q, i]
                S1[0, i] = K1[q, i]
            for j in range(m):
                t = q * chunk + j
                x0_ = x0s[t, r, c0:c1]
                s0_ = S0[j]
                s1_ = S1[j]
                n0_ = S0[j + 1]
                n1_ = S1[j + 1]
                for i in range(n):
                    s0 = s0_[i]
                    s1 = s1_[i]
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
                    n0_[i] = e7
                    n1_[i] = e12
            if w < chunks - 1:
                for i in range(n):
                    K0[q + 1, i] = S0[chunk, i]
                    K1[q + 1, i] = S1[chunk, i]
            else:
                for j in range(m - 1, -1, -1):
                    t = q * chunk + j
                    x0_ = x0s[t, r, c0:c1]
                    s0_ = S0[j]
                    s1_ = S1[j]
                    n0_ = S0[j + 1]
                    n1_ = S1[j + 1]
                    g0_ = g0s[t, r, c0:c1]
                    X0_ = X0s[t, r, c0:c1]
                    for i in range(n):
                        s0 = s0_[i]
                        s1 = s1_[i]
                        n0 = n0_[i]
                        n1 = n1_[i]
                        a0 = Z0[i]
                        a1 = Z1[i]
                        g0 = g0_[i]
                        e0 = v1 + n1
                        e1 = n0 - e0
                        e2 = F(3.141592653589793) * e1
                        e3 = e2 * e2
                        e4 = F(1.0) + e3
                        e5 = F(1.0) / e4
                        e6 = g0 * e5
                        e7 = a0 + e6
                        e8 = e7 * v0
                        e9 = -e6
                        e10 = a1 + e9
                        e11 = e10 * F(0.875)
                        e12 = e7 * s0
                        e13 = -e7
                        e14 = v1 + s1
                        e15 = s0 - e14
                        e16 = e15 > F(0.0)
                        e17 = (F(1.0) if e16 else F(0.0))
                        e18 = e13 * e17
                        e19 = e9 + e18
                        e20 = s0 > v1
                        e21 = (F(1.0) if e20 else F(0.0))
                        e22 = e10 * e21
                        Z0[i] = e8
                        Z1[i] = e11
                        X0_[i] = e7
                        V0[i] += e12
                        V1[i] += e19
                        V2[i] += e22
        for i in range(n):
            A0_[i] = Z0[i]
            A1_[i] = Z1[i]
        total = 0.0
        for i in range(n):
            total += V0[i]
        V0s[r, k % blocks] = total
        total = 0.0
        for i in range(n):
            total += V1[i]
        V1s[r, k % blocks] = total
        total = 0.0
        for i in range(n):
            total += V2[i]
        V2s[r, k % blocks] = total
