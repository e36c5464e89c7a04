"""Neurons of these tests run in plain torch: compiling kernels takes long, and is tested elsewhere."""

from __future__ import annotations

import pytest

from snnhw.tensors import scan
from snnhw.tensors.eager import EagerProvider

EAGER = EagerProvider()


@pytest.fixture
def installed_kernels() -> None:
    """Asked for by a test that is about the installed kernels after all."""


@pytest.fixture(autouse=True)
def _plain_torch(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "installed_kernels" not in request.fixturenames:
        monkeypatch.setattr(scan, "provider_for", lambda device: EAGER)
        monkeypatch.setattr("snnhw_cpu.provider.NumbaProvider", lambda: EAGER)
