"""What the CPU backend would do with a program."""

from __future__ import annotations

from dataclasses import replace

from snnhw.ir import Program
from snnhw.plugin import Explanation, Run, Train
from snnhw.tensors.network import KernelUse
from snnhw_cpu.network import network_of
from snnhw_cpu.paths import listed
from snnhw_cpu.source import backward_source, forward_source
from snnhw_torch import explain as explain_network

__all__ = ["explain"]


def explain(program: Program, job: Run | Train) -> Explanation:
    """Its schedule, its kernels as numba source, and what it decides by measurement, size or threshold."""
    options = job.options
    network = network_of(program, precision=options.precision, limits=options.limits)

    def source(use: KernelUse) -> str:
        return (backward_source if use.backward else forward_source)(use.kernel, options.dtype)

    found = explain_network(network, job, source)
    return replace(found, tables={**found.tables, "paths": listed(options.paths, options.settled)})
