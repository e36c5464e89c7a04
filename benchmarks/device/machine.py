"""Which device, driver and releases a run stands on."""

from __future__ import annotations

import subprocess
from shutil import which
from typing import Any, Final

import torch

from benchmarks.machine import machine, versions
from benchmarks.measure import by_events
from benchmarks.place import Place

__all__ = ["PACKAGES", "bandwidth", "described"]

PACKAGES: Final = ("snnhw", "torch", "triton", "numpy", "numba", "snntorch", "spikingjelly")

COPIED: Final = 1 << 31
"""Bytes, of which a copy reads as many as it writes: far more than any cache."""


def described(place: Place) -> dict[str, Any]:
    """The host, the device and what is installed."""
    import snnhw

    found: dict[str, Any] = {
        "host": machine(),
        "versions": {"snnhw": snnhw.__version__, **versions(PACKAGES)},
    }
    if not place.is_gpu:
        return found | {"device": "none: Triton's interpreter, on the processor"}
    properties = torch.cuda.get_device_properties(place.device)
    return found | {
        "device": properties.name,
        "capability": f"{properties.major}.{properties.minor}",
        "processors": properties.multi_processor_count,
        "memory_gb": round(properties.total_memory / 2**30, 1),
        "driver": _driver(),
        "cuda": torch.version.cuda,
        "copy_gb_per_s": round(bandwidth() / 1e9),
    }


def bandwidth() -> float:
    """Bytes a second that a copy on the device reads and writes."""
    x = torch.ones(COPIED, dtype=torch.uint8, device="cuda")
    y = torch.empty_like(x)
    by_events(lambda: y.copy_(x), 3)
    calls = 10
    return 2 * COPIED * calls / by_events(lambda: y.copy_(x), calls)


def _driver() -> str:
    tool = which("nvidia-smi")
    if tool is None:
        return "unknown: there is no nvidia-smi"
    command = [tool, "--query-gpu=driver_version", "--format=csv,noheader"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)  # noqa: S603
    return done.stdout.strip().partition("\n")[0] or "unknown"
