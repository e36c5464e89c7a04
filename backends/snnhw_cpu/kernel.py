"""Compiled kernels: called with addresses, the interpreter lock let go."""

from __future__ import annotations

import ctypes
import logging
import sys
import time
from collections.abc import Callable
from threading import Lock

__all__ = ["COMPILED", "Kernel", "compiled"]

LOG = logging.getLogger("snnhw.cpu")

COMPILED: list[str] = []
"""What this process had to compile because no cache held it, for tests that bound it."""


class Kernel:
    """One emitted function. Calling it with addresses through ctypes costs microseconds, and lets
    other threads run meanwhile.

    Attributes:
        call: takes numbers, as `snnhw_cpu.numba_pieces.function` says, or whoever else printed it.
    """

    def __init__(self, source: str, name: str) -> None:
        from snnhw_cpu.compiling import load_module  # imports numba

        before = time.perf_counter()
        found = getattr(load_module(source, name), name)
        if found.fresh:
            COMPILED.append(name)
            seconds = time.perf_counter() - before
            kept = "; it is kept for next time" if found.kept else ""
            _tell(f"compiled a {name} kernel in {seconds:.1f} s{kept}")
        self._function = found.function  # holds the code
        count = len(found.function._sig.args)  # numba offers no public way to ask
        kind = ctypes.CFUNCTYPE(None, *[ctypes.c_size_t] * count)
        self.call: Callable[..., None] = kind(found.function.address)

    @property
    def address(self) -> int:
        """Of the code, for other kernels that call it."""
        return int(self._function.address)


def _tell(text: str) -> None:
    """Waiting should have a reason that one can see; a log file gets it in any case."""
    LOG.info(text)
    if sys.stderr.isatty():
        sys.stderr.write(f"snnhw: {text}\n")


_LOCK = Lock()


_KERNELS: dict[tuple[str, str], Kernel] = {}


def compiled(source: str, name: str) -> Kernel:
    """One function of a source; equal sources share it."""
    with _LOCK:
        if (source, name) not in _KERNELS:
            _KERNELS[source, name] = Kernel(source, name)
        return _KERNELS[source, name]
