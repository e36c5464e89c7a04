"""A program as the CPU runs it: layers that are not torch's own, and chains of layers."""

from __future__ import annotations

from dataclasses import replace

from snnhw.ir import FrozenMap, Program
from snnhw.passes import exact_float
from snnhw.tensors.network import Network, plan
from snnhw_cpu.limits import Limits
from snnhw_cpu.products import layers_of
from snnhw_cpu.provider import NumbaProvider
from snnhw_cpu.whole import whole_layers

__all__ = ["network_of"]


def network_of(program: Program, *, precision: str, limits: Limits) -> Network:
    """See `snnhw_cpu.plugin.CpuOptions`."""
    if program.formats and exact_float(program):
        # No sum is rounded, so that any way to it will do.
        program = replace(program, formats=FrozenMap())
    whole = bool(program.formats)
    layers = whole_layers(program) if whole else layers_of(program, precision=precision, limits=limits)
    provider = NumbaProvider(limits)
    return Network(program, plan(program), provider, provider.sizes, layers)
