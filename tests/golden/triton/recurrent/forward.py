import triton
import triton.language as tl

F = tl.constexpr(tl.float32)


@triton.jit
def const(number: tl.constexpr):
    """A number at the compute dtype; a division by a bare one would become a multiplication."""
    return tl.full((), number, F)


@triton.jit
def minimum(a, b):
    """A NaN in either operand comes through, and a tie gives the second, as the language says."""
    return tl.where((a < b) | (a != a), a, b)


@triton.jit
def maximum(a, b):
    """Likewise."""
    return tl.where((a > b) | (a != a), a, b)


@triton.jit
def step(s0, x0, v0, v1):
    e0 = v0 * s0
    e1 = e0 + x0
    e2 = s0 - v1
    e3 = e2 > const(0.0)
    e4 = tl.where(e3, const(1.0), const(0.0))
    e5 = e4 * v1
    e6 = e1 - e5
    e7 = e6 - v1
    e8 = e7 > const(0.0)
    e9 = tl.where(e8, const(1.0), const(0.0))
    return e6, e9


@triton.jit(do_not_specialize=['T'])
def forward(T, R, C, x0s, p0s, p1s, s0s, y0s, f0s, BLOCK: tl.constexpr):
    program = tl.cast(tl.program_id(0), tl.int64)
    blocks = (C + BLOCK - 1) // BLOCK
    c = tl.cast(program % blocks, tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = c < C
    place = program // blocks * C + c
    size = tl.cast(R, tl.int64) * C
    p0 = tl.load(p0s)
    p1 = tl.load(p1s)
    u0 = maximum(p0, const(0.0))
    u1 = minimum(u0, const(1.0))
    v0 = u1
    v1 = p1
    x0 = tl.load(x0s + place, mask=inside, other=0.0).to(F)
    S0 = tl.load(s0s + place, mask=inside, other=0.0)
    odd = T % 4
    for t in range(0, odd):
        at = tl.cast(t, tl.int64) * size + place
        S0, y0_0 = step(S0, x0, v0, v1)
        tl.store(y0s + at, y0_0, mask=inside)
    for t in range(odd, T, 4):
        at = tl.cast(t, tl.int64) * size + place
        S0, y0_0 = step(S0, x0, v0, v1)
        S0, y0_1 = step(S0, x0, v0, v1)
        S0, y0_2 = step(S0, x0, v0, v1)
        S0, y0_3 = step(S0, x0, v0, v1)
        tl.store(y0s + at, y0_0, mask=inside)
        tl.store(y0s + at + size, y0_1, mask=inside)
        tl.store(y0s + at + 2 * size, y0_2, mask=inside)
        tl.store(y0s + at + 3 * size, y0_3, mask=inside)
    tl.store(f0s + place, S0, mask=inside)
