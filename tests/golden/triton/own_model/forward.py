import triton
import triton.language as tl

F = tl.constexpr(tl.float32)


@triton.jit
def const(number: tl.constexpr):
    """A number at the compute dtype; a division by a bare one would become a multiplication."""
    return tl.full((), number, F)


@triton.jit
def step(s0, s1, x0, v0, v1, v2):
    e0 = v0 * s0
    e1 = e0 + x0
    e2 = v1 + s1
    e3 = s0 - e2
    e4 = e3 > const(0.0)
    e5 = tl.where(e4, const(1.0), const(0.0))
    e6 = e5 * v1
    e7 = e1 - e6
    e8 = const(0.875) * s1
    e9 = s0 > v1
    e10 = tl.where(e9, const(1.0), const(0.0))
    e11 = v2 * e10
    e12 = e8 + e11
    e13 = v1 + e12
    e14 = e7 - e13
    e15 = e14 > const(0.0)
    e16 = tl.where(e15, const(1.0), const(0.0))
    return e7, e12, e16


@triton.jit(do_not_specialize=['T'])
def forward(T, R, C, x0s, p0s, p1s, p2s, s0s, s1s, y0s, f0s, f1s, BLOCK: tl.constexpr):
    program = tl.cast(tl.program_id(0), tl.int64)
    blocks = (C + BLOCK - 1) // BLOCK
    c = tl.cast(program % blocks, tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = c < C
    place = program // blocks * C + c
    size = tl.cast(R, tl.int64) * C
    p0 = tl.load(p0s)
    p1 = tl.load(p1s)
    p2 = tl.load(p2s)
    v0 = p0
    v1 = p2
    v2 = p1
    S0 = tl.load(s0s + place, mask=inside, other=0.0)
    S1 = tl.load(s1s + place, mask=inside, other=0.0)
    odd = T % 4
    for t in range(0, odd):
        at = tl.cast(t, tl.int64) * size + place
        x0_0 = tl.load(x0s + at, mask=inside, other=0.0).to(F)
        S0, S1, y0_0 = step(S0, S1, x0_0, v0, v1, v2)
        tl.store(y0s + at, y0_0, mask=inside)
    for t in range(odd, T, 4):
        at = tl.cast(t, tl.int64) * size + place
        x0_0 = tl.load(x0s + at, mask=inside, other=0.0).to(F)
        x0_1 = tl.load(x0s + at + size, mask=inside, other=0.0).to(F)
        x0_2 = tl.load(x0s + at + 2 * size, mask=inside, other=0.0).to(F)
        x0_3 = tl.load(x0s + at + 3 * size, mask=inside, other=0.0).to(F)
        S0, S1, y0_0 = step(S0, S1, x0_0, v0, v1, v2)
        S0, S1, y0_1 = step(S0, S1, x0_1, v0, v1, v2)
        S0, S1, y0_2 = step(S0, S1, x0_2, v0, v1, v2)
        S0, S1, y0_3 = step(S0, S1, x0_3, v0, v1, v2)
        tl.store(y0s + at, y0_0, mask=inside)
        tl.store(y0s + at + size, y0_1, mask=inside)
        tl.store(y0s + at + 2 * size, y0_2, mask=inside)
        tl.store(y0s + at + 3 * size, y0_3, mask=inside)
    tl.store(f0s + place, S0, mask=inside)
    tl.store(f1s + place, S1, mask=inside)
