"""Kernels as numba source: the loops around what `snnhw.ir.emit` prints.

Signals are ``[T, R, C]`` (static ones ``[R, C]``), states ``[R, C]``, parameters one number or ``[C]``. A
task is one block of a row, ``tile`` neurons; its states stay in cache for all steps. On the way back,
``chunk`` steps are held at once, and longer sequences go chunk by chunk. The innermost loops run over
contiguous slices with nothing but arithmetic in them, which is what LLVM turns into vector code.
"""

from __future__ import annotations

from collections.abc import Sequence

from snnhw.ir.emit import emit
from snnhw.passes import ScanKernel
from snnhw_cpu.loops import (
    TARGET,
    Argument,
    arguments_read,
    block,
    function,
    indented,
    loads,
    loop,
    names_read,
    needed,
    row,
    scalars,
    step_rows,
)

__all__ = ["backward_source", "forward_source"]


def forward_source(kernel: ScanKernel, dtype: str) -> str:
    """The forward pass; addresses: ``x.. p.. t.. s.. y.. f..``."""
    states, outputs = range(len(kernel.next_states)), range(len(kernel.output_exprs))
    body = emit([*kernel.next_states, *kernel.output_exprs], names_read(kernel), TARGET)
    results = [f"S{n}[i] = {text}" for n, text in zip(states, body.roots, strict=False)]
    results += [f"y{n}_[i] = {text}" for n, text in zip(outputs, body.roots[len(states) :], strict=True)]
    task = [
        *block(kernel),
        *(f"f{n}_ = f{n}s[r, c0:c1]" for n in states),
        *loop(f"S{n}[i] = s{n}_[i]" for n in states),
        "for t in range(T):",
        *indented(step_rows(kernel)),
        *indented(f"y{n}_ = y{n}s[t, r, c0:c1]" for n in outputs),
        *indented(loop([*loads(kernel, "S{}[i]", body), *body.lines, *results])),
        *loop(f"f{n}_[i] = S{n}[i]" for n in states),
    ]
    arguments = [
        *arguments_read(kernel),
        *(Argument(f"y{n}s", "T, R, C") for n in outputs),
        *(Argument(f"f{n}s", "R, C") for n in states),
    ]
    setup = [*scalars(kernel), *(f"S{n} = np.empty(tile, F)" for n in states)]
    return function("forward", arguments, setup, task, dtype=dtype)


def backward_source(kernel: ScanKernel, dtype: str) -> str:
    """The backward pass; addresses: ``x.. p.. t.. s.. g.. a.. X.. V.. A..``.

    ``a`` are adjoints of the final states and ``A`` of the initial ones; ``X`` adjoints of the inputs;
    ``V`` of the values: ``[R, C]`` for one that varies, else ``[R, blocks]`` sums in float64.
    """
    states, outputs = range(len(kernel.next_states)), range(len(kernel.output_exprs))
    wanted = [n for n, expr in enumerate(kernel.input_grads) if expr is not None]
    summed = [n for n, expr in enumerate(kernel.value_grads) if expr is not None]
    totals = [*(f"X{n}" for n in wanted if kernel.static[n]), *row("V{}", summed)]
    setup = ["chunks = (T + chunk - 1) // chunk", *scalars(kernel)]
    setup += [f"S{n} = np.empty((min(chunk, T) + 1, tile), F)" for n in states]
    setup += [f"K{n} = np.empty((chunks, tile), F)" for n in states]
    setup += [f"{name} = np.empty(tile, F)" for name in [*row("Z{}", states), *totals]]
    task = [
        *block(kernel),
        *(f"{letter}{n}_ = {letter}{n}s[r, c0:c1]" for letter in "aA" for n in states),
        *loop([*(f"K{n}[0, i] = s{n}_[i]" for n in states), *(f"Z{n}[i] = a{n}_[i]" for n in states)]),
        *loop(f"{name}[i] = F(0.0)" for name in totals),
        # up over all chunks but the last, keeping where each begins; then down again, in reverse
        "for w in range(2 * chunks - 1):",
        *indented("q = min(w, 2 * chunks - 2 - w)"),
        *indented(_chunk(kernel)),
        *indented("if w < chunks - 1:"),
        *indented(indented(loop(f"K{n}[q + 1, i] = S{n}[chunk, i]" for n in states) or ["continue"])),
        *indented("else:"),
        *indented(indented("for j in range(m - 1, -1, -1):")),
        *indented(indented(indented(_reverse(kernel, wanted, summed)))),
        *loop(f"A{n}_[i] = Z{n}[i]" for n in states),
        *(line for n in wanted if kernel.static[n] for line in _give(f"X{n}")),
        *(line for n in summed for line in _give(f"V{n}", total=kernel.values[n].layout == "scalar")),
    ]
    arguments = [
        *arguments_read(kernel),
        *(Argument(f"g{n}s", "T, R, C") for n in outputs),
        *(Argument(f"a{n}s", "R, C") for n in states),
        *(Argument(f"X{n}s", "R, C" if kernel.static[n] else "T, R, C") for n in wanted),
        *(
            Argument(f"V{n}s", "R, C")
            if kernel.values[n].layout == "neuron"
            else Argument(f"V{n}s", "R, blocks", "D")
            for n in summed
        ),
        *(Argument(f"A{n}s", "R, C") for n in states),
    ]
    return function("backward", arguments, setup, task, dtype=dtype)


def _chunk(kernel: ScanKernel) -> list[str]:
    """States of chunk q from the one before it: the statements of the forward pass once more."""
    body = emit(kernel.next_states, names_read(kernel), TARGET)
    states = range(len(kernel.next_states))
    head = ["m = min(chunk, T - q * chunk)"]
    if not states:
        return head
    results = [f"n{n}_[i] = {text}" for n, text in enumerate(body.roots)]
    return [
        *head,
        *loop(f"S{n}[0, i] = K{n}[q, i]" for n in states),
        "for j in range(m):",
        *indented("t = q * chunk + j"),
        *indented(step_rows(kernel)),
        *indented(f"s{n}_ = S{n}[j]" for n in states),
        *indented(f"n{n}_ = S{n}[j + 1]" for n in states),
        *indented(loop([*loads(kernel, "s{}_[i]", body), *body.lines, *results])),
    ]


def _reverse(kernel: ScanKernel, wanted: Sequence[int], summed: Sequence[int]) -> list[str]:
    """One step backwards."""
    states, outputs = range(len(kernel.next_states)), range(len(kernel.output_exprs))
    grads = [*(kernel.input_grads[n] for n in wanted), *(kernel.value_grads[n] for n in summed)]
    names = names_read(kernel) | {name: name for name in [*row("n{}", states), *row("a{}", states)]}
    names |= {name: name for name in row("g{}", outputs)}
    body = emit([*kernel.carried, *(expr for expr in grads if expr is not None)], names, TARGET)
    texts = iter(body.roots)
    results = [f"Z{n}[i] = {next(texts)}" for n in states]
    results += [
        f"X{n}[i] += {next(texts)}" if kernel.static[n] else f"X{n}_[i] = {next(texts)}" for n in wanted
    ]
    results += [f"V{n}[i] += {next(texts)}" for n in summed]
    more = [f"n{n} = n{n}_[i]" for n in states] + [f"a{n} = Z{n}[i]" for n in states]
    more += [f"g{n} = g{n}_[i]" for n in outputs]
    return [
        "t = q * chunk + j",
        *step_rows(kernel),
        *(f"s{n}_ = S{n}[j]" for n in states),
        *(f"n{n}_ = S{n}[j + 1]" for n in states),
        *(f"g{n}_ = g{n}s[t, r, c0:c1]" for n in outputs),
        *(f"X{n}_ = X{n}s[t, r, c0:c1]" for n in wanted if not kernel.static[n]),
        *loop([*loads(kernel, "s{}_[i]", body), *needed(more, body), *body.lines, *results]),
    ]


def _give(name: str, *, total: bool = False) -> list[str]:
    """A block's sums over time, to where they belong."""
    if total:
        return ["total = 0.0", *loop([f"total += {name}[i]"]), f"{name}s[r, k % blocks] = total"]
    return [f"{name}_ = {name}s[r, c0:c1]", *loop([f"{name}_[i] = {name}[i]"])]
