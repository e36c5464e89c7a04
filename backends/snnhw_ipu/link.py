"""Reaching a session, in this process or in a worker: the same questions either way."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import lru_cache
from importlib import metadata
from typing import Any, Final, Protocol
from weakref import finalize

from snnhw.errors import DeviceError
from snnhw_ipu.options import IpuOptions
from snnhw_ipu.process import Worker, give_back, take
from snnhw_ipu.turns import Answer, Arrays, Turns

__all__ = ["PYTHON", "InWorker", "Link", "connect", "interpreter", "label"]

PYTHON: Final = "SNNHW_IPU_PYTHON"
"""Environment variable: the interpreter of the Poplar environment."""


class Link(Protocol):
    """A way to a session."""

    def ask(self, question: str, header: Mapping[str, Any], arrays: Arrays) -> Answer:
        """An answer of `snnhw_ipu.worker.session`, or `DeviceError`."""
        ...

    def close(self) -> None:
        """Let go of the device."""
        ...


class InWorker:
    """In a process of its own."""

    def __init__(self, python: str, timeout: float) -> None:
        self.worker: Worker = take(python)
        self._timeout = timeout

    def ask(self, question: str, header: Mapping[str, Any], arrays: Arrays) -> Answer:
        return self.worker.ask(question, header, arrays, timeout=self._timeout)

    def close(self) -> None:
        if self.worker.busy:  # with something that was interrupted
            self.worker.kill()
        elif self.worker.alive:
            self.ask("close", {}, {})
            give_back(self.worker)


class InProcess:
    """Here, where PopTorch can be imported beside snnhw; in a thread, which Ctrl-C does not reach."""

    def __init__(self) -> None:
        from snnhw_ipu.worker.session import Session  # imports torch

        self._session = Session()
        self._turns = Turns(self._session.ask, "an IPU in this process")
        finalize(self, self._turns.end)

    def ask(self, question: str, header: Mapping[str, Any], arrays: Arrays) -> Answer:
        found = self._turns.ask(question, header, arrays).get()
        if isinstance(found, BaseException):  # whatever PopTorch raises, it has many kinds
            raise DeviceError(f"the IPU failed: {type(found).__name__}: {found}") from found
        return found

    def close(self) -> None:
        self.ask("close", {}, {})


def interpreter(options: IpuOptions) -> str | None:
    """Whose worker is asked; None: PopTorch is imported here. The emulator is always in a worker."""
    chosen = options.python or os.environ.get(PYTHON)
    if chosen:
        return os.path.expanduser(chosen)  # noqa: PTH111  # a bare name stays one, to be found in PATH
    return sys.executable if options.emulate else None


def connect(options: IpuOptions) -> Link:
    """A session of one's own."""
    python = interpreter(options)
    return InProcess() if python is None else InWorker(python, options.timeout)


def label(options: IpuOptions) -> str:
    """What marks results: nothing on the real thing."""
    python = interpreter(options)
    if options.ipu_model:
        return "IPU model of the SDK"
    if not options.emulate or python is None:
        return ""
    torch, version = _versions(python)
    release = torch.partition("+")[0]  # which build, "+cpu" or "+cu130", metadata may not say
    return f"emulated on torch {release}, Python {version}"


@lru_cache(maxsize=8)
def _versions(python: str) -> tuple[str, str]:
    """Of torch and Python, where a worker runs."""
    if python == sys.executable:
        return metadata.version("torch"), ".".join(map(str, sys.version_info[:3]))
    worker = take(python)
    give_back(worker)
    return str(worker.hello["torch"]), str(worker.hello["python"])
