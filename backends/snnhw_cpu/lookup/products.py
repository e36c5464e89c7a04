"""Bits times a matrix: by tables of partial sums, or row by row."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from torch import Tensor

from snnhw_cpu.kernel import Kernel, compiled
from snnhw_cpu.limits import Limits
from snnhw_cpu.lookup.bits import Words
from snnhw_cpu.lookup.vectors import HEAD, LINE, lanes
from snnhw_cpu.memory import empty
from snnhw_cpu.threads import share

__all__ = ["TILES", "added_rows", "looked_up"]

TILES: Final = (1, 4)
"""Vectors of a tile: 8 tables of four take 32 KB; one is for products with few columns."""

MOST: Final = 512
"""Rows of a block: the partial sums of a tile take 128 KB."""

LOOKUP: Final = '''\
VECTORS = {vectors}
TILE = VECTORS * LANES
ENTRY = VECTORS * LINE
TABLE = 16 * ENTRY


@intrinsic
def build(typingctx, row, stride, table):
    # the 16 sums of four rows; entry 0 is zero already. Asks for the rows of the next word, as they lie in
    # other pages, which no processor reads ahead
    def codegen(context, builder, signature, args):
        row, stride, table = args
        ahead = builder.mul(stride, ir.Constant(WORD, 32))
        for v in range(VECTORS):
            sums, at = {{}}, plus(builder, row, v * LINE)
            for bit in (1, 2, 4, 8):
                line = load(builder, at, SIZE)
                prefetch(builder, builder.add(at, ahead))
                at = builder.add(at, stride)
                for e in range(bit):
                    sums[bit + e] = builder.fadd(sums[e], line) if e else line
                    store(builder, sums[bit + e], plus(builder, table, (bit + e) * ENTRY + v * LINE), LINE)
        return context.get_dummy_value()
    return types.void(types.intp, types.intp, types.intp), codegen


def looking(module):
    # for rows and their words: the entries that 8 fours of bits pick, added to the row's partial sums. A
    # function of its own: within a larger one, registers are too few, and addresses are read again and again
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [WORD] * 4), "looking")
    function.linkage = "internal"
    function.attributes.add("noinline")
    words, rows, tables, sums = function.args
    before, row, after = [function.append_basic_block(name) for name in ("before", "row", "after")]
    builder = ir.IRBuilder(before)
    builder.branch(row)
    builder.position_at_end(row)
    m = builder.phi(WORD)
    m.add_incoming(ir.Constant(WORD, 0), before)
    at = builder.add(words, builder.mul(m, ir.Constant(WORD, 4)))
    word = builder.zext(builder.load(builder.inttoptr(at, ir.IntType(32).as_pointer()), align=4), WORD)
    here = builder.add(sums, builder.mul(m, ir.Constant(WORD, ENTRY)))
    picked = []
    for j in range(8):
        four = builder.and_(builder.lshr(word, ir.Constant(WORD, 4 * j)), ir.Constant(WORD, 15))
        entry = builder.add(tables, builder.mul(four, ir.Constant(WORD, ENTRY)))
        picked.append(plus(builder, entry, j * TABLE))
    for v in range(VECTORS):
        found = [load(builder, plus(builder, entry, v * LINE), LINE) for entry in picked]
        while len(found) > 1:
            found = [builder.fadd(one, two) for one, two in zip(found[::2], found[1::2])]
        place = plus(builder, here, v * LINE)
        store(builder, builder.fadd(load(builder, place, LINE), found[0]), place, LINE)
    following = builder.add(m, ir.Constant(WORD, 1))
    m.add_incoming(following, row)
    builder.cbranch(builder.icmp_signed("<", following, rows), row, after)
    builder.position_at_end(after)
    builder.ret_void()
    return function


@intrinsic
def look(typingctx, words, rows, tables, sums):
    def codegen(context, builder, signature, args):
        builder.call(looking(builder.module), args)
        return context.get_dummy_value()
    return types.void(types.intp, types.intp, types.intp, types.intp), codegen


@intrinsic
def move(typingctx, source, target):
    # a tile of one row
    def codegen(context, builder, signature, args):
        for v in range(VECTORS):
            x = load(builder, plus(builder, args[0], v * LINE), SIZE)
            store(builder, x, plus(builder, args[1], v * LINE), SIZE)
        return context.get_dummy_value()
    return types.void(types.intp, types.intp), codegen


@cfunc("void(intp, intp, intp, intp, intp, intp, intp, {pointers})", error_model="numpy")
def lookup(first, last, M, K, W, N, rows, b_at, w_at, bias_at, y_at):
    """y = bits @ w + bias. Tasks: (tile of columns, block of rows), tiles slowest."""
    b = carray(b_at, (W, M))
    w = carray(w_at, (K, N))
    bias = carray(bias_at, (N,))
    y = carray(y_at, (M, N))
    room = np.empty(8 * 16 * TILE + rows * TILE + 4 * TILE + LANES, F)
    at = (-room.ctypes.data % LINE) // SIZE
    room[at : at + 8 * 16 * TILE] = F(0.0)
    tables = room.ctypes.data + at * SIZE
    at += 8 * 16 * TILE
    sums = room[at : at + rows * TILE].reshape(rows, TILE)
    at += rows * TILE
    edge = room[at : at + 4 * TILE].reshape(4, TILE)
    blocks = (M + rows - 1) // rows
    for task in range(first, last):
        c0 = (task // blocks) * TILE
        m0 = (task % blocks) * rows
        n = min(TILE, N - c0)
        m1 = min(rows, M - m0)
        edge[0] = F(0.0)
        for c in range(n):
            edge[0, c] = bias[c0 + c]
        start = sums.ctypes.data
        for m in range(m1):
            move(edge.ctypes.data, start + m * ENTRY)
        for g in range(W):
            for j in range(8):
                k0 = 32 * g + 4 * j
                if k0 + 4 <= K and n == TILE:
                    build(w.ctypes.data + (k0 * N + c0) * SIZE, N * SIZE, tables + j * TABLE)
                else:
                    edge[:] = F(0.0)
                    for q in range(min(4, K - k0)):
                        for c in range(n):
                            edge[q, c] = w[k0 + q, c0 + c]
                    build(edge.ctypes.data, ENTRY, tables + j * TABLE)
            look(b.ctypes.data + (g * M + m0) * 4, m1, tables, start)
        if n == TILE:
            for m in range(m1):
                move(start + m * ENTRY, y.ctypes.data + ((m0 + m) * N + c0) * SIZE)
        else:
            for m in range(m1):
                for c in range(n):
                    y[m0 + m, c0 + c] = sums[m, c]
'''

ROWS: Final = '''\
@intrinsic
def lowest(typingctx, word):
    # the number of its lowest bit that is set
    def codegen(context, builder, signature, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))
    return types.uint32(types.uint32), codegen


@cfunc("void(intp, intp, intp, intp, intp, intp, intp, intp, {pointers})", error_model="numpy")
def rows(first, last, M, K, W, N, down, along, b_at, x_at, w_at, bias_at, y_at):
    """y = x @ w + bias, by bits that say where x is not 0; x[m, k] lies at x[m * down + k * along], and is
    1 where along is 0. Tasks: blocks of 64 rows."""
    b = carray(b_at, (W, M))
    x = carray(x_at, ((M - 1) * down + (K - 1) * along + 1,))
    w = carray(w_at, (K, N))
    bias = carray(bias_at, (N,))
    y = carray(y_at, (M, N))
    active = np.empty(K, np.intp)
    for block in range(first, last):
        for m in range(block * 64, min(M, block * 64 + 64)):
            count = 0
            for g in range(W):
                word = b[g, m]
                while word:
                    active[count] = g * 32 + lowest(word)
                    word &= word - np.uint32(1)
                    count += 1
            out = y[m]
            for o in range(N):
                out[o] = bias[o]
            at = m * down
            if along == 0:
                done = count - count % 8
                for j in range(0, done, 8):  # eight at a time: an eighth of the trips to the output row
                    l0, l1 = w[active[j]], w[active[j + 1]]
                    l2, l3 = w[active[j + 2]], w[active[j + 3]]
                    l4, l5 = w[active[j + 4]], w[active[j + 5]]
                    l6, l7 = w[active[j + 6]], w[active[j + 7]]
                    for o in range(N):
                        out[o] += ((l0[o] + l1[o]) + (l2[o] + l3[o])) + ((l4[o] + l5[o]) + (l6[o] + l7[o]))
                for j in range(done, count):
                    l0 = w[active[j]]
                    for o in range(N):
                        out[o] += l0[o]
            else:
                done = count - count % 4
                for j in range(0, done, 4):
                    k0, k1, k2, k3 = active[j], active[j + 1], active[j + 2], active[j + 3]
                    v0, v1 = x[at + k0 * along], x[at + k1 * along]
                    v2, v3 = x[at + k2 * along], x[at + k3 * along]
                    l0, l1, l2, l3 = w[k0], w[k1], w[k2], w[k3]
                    for o in range(N):
                        out[o] += (v0 * l0[o] + v1 * l1[o]) + (v2 * l2[o] + v3 * l3[o])
                for j in range(done, count):
                    v0, l0 = x[at + active[j] * along], w[active[j]]
                    for o in range(N):
                        out[o] += v0 * l0[o]
'''


def looked_up(bits: Words, w: Tensor, limits: Limits, bias: Tensor | None = None) -> Tensor:
    """``bits @ w + bias``: ``[M, K]`` by contiguous ``[K, N]``."""
    y, bias = _prepared(bits, w, limits, bias)
    columns, lane = w.shape[1], LINE // w.element_size()
    vectors = TILES[columns > lane]
    tiles = -(-columns // (vectors * lane))
    rows = MOST if tiles * -(-bits.rows // MOST) >= 4 else MOST // 8  # so that all threads have some
    sizes = (bits.rows, bits.inputs, len(bits.words), columns, rows)
    _run(_lookup(_name(w), vectors), tiles * -(-bits.rows // rows), sizes, limits, bits.words, w, bias, y)
    return y


def added_rows(
    bits: Words, w: Tensor, limits: Limits, bias: Tensor | None = None, x: Tensor | None = None
) -> Tensor:
    """The same by adding up the rows of w that the bits pick, multiplied with what x ``[M, K]`` has there."""
    y, bias = _prepared(bits, w, limits, bias)
    down, along = (0, 0) if x is None else x.stride()
    sizes = (bits.rows, bits.inputs, len(bits.words), w.shape[1], down, along)
    _run(_rows(_name(w)), -(-bits.rows // 64), sizes, limits, bits.words, w if x is None else x, w, bias, y)
    return y


def _prepared(bits: Words, w: Tensor, limits: Limits, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    y = empty(bits.rows, w.shape[1], dtype=w.dtype, reuse=limits.reuse)
    return y, w.new_zeros(w.shape[1]) if bias is None else bias.contiguous()


def _run(kernel: Kernel, tasks: int, sizes: tuple[int, ...], limits: Limits, *tensors: Tensor) -> None:
    pointers = [tensor.data_ptr() for tensor in tensors]
    share(
        kernel.call,
        tasks,
        (*sizes, *pointers),
        cost=sizes[0] * sizes[1] * 4,
        wake=limits.wake,
        reads=tensors[:-1],
        writes=tensors[-1:],
    )


def _name(x: Tensor) -> str:
    return str(x.dtype).removeprefix("torch.")


@lru_cache(maxsize=4)
def _lookup(dtype: str, vectors: int) -> Kernel:
    pointers = ", ".join(["CPointer(uint32)", *[f"CPointer({dtype})"] * 3])
    head = HEAD.format(dtype=dtype, **lanes(dtype))
    return compiled(head + LOOKUP.format(pointers=pointers, vectors=vectors), "lookup")


@lru_cache(maxsize=2)
def _rows(dtype: str) -> Kernel:
    pointers = ", ".join(["CPointer(uint32)", *[f"CPointer({dtype})"] * 4])
    return compiled(HEAD.format(dtype=dtype, **lanes(dtype)) + ROWS.format(pointers=pointers), "rows")
