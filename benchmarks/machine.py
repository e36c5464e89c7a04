"""What a result was measured on. No names of hosts or people, no paths."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

__all__ = ["machine", "versions"]

CPUINFO = Path("/proc/cpuinfo")
MEMINFO = Path("/proc/meminfo")


def machine() -> dict[str, object]:
    """The processor, and how much of it is used."""
    return {
        "cpu": _line(CPUINFO, "model name") or platform.processor() or platform.machine(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gb": _gigabytes(_line(MEMINFO, "MemTotal")),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Of what is installed among these."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _line(path: Path, key: str) -> str:
    """The value of ``key : value``; empty where there is none."""
    if not path.exists():
        return ""
    lines = (line.partition(":") for line in path.read_text().splitlines())
    return next((value.strip() for name, _, value in lines if name.strip() == key), "")


def _gigabytes(text: str) -> int | None:
    return round(int(text.split(maxsplit=1)[0]) / 2**20) if text else None
