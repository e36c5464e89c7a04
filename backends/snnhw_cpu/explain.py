"""What the CPU backend would do with a program."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from snnhw.ir import Program
from snnhw.plugin import Explanation, Run, Train
from snnhw.tensors.execution.explain import explain as explain_network
from snnhw.tensors.execution.paths import listed
from snnhw_cpu.limits import USUAL
from snnhw_cpu.loop_source import loop_source
from snnhw_cpu.network import network_of
from snnhw_cpu.numba_source import source
from snnhw_cpu.paths import PATHS

__all__ = ["explain"]


def explain(program: Program, job: Run | Train) -> Explanation:
    """Its schedule, its kernels as numba source, and what it decides by measurement, size or threshold."""
    options = job.options
    network = network_of(program, precision=options.precision, limits=options.limits)
    kernels, loops = (partial(printer, dtype=options.dtype) for printer in (source, loop_source))
    found = explain_network(network, job, kernels, loops)
    decided = listed(PATHS, options.paths, USUAL, options.settled)
    return replace(found, tables={**found.tables, "paths": decided})
