import triton
import triton.language as tl

F = tl.constexpr(tl.float32)


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
def plus(a, b):
    """What a sum adds with."""
    return a + b


@triton.jit
def total(x):
    """The sum over a block, in float64 and in one order."""
    return tl.reduce(x.to(tl.float64), 0, plus)


@triton.jit
def step(s0, x0, x1, v0, v1):
    e0 = v0 * s0
    e1 = e0 + x0
    e2 = x1 - const(0.5)
    e3 = e1 + e2
    e4 = s0 - v1
    e5 = e4 > const(0.0)
    e6 = tl.where(e5, const(1.0), const(0.0))
    e7 = e6 * v1
    e8 = e3 - e7
    return e8


@triton.jit
def reverse(s0, v0, v1, n0, a0, g0):
    e0 = n0 - v1
    e1 = const(3.141592653589793) * e0
    e2 = e1 * e1
    e3 = const(1.0) + e2
    e4 = div(const(1.0), e3)
    e5 = g0 * e4
    e6 = a0 + e5
    e7 = e6 * v0
    e8 = e6 * s0
    e9 = e5 * const(-1.0)
    e10 = e6 * const(-1.0)
    e11 = s0 - v1
    e12 = e11 > const(0.0)
    e13 = tl.where(e12, const(1.0), const(0.0))
    e14 = e10 * e13
    e15 = e9 + e14
    return e7, e6, e8, e15


@triton.jit(do_not_specialize=['T', 'M'])
def backward(T, R, C, M, kepts, x0s, x1s, p0s, p1s, s0s, g0s, a0s, X0s, V0s, V1s, A0s, BLOCK: tl.constexpr):
    program = tl.cast(tl.program_id(0), tl.int64)
    blocks = (C + BLOCK - 1) // BLOCK
    c = tl.cast(program % blocks, tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = c < C
    place = program // blocks * C + c
    size = tl.cast(R, tl.int64) * C
    p0 = tl.load(p0s)
    p1 = tl.load(p1s)
    v0 = p0
    v1 = p1
    Z0 = tl.load(a0s + place, mask=inside, other=0.0)
    V0 = tl.full((BLOCK,), 0.0, F)
    V1 = tl.full((BLOCK,), 0.0, F)
    chunks = (T + M - 1) // M
    every = size * 1
    held = kepts + tl.cast(chunks, tl.int64) * every + place
    begin = kepts + place
    S0 = tl.load(s0s + place, mask=inside, other=0.0)
    tl.store(begin, S0, mask=inside)
    for q in range(1, chunks):
        first = (q - 1) * M
        last = q * M
        odd = first + (last - first) % 4
        for t in range(first, odd):
            at = tl.cast(t, tl.int64) * size + place
            x0_0 = tl.load(x0s + at, mask=inside, other=0.0).to(F)
            x1_0 = tl.load(x1s + at, mask=inside, other=0.0).to(F)
            S0 = step(S0, x0_0, x1_0, v0, v1)
        for t in range(odd, last, 4):
            at = tl.cast(t, tl.int64) * size + place
            x0_0 = tl.load(x0s + at, mask=inside, other=0.0).to(F)
            x1_0 = tl.load(x1s + at, mask=inside, other=0.0).to(F)
            x0_1 = tl.load(x0s + at + size, mask=inside, other=0.0).to(F)
            x1_1 = tl.load(x1s + at + size, mask=inside, other=0.0).to(F)
            x0_2 = tl.load(x0s + at + 2 * size, mask=inside, other=0.0).to(F)
            x1_2 = tl.load(x1s + at + 2 * size, mask=inside, other=0.0).to(F)
            x0_3 = tl.load(x0s + at + 3 * size, mask=inside, other=0.0).to(F)
            x1_3 = tl.load(x1s + at + 3 * size, mask=inside, other=0.0).to(F)
            S0 = step(S0, x0_0, x1_0, v0, v1)
            S0 = step(S0, x0_1, x1_1, v0, v1)
            S0 = step(S0, x0_2, x1_2, v0, v1)
            S0 = step(S0, x0_3, x1_3, v0, v1)
        begin += every
        tl.store(begin, S0, mask=inside)
    for b in range(0, chunks):
        first = (chunks - 1 - b) * M
        last = tl.minimum(first + M, T)
        tl.debug_barrier()
        S0 = tl.load(begin, mask=inside, other=0.0)
        odd = first + (last - first) % 4
        for t in range(first, odd):
            at = tl.cast(t, tl.int64) * size + place
            slot = held + tl.cast(t - first, tl.int64) * every
            x0_0 = tl.load(x0s + at, mask=inside, other=0.0).to(F)
            x1_0 = tl.load(x1s + at, mask=inside, other=0.0).to(F)
            s0_0 = S0
            S0 = step(S0, x0_0, x1_0, v0, v1)
            tl.store(slot, s0_0, mask=inside)
        for t in range(odd, last, 4):
            at = tl.cast(t, tl.int64) * size + place
            slot = held + tl.cast(t - first, tl.int64) * every
            x0_0 = tl.load(x0s + at, mask=inside, other=0.0).to(F)
            x1_0 = tl.load(x1s + at, mask=inside, other=0.0).to(F)
            x0_1 = tl.load(x0s + at + size, mask=inside, other=0.0).to(F)
            x1_1 = tl.load(x1s + at + size, mask=inside, other=0.0).to(F)
            x0_2 = tl.load(x0s + at + 2 * size, mask=inside, other=0.0).to(F)
            x1_2 = tl.load(x1s + at + 2 * size, mask=inside, other=0.0).to(F)
            x0_3 = tl.load(x0s + at + 3 * size, mask=inside, other=0.0).to(F)
            x1_3 = tl.load(x1s + at + 3 * size, mask=inside, other=0.0).to(F)
            s0_0 = S0
            S0 = step(S0, x0_0, x1_0, v0, v1)
            s0_1 = S0
            S0 = step(S0, x0_1, x1_1, v0, v1)
            s0_2 = S0
            S0 = step(S0, x0_2, x1_2, v0, v1)
            s0_3 = S0
            S0 = step(S0, x0_3, x1_3, v0, v1)
            tl.store(slot, s0_0, mask=inside)
            tl.store(slot + every, s0_1, mask=inside)
            tl.store(slot + 2 * every, s0_2, mask=inside)
            tl.store(slot + 3 * every, s0_3, mask=inside)
        begin -= every
        tl.debug_barrier()
        odd = first + (last - first) % 4
        for t in range(last - 1, odd - 1, -4):
            at = tl.cast(t, tl.int64) * size + place
            slot = held + tl.cast(t - first, tl.int64) * every
            g0_0 = tl.load(g0s + at, mask=inside, other=0.0).to(F)
            s0_0 = tl.load(slot, mask=inside, other=0.0)
            g0_1 = tl.load(g0s + at - size, mask=inside, other=0.0).to(F)
            s0_1 = tl.load(slot - every, mask=inside, other=0.0)
            g0_2 = tl.load(g0s + at - 2 * size, mask=inside, other=0.0).to(F)
            s0_2 = tl.load(slot - 2 * every, mask=inside, other=0.0)
            g0_3 = tl.load(g0s + at - 3 * size, mask=inside, other=0.0).to(F)
            s0_3 = tl.load(slot - 3 * every, mask=inside, other=0.0)
            Z0, X0_0, V0_0, V1_0 = reverse(s0_0, v0, v1, S0, Z0, g0_0)
            V0 += V0_0
            V1 += V1_0
            S0 = s0_0
            Z0, X0_1, V0_1, V1_1 = reverse(s0_1, v0, v1, S0, Z0, g0_1)
            V0 += V0_1
            V1 += V1_1
            S0 = s0_1
            Z0, X0_2, V0_2, V1_2 = reverse(s0_2, v0, v1, S0, Z0, g0_2)
            V0 += V0_2
            V1 += V1_2
            S0 = s0_2
            Z0, X0_3, V0_3, V1_3 = reverse(s0_3, v0, v1, S0, Z0, g0_3)
            V0 += V0_3
            V1 += V1_3
            S0 = s0_3
            tl.store(X0s + at, X0_0, mask=inside)
            tl.store(X0s + at - size, X0_1, mask=inside)
            tl.store(X0s + at - 2 * size, X0_2, mask=inside)
            tl.store(X0s + at - 3 * size, X0_3, mask=inside)
        for t in range(odd - 1, first - 1, -1):
            at = tl.cast(t, tl.int64) * size + place
            slot = held + tl.cast(t - first, tl.int64) * every
            g0_0 = tl.load(g0s + at, mask=inside, other=0.0).to(F)
            s0_0 = tl.load(slot, mask=inside, other=0.0)
            Z0, X0_0, V0_0, V1_0 = reverse(s0_0, v0, v1, S0, Z0, g0_0)
            V0 += V0_0
            V1 += V1_0
            S0 = s0_0
            tl.store(X0s + at, X0_0, mask=inside)
    tl.store(A0s + place, Z0, mask=inside)
    tl.store(V0s + program, total(tl.where(inside, V0, 0.0)))
    tl.store(V1s + program, total(tl.where(inside, V1, 0.0)))
