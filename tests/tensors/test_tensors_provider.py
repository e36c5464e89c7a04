"""Who runs kernels, found by type of device."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from tensors_cases import leaky

from snnhw import registry
from snnhw.errors import PluginUnavailable
from snnhw.passes import ScanKernel
from snnhw.tensors import Scan, run_scan
from snnhw.tensors.eager import EagerProvider
from snnhw.tensors.provider import provider_for

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
            leaky().step(),
            {"x": torch.randn(4, 2, 3)},
            params,
            {},
            steps=4,
            outputs=("spk",),
            provider=provider,
        )
        found["spk"].sum().backward()  # type: ignore[no-untyped-call]  # torch's own
    assert provider.compiled == 2
