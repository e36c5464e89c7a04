"""Kernels as Triton source: a `ScanLoop` as loops over time, and where its signals lie.

Signals are ``[T, R, C]`` (static ones ``[R, C]``), of the compute dtype or of 16 bits, which the text leaves
open; states are ``[R, C]``, parameters one number or ``[C]``. One
program takes ``BLOCK`` neurons of a row through all steps, with their states in registers. No load is moved
over the store of an earlier step, so steps go in groups: first what a group loads, then its steps, then what
they store. Those that no whole group is left for go first in time, one by one.

On the way back, M steps are held at once in the scratch memory ``kepts``: the states at the beginning of each
chunk of M steps, and behind them the states before each step of the chunk at hand. A barrier stands between
what a thread has kept and another may read.

In the text, ``x0s`` is where a signal lies, and ``x0_2`` a block of it, at the third step of a group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from snnhw.ir import Expr
from snnhw.ir.emit import emit, read
from snnhw.passes import Argument, Body, ScanLoop
from snnhw_cuda.traffic import changing, grouped, needed
from snnhw_cuda.triton_pieces import (
    TARGET,
    array,
    call,
    function,
    head,
    indented,
    kernel,
    load,
    signal,
    store,
)

__all__ = ["KEPT", "parameters", "source"]

KEPT = "kepts"
"""Scratch memory ``[chunks + M, states, R, C]`` of a kernel that walks back."""

Lines = list[str]
Steps = Callable[[int], Lines]
"""So many steps at once, from step ``t`` on, or back from it."""


def parameters(passed: ScanLoop) -> list[str]:
    """What a kernel takes between T and BLOCK, in order."""
    tables = [argument.axes[0] for argument in passed.kind("t")]
    scratch = ["M", KEPT] if needed(passed) else []
    return ["R", "C", *tables, *scratch, *map(array, passed.arguments)]


def source(passed: ScanLoop, dtype: str, group: int) -> str:
    """The text of a module whose last function is the kernel, named like the pass.

    Args:
        group: how many steps are loaded at once, at most.
    """
    group = grouped(passed, dtype, group)
    walk = _forward if passed.reverse is None else _backward
    lines = kernel(passed.name, parameters(passed), [*_block(passed), *walk(passed, group)])
    code = "\n".join([*_functions(passed), *lines]) + "\n"
    return head(dtype, code) + code


def _forward(passed: ScanLoop, group: int) -> Lines:
    return [
        *_first_states(passed),
        *_onward("0", "T", group, lambda count: _steps(passed, count)),
        *(store(f"f{n}s + place", f"S{n}") for n in range(passed.states)),
    ]


def _backward(passed: ScanLoop, group: int) -> Lines:
    """Adjoints of states ``Z``; chunk by chunk where states are needed, which are computed again."""
    states = range(passed.states)
    return [
        *(load(f"Z{n}", f"a{n}s + place") for n in states),
        *(f"{name} = tl.full((BLOCK,), 0.0, F)" for name in passed.summed),
        *(_chunks if needed(passed) else _at_once)(passed, group),
        *(store(f"A{n}s + place", f"Z{n}") for n in states),
        *_left(passed),
    ]


def _at_once(passed: ScanLoop, group: int) -> Lines:
    return _back("0", "T", group, lambda count: _reversed(passed, count))


def _chunks(passed: ScanLoop, group: int) -> Lines:
    """Over all chunks but the last, keeping where each begins; then from the last one back."""
    keep = [store(_slot("begin", n, 0), f"S{n}") for n in range(passed.states)]
    find = [load(f"S{n}", _slot("begin", n, 0)) for n in range(passed.states)]
    return [
        "chunks = (T + M - 1) // M",
        f"every = size * {passed.states}",
        f"held = {KEPT} + tl.cast(chunks, tl.int64) * every + place",
        f"begin = {KEPT} + place",
        *_first_states(passed),
        *keep,
        "for q in range(1, chunks):",
        *indented(
            [
                "first = (q - 1) * M",
                "last = q * M",
                *_onward("first", "last", group, lambda count: _steps(passed, count)),
                "begin += every",
                *keep,
            ]
        ),
        "for b in range(0, chunks):",
        *indented(
            [
                "first = (chunks - 1 - b) * M",
                "last = tl.minimum(first + M, T)",
                "tl.debug_barrier()",
                *find,
                *_onward("first", "last", group, lambda count: _steps(passed, count, keep=True)),
                "begin -= every",
                "tl.debug_barrier()",
                *_back("first", "last", group, lambda count: _reversed(passed, count)),
            ]
        ),
    ]


def _left(passed: ScanLoop) -> Lines:
    """Sums over time, to where they belong."""
    return [
        f"tl.store({array(argument)} + program, total(tl.where(inside, {argument.name}, 0.0)))"
        if argument.wide
        else store(f"{array(argument)} + place", argument.name)
        for argument in passed.kind("XV")
        if argument.name in passed.summed
    ]


# -- steps -----------------------------------------------------------------------------------------------


def _onward(first: str, last: str, group: int, steps: Steps) -> Lines:
    """Forward in time."""
    start, odd = _odd(first, last, group)
    one = [f"for t in range({first}, {odd}):", *indented(steps(1))] if group > 1 else []
    return [*start, *one, f"for t in range({odd}, {last}, {group}):", *indented(steps(group))]


def _back(first: str, last: str, group: int, steps: Steps) -> Lines:
    """Backward in time."""
    start, odd = _odd(first, last, group)
    one = [f"for t in range({odd} - 1, {first} - 1, -1):", *indented(steps(1))] if group > 1 else []
    return [*start, f"for t in range({last} - 1, {odd} - 1, -{group}):", *indented(steps(group)), *one]


def _odd(first: str, last: str, group: int) -> tuple[Lines, str]:
    """Where whole groups begin."""
    if group == 1:
        return [], first
    if first == "0":
        return [f"odd = {last} % {group}"], "odd"
    return [f"odd = {first} + ({last} - {first}) % {group}"], "odd"


def _steps(passed: ScanLoop, count: int, *, keep: bool = False) -> Lines:
    """From step t on."""
    body, states, outputs = passed.step, range(passed.states), passed.kind("y")
    loads: Lines = ["at = tl.cast(t, tl.int64) * size + place"]
    steps, stores = Lines(), Lines()
    if keep:
        loads.append("slot = held + tl.cast(t - first, tl.int64) * every")
    for k in range(count):
        loads += [signal(f"{x}_{k}", _at(x, k)) for x in changing(passed, "x", body)]
        if keep:
            steps += [f"s{n}_{k} = S{n}" for n in needed(passed)]
            stores += [store(_slot("slot", n, k), f"s{n}_{k}") for n in needed(passed)]
        results = [*(f"S{n}" for n in states), *(f"{y.name}_{k}" for y in outputs)]
        given = _given(passed, body, k) | {f"s{n}": f"S{n}" for n in states}
        steps.append(call(results, "step", [given.get(name, name) for name in _arguments(passed, body)]))
        steps += [_spread(f"S{n}", passed, body.values[n]) for n in states]
        stores += [store(_at(y.name, k), f"{y.name}_{k}") for y in outputs]
    return [line for line in [*loads, *steps, *stores] if line]


def _reversed(passed: ScanLoop, count: int) -> Lines:
    """Back from step t."""
    body, states = passed.reverse, range(passed.states)
    assert body is not None
    loads: Lines = ["at = tl.cast(t, tl.int64) * size + place"]
    steps, stores = Lines(), Lines()
    if needed(passed):
        loads.append("slot = held + tl.cast(t - first, tl.int64) * every")
    for k in range(count):
        loads += [signal(f"{x}_{k}", _at(x, -k)) for x in changing(passed, "xg", body)]
        loads += [load(f"s{n}_{k}", _slot("slot", n, -k)) for n in needed(passed)]
        given = _given(passed, body, k)
        given |= {f"s{n}": f"s{n}_{k}" for n in states}
        given |= {f"n{n}": f"S{n}" for n in states} | {f"a{n}": f"Z{n}" for n in states}
        results = [_result(kept.name, k) for kept in body.stores]
        steps.append(call(results, "reverse", [given.get(name, name) for name in _arguments(passed, body)]))
        steps += [_spread(f"Z{n}", passed, body.values[n]) for n in states]
        steps += [f"{name} += {name}_{k}" for name in passed.summed]
        steps += [f"S{n} = s{n}_{k}" for n in needed(passed)]
        stores += [store(_at(x.name, -k), f"{x.name}_{k}") for x in passed.kind("X") if "T" in x.axes]
    return [line for line in [*loads, *steps, *stores] if line]


def _result(name: str, k: int) -> str:
    """What a result of a step backwards is called."""
    return f"Z{name[1:]}" if name[0] == "a" else f"{name}_{k}"


def _at(signal: str, k: int) -> str:
    """A block of a signal, k steps on."""
    return f"{signal}s + at{_times(k, 'size')}"


def _slot(base: str, state: int, k: int) -> str:
    """Where a state is kept, k steps on."""
    return base + _times(k, "every") + _times(state, "size")


def _times(count: int, distance: str) -> str:
    """So many distances further on."""
    if not count:
        return ""
    return f" {'+' if count > 0 else '-'} {f'{abs(count)} * ' if abs(count) > 1 else ''}{distance}"


# -- what a step is made of ------------------------------------------------------------------------------


def _functions(passed: ScanLoop) -> Lines:
    """A step in each direction, as functions of blocks."""
    found = Lines()
    for name, body in (("step", passed.step), ("reverse", passed.reverse)):
        if body is not None and body.stores:
            emitted = emit(body.values, _names(passed), TARGET)
            found += function(name, _arguments(passed, body), emitted.lines, emitted.roots)
    return found


def _names(passed: ScanLoop) -> dict[str, str]:
    """Variables are called as the kernel calls them; a table is where it lies, and how long it is."""
    bodies = [passed.once, passed.columns, passed.step, *filter(None, [passed.reverse])]
    tables = [f"{array(table)}, {table.axes[0]}" for table in passed.kind("t")]
    return {name: name for body in bodies for name in body.reads} | dict(
        zip(passed.tables, tables, strict=True)
    )


def _arguments(passed: ScanLoop, body: Body) -> list[str]:
    """What the function of a step takes: what it reads, and the tables."""
    tables = [name for table in passed.kind("t") for name in (array(table), table.axes[0])]
    return [*body.reads, *tables]


def _given(passed: ScanLoop, body: Body, k: int) -> dict[str, str]:
    """What signals are called at a step of a group."""
    return {x: f"{x}_{k}" for x in changing(passed, "xg", body)}


def _spread(name: str, passed: ScanLoop, value: Expr) -> str:
    """A line that makes a block of what is one number: what a loop carries keeps its shape."""
    scalars = {kept.name for kept in passed.once.stores}
    return "" if read([value]) - scalars else f"{name} = tl.broadcast_to({name}, (BLOCK,))"


def _first_states(passed: ScanLoop) -> Lines:
    return [load(f"S{n}", f"s{n}s + place") for n in range(passed.states)]


def _block(passed: ScanLoop) -> Lines:
    """Where a program lies, and what in it does not change over time."""
    return [
        "program = tl.cast(tl.program_id(0), tl.int64)",
        "blocks = (C + BLOCK - 1) // BLOCK",
        "c = tl.cast(program % blocks, tl.int64) * BLOCK + tl.arange(0, BLOCK)",
        "inside = c < C",
        "place = program // blocks * C + c",
        "size = tl.cast(R, tl.int64) * C",
        *_values(passed, passed.once, "u"),
        *_values(passed, passed.columns, "w"),
        *(signal(x.name, f"{array(x)} + place") for x in passed.kind("x") if _read_always(passed, x)),
    ]


def _read_always(passed: ScanLoop, x: Argument) -> bool:
    bodies: Iterable[Body] = (passed.step, *filter(None, [passed.reverse]))
    return "T" not in x.axes and any(x.name in body.reads for body in bodies)


def _values(passed: ScanLoop, body: Body, prefix: str) -> Lines:
    """The prologue: values that are one number, or one of each neuron."""
    params = {p.name: p for p in passed.kind("p")}
    emitted = emit(body.values, _names(passed), TARGET, prefix)
    named = zip(body.stores, emitted.roots, strict=True)
    return [
        *(
            load(name, f"{name}s + c") if params[name].axes else f"{name} = tl.load({name}s)"
            for name in body.reads
            if name in params
        ),
        *emitted.lines,
        *(f"{kept.name} = {text}" for kept, text in named),
    ]
