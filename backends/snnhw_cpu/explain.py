"""What the CPU backend would do with a program."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from snnhw.ir import Program
from snnhw.plugin import Explanation, Run, Train
from snnhw.tensors.execution.explain import explain as explain_network
from snnhw.tensors.execution.explain import why_not_listed
from snnhw.tensors.execution.paths import listed
from snnhw.tensors.network import Network
from snnhw_cpu.limits import USUAL, Limits
from snnhw_cpu.loop_source import loop_source
from snnhw_cpu.network import network_of
from snnhw_cpu.numba_source import source
from snnhw_cpu.paths import PATHS

__all__ = ["explain"]


def explain(program: Program, job: Run | Train) -> Explanation:
    """Its schedule, its kernels as numba source, how calls repeat, and what it decides by measurement, size
    or threshold."""
    options = job.options
    network = network_of(program, precision=options.precision, limits=options.limits)
    kernels, loops = (partial(printer, dtype=options.dtype) for printer in (source, loop_source))
    found = explain_network(network, job, kernels, loops)
    decided = listed(PATHS, options.paths, USUAL, options.settled)
    calls = _calls(network, job, options.limits)
    return replace(found, tables={**found.tables, "calls": calls, "paths": decided})


def _calls(network: Network, job: Run | Train, limits: Limits) -> tuple[tuple[str, ...], ...]:
    """How one call after the other runs."""
    why = why_not_listed(network, job) if limits.listed else "no lists are kept"
    listed = f"{limits.warm} of the same sizes have been made, if it holds up to {limits.listed:,} bytes"
    row = ("one by one", why) if why else ("as a list of what they compute", f"once {listed}")
    return ("calls", "because"), row
