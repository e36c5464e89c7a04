"""Who runs kernels, found by type of device."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from tensors_cases import leaky

import snnhw as snn
from snnhw import registry
from snnhw.errors import PluginUnavailable
from snnhw.passes import ScanKernel
from snnhw.tensors.scans.eager import EagerProvider
from snnhw.tensors.scans.installed import provider_for
from snnhw.tensors.scans.provider import Scan
from snnhw.tensors.scans.scan import run_scan

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    provider_for.cache_clear()
    yield
    provider_for.cache_clear()


def test_the_cpu_has_one_of_its_own() -> None:
    assert not isinstance(provider_for("cpu"), EagerProvider), "snnhw is not installed: pip install -e ."


def test_a_device_without_one_runs_step_by_step_in_torch() -> None:
    assert isinstance(provider_for("meta"), EagerProvider)


def test_one_that_cannot_be_loaded_is_a_warning_and_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(group: str, name: str) -> None:
        raise PluginUnavailable(f"{group} {name} needs numba")

    monkeypatch.setattr(registry, "load", broken)
    with pytest.warns(
        RuntimeWarning, match=r"neurons run step by step in torch.*snnhw.kernels cpu needs numba"
    ):
        assert isinstance(provider_for("cpu"), EagerProvider)


def test_a_kernel_is_compiled_once_for_each_kind_of_pass() -> None:
    class Counting(EagerProvider):
        compiled = 0

        def compile(self, kernel: ScanKernel, dtype: torch.dtype, device: torch.device) -> Scan:
            self.compiled += 1
            return super().compile(kernel, dtype, device)

    provider = Counting()
    for _ in range(3):
        params = {"beta": torch.tensor(0.9, requires_grad=True), "threshold": torch.tensor(1.0)}
        found, _ = run_scan(
            leaky().equations(),
            {"x": torch.randn(4, 2, 3)},
            params,
            {},
            steps=4,
            outputs=("spk",),
            provider=provider,
        )
        found["spk"].sum().backward()
    assert provider.compiled == 2


@pytest.mark.usefixtures("plain_torch")
def test_the_fixture_for_plain_torch_compiles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in a network that a backend runs, loops included, nor in neurons called step by step."""

    def refused(*_: object) -> None:
        raise AssertionError("a kernel was compiled")

    monkeypatch.setattr("snnhw_cpu.provider.compiled", refused)
    neurons = [snn.RLeaky(0.75, linear_features=3, init_hidden=True), snn.Leaky(0.75, init_hidden=True)]
    net, x = torch.nn.Sequential(torch.nn.Linear(3, 3), *neurons), torch.rand(4, 2, 3)
    with snn.compile(net, x[0], backend="cpu", time_steps=4) as model:
        found = model(x)
    torch.testing.assert_close(found, torch.stack([net(step) for step in x]))
