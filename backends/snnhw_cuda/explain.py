"""What the CUDA backend would do with a program; needs neither a GPU nor Triton."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from snnhw.ir import Program
from snnhw.plugin import Explanation, Run, Train
from snnhw.tensors.execution.explain import explain as explain_network
from snnhw.tensors.execution.paths import listed
from snnhw_cuda.network import scheduled
from snnhw_cuda.options import CudaOptions
from snnhw_cuda.paths import PATHS
from snnhw_cuda.triton_source import source

__all__ = ["explain"]


def explain(program: Program, job: Run | Train) -> Explanation:
    """Its schedule, its kernels as Triton source, how calls are made, and what is decided by size."""
    options = job.options if isinstance(job.options, CudaOptions) else CudaOptions()
    printed = partial(source, dtype=options.dtype, group=options.limits.group)
    found = explain_network(scheduled(program, options), job, printed)
    decided = listed(PATHS, options.paths, options.usual, {})
    return replace(found, tables={**found.tables, "calls": _calls(program, options), "paths": decided})


def _calls(program: Program, options: CudaOptions) -> tuple[tuple[str, ...], ...]:
    """When calls are recorded, and why not."""
    reasons = {
        "interpret=true": options.interpret,
        "graphs=false": not options.graphs,
        "random numbers are others at every call": program.clocked,
    }
    against = [reason for reason, holds in reasons.items() if holds]
    how = (
        "its kernels one by one" if against else "as a CUDA graph, from the third call of the same shapes on"
    )
    why = "; ".join(against) or "the update of parameters, which is no part of it, takes few launches"
    return (("call", "launched", "because"), ("run, and forward and backward of step", how, why))
