"""Kernels as numba source: a `ScanLoop` in loops of Python, and where its signals lie.

Signals are ``[T, R, C]`` (static ones ``[R, C]``), states ``[R, C]``, parameters one number or ``[C]``. A
task is one block of a row, ``tile`` neurons; its states stay in cache for all steps. On the way back,
``chunk`` steps are held at once, and longer sequences go chunk by chunk. The innermost loops run over
contiguous slices with nothing but arithmetic in them, which is what LLVM turns into vector code.

In the text, ``x0s`` is a whole signal, ``x0_`` a block of one step of it, and ``x0`` one number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from snnhw.ir.emit import emit
from snnhw.passes import Argument, ScanLoop
from snnhw_cpu.numba_pieces import TARGET, array, columns, function, indented, loop, row

__all__ = ["source"]


def source(passed: ScanLoop, dtype: str) -> str:
    """The text of a module that holds one function, named like the pass."""
    setup, task = (_forward if passed.reverse is None else _backward)(passed)
    task = [*_block(passed), *task]
    return function(passed.name, passed.arguments, setup, task, dtype=dtype)


def _forward(passed: ScanLoop) -> tuple[list[str], list[str]]:
    """Room, and a task: a block of states ``S`` goes through all steps."""
    states = range(passed.states)
    setup = [*_numbers(passed), *(f"S{n} = np.empty(tile, F)" for n in states)]
    outputs = passed.kind("y")
    into = {f"n{n}": f"S{n}[i]" for n in states} | {y.name: f"{y.name}_[i]" for y in outputs}
    task = [
        *_slices(passed.kind("f")),
        *loop(f"S{n}[i] = s{n}_[i]" for n in states),
        "for t in range(T):",
        *indented(_slices(_changing(passed.kind("xy")))),
        *indented(columns(passed.step, _names(passed), _places(passed, "S{}[i]"), into)),
        *loop(f"f{n}_[i] = S{n}[i]" for n in states),
    ]
    return setup, task


def _backward(passed: ScanLoop) -> tuple[list[str], list[str]]:
    """Room, and a task: states ``K`` at the beginning of each chunk, ``S`` at each step of the chunk at hand,
    their adjoints ``Z``, and what is summed over time."""
    states = range(passed.states)
    setup = ["chunks = (T + chunk - 1) // chunk", *_numbers(passed)]
    setup += [f"S{n} = np.empty((min(chunk, T) + 1, tile), F)" for n in states]
    setup += [f"K{n} = np.empty((chunks, tile), F)" for n in states]
    setup += [f"{name} = np.empty(tile, F)" for name in [*row("Z{}", states), *passed.summed]]
    task = [
        *_slices(passed.kind("aA")),
        *loop([*(f"K{n}[0, i] = s{n}_[i]" for n in states), *(f"Z{n}[i] = a{n}_[i]" for n in states)]),
        *loop(f"{name}[i] = F(0.0)" for name in passed.summed),
        # up over all chunks but the last, keeping where each begins; then down again, in reverse
        "for w in range(2 * chunks - 1):",
        *indented(["q = min(w, 2 * chunks - 2 - w)"]),
        *indented(_chunk(passed)),
        *indented(["if w < chunks - 1:"]),
        *indented(indented(loop(f"K{n}[q + 1, i] = S{n}[chunk, i]" for n in states) or ["continue"])),
        *indented(["else:"]),
        *indented(indented(["for j in range(m - 1, -1, -1):"])),
        *indented(indented(indented(_reverse(passed)))),
        *loop(f"A{n}_[i] = Z{n}[i]" for n in states),
        *_left(passed),
    ]
    return setup, task


def _chunk(passed: ScanLoop) -> list[str]:
    """States of chunk q from the one before it: the step of the forward pass once more."""
    states = range(passed.states)
    head = ["m = min(chunk, T - q * chunk)"]
    if not states:
        return head
    into = {f"n{n}": f"n{n}_[i]" for n in states}
    return [
        *head,
        *loop(f"S{n}[0, i] = K{n}[q, i]" for n in states),
        "for j in range(m):",
        *indented(["t = q * chunk + j"]),
        *indented(_slices(_changing(passed.kind("x")))),
        *indented(_around(passed)),
        *indented(columns(passed.step, _names(passed), _places(passed, "s{}_[i]"), into)),
    ]


def _reverse(passed: ScanLoop) -> list[str]:
    """One step backwards."""
    assert passed.reverse is not None
    states = range(passed.states)
    places = _places(passed, "s{}_[i]") | {f"n{n}": f"n{n}_[i]" for n in states}
    places |= {f"a{n}": f"Z{n}[i]" for n in states} | {g.name: f"{g.name}_[i]" for g in passed.kind("g")}
    into = {f"a{n}": f"Z{n}[i]" for n in states} | {name: f"{name}[i]" for name in passed.summed}
    into |= {x.name: f"{x.name}_[i]" for x in _changing(passed.kind("X"))}
    return [
        "t = q * chunk + j",
        *_slices(_changing(passed.kind("x"))),
        *_around(passed),
        *_slices(_changing(passed.kind("gX"))),
        *columns(passed.reverse, _names(passed), places, into),
    ]


def _around(passed: ScanLoop) -> list[str]:
    """The states before and after a step of a chunk."""
    states = range(passed.states)
    return [*(f"s{n}_ = S{n}[j]" for n in states), *(f"n{n}_ = S{n}[j + 1]" for n in states)]


def _left(passed: ScanLoop) -> Iterator[str]:
    """A block's sums over time, to where they belong."""
    for argument in passed.kind("XV"):
        name = argument.name
        if name not in passed.summed:
            continue
        if argument.wide:
            yield from ["total = 0.0", *loop([f"total += {name}[i]"]), f"{name}s[r, k % blocks] = total"]
        else:
            yield from [*_slices([argument]), *loop([f"{name}_[i] = {name}[i]"])]


# -- what both passes have --------------------------------------------------------------------------


def _numbers(passed: ScanLoop) -> list[str]:
    """The prologue: values that are one number, computed once; room for a block of the others."""
    body = emit(passed.once.values, _names(passed), TARGET, prefix="u")
    values = [f"{store.name} = {text}" for store, text in zip(passed.once.stores, body.roots, strict=True)]
    return [*body.lines, *values, *(f"{store.name}_ = np.empty(tile, F)" for store in passed.columns.stores)]


def _block(passed: ScanLoop) -> list[str]:
    """Where a task lies, and what in it does not change over time."""
    return [
        "r = k // blocks",
        "c0 = (k % blocks) * tile",
        "c1 = min(c0 + tile, C)",
        "n = c1 - c0",
        *_slices(x for x in passed.kind("x") if "T" not in x.axes),
        *columns(
            passed.columns,
            _names(passed),
            {p.name: f"{p.name}s[c0 + i]" for p in passed.kind("p") if p.axes},
            {store.name: f"{store.name}_[i]" for store in passed.columns.stores},
            prefix="u",
        ),
        *_slices(passed.kind("s")),
    ]


def _names(passed: ScanLoop) -> dict[str, str]:
    """Variables are called as the kernel calls them; tables are read where they lie."""
    bodies = [passed.once, passed.columns, passed.step, *filter(None, [passed.reverse])]
    read = {name: name for body in bodies for name in body.reads}
    return read | dict(zip(passed.tables, map(array, passed.kind("t")), strict=True))


def _places(passed: ScanLoop, state: str) -> dict[str, str]:
    """Where a neuron finds what a step reads."""
    found = {f"s{n}": state.format(n) for n in range(passed.states)}
    found |= {x.name: f"{x.name}_[i]" for x in passed.kind("x")}
    return found | {store.name: f"{store.name}_[i]" for store in passed.columns.stores}


def _changing(arguments: Iterable[Argument]) -> Iterator[Argument]:
    return (argument for argument in arguments if "T" in argument.axes)


def _slices(arguments: Iterable[Argument]) -> list[str]:
    """A block of each: of the step at hand where they change over time."""
    return [
        f"{argument.name}_ = {argument.name}s[{'t, ' if 'T' in argument.axes else ''}r, c0:c1]"
        for argument in arguments
    ]
