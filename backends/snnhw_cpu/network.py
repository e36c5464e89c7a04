"""A program as the CPU runs it: layers that are not torch's own, and chains of layers."""

from __future__ import annotations

from typing import Final

from snnhw.ir import Program
from snnhw.tensors.network import Network, plan
from snnhw_cpu.products import layers_of
from snnhw_cpu.provider import NumbaProvider

__all__ = ["BLOCK", "network_of"]

BLOCK: Final = 4 << 20
"""Bytes of a signal that a chain of layers computes at a time."""


def network_of(program: Program, *, precision: str, deterministic: bool) -> Network:
    """See `snnhw_cpu.plugin.CpuOptions`."""
    layers = layers_of(program, precision=precision, deterministic=deterministic)
    return Network(program, plan(program), NumbaProvider(), layers, block=BLOCK)
