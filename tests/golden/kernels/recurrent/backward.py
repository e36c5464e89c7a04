import math

import numpy as np
from numba import carray, njit
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
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


@cfunc("void(intp, intp, intp, intp, intp, intp, CPointer(float32), CPointer(float32), CPointer(float32), CPointer(float32), CPointer(float32), CPointer(float32), CPointer(float32), CPointer(float32), CPointer(float64), CPointer(float64), CPointer(float32), CPointer(float32), intp, intp, intp, intp, intp)", error_model="numpy")
def backward(first, last, product, T, R, rows, p0_1_at, p1_1_at, w0_0s_at, h0_1s_at, g0_1s_at, a0_1s_at, L0s_at, X0_1s_at, V0_1s_at, V1_1s_at, A0_1s_at, M0s_at, N0, K0, P0, Q0, N1):
    p0_1 = p0_1_at[0]
    p1_1 = p1_1_at[0]
    w0_0s = carray(w0_0s_at, (N0, Q0,))
    h0_1s = carray(h0_1s_at, (T + 1, R * N1,))
    g0_1s = carray(g0_1s_at, (T, R * N1,))
    a0_1s = carray(a0_1s_at, (R * N1,))
    L0s = carray(L0s_at, (1, R * N1,))
    X0_1s = carray(X0_1s_at, (T, R * N1,))
    V0_1s = carray(V0_1s_at, (R,))
    V1_1s = carray(V1_1s_at, (R,))
    A0_1s = carray(A0_1s_at, (R * N1,))
    M0s = carray(M0s_at, (1, R * N1,))
    u1_0 = (p0_1 if (p0_1 > F(0.0) or p0_1 != p0_1) else F(0.0))
    u1_1 = (u1_0 if (u1_0 < F(1.0) or u1_0 != u1_0) else F(1.0))
    v0_1 = u1_1
    v1_1 = p1_1
    E0 = np.empty((2, rows * N1), F)
    active = np.empty(4 * max(N0, K0) + 5, np.int32)
    edge = np.empty(64, F)
    Z0_1 = np.empty(rows * N1, F)
    V0_1 = np.empty(rows * N1, F)
    V1_1 = np.empty(rows * N1, F)
    X0_0_ = np.empty(rows * K0, F)
    zero0 = np.zeros(Q0, F)
    for k in range(first, last):
        r0 = k * rows
        m = min(rows, R - r0)
        for j in range(1):
            to_, from_ = E0[(T + j) % 2], L0s[j, r0 * N1:(r0 + m) * N1]
            n = m * N1
            for i in range(n):
                to_[i] = from_[i]
        a0_1_ = a0_1s[r0 * N1:(r0 + m) * N1]
        n = m * N1
        for i in range(n):
            Z0_1[i] = a0_1_[i]
        n = m * N1
        for i in range(n):
            V0_1[i] = F(0.0)
        n = m * N1
        for i in range(n):
            V1_1[i] = F(0.0)
        for t in range(T - 1, -1, -1):
            E0_ = E0[(t + 1) % 2]
            g0_1_ = g0_1s[t, r0 * N1:(r0 + m) * N1]
            X0_1_ = X0_1s[t, r0 * N1:(r0 + m) * N1]
            s0_1_ = h0_1s[t, r0 * N1:(r0 + m) * N1]
            n0_1_ = h0_1s[t + 1, r0 * N1:(r0 + m) * N1]
            n = m * N1
            for i in range(n):
                s0 = s0_1_[i]
                n0 = n0_1_[i]
                a0 = Z0_1[i]
                g0 = g0_1_[i] + E0_[i]
                e0 = n0 - v1_1
                e1 = F(3.141592653589793) * e0
                e2 = e1 * e1
                e3 = F(1.0) + e2
                e4 = F(1.0) / e3
                e5 = g0 * e4
                e6 = a0 + e5
                e7 = e6 * v0_1
                e8 = e6 * s0
                e9 = -e5
                e10 = -e6
                e11 = s0 - v1_1
                e12 = e11 > F(0.0)
                e13 = (F(1.0) if e12 else F(0.0))
                e14 = e10 * e13
                e15 = e9 + e14
                Z0_1[i] = e7
                X0_1_[i] = e6
                V0_1[i] += e8
                V1_1[i] += e15
            multiply(product, X0_1_, w0_0s, zero0, X0_0_, m, N0, K0, active, edge, 0)
            to_ = E0[t % 2]
            n = m * K0
            for i in range(n):
                to_[i] = X0_0_[i]
        for j in range(1):
            to_, from_ = M0s[j, r0 * N1:(r0 + m) * N1], E0[j % 2]
            n = m * N1
            for i in range(n):
                to_[i] = from_[i]
        A0_1_ = A0_1s[r0 * N1:(r0 + m) * N1]
        n = m * N1
        for i in range(n):
            A0_1_[i] = Z0_1[i]
        for b in range(m):
            total = 0.0
            for i in range(b * N1, (b + 1) * N1):
                total += V0_1[i]
            V0_1s[r0 + b] = total
        for b in range(m):
            total = 0.0
            for i in range(b * N1, (b + 1) * N1):
                total += V1_1[i]
            V1_1s[r0 + b] = total
