"""The source of `snnhw_cpu.lookup.images`, forward, and what both directions have."""

from __future__ import annotations

from typing import Final

__all__ = ["FORWARD", "ROWS", "WINDOWS"]

ROWS: Final = '''\
@cfunc("void(intp, intp, intp, intp, {pointers})", error_model="numpy")
def pack(first, last, R, W, x_at, b_at, other_at):
    """A word for each row of W numbers, of which an image has R; other[0] becomes 1 if a number is neither 0
    nor 1. Tasks: images."""
    size = R * W
    x = carray(x_at, (last, size))
    b = carray(b_at, (last, R))
    bits = np.zeros((size + 31) // 32 + 3, np.uint64)
    wrong = np.uint64(0)
    mask = ~np.uint64(0) >> np.uint64(64 - W)
    low = np.uint64(0xFFFFFFFF)
    for m in range(first, last):
        start = x.ctypes.data + m * size * SIZE
        for n in range(size // 32):
            found = signs(start + n * 32 * SIZE)
            bits[n] = found & low
            wrong |= found >> np.uint64(32)
        if size % 32:
            word = np.uint64(0)
            for k in range(size - size % 32, size):
                v = x[m, k]
                word |= np.uint64(v != F(0.0)) << np.uint64(k % 32)
                wrong |= np.uint64((v != F(0.0)) & (v != F(1.0)))
            bits[size // 32] = word
        for r in range(R):
            n, shift = (r * W) // 32, np.uint64((r * W) % 32)
            word = (bits[n] | (bits[n + 1] << np.uint64(32))) >> shift
            if shift:
                word |= bits[n + 2] << (np.uint64(64) - shift)
            b[m, r] = word & mask
    if wrong:
        carray(other_at, (1,))[0] = 1


'''

WINDOWS: Final = """\
HIGH, WIDE = {high}, {wide}
VECTORS = 2
TILE = VECTORS * LANES
ENTRY = VECTORS * LINE


def partial_sums(builder, row, stride, table, count):
    # the sums of so many rows, by which of them are in; entry 0 is zero already
    for v in range(VECTORS):
        sums, at = {{}}, plus(builder, row, v * LINE)
        for bit in [1 << n for n in range(count)]:
            line = load(builder, at, SIZE)
            at = builder.add(at, stride)
            for e in range(bit):
                sums[bit + e] = builder.fadd(sums[e], line) if e else line
                store(builder, sums[bit + e], plus(builder, table, (bit + e) * ENTRY + v * LINE), LINE)


def function_of(module, name, count):
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [WORD] * count), name)
    function.linkage = "internal"
    function.attributes.add("noinline")  # that it has the registers to itself
    return function


def entry_of(builder, word, shift, entries, table):
    # where the entry lies that some bits of a word pick
    bits = builder.and_(builder.lshr(word, shift), ir.Constant(WORD, entries - 1))
    return builder.add(table, builder.mul(bits, ir.Constant(WORD, ENTRY)))


@intrinsic
def move(typingctx, source, target):
    # a tile
    def codegen(context, builder, signature, args):
        for v in range(VECTORS):
            x = load(builder, plus(builder, args[0], v * LINE), SIZE)
            store(builder, x, plus(builder, args[1], v * LINE), SIZE)
        return context.get_dummy_value()
    return types.void(types.intp, types.intp), codegen


@intrinsic
def turn(typingctx, source, source_stride, target, target_stride):
    # a square of LANES x LANES numbers, transposed
    def codegen(context, builder, signature, args):
        at, step, to, to_step = args
        rows = []
        for _ in range(LANES):
            rows.append(load(builder, at, SIZE))
            at = builder.add(at, step)
        s = 1
        while s < LANES:
            for i in range(LANES):
                if not i & s:
                    one, two = rows[i], rows[i | s]
                    low = [n if not n & s else LANES + (n ^ s) for n in range(LANES)]
                    high = [n | s if not n & s else LANES + n for n in range(LANES)]
                    kind = ir.VectorType(ir.IntType(32), LANES)
                    rows[i] = builder.shuffle_vector(one, two, ir.Constant(kind, low))
                    rows[i | s] = builder.shuffle_vector(one, two, ir.Constant(kind, high))
            s *= 2
        for row in rows:
            store(builder, row, to, SIZE)
            to = builder.add(to, to_step)
        return context.get_dummy_value()
    return types.void(types.intp, types.intp, types.intp, types.intp), codegen


"""

FORWARD: Final = '''\
TABLE = (1 << WIDE) * ENTRY


@intrinsic
def build(typingctx, row, stride, table):
    def codegen(context, builder, signature, args):
        partial_sums(builder, *args, WIDE)
        return context.get_dummy_value()
    return types.void(types.intp, types.intp, types.intp), codegen


def looking(module):
    # for one channel of an image: what the rows of all windows pick, added to the partial sums of the results
    function = function_of(module, "looking", 5)
    words, rows, places, tables, sums = function.args
    before, row, place, last, after = [
        function.append_basic_block(name) for name in ("before", "row", "place", "last", "after")
    ]
    builder = ir.IRBuilder(before)
    zero, one = ir.Constant(WORD, 0), ir.Constant(WORD, 1)
    builder.branch(row)

    builder.position_at_end(row)
    i, begin = builder.phi(WORD), builder.phi(WORD)
    at = builder.add(words, builder.mul(i, ir.Constant(WORD, 8)))
    kind = WORD.as_pointer()
    found = [builder.load(builder.inttoptr(plus(builder, at, 8 * d), kind), align=8) for d in range(HIGH)]
    builder.branch(place)

    builder.position_at_end(place)
    j, here = builder.phi(WORD), builder.phi(WORD)
    starts = [plus(builder, tables, d * TABLE) for d in range(HIGH)]
    picked = [entry_of(builder, word, j, 1 << WIDE, at) for word, at in zip(found, starts)]
    for v in range(VECTORS):
        total = None
        for entry in picked:
            x = load(builder, plus(builder, entry, v * LINE), LINE)
            total = builder.fadd(total, x) if total else x
        to = plus(builder, here, v * LINE)
        store(builder, builder.fadd(load(builder, to, LINE), total), to, LINE)
    following = builder.add(j, one)
    beyond = builder.add(here, ir.Constant(WORD, ENTRY))
    for phi, first, then in ((j, zero, following), (here, begin, beyond)):
        phi.add_incoming(first, row)
        phi.add_incoming(then, place)
    builder.cbranch(builder.icmp_signed("<", following, places), place, last)

    builder.position_at_end(last)
    below = builder.add(i, one)
    for phi, first, then in ((i, zero, below), (begin, sums, beyond)):
        phi.add_incoming(first, before)
        phi.add_incoming(then, last)
    builder.cbranch(builder.icmp_signed("<", below, rows), row, after)
    builder.position_at_end(after)
    builder.ret_void()
    return function


@intrinsic
def look(typingctx, words, rows, places, tables, sums):
    def codegen(context, builder, signature, args):
        builder.call(looking(builder.module), args)
        return context.get_dummy_value()
    return types.void(types.intp, types.intp, types.intp, types.intp, types.intp), codegen


@cfunc("void(intp, intp, intp, intp, intp, intp, intp, intp, intp, intp, {pointers})", error_model="numpy")
def forward(first, last, M, C, H, W, O, down, along, images, b_at, w_at, bias_at, y_at):
    """Rows of bits [M, C, H] and w [C, HIGH, WIDE, O]; y [M, O, h, v]. Tasks: (block of images, tile)."""
    h, v = H + 2 * down - HIGH + 1, W + 2 * along - WIDE + 1
    P = h * v
    b = carray(b_at, (M, C, H))
    w = carray(w_at, (C, HIGH, WIDE, O))
    bias = carray(bias_at, (O,))
    y = carray(y_at, (M, O, P))
    entries = HIGH << WIDE
    room = np.zeros((entries + images * P + WIDE) * TILE + LANES, F)
    at = (-room.ctypes.data % LINE) // SIZE
    tables = room.ctypes.data + at * SIZE
    at += entries * TILE
    sums = room[at : at + images * P * TILE].reshape(images * P, TILE)
    at += images * P * TILE
    edge = room[at : at + WIDE * TILE].reshape(WIDE, TILE)
    start = sums.ctypes.data
    lines = np.zeros(H + 2 * down, np.uint64)
    tiles = (O + TILE - 1) // TILE
    for task in range(first, last):
        m0 = (task // tiles) * images
        o0 = (task % tiles) * TILE
        n = min(TILE, O - o0)
        count = min(images, M - m0)
        edge[:] = F(0.0)
        for o in range(n):
            edge[0, o] = bias[o0 + o]
        for p in range(count * P):
            move(edge.ctypes.data, start + p * ENTRY)
        for c in range(C):
            for d in range(HIGH):
                if n == TILE:
                    row = ((c * HIGH + d) * WIDE * O + o0) * SIZE
                    build(w.ctypes.data + row, O * SIZE, tables + d * TABLE)
                else:
                    for q in range(WIDE):
                        for o in range(n):
                            edge[q, o] = w[c, d, q, o0 + o]
                    build(edge.ctypes.data, ENTRY, tables + d * TABLE)
            for m in range(count):
                for i in range(H):
                    lines[down + i] = b[m0 + m, c, i] << np.uint64(along)
                look(lines.ctypes.data, h, v, tables, start + m * P * ENTRY)
        whole = P - P % LANES if n == TILE else 0
        for m in range(count):
            for p in range(0, whole, LANES):
                for o in range(0, TILE, LANES):
                    source = start + (m * P + p) * ENTRY + o * SIZE
                    turn(source, ENTRY, y.ctypes.data + (((m0 + m) * O + o0 + o) * P + p) * SIZE, P * SIZE)
            for p in range(whole, P):
                for o in range(n):
                    y[m0 + m, o0 + o, p] = sums[m * P + p, o]
'''
