"""Options, what is missing told with the line that mends it, and what explain shows."""

from __future__ import annotations

import re
import sys
from importlib import metadata
from typing import Any

import pytest
import torch
from cuda_calls import WITH_TRITON, backend

import snnhw as snn
from snnhw.errors import DeviceError, InputError
from snnhw.ir import MODELS, SGD, Input, L1Rate, Linear, Loss, Neuron, Term, sequential
from snnhw.options import build_options
from snnhw.plugin import Run, Train
from snnhw_cuda.explain import TITLE
from snnhw_cuda.limits import USUAL, Limits
from snnhw_cuda.options import CudaOptions
from snnhw_cuda.paths import PATHS
from snnhw_cuda.plugin import CudaBackend


def compiled(**options: object) -> snn.nn.Model:
    net = torch.nn.Sequential(torch.nn.Linear(3, 2), snn.Leaky(beta=0.9, init_hidden=True))
    return snn.compile(net, torch.zeros(4, 3), backend="cuda", time_steps=2, options=options)


# -- options -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["cpu", "cuda:", "cuda:x", "gpu", "0", "cuda:-1", " cuda"])
def test_a_device_that_is_none_is_refused(device: str) -> None:
    with pytest.raises(
        InputError, match=r"device: .* is no NVIDIA GPU as torch names them; accepted: cuda or"
    ):
        build_options(backend(), {"device": device})
    assert build_options(backend(), {"device": "cuda:1"}) == CudaOptions(device="cuda:1")


def test_every_limit_belongs_to_a_path_and_every_way_moves_one() -> None:
    moved = {field for path in PATHS.values() for way in path.ways.values() for field in way}
    assert moved == vars(USUAL).keys()
    assert backend().capabilities().paths.keys() == PATHS.keys()
    found = {CudaOptions(paths=f"{name}:{way}").limits for name, path in PATHS.items() for way in path.ways}
    assert len(found | {USUAL}) == 1 + sum(len(path.ways) for path in PATHS.values())


@pytest.mark.parametrize("way", ["blocks:small", "blocks:large"])
def test_a_block_is_a_power_of_two(way: str) -> None:
    block = CudaOptions(paths=way).limits.block
    assert block & (block - 1) == 0


# -- what is missing -----------------------------------------------------------------------------------


def absent(name: str) -> str:
    raise metadata.PackageNotFoundError(name)


@pytest.mark.parametrize(
    ("version", "status", "reason"),
    [
        (absent, "missing", "Triton is not installed"),
        (lambda _: "3.5.1", "broken", r"Triton 3\.5\.1 was not tried, 3\.6 to 3\.9 were"),
        (lambda _: "3.10.0", "broken", r"Triton 3\.10\.0 was not tried"),
        (lambda _: "4.0.0+git1234", "broken", r"Triton 4\.0\.0\+git1234 was not tried"),
    ],
)
def test_a_triton_that_was_not_tried_is_told(
    version: Any, status: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata, "version", version)
    for options in (CudaOptions(), CudaOptions(interpret=True)):
        found = options.probe()
        assert found.status == status
        assert re.match(reason, found.reason)
        assert found.install == 'pip install "triton>=3.6,<3.10"'
        with pytest.raises(DeviceError, match=f"backend 'cuda' cannot run here: {reason}.*To mend it: pip"):
            CudaBackend().compile(sequential({"x": Input((3,))}), {}, Run(1, {"x": (3,)}, 1, options=options))


@WITH_TRITON
@pytest.mark.parametrize(
    ("triton", "numpy", "status"),
    [
        ("3.6.0", "2.4.6", "broken"),
        ("3.6.1", "2.5.0", "broken"),
        ("3.6.0", "2.3.5", "ready"),
        ("3.7.0", "2.4.6", "ready"),
    ],
)
def test_an_interpreter_that_numpy_breaks_is_told(
    triton: str, numpy: str, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = {"triton": triton, "numpy": numpy}
    monkeypatch.setattr(metadata, "version", versions.__getitem__)
    found = CudaOptions(interpret=True).probe()
    assert found.status == status
    if status == "broken":
        assert found.reason == "Triton 3.6 interprets nothing beside NumPy 2.4 or newer"
        assert found.install == 'pip install "triton>=3.7,<3.10"   (or "numpy<2.4")'


@WITH_TRITON
def test_a_triton_that_does_not_load_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)
    found = CudaOptions(interpret=True).probe()
    assert found.status == "broken"
    assert found.reason.startswith("Triton does not load: ")


@WITH_TRITON
@pytest.mark.parametrize(
    ("cuda", "devices", "device", "reason"),
    [
        (None, 0, "cuda", "this torch has no CUDA"),
        ("13.0", 0, "cuda", "no NVIDIA GPU or driver"),
        ("13.0", 1, "cuda:1", "there is no cuda:1; 1 was found"),
        ("13.0", 2, "cuda:2", "there is no cuda:2; 2 were found"),
    ],
)
def test_a_device_that_is_not_there_is_told(
    cuda: str | None, devices: int, device: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: devices > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: devices)
    found = CudaOptions(device=device).probe()
    assert (found.status, found.reason) == ("no device", reason)
    assert found.install
    assert len(found.reason.split()) <= 7


@WITH_TRITON
def test_a_device_that_is_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: f"the device {number}")
    found = CudaOptions(device="cuda:1").probe()
    assert (found.status, found.device) == ("ready", "the device 1")


@WITH_TRITON
def test_results_of_the_interpreter_are_marked() -> None:
    model = compiled(interpret=True)
    assert "interpreted" in repr(model)
    assert CudaOptions(interpret=True).probe().device == "Triton's interpreter, on the CPU"


# -- what it runs --------------------------------------------------------------------------------------


def explained(**options: Any) -> Any:
    program = sequential({"x": Input((4,)), "fc": Linear(4, 3), "lif": Neuron(MODELS["Leaky"])})
    loss = Loss((Term(L1Rate(), of="lif.spk"),))
    options_ = CudaOptions(**options)
    job = Train(8, {"x": (4,)}, 2, options=options_, loss=loss, optimizer=SGD(lr=0.1))
    return CudaBackend().explain(program, job)


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Machine code takes seconds: `test_cuda_compiled.py` reads it."""
    monkeypatch.setattr("snnhw_cuda.explain._machine_code", lambda *_: (("read", "elsewhere"),))


@pytest.mark.usefixtures("uncompiled")
def test_explain_shows_triton_source_without_a_gpu() -> None:
    found = explained()
    assert found.sources
    for name, text in found.sources.items():
        assert "@triton.jit" in text, name
        assert "F = tl.constexpr(tl.float32)" in text
    assert {row[0] for row in found.tables["paths"][1:]} == PATHS.keys()
    assert "tl.float64)" in next(iter(explained(dtype="float64").sources.values()))


@pytest.mark.usefixtures("uncompiled")
def test_a_path_that_is_forced_is_seen_in_the_source() -> None:
    usual, single = (next(iter(explained(paths=p).sources.values())) for p in ("", "groups:single"))
    assert "x0_3 = tl.load" in usual
    assert "x0_3" not in single
    assert "x0_0 = tl.load" in single


def test_explain_says_what_is_missing_to_compile_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", absent)
    assert explained().tables[TITLE] == (
        ("nothing was compiled, because", "to mend it"),
        ("Triton is not installed", 'pip install "triton>=3.6,<3.10"'),
    )


def test_nothing_is_compiled_for_the_interpreter() -> None:
    assert TITLE not in explained(interpret=True).tables


@WITH_TRITON
def test_what_explain_shows_is_what_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    from snnhw_cuda import kernel, provider

    texts: set[str] = set()
    compiled_ = kernel.compiled

    def noted(source: str, name: str, **how: Any) -> Any:
        texts.add(source)
        return compiled_(source, name, **how)

    monkeypatch.setattr(provider, "compiled", noted)
    program = sequential({"x": Input((4,)), "fc": Linear(4, 3), "lif": Neuron(MODELS["Leaky"])})
    loss = Loss((Term(L1Rate(), of="lif.spk"),))
    options = CudaOptions(interpret=True)
    job = Train(8, {"x": (4,)}, 2, options=options, loss=loss, optimizer=SGD(lr=0.1))
    params = {key: torch.ones(spec.shape).numpy() for key, spec in program.params().items()}
    with CudaBackend().compile(program, params, job) as executable:
        executable.step({"x": torch.rand(8, 2, 4)}, {})
    assert texts == set(CudaBackend().explain(program, job).sources.values())


def test_products_in_bfloat16_are_asked_for_by_the_name_that_cpu_has() -> None:
    from snnhw_cuda.network import scheduled

    program = sequential({"x": Input((4,)), "fc": Linear(4, 3)}, train=False)
    assert not scheduled(program, CudaOptions()).layers
    assert scheduled(program, CudaOptions(precision="bf16")).layers.keys() == {"fc"}


def test_limits_say_how_a_network_is_divided() -> None:
    assert Limits(held=5, passing=6, derived=False).sizes.held == 5
