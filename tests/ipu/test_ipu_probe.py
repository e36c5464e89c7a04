"""Every way in which PopTorch may fail to start, told apart, each with the line that mends it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType

import pytest

from snnhw_ipu.options import IpuOptions
from snnhw_ipu.probe import FINDINGS, probe


class Broken:
    """A finder for a module ``poptorch`` whose import fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def find_spec(self, name: str, path: object = None, target: object = None) -> object:
        return importlib.util.spec_from_loader(name, self) if name == "poptorch" else None  # type: ignore[arg-type]

    def create_module(self, spec: object) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        raise self.error


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SNNHW_IPU_PYTHON", raising=False)
    for name in ("POPTORCH_IPU_MODEL", "POPTORCH_SMALL_IPU_MODEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delitem(sys.modules, "poptorch", raising=False)


TORCH = "This version of PopTorch only works with torch==2.0.1 but the version installed is 2.6.0"


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("error", "status", "detail", "mend"),
    [
        (
            ModuleNotFoundError("No module named 'poptorch'", name="poptorch"),
            "missing",
            "PyPI",
            "SNNHW_IPU_PYTHON",
        ),
        (AssertionError(TORCH), "broken", "only works with torch==2.0.1", "torch==2.0.1"),
        (ImportError("Unable to import PopTorch"), "broken", "SDK is not enabled", "enable.sh"),
        (OSError("libpoplar.so: cannot open"), "broken", "libpoplar.so", "enable.sh"),
        (ModuleNotFoundError("No module named 'popart'", name="popart"), "broken", "popart", "enable.sh"),
        (RuntimeError("odd"), "broken", "RuntimeError: odd", "enable.sh"),
    ],
)
def test_imports_that_fail(
    monkeypatch: pytest.MonkeyPatch, error: Exception, status: str, detail: str, mend: str
) -> None:
    monkeypatch.setattr(sys, "meta_path", [Broken(error), *sys.meta_path])
    found = probe(IpuOptions())
    assert found.status == status
    assert detail in found.reason
    assert mend in found.install


def installed(available: Callable[[], bool]) -> ModuleType:
    module = ModuleType("poptorch")
    module.__dict__.update(__version__="3.4.0", ipuHardwareIsAvailable=available)
    return module


def _raises() -> bool:
    raise RuntimeError("no driver")


@pytest.mark.usefixtures("here")
def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "poptorch", installed(lambda: True))
    assert probe(IpuOptions()).ready
    assert probe(IpuOptions()).version == "poptorch 3.4.0"
    monkeypatch.setitem(sys.modules, "poptorch", installed(_raises))
    assert "no driver" in probe(IpuOptions()).reason
    monkeypatch.setitem(sys.modules, "poptorch", installed(lambda: False))
    assert probe(IpuOptions()).status == "no device"
    assert "POPTORCH_IPU_MODEL=1" in probe(IpuOptions()).install
    assert probe(IpuOptions(ipu_model=True)).ready
    monkeypatch.setenv("POPTORCH_IPU_MODEL", "1")
    assert probe(IpuOptions()).device == "IPU model (the SDK's simulator)"


def test_every_finding_has_a_line_that_mends_it() -> None:
    assert all(finding.install for finding in FINDINGS.values() if finding.status != "ready")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"replication": 3}, "powers of two"),
        ({"gradient_accumulation": 0}, "gradient_accumulation is 0; give a whole number, 1 or more"),
        ({"device_iterations": -1}, "device_iterations is -1"),
        ({"available_memory": 1.5}, "give a share between 0 and 1"),
        ({"seed": -1}, "seed is -1"),
        ({"sync_every": -1}, "sync_every is -1"),
        ({"timeout": 0.0}, "timeout is 0"),
        ({"emulate": True, "ipu_model": True}, "exclude each other"),
    ],
)
def test_options_that_cannot_be(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        IpuOptions(**options)  # type: ignore[arg-type]
