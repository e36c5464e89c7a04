"""Kernels as `ScanLoop`s, to be compiled and read: those of the pool, and those of the conformance suite."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import torch
from cuda_calls import backend
from torch import Tensor

from snnhw import lowering
from snnhw.check import prepared
from snnhw.conformance.suite import all_cases
from snnhw.passes import ScanKernel, ScanLoop, backward_loop, forward_loop
from snnhw.tensors.network import uses
from snnhw.tensors.scans.printed import Launch
from snnhw_cuda.limits import USUAL
from snnhw_cuda.network import scheduled
from snnhw_cuda.options import CudaOptions
from snnhw_cuda.provider import TritonProvider
from snnhw_cuda.triton_source import source

sys.path.append(str(Path(__file__).parents[1] / "kernels"))

from kernel_pool import POOL, run, tensors_of

__all__ = ["of_the_pool", "of_the_suite"]


@dataclass(frozen=True)
class Noting(TritonProvider):
    """Notes what would be compiled, and runs nothing."""

    noted: list[ScanLoop] = field(default_factory=list, compare=False)

    def compiled(self, loop: ScanLoop, dtype: torch.dtype) -> Launch:
        def launch(tensors: Sequence[Tensor], *_: object) -> None:
            self.noted.append(loop)
            for argument, tensor in zip(loop.arguments, tensors, strict=True):
                if argument.letter == "V":  # sums are added up behind the kernel: what memory held may be NaN
                    tensor.zero_()

        return launch

    def empty(self, *shape: int, like: Tensor) -> Tensor:
        return like.new_zeros(shape)


@lru_cache
def of_the_pool(name: str) -> tuple[ScanLoop, ScanLoop]:
    """The forward and the backward pass of one scan of the pool."""
    provider = Noting()
    run(POOL[name], tensors_of(POOL[name], 2), 2, provider)
    forward, backward = provider.noted
    return forward, backward


@lru_cache
def of_the_suite() -> dict[str, ScanLoop]:
    """Every structure: where it is first used -> the pass. Programs of integers are none of the backend's."""
    plugin = backend()
    assert not plugin.capabilities().integers
    found: dict[str, tuple[str, ScanLoop]] = {}
    for lazy in all_cases():
        case = lazy.make()
        if case.program.formats:
            continue
        job = lowering.make_job(
            plugin,
            case.program,
            time_steps=case.time_steps,
            batch=case.batch,
            loss=case.loss,
            optimizer=case.optimizer,
            record=case.record,
        )
        network = scheduled(prepared(case.program, plugin.capabilities()), CudaOptions())
        for use in uses(network if case.loss is None else network.trained(), job):
            assert isinstance(use.kernel, ScanKernel)
            loop = (backward_loop if use.backward else forward_loop)(use.kernel)
            text = source(loop, "float32", USUAL.group)
            found.setdefault(text, (f"{lazy.id} {use.node} {loop.name}", loop))
    return dict(found.values())
