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


@cfunc("void(intp, intp, intp, intp, intp, intp, CPointer(float32), CPointer(float32), CPointer(float32), CPointer(float32), CPointer(float32), CPointer(float32), CPointer(float32), CPointer(float32), CPointer(float32), CPointer(float32), CPointer(float32), CPointer(float32), intp, intp, intp, intp, intp)", error_model="numpy")
def forward(first, last, product, T, R, rows, o0s_at, p0_1_at, p1_1_at, w0_0s_at, b0_0s_at, s0_1s_at, l0s_at, y0_1s_at, h0_1s_at, x0_0s_at, f0_1s_at, m0s_at, N0, K0, P0, Q0, N1):
    o0s = carray(o0s_at, (T, R * N1,))
    p0_1 = p0_1_at[0]
    p1_1 = p1_1_at[0]
    w0_0s = carray(w0_0s_at, (K0, P0,))
    b0_0s = carray(b0_0s_at, (P0,))
    s0_1s = carray(s0_1s_at, (R * N1,))
    l0s = carray(l0s_at, (1, R * N1,))
    y0_1s = carray(y0_1s_at, (T, R * N1,))
    h0_1s = carray(h0_1s_at, (T + 1, R * N1,))
    x0_0s = carray(x0_0s_at, (T, R * K0,))
    f0_1s = carray(f0_1s_at, (R * N1,))
    m0s = carray(m0s_at, (1, R * N1,))
    u1_0 = (p0_1 if (p0_1 > F(0.0) or p0_1 != p0_1) else F(0.0))
    u1_1 = (u1_0 if (u1_0 < F(1.0) or u1_0 != u1_0) else F(1.0))
    v0_1 = u1_1
    v1_1 = p1_1
    E0 = np.empty((2, rows * N1), F)
    active = np.empty(4 * max(N0, K0) + 5, np.int32)
    edge = np.empty(64, F)
    y0_0_ = np.empty(rows * N0, F)
    for k in range(first, last):
        r0 = k * rows
        m = min(rows, R - r0)
        for j in range(1):
            to_, from_ = E0[j % 2], l0s[j, r0 * N1:(r0 + m) * N1]
            n = m * N1
            for i in range(n):
                to_[i] = from_[i]
        b0_1_ = s0_1s[r0 * N1:(r0 + m) * N1]
        s0_1_ = h0_1s[0, r0 * N1:(r0 + m) * N1]
        n = m * N1
        for i in range(n):
            s0_1_[i] = b0_1_[i]
        for t in range(T):
            E0_ = E0[t % 2]
            o0_ = o0s[t, r0 * N1:(r0 + m) * N1]
            y0_1_ = y0_1s[t, r0 * N1:(r0 + m) * N1]
            x0_0_ = x0_0s[t, r0 * K0:(r0 + m) * K0]
            s0_1_ = h0_1s[t, r0 * N1:(r0 + m) * N1]
            n0_1_ = h0_1s[t + 1, r0 * N1:(r0 + m) * N1]
            n = m * K0
            for i in range(n):
                x0_0_[i] = E0_[i]
            multiply(product, x0_0_, w0_0s, b0_0s, y0_0_, m, K0, N0, active, edge, 1)
            n = m * N1
            for i in range(n):
                s0 = s0_1_[i]
                x0 = o0_[i] + y0_0_[i]
                e0 = v0_1 * s0
                e1 = e0 + x0
                e2 = s0 - v1_1
                e3 = e2 > F(0.0)
                e4 = (F(1.0) if e3 else F(0.0))
                e5 = e4 * v1_1
                e6 = e1 - e5
                e7 = e6 - v1_1
                e8 = e7 > F(0.0)
                e9 = (F(1.0) if e8 else F(0.0))
                n0_1_[i] = e6
                y0_1_[i] = e9
            to_ = E0[(t + 1) % 2]
            n = m * N1
            for i in range(n):
                to_[i] = y0_1_[i]
        for j in range(1):
            to_, from_ = m0s[j, r0 * N1:(r0 + m) * N1], E0[(T + j) % 2]
            n = m * N1
            for i in range(n):
                to_[i] = from_[i]
        s0_1_ = h0_1s[T, r0 * N1:(r0 + m) * N1]
        f0_1_ = f0_1s[r0 * N1:(r0 + m) * N1]
        n = m * N1
        for i in range(n):
            f0_1_[i] = s0_1_[i]
