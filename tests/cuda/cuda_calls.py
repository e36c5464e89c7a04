"""What the tests of the CUDA backend need: they run where Triton is installed, GPU or not."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

import pytest

from snnhw import registry
from snnhw.plugin import BACKENDS, Backend

__all__ = ["INTERPRET", "WITH_TRITON", "backend"]

WITH_TRITON: Final = pytest.mark.skipif(
    find_spec("triton") is None, reason="Triton is not installed; it is there for Linux on x86-64 alone"
)

INTERPRET: Final = {"interpret": True}


def backend() -> Backend:
    found: Backend = registry.load(BACKENDS, "cuda")
    return found
