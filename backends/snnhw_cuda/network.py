"""A program as a GPU runs it: neurons as kernels, all else by torch."""

from __future__ import annotations

from dataclasses import replace

import torch

from snnhw.ir import Program
from snnhw.tensors.execution.precision import products_in
from snnhw.tensors.network import Network, plan
from snnhw_cuda.options import CudaOptions

__all__ = ["network_of", "scheduled"]


def scheduled(program: Program, options: CudaOptions) -> Network:
    """Who runs its neurons is left open, which needs no Triton; see `snnhw_cuda.options.CudaOptions`."""
    signals = None if options.signals == "full" else getattr(torch, options.signals)
    layers = products_in(program, torch.bfloat16 if options.precision == "bf16" else signals)
    return Network(program, plan(program), sizes=options.limits.sizes, layers=layers, signals=signals)


def network_of(program: Program, options: CudaOptions) -> Network:
    """As it runs."""
    from snnhw_cuda.provider import TritonProvider

    provider = TritonProvider(options.limits, options.interpret)
    return replace(scheduled(program, options), provider=provider)
