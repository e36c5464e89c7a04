"""Kernels of loops as numba source: a `LoopKernel` over all steps, for a few rows of the batch at a time.

A task is a block of ``rows`` samples, which goes through all steps by itself. What a step of it reads and
leaves is one long row, ``m`` samples side by side, so that the innermost loops are as long as they can be.
What is under way on an edge lies in a ring ``E`` of one place more than the edge takes steps.

In the text, ``x0_1s`` is a whole signal of part 1, ``x0_1_`` a block of one step of it, ``x0`` one number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from snnhw.passes import (
    CellPart,
    LoopArgument,
    LoopKernel,
    Part,
    Pass,
    Port,
    Product,
    Saturating,
    Section,
    arguments,
    sizes,
)
from snnhw_cpu import register_block
from snnhw_cpu.loop_pieces import LoopPieces, array, unpacked
from snnhw_cpu.numba_pieces import head_of, indented, loop

__all__ = ["loop_source"]


def loop_source(kernel: LoopKernel, passed: Pass, dtype: str) -> str:
    """The text of a module that holds one function, named like the pass, over a range of tasks:
    ``name(first, last, product, T, R, rows, addresses..., sizes...)``; ``product`` is the address of
    `snnhw_cpu.register_block.multiply`."""
    given = arguments(kernel, passed)
    setup, task = {"forward": _forward, "backward": _backward}[passed](LoopPieces(kernel, given))
    pointers = [f"CPointer({'float64' if argument.wide else dtype})" for argument in given]
    signature = ", ".join([*["intp"] * 6, *pointers, *["intp"] * len(sizes(kernel))])
    names = ", ".join(
        ["first, last, product, T, R, rows", *(f"{array(a)}_at" for a in given), *sizes(kernel)]
    )
    lines = [
        f'@cfunc("void({signature})", error_model="numpy")',
        f"def {passed}({names}):",
        *indented(map(unpacked, given)),
        *indented(setup),
        *indented(["for k in range(first, last):"]),
        *indented(indented(["r0 = k * rows", "m = min(rows, R - r0)", *task])),
    ]
    text = "\n".join(lines) + "\n"
    imports, call = (register_block.IMPORTS, register_block.CALL) if kernel.products else ("", "")
    return head_of(dtype, text, imports) + call + text


# -- forward ----------------------------------------------------------------------------------------


def _forward(p: LoopPieces) -> tuple[list[str], list[str]]:
    kernel, kept = p.kernel, {f"h{n}_{k}" for k, n in p.kernel.kept_states}
    states = [(k, n, f"h{n}_{k}" in kept) for k, cell in kernel.cells for n in range(cell.states)]
    setup = [*p.values(), *p.rings(), *p.room()]
    for k, n, keeps in states:
        setup += [] if keeps else [f"s{n}_{k}_ = np.empty(rows * N{k}, F)", f"n{n}_{k}_ = s{n}_{k}_"]
    for k, part in enumerate(kernel.parts):
        ports = len(part.scan.output_exprs) if isinstance(part, CellPart) else 1
        setup += [
            f"y{n}_{k}_ = np.empty(rows * N{k}, F)" for n in range(ports) if (k, n) not in kernel.wanted
        ]
        if _summed(kernel, k):
            setup += [f"x0_{k}_ = np.empty(rows * K{k}, F)"]
    task = [*p.moved("l", "j", into=True)]
    for k, n, keeps in states:
        task += [p.slice(f"s{n}_{k}", None, f"b{n}_{k}")]
        task += [p.slice(f"h{n}_{k}", "0", f"s{n}_{k}")] if keeps else []
        task += p.copied(f"s{n}_{k}_", f"b{n}_{k}_", f"N{k}")
    task += [*p.slices("o", changing=False), "for t in range(T):"]
    step = [*p.turn("t"), *p.slices("oyx", changing=True)]
    for k, n, keeps in states:
        step += (
            [p.slice(f"h{n}_{k}", at, f"{s}{n}_{k}") for at, s in (("t", "s"), ("t + 1", "n"))]
            if keeps
            else []
        )
    for k, part in enumerate(kernel.parts):
        step += _FORWARD[type(part)](p, k, part)
    for n, (delay, (source, _)) in enumerate(zip(kernel.delays, kernel.lines, strict=True)):
        step += [f"to_ = E{n}[(t + {delay}) % {delay + 1}]"]
        step += p.copied("to_", f"y{source[1]}_{source[0]}_", f"N{source[0]}")
    task += [*indented(step), *p.moved("m", "(T + j)", into=False)]
    for k, n, keeps in states:
        task += [p.slice(f"h{n}_{k}", "T", f"s{n}_{k}")] if keeps else []
        task += [p.slice(f"f{n}_{k}", None), *p.copied(f"f{n}_{k}_", f"s{n}_{k}_", f"N{k}")]
    return setup, task


def _arriving(part: Part, port: int) -> str:
    """The sum of the edges into a port."""
    found = []
    for wire in part.inputs[port]:
        if wire.outside is not None:
            found.append(f"o{wire.outside}_[i]")
        elif wire.line is not None:
            found.append(f"E{wire.line}_[i]")
        else:
            assert wire.source is not None
            found.append(f"y{wire.source[1]}_{wire.source[0]}_[i]")
    return " + ".join(found)


def _summed(kernel: LoopKernel, k: int) -> bool:
    """Whether what arrives at a part must be written down for it, without being kept."""
    part = kernel.parts[k]
    return not isinstance(part, CellPart) and len(part.inputs[0]) > 1 and (k, 0) not in kernel.kept_inputs


def _written(p: LoopPieces, k: int, part: Part) -> list[str]:
    """What arrives, where it is kept, or is a sum that is read more than once."""
    lines = []
    for n in range(len(part.inputs)):
        if (k, n) in p.kernel.kept_inputs or _summed(p.kernel, k):
            lines += [f"n = m * {p.width((k, n))}", *loop([f"x{n}_{k}_[i] = {_arriving(part, n)}"])]
    return lines


def _read(p: LoopPieces, k: int, part: Part, port: int = 0) -> str:
    """What arrives, as an array where it is one, or as a sum."""
    if (k, port) in p.kernel.kept_inputs or _summed(p.kernel, k):
        return f"x{port}_{k}_[i]"
    return _arriving(part, port)


def _cell_forward(p: LoopPieces, k: int, part: CellPart) -> list[str]:
    places = {f"s{n}": f"s{n}_{k}_[i]" for n in range(part.states)}
    places |= {f"x{n}": _read(p, k, part, n) for n in range(len(part.inputs))}
    into = {store.name: f"{store.name}_{k}_[i]" for store in part.forward.step.stores}
    return [*_written(p, k, part), *p.cell(k, part, part.forward, places, into)]


def _product_forward(p: LoopPieces, k: int, part: Product) -> list[str]:
    x = _read(p, k, part).removesuffix("[i]")
    call = f"multiply(product, {x}, w0_{k}s, b0_{k}s, y0_{k}_, m, K{k}, N{k}, active, edge, 1)"
    return [*_written(p, k, part), call]


def _saturating_forward(p: LoopPieces, k: int, part: Saturating) -> list[str]:
    """Inputs one after the other, as the order counts; what does not arrive changes nothing."""
    x, half = _read(p, k, part).removesuffix("[i]"), 1 << (part.bits - 1)
    place = f"y0_{k}_[b * N{k} + i]"
    added = f"min(max({place} + times * w0_{k}s[j, i], F(-{half}.0)), F({half - 1}.0))"
    return [
        *_written(p, k, part),
        f"n = m * N{k}",
        *loop([f"y0_{k}_[i] = {_arriving(part, 1)}"]),
        "for b in range(m):",
        *indented([f"for j in range(K{k}):", f"    times = {x}[b * K{k} + j]", "    if times != F(0.0):"]),
        *indented(indented(indented([f"for i in range(N{k}):", f"    {place} = {added}"]))),
    ]


def _section_forward(p: LoopPieces, k: int, part: Section) -> list[str]:
    x = _read(p, k, part).removesuffix("[i]")
    return [*_written(p, k, part), *_placed(f"y0_{k}_[b * N{k} + i] = {x}[b * K{k} + B{k} + i]", k)]


def _placed(line: str, k: int) -> list[str]:
    return ["for b in range(m):", *indented([f"for i in range(N{k}):", f"    {line}"])]


# -- backward ---------------------------------------------------------------------------------------


def _backward(p: LoopPieces) -> tuple[list[str], list[str]]:
    kernel = p.kernel
    states = [(k, n) for k, cell in kernel.cells for n in range(cell.states)]
    sums = [a for a in p.given.values() if a.letter == "V"]
    setup = [*p.values(), *p.rings(), *p.room()]
    setup += [f"Z{n}_{k} = np.empty(rows * N{k}, F)" for k, n in states]
    setup += [f"{a.name} = np.empty(rows * N{a.part}, F)" for a in sums]
    for k, part in enumerate(kernel.parts):
        setup += _adjoint_rooms(p, k, part)
    task = p.moved("L", "(T + j)", into=True)
    for k, n in states:
        task += [p.slice(f"a{n}_{k}", None), *p.copied(f"Z{n}_{k}", f"a{n}_{k}_", f"N{k}")]
    for a in sums:
        task += [f"n = m * N{a.part}", *loop([f"{a.name}[i] = F(0.0)"])]
    step = [*p.turn("(t + {delay})"), *p.slices("xgXG", changing=True)]
    for k, n in kernel.kept_states:
        step += [p.slice(f"h{n}_{k}", at, f"{s}{n}_{k}") for at, s in (("t", "s"), ("t + 1", "n"))]
    for k, part in reversed([*enumerate(kernel.parts)]):
        step += [*_BACKWARD[type(part)](p, k, part), *_pushed(p, k)]
    task += ["for t in range(T - 1, -1, -1):", *indented(step), *p.moved("M", "j", into=False)]
    for k, n in states:
        task += [p.slice(f"A{n}_{k}", None), *p.copied(f"A{n}_{k}_", f"Z{n}_{k}", f"N{k}")]
    for a in sums:
        task += _left(p, a)
    return setup, task


def _adjoint_rooms(p: LoopPieces, k: int, part: Part) -> Iterator[str]:
    """Room for what a part leaves at a step; what a section does not reach is zero."""
    kernel = p.kernel
    kind = "zeros" if isinstance(part, Section) else "empty"
    for n in range(len(part.inputs)):
        if kernel.differentiated((k, n)) and (k, n) not in kernel.stored:
            yield f"X{n}_{k}_ = np.{kind}(rows * {p.width((k, n))}, F)"
    if isinstance(part, Product):
        yield f"zero{k} = np.zeros(Q{k}, F)"
        if k not in kernel.borrowed and not part.trained:
            yield f"G0_{k}_ = np.empty(rows * N{k}, F)"


def _left(p: LoopPieces, argument: LoopArgument) -> list[str]:
    """A block's sums over time, to where they belong."""
    name, k = argument.name, argument.part
    if not argument.wide:
        return [p.slice(name, None), *p.copied(f"{name}_", name, f"N{k}")]
    inner = ["total = 0.0", f"for i in range(b * N{k}, (b + 1) * N{k}):", f"    total += {name}[i]"]
    return ["for b in range(m):", *indented([*inner, f"{name}s[r0 + b] = total"])]


def _arrived(kernel: LoopKernel, port: Port) -> list[str]:
    """The parts of a port's adjoint, in the order in which they are added up."""
    late, now = kernel.readers(port)
    k, n = port
    return [
        *([f"g{n}_{k}_"] if port in kernel.seeded else []),
        *(f"E{line}_" for line in late),
        *(f"X{to[1]}_{to[0]}_" for to in now),
    ]


def _total(names: Iterable[str], at: str = "i") -> str:
    return " + ".join(f"{name}[{at}]" for name in names) or "F(0.0)"


def _pushed(p: LoopPieces, k: int) -> Iterator[str]:
    """Adjoints of what arrived late, on their way back."""
    for n, (delay, (_, to)) in enumerate(zip(p.kernel.delays, p.kernel.lines, strict=True)):
        if to[0] == k:
            yield f"to_ = E{n}[t % {delay + 1}]"
            yield from p.copied("to_", f"X{to[1]}_{k}_", p.width(to))


def _cell_backward(p: LoopPieces, k: int, part: CellPart) -> list[str]:
    places = {f"{letter}{n}": f"{letter}{n}_{k}_[i]" for n in range(part.states) for letter in "sn"}
    places |= {f"x{n}": f"x{n}_{k}_[i]" for n in range(len(part.inputs))}
    places |= {f"a{n}": f"Z{n}_{k}[i]" for n in range(part.states)}
    for n, port in enumerate(part.learnt.outputs):
        places[f"g{n}"] = _total(_arrived(p.kernel, (k, part.scan.outputs.index(port))))
    into = {f"a{n}": f"Z{n}_{k}[i]" for n in range(part.states)}
    into |= {f"X{n}": f"X{n}_{k}_[i]" for n in range(len(part.inputs))}
    into |= {name: f"{name}_{k}[i]" for name in part.backward.summed}
    return p.cell(k, part, part.backward, places, into)


def _product_backward(p: LoopPieces, k: int, _: Product) -> list[str]:
    lines, g = [], f"G0_{k}_"
    if k in p.kernel.borrowed:
        (g,) = _arrived(p.kernel, (k, 0))
    else:
        lines = [f"n = m * N{k}", *loop([f"{g}[i] = {_total(_arrived(p.kernel, (k, 0)))}"])]
    return [*lines, f"multiply(product, {g}, w0_{k}s, zero{k}, X0_{k}_, m, N{k}, K{k}, active, edge, 0)"]


def _section_backward(p: LoopPieces, k: int, _: Section) -> list[str]:
    total = _total(_arrived(p.kernel, (k, 0)), f"b * N{k} + i")
    return _placed(f"X0_{k}_[b * K{k} + B{k} + i] = {total}", k)


_FORWARD: Mapping[type, Callable[..., list[str]]] = {
    CellPart: _cell_forward,
    Product: _product_forward,
    Saturating: _saturating_forward,
    Section: _section_forward,
}
_BACKWARD: Mapping[type, Callable[..., list[str]]] = {
    CellPart: _cell_backward,
    Product: _product_backward,
    Section: _section_backward,
}
