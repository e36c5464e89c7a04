"""The source of what `snnhw_cpu.lookup.images` makes of a gradient; after `WINDOWS`."""

from __future__ import annotations

from typing import Final

__all__ = ["WEIGHT"]

WEIGHT: Final = '''\
TABLE = 16 * ENTRY
TABLES = 16


@intrinsic
def build(typingctx, row, stride, table):
    def codegen(context, builder, signature, args):
        partial_sums(builder, *args, 4)
        return context.get_dummy_value()
    return types.void(types.intp, types.intp, types.intp), codegen


def looking(module):
    # for one row of the kernel: what the bits of some rows pick from the tables of these, four places a table
    function = function_of(module, "looking", 5)
    words, rows, fours, tables, sums = function.args
    before, row, four, last, after = [
        function.append_basic_block(name) for name in ("before", "row", "four", "last", "after")
    ]
    builder = ir.IRBuilder(before)
    nothing = [ir.Constant(VECTOR, [ir.Constant(NUMBER, 0.0)] * LANES)] * (WIDE * VECTORS)
    zero, one = ir.Constant(WORD, 0), ir.Constant(WORD, 1)
    builder.branch(row)

    builder.position_at_end(row)
    i, table = builder.phi(WORD), builder.phi(WORD)
    totals = [builder.phi(VECTOR) for _ in nothing]
    at = builder.add(words, builder.mul(i, ir.Constant(WORD, 8)))
    word = builder.load(builder.inttoptr(at, WORD.as_pointer()), align=8)
    builder.branch(four)

    builder.position_at_end(four)
    q, bits, here = builder.phi(WORD), builder.phi(WORD), builder.phi(WORD)
    inner = [builder.phi(VECTOR) for _ in nothing]
    more = []
    for k in range(WIDE):
        entry = entry_of(builder, bits, ir.Constant(WORD, k), 16, here)
        for v in range(VECTORS):
            x = load(builder, plus(builder, entry, v * LINE), LINE)
            more.append(builder.fadd(inner[k * VECTORS + v], x))
    following = builder.add(q, one)
    beyond = builder.add(here, ir.Constant(WORD, TABLE))
    for phi, begin, then in (
        (q, zero, following),
        (bits, word, builder.lshr(bits, ir.Constant(WORD, 4))),
        (here, table, beyond),
        *zip(inner, totals, more),
    ):
        phi.add_incoming(begin, row)
        phi.add_incoming(then, four)
    builder.cbranch(builder.icmp_signed("<", following, fours), four, last)

    builder.position_at_end(last)
    below = builder.add(i, one)
    for phi, begin, then in ((i, zero, below), (table, tables, beyond), *zip(totals, nothing, more)):
        phi.add_incoming(begin, before)
        phi.add_incoming(then, last)
    builder.cbranch(builder.icmp_signed("<", below, rows), row, after)

    builder.position_at_end(after)
    for n, total in enumerate(more):
        to = plus(builder, sums, n * LINE)
        store(builder, builder.fadd(load(builder, to, LINE), total), to, LINE)
    builder.ret_void()
    return function


@intrinsic
def look(typingctx, words, rows, fours, tables, sums):
    def codegen(context, builder, signature, args):
        builder.call(looking(builder.module), args)
        return context.get_dummy_value()
    return types.void(types.intp, types.intp, types.intp, types.intp, types.intp), codegen


@cfunc("void(intp, intp, intp, intp, intp, intp, intp, intp, intp, intp, {pointers})", error_model="numpy")
def weight(first, last, M, C, H, W, O, down, along, parts, b_at, g_at, d_at):
    """Rows of bits [M, C, H] and g [M, O, h, v]; d [parts, C, HIGH, WIDE, O]. Tasks: (part of all images,
    tile)."""
    h, v = H + 2 * down - HIGH + 1, W + 2 * along - WIDE + 1
    P = h * v
    b = carray(b_at, (M, C, H))
    g = carray(g_at, (M, O, P))
    R = C * HIGH * WIDE
    d = carray(d_at, (parts, R, O))
    fours = (v + 3) // 4
    step = max(1, TABLES // fours)  # rows whose tables fit into the first-level cache
    held = step * fours
    room = np.zeros((held * 16 + R + P + LANES + 4) * TILE + LANES, F)
    at = (-room.ctypes.data % LINE) // SIZE
    tables = room.ctypes.data + at * SIZE
    at += held * 16 * TILE
    sums = room[at : at + R * TILE].reshape(R, TILE)
    at += R * TILE
    places = room[at : at + P * TILE].reshape(P, TILE)
    at += P * TILE
    edge = room[at : at + 4 * TILE].reshape(4, TILE)
    start = places.ctypes.data
    high = H + 2 * down
    lines = np.zeros((C, high), np.uint64)
    tiles = (O + TILE - 1) // TILE
    for task in range(first, last):
        part = task // tiles
        o0 = (task % tiles) * TILE
        n = min(TILE, O - o0)
        whole = P - P % LANES if n == TILE else 0
        sums[:] = F(0.0)
        places[:] = F(0.0)
        for m in range(M * part // parts, M * (part + 1) // parts):
            for p in range(0, whole, LANES):
                for o in range(0, TILE, LANES):
                    source = g.ctypes.data + ((m * O + o0 + o) * P + p) * SIZE
                    turn(source, P * SIZE, start + p * ENTRY + o * SIZE, ENTRY)
            for p in range(whole, P):
                for o in range(n):
                    places[p, o] = g[m, o0 + o, p]
            for c in range(C):
                for i in range(H):
                    lines[c, down + i] = b[m, c, i] << np.uint64(along)
            for i0 in range(0, h, step):
                rows = min(step, h - i0)
                for i in range(rows):
                    for q in range(fours):
                        table = tables + (i * fours + q) * TABLE
                        p = (i0 + i) * v + 4 * q
                        if 4 * q + 4 <= v:
                            build(start + p * ENTRY, ENTRY, table)
                        else:
                            edge[:] = F(0.0)
                            for k in range(v - 4 * q):
                                for o in range(n):
                                    edge[k, o] = places[p + k, o]
                            build(edge.ctypes.data, ENTRY, table)
                for c in range(C):
                    for k in range(HIGH):
                        words = lines.ctypes.data + (c * high + i0 + k) * 8
                        look(words, rows, fours, tables, sums.ctypes.data + (c * HIGH + k) * WIDE * ENTRY)
        for r in range(R):
            for o in range(n):
                d[part, r, o0 + o] = sums[r, o]
'''
