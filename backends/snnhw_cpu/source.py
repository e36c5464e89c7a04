"""Kernels as numba source: the loops around what `snnhw.ir.emit` prints.

Signals are ``[T, R, C]`` (static ones ``[R, C]``), states ``[R, C]``, parameters one number or ``[C]``. A
task is one block of a row; its states stay in cache for all steps. The innermost loops run over
contiguous slices with nothing but arithmetic in them, which is what LLVM turns into vector code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from snnhw.ir.emit import Emitted, Target, emit
from snnhw.passes import ScanKernel

__all__ = ["BLOCK", "CHUNK", "backward_source", "forward_source"]

BLOCK = 256
"""Neurons of a task: its states over a chunk should fit the first-level cache."""

CHUNK = 64
"""Steps whose states are held at once in the backward pass; longer sequences go chunk by chunk."""

_OPS = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "neg": "-{0}",
    "abs": "abs({0})",
    "exp": "math.exp({0})",
    "log": "math.log({0})",
    "sqrt": "math.sqrt({0})",
    "sigmoid": "sigmoid({0})",
    "tanh": "math.tanh({0})",
    "atan": "math.atan({0})",
    # A NaN in either operand comes through, and a tie gives the second, as the language says.
    "minimum": "({0} if ({0} < {1} or {0} != {0}) else {1})",
    "maximum": "({0} if ({0} > {1} or {0} != {0}) else {1})",
    "greater": "{0} > {1}",
    "where": "({1} if {0} else {2})",
    "nearest": "nearest({0}, {1})",
}

TARGET = Target(ops=_OPS, constant=lambda value: f"F({value!r})")
"""Literals are wrapped: a bare one would widen float32 arithmetic to float64."""

_HEAD = '''\
import math

import numpy as np
from numba import carray, cfunc, njit

F = np.{dtype}
BLOCK = {block}
CHUNK = {chunk}


@njit(error_model="numpy")
def sigmoid(x):
    small = math.exp(-abs(x))
    return (F(1.0) if x >= F(0.0) else small) / (F(1.0) + small)


@njit(error_model="numpy")
def nearest(x, table):
    best = 0
    for k in range(1, table.size):
        if abs(x - table[k]) < abs(x - table[best]):
            best = k
    return table[best]


'''


def forward_source(kernel: ScanKernel, dtype: str) -> str:
    """The forward pass; addresses: ``x.. p.. t.. s.. y.. f..``."""
    states, outputs = range(len(kernel.next_states)), range(len(kernel.output_exprs))
    body = emit([*kernel.next_states, *kernel.output_exprs], _names(kernel), TARGET)
    results = [f"S{n}[i] = {text}" for n, text in zip(states, body.roots, strict=False)]
    results += [f"y{n}_[i] = {text}" for n, text in zip(outputs, body.roots[len(states) :], strict=True)]
    task = [
        *_blocks(kernel),
        *(f"f{n}_ = f{n}s[r, c0:c1]" for n in states),
        *_loop(f"S{n}[i] = s{n}_[i]" for n in states),
        "for t in range(T):",
        *_in(_rows(kernel)),
        *_in(f"y{n}_ = y{n}s[t, r, c0:c1]" for n in outputs),
        *_in(_loop([*_loads(kernel, "S{}[i]", body), *body.lines, *results])),
        *_loop(f"f{n}_[i] = S{n}[i]" for n in states),
    ]
    arguments = [
        *_read(kernel),
        *(_Argument(f"y{n}s", "T, R, C") for n in outputs),
        *(_Argument(f"f{n}s", "R, C") for n in states),
    ]
    setup = [*_scalars(kernel), *(f"S{n} = np.empty(BLOCK, F)" for n in states)]
    return _function("forward", arguments, len(kernel.tables), setup, task, dtype)


def backward_source(kernel: ScanKernel, dtype: str, chunk: int = CHUNK) -> str:
    """The backward pass; addresses: ``x.. p.. t.. s.. g.. a.. X.. V.. A..``.

    ``a`` are adjoints of the final states and ``A`` of the initial ones; ``X`` adjoints of the inputs;
    ``V`` of the values: ``[R, C]`` for one that varies, else ``[R, blocks]`` sums in float64.
    """
    states, outputs = range(len(kernel.next_states)), range(len(kernel.output_exprs))
    wanted = [n for n, expr in enumerate(kernel.input_grads) if expr is not None]
    summed = [n for n, expr in enumerate(kernel.value_grads) if expr is not None]
    totals = [*(f"X{n}" for n in wanted if kernel.static[n]), *_row("V{}", summed)]
    setup = ["chunks = (T + CHUNK - 1) // CHUNK", *_scalars(kernel)]
    setup += [f"S{n} = np.empty((CHUNK + 1, BLOCK), F)" for n in states]
    setup += [f"K{n} = np.empty((chunks, BLOCK), F)" for n in states]
    setup += [f"{name} = np.empty(BLOCK, F)" for name in [*_row("Z{}", states), *totals]]
    task = [
        *_blocks(kernel),
        *(f"{letter}{n}_ = {letter}{n}s[r, c0:c1]" for letter in "aA" for n in states),
        *_loop([*(f"K{n}[0, i] = s{n}_[i]" for n in states), *(f"Z{n}[i] = a{n}_[i]" for n in states)]),
        *_loop(f"{name}[i] = F(0.0)" for name in totals),
        # up over all chunks but the last, keeping where each begins; then down again, in reverse
        "for w in range(2 * chunks - 1):",
        *_in("q = min(w, 2 * chunks - 2 - w)"),
        *_in(_chunk(kernel)),
        *_in("if w < chunks - 1:"),
        *_in(_in(_loop(f"K{n}[q + 1, i] = S{n}[CHUNK, i]" for n in states) or ["continue"])),
        *_in("else:"),
        *_in(_in("for j in range(m - 1, -1, -1):")),
        *_in(_in(_in(_reverse(kernel, wanted, summed)))),
        *_loop(f"A{n}_[i] = Z{n}[i]" for n in states),
        *(line for n in wanted if kernel.static[n] for line in _give(f"X{n}")),
        *(line for n in summed for line in _give(f"V{n}", total=kernel.values[n].layout == "scalar")),
    ]
    arguments = [
        *_read(kernel),
        *(_Argument(f"g{n}s", "T, R, C") for n in outputs),
        *(_Argument(f"a{n}s", "R, C") for n in states),
        *(_Argument(f"X{n}s", "R, C" if kernel.static[n] else "T, R, C") for n in wanted),
        *(
            _Argument(f"V{n}s", "R, C") if kernel.values[n].layout == "neuron" else _Argument(f"V{n}s", "R, blocks", "D")
            for n in summed
        ),
        *(_Argument(f"A{n}s", "R, C") for n in states),
    ]
    return _function("backward", arguments, len(kernel.tables), setup, task, dtype, chunk)


def _chunk(kernel: ScanKernel) -> list[str]:
    """States of chunk q from the one before it: the statements of the forward pass once more."""
    body = emit(kernel.next_states, _names(kernel), TARGET)
    states = range(len(kernel.next_states))
    head = ["m = min(CHUNK, T - q * CHUNK)"]
    if not states:
        return head
    results = [f"n{n}_[i] = {text}" for n, text in enumerate(body.roots)]
    return [
        *head,
        *_loop(f"S{n}[0, i] = K{n}[q, i]" for n in states),
        "for j in range(m):",
        *_in("t = q * CHUNK + j"),
        *_in(_rows(kernel)),
        *_in(f"s{n}_ = S{n}[j]" for n in states),
        *_in(f"n{n}_ = S{n}[j + 1]" for n in states),
        *_in(_loop([*_loads(kernel, "s{}_[i]", body), *body.lines, *results])),
    ]


def _reverse(kernel: ScanKernel, wanted: Sequence[int], summed: Sequence[int]) -> list[str]:
    """One step backwards."""
    states, outputs = range(len(kernel.next_states)), range(len(kernel.output_exprs))
    grads = [*(kernel.input_grads[n] for n in wanted), *(kernel.value_grads[n] for n in summed)]
    names = _names(kernel) | {name: name for name in [*_row("n{}", states), *_row("a{}", states)]}
    names |= {name: name for name in _row("g{}", outputs)}
    body = emit([*kernel.carried, *(expr for expr in grads if expr is not None)], names, TARGET)
    texts = iter(body.roots)
    results = [f"Z{n}[i] = {next(texts)}" for n in states]
    results += [f"X{n}[i] += {next(texts)}" if kernel.static[n] else f"X{n}_[i] = {next(texts)}" for n in wanted]
    results += [f"V{n}[i] += {next(texts)}" for n in summed]
    loads = [f"n{n} = n{n}_[i]" for n in states] + [f"a{n} = Z{n}[i]" for n in states]
    loads += [f"g{n} = g{n}_[i]" for n in outputs]
    return [
        "t = q * CHUNK + j",
        *_rows(kernel),
        *(f"s{n}_ = S{n}[j]" for n in states),
        *(f"n{n}_ = S{n}[j + 1]" for n in states),
        *(f"g{n}_ = g{n}s[t, r, c0:c1]" for n in outputs),
        *(f"X{n}_ = X{n}s[t, r, c0:c1]" for n in wanted if not kernel.static[n]),
        *_loop([*_loads(kernel, "s{}_[i]", body), *_needed(loads, body), *body.lines, *results]),
    ]


def _give(name: str, *, total: bool = False) -> list[str]:
    """A block's sums over time, to where they belong."""
    if total:
        return ["total = 0.0", *_loop([f"total += {name}[i]"]), f"{name}s[r, k % blocks] = total"]
    return [f"{name}_ = {name}s[r, c0:c1]", *_loop([f"{name}_[i] = {name}[i]"])]


# -- pieces of loops --------------------------------------------------------------------------------


def _names(kernel: ScanKernel) -> dict[str, str]:
    """What both passes may read -> its name in the code, which is the kernel's own."""
    counts = {"s": len(kernel.next_states), "x": len(kernel.inputs), "v": len(kernel.values)}
    names = {f"{letter}{n}": f"{letter}{n}" for letter, count in counts.items() for n in range(count)}
    return names | {table: f"t{n}s" for n, table in enumerate(kernel.tables)}


def _loads(kernel: ScanKernel, state: str, body: Emitted) -> list[str]:
    """Reading one neuron's states, inputs and values, as far as the body needs them."""
    lines = [f"s{n} = {state.format(n)}" for n in range(len(kernel.next_states))]
    lines += [f"x{n} = x{n}_[i]" for n in range(len(kernel.inputs))]
    lines += [f"v{n} = v{n}_[i]" for n in _varying(kernel)]
    return _needed(lines, body)


def _needed(loads: Iterable[str], body: Emitted) -> list[str]:
    words = set(re.findall(r"\w+", " ".join([*body.lines, *body.roots])))
    return [line for line in loads if line.partition(" ")[0] in words]


def _varying(kernel: ScanKernel) -> list[int]:
    """Numbers of the values that differ from neuron to neuron."""
    return [n for n, value in enumerate(kernel.values) if value.layout == "neuron"]


def _scalars(kernel: ScanKernel) -> list[str]:
    """The prologue: values that are one number, computed once; room for a block of the others."""
    numbers = [n for n, value in enumerate(kernel.values) if value.layout == "scalar"]
    body = emit([kernel.values[n].expr for n in numbers], _param_names(kernel), TARGET, prefix="u")
    values = [f"v{n} = {text}" for n, text in zip(numbers, body.roots, strict=True)]
    return [*body.lines, *values, *(f"v{n}_ = np.empty(BLOCK, F)" for n in _varying(kernel))]


def _block_values(kernel: ScanKernel) -> list[str]:
    """The prologue of a block: values that differ from neuron to neuron."""
    numbers = _varying(kernel)
    body = emit([kernel.values[n].expr for n in numbers], _param_names(kernel), TARGET, prefix="u")
    arrays = [n for n in range(len(kernel.params)) if kernel.layouts[n] == "neuron"]
    loads = _needed([f"p{n} = p{n}s[c0 + i]" for n in arrays], body)
    return _loop([*loads, *body.lines, *(f"v{n}_[i] = {text}" for n, text in zip(numbers, body.roots, strict=True))])


def _param_names(kernel: ScanKernel) -> dict[str, str]:
    params = {f"p{n}": f"p{n}" for n in range(len(kernel.params))}
    return params | {table: f"t{n}s" for n, table in enumerate(kernel.tables)}


def _blocks(kernel: ScanKernel) -> list[str]:
    """Where a task lies, and what in it does not change over time."""
    return [
        "r = k // blocks",
        "c0 = (k % blocks) * BLOCK",
        "c1 = min(c0 + BLOCK, C)",
        "n = c1 - c0",
        *(f"x{n}_ = x{n}s[r, c0:c1]" for n, static in enumerate(kernel.static) if static),
        *_block_values(kernel),
        *(f"s{n}_ = s{n}s[r, c0:c1]" for n in range(len(kernel.next_states))),
    ]


def _rows(kernel: ScanKernel) -> list[str]:
    """The inputs of one step."""
    return [f"x{n}_ = x{n}s[t, r, c0:c1]" for n, static in enumerate(kernel.static) if not static]


def _loop(lines: Iterable[str]) -> list[str]:
    """Over the neurons of a block; nothing when there is nothing to do."""
    body = list(lines)
    return ["for i in range(n):", *_in(body)] if body else []


def _in(lines: str | Iterable[str]) -> list[str]:
    return [f"    {line}" for line in ([lines] if isinstance(lines, str) else lines)]


def _row(name: str, numbers: Iterable[int]) -> list[str]:
    return [name.format(n) for n in numbers]


def _read(kernel: ScanKernel) -> list[_Argument]:
    """What both passes read."""
    return [
        *(_Argument(f"x{n}s", "R, C" if static else "T, R, C") for n, static in enumerate(kernel.static)),
        *(
            _Argument(f"p{n}s", "C") if layout == "neuron" else _Argument(f"p{n}", "")
            for n, layout in enumerate(kernel.layouts)
        ),
        *(_Argument(f"t{n}s", f"L{n}") for n in range(len(kernel.tables))),
        *(_Argument(f"s{n}s", "R, C") for n in range(len(kernel.next_states))),
    ]


class _Argument(NamedTuple):
    """An address, and the shape of what lies there; no shape: one number."""

    name: str
    shape: str
    dtype: str = "F"

    def unpack(self) -> str:
        if not self.shape:
            return f"{self.name} = {self.name}_at[0]"
        return f"{self.name} = carray({self.name}_at, ({self.shape},))"


def _function(
    name: str,
    arguments: Sequence[_Argument],
    tables: int,
    setup: Sequence[str],
    task: Sequence[str],
    dtype: str,
    chunk: int = CHUNK,
) -> str:
    """``name(first, last, T, R, C, addresses..., sizes of tables...)`` over a range of tasks."""
    kinds = {"F": dtype, "D": "float64"}
    pointers = [f"CPointer({kinds[argument.dtype]})" for argument in arguments]
    signature = ", ".join([*["intp"] * 5, *pointers, *["intp"] * tables])
    names = [f"{argument.name}_at" for argument in arguments] + _row("L{}", range(tables))
    lines = [
        f'@cfunc("void({signature})", error_model="numpy", cache=True)',
        f"def {name}(first, last, T, R, C, {', '.join(names)}):",
        *_in("blocks = (C + BLOCK - 1) // BLOCK"),
        *_in(argument.unpack() for argument in arguments),
        *_in(setup),
        *_in("for k in range(first, last):"),
        *_in(_in(task)),
    ]
    return _HEAD.format(dtype=dtype, block=BLOCK, chunk=chunk) + "\n".join(lines) + "\n"
