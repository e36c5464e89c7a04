"""Interpreted kernels compute what the CPU's do, in every bit where arithmetic defines it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from cuda_calls import WITH_TRITON
from torch import Tensor

from snnhw.errors import DeviceError
from snnhw.tensors.scans.provider import Provider
from snnhw.tensors.scans.scan import run_scan
from snnhw_cpu.provider import NumbaProvider
from snnhw_cuda.limits import INTERPRETED, Limits

sys.path.append(str(Path(__file__).parents[1] / "kernels"))

from kernel_pool import BATCH, POOL, WIDTH, Pooled, run, tensors_of

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


@pytest.mark.parametrize(
    ("steps", "dtype"),  # groups of four, and what they leave over
    [
        (3, torch.float32),
        (13, torch.float32),
        (7, torch.float64),
        pytest.param(1, torch.float32, marks=pytest.mark.slow),
        pytest.param(7, torch.float32, marks=pytest.mark.slow),
        pytest.param(13, torch.float64, marks=pytest.mark.slow),
    ],
)
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
@pytest.mark.parametrize("name", ["leaky-per-neuron", "synaptic"])
def test_no_limit_changes_a_bit(name: str, limits: Limits) -> None:
    compare(POOL[name], 13, torch.float32, limits)


def passed(
    pooled: Pooled, given: dict[str, Tensor], adjoints: list[Tensor], dtype: torch.dtype, provider: Provider
) -> dict[str, Tensor]:
    """Outputs, final states and all gradients, with signals and their adjoints of a dtype."""
    step = pooled.step
    leaves = {key: x.detach().to(dtype) if key in step.ports else x.detach() for key, x in given.items()}
    wanted = [leaves[key].requires_grad_() for key, x in given.items() if x.requires_grad]
    outputs, ends = run_scan(
        step,
        {port: leaves[port] for port in step.ports},
        {name: leaves[name] for name in (*step.params, *step.tables)},
        {state.name: leaves[state.name] for state in step.states},
        steps=3,
        outputs=pooled.outputs,
        static=pooled.static,
        provider=provider,
    )
    narrow = [adjoint.to(dtype) for adjoint in adjoints]
    grads = torch.autograd.grad([*outputs.values()], wanted, narrow[: len(outputs)])
    names = [f"d {key}" for key, x in given.items() if x.requires_grad]
    return {**outputs, **{f"end {key}": x for key, x in ends.items()}, **dict(zip(names, grads, strict=True))}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", ["leaky", "leaky-static", "leaky-quantised", "synaptic", "adaptive"])
def test_narrow_signals_are_those_of_float32_rounded_once(name: str, dtype: torch.dtype) -> None:
    """States, their gradients and those of parameters are float32's in every bit. What a GPU rounds to
    bfloat16 is rounded by torch here, as the interpreter does not."""
    from snnhw_cuda.provider import TritonProvider

    pooled, given = POOL[name], tensors_of(POOL[name], 3)
    for port in pooled.step.ports:
        given[port] = given[port].detach().to(dtype).float().requires_grad_()
    adjoints = [torch.randn(3, BATCH, WIDTH).to(dtype).float() for _ in pooled.outputs]
    ours = passed(pooled, given, adjoints, dtype, TritonProvider(INTERPRETED, interpreted=True))
    theirs = passed(pooled, given, adjoints, torch.float32, NumbaProvider())
    signals = {*pooled.outputs, *(f"d {port}" for port in pooled.step.ports)}
    assert {key for key, x in ours.items() if x.dtype == dtype} == signals
    assert all(torch.equal(x, theirs[key].to(x.dtype)) for key, x in ours.items())


@pytest.mark.slow
@pytest.mark.parametrize("name", POOL)
def test_many_steps_go_chunk_by_chunk(name: str) -> None:
    compare(POOL[name], 70, torch.float32)


def test_a_kernel_that_fails_leaves_its_source_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from snnhw_cuda.kernel import Kernel

    class Refuses:
        def __getitem__(self, _: object) -> Refuses:
            return self

        def __call__(self, *_: object, **options: object) -> None:
            raise RuntimeError(f"no room for BLOCK={options['BLOCK']}")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    kernel = Kernel("its source", "forward", Refuses(), interpreted=False)
    for _ in range(2):
        with pytest.raises(DeviceError, match=r"does not run this forward kernel.* no room for BLOCK=32\."):
            kernel(1, [], BLOCK=32)
    (file,) = tmp_path.iterdir()
    assert file.read_text() == "its source"
