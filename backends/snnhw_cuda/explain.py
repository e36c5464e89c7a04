"""What the CUDA backend would do with a program; needs neither a GPU nor Triton."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from snnhw.ir import Program, infer_shapes
from snnhw.passes import ScanLoop
from snnhw.plugin import Explanation, Run, Train
from snnhw.tensors.execution.explain import explain as explain_network
from snnhw.tensors.execution.paths import listed
from snnhw_cuda.network import scheduled
from snnhw_cuda.options import CudaOptions
from snnhw_cuda.paths import PATHS
from snnhw_cuda.probe import triton_found
from snnhw_cuda.triton_source import source

__all__ = ["TITLE", "explain"]

TITLE = "machine code: compiled, never run"

Table = tuple[tuple[str, ...], ...]


def explain(program: Program, job: Run | Train) -> Explanation:
    """Its schedule, its kernels as Triton source, how calls are made, what is decided by size, and what the
    machine code of its kernels shows."""
    options = job.options if isinstance(job.options, CudaOptions) else CudaOptions()
    loops: dict[str, ScanLoop] = {}

    def printed(loop: ScanLoop) -> str:
        text = source(loop, options.dtype, options.limits.group)
        loops[text] = loop
        return text

    found = explain_network(scheduled(program, options), job, printed)
    decided = listed(PATHS, options.paths, options.usual, {})
    tables = dict(found.tables) | {"calls": _calls(program, options), "paths": decided}
    if loops and not options.interpret:
        neurons = _neurons(program, found.tables["kernels"])
        kernels = {name: (loops[text], neurons[name]) for name, text in found.sources.items()}
        tables[TITLE] = _machine_code(kernels, job.batch, options)
    return replace(found, tables=tables)


def _calls(program: Program, options: CudaOptions) -> Table:
    """When calls are recorded, and why not."""
    reasons = {
        "interpret=true": options.interpret,
        "graphs=false": not options.graphs,
        "random numbers are others at every call": program.clocked,
    }
    against = [reason for reason, holds in reasons.items() if holds]
    rows = (
        ("run; forward, loss and backward of step", "the same shapes", "it changes nothing that lasts"),
        (
            "clipping and update of step",
            "gradients in the same place, with the same settings",
            "the call that changes everything launches it: a step is whole, or has not been",
        ),
    )
    one_by_one = "its kernels one by one"
    return (
        ("call", "launched", "because"),
        *(
            (call, one_by_one, "; ".join(against))
            if against
            else (call, f"as a CUDA graph, from the third one of {same} on", why)
            for call, same, why in rows
        ),
    )


def _neurons(program: Program, rows: Table) -> dict[str, int]:
    """File -> of how many neurons the layer is whose kernel it is; of several layers, the smallest."""
    shapes = infer_shapes(program).shapes
    found: dict[str, int] = {}
    for node, *_, forward, backward in rows[1:]:
        neurons = next(prod(shape) for port, shape in shapes.items() if port.partition(".")[0] == node)
        for file in f"{forward}, {backward}".split(", "):
            found[file] = min(found.get(file, neurons), neurons)
    return found


def _machine_code(kernels: dict[str, tuple[ScanLoop, int]], batch: int, options: CudaOptions) -> Table:
    """A row for each kernel and GPU; without Triton, what is missing."""
    triton = triton_found()
    if triton.status != "ready":
        return ("nothing was compiled, because", "to mend it"), (triton.reason, triton.install)
    from snnhw_cuda.table import HEADINGS, rows_of

    return (
        HEADINGS,
        *(
            row
            for name, (loop, neurons) in kernels.items()
            for row in rows_of(name, loop, batch, neurons, options)
        ),
    )
