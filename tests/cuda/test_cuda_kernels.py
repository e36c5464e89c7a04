"""Interpreted kernels compute what the CPU's do, in every bit where arithmetic defines it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from cuda_calls import WITH_TRITON

from snnhw_cpu.provider import NumbaProvider
from snnhw_cuda.limits import INTERPRETED, Limits

sys.path.append(str(Path(__file__).parents[1] / "kernels"))

from kernel_pool import POOL, Pooled, run, tensors_of

pytestmark = WITH_TRITON

OWN_FUNCTIONS = {torch.float32: 2e-6, torch.float64: 1e-13}
"""exp, log, tanh and others differ between libraries by a few units in the last place."""

NUMBER_GRADIENTS = 1e-14
"""The order of a sum over a layer, in float64."""


def compare(pooled: Pooled, steps: int, dtype: torch.dtype, limits: Limits = INTERPRETED) -> None:
    from snnhw_cuda.provider import TritonProvider

    given = tensors_of(pooled, steps, dtype)
    ours = run(pooled, given, steps, TritonProvider(limits, interpreted=True))
    theirs = run(pooled, given, steps, NumbaProvider())
    assert ours.keys() == theirs.keys()
    for key, x in ours.items():
        if pooled is POOL["pointwise"]:
            torch.testing.assert_close(x, theirs[key], rtol=OWN_FUNCTIONS[dtype], atol=OWN_FUNCTIONS[dtype])
        elif x.ndim == 0 and dtype == torch.float64:
            torch.testing.assert_close(x, theirs[key], rtol=NUMBER_GRADIENTS, atol=0)
        else:
            assert torch.equal(x, theirs[key]), key


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("steps", [1, 3, 7, 13])  # groups of four, and what they leave over
@pytest.mark.parametrize("name", POOL)
def test_a_kernel_equals_the_cpus(name: str, steps: int, dtype: torch.dtype) -> None:
    compare(POOL[name], steps, dtype)


@pytest.mark.parametrize(
    "limits",
    [
        Limits(block=512),  # more programs than one row fills evenly
        Limits(group=1, block=4096),
        Limits(group=8, block=4096),
        Limits(chunk=1, block=4096),
        Limits(chunk=3, block=4096),
        Limits(chunk=5, block=4096, group=3),
        Limits(narrow=1 << 62, block=4096),
    ],
    ids=lambda limits: ",".join(f"{k}={v}" for k, v in vars(limits).items() if v != vars(Limits())[k]),
)
@pytest.mark.parametrize("name", ["leaky", "leaky-per-neuron", "synaptic"])
def test_no_limit_changes_a_bit(name: str, limits: Limits) -> None:
    compare(POOL[name], 13, torch.float32, limits)


@pytest.mark.slow
@pytest.mark.parametrize("name", POOL)
def test_many_steps_go_chunk_by_chunk(name: str) -> None:
    compare(POOL[name], 70, torch.float32)
