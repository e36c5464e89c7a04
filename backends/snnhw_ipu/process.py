"""Workers in processes of their own: started, asked, kept for the next program, and ended.

Whatever goes wrong ends in one `DeviceError` that says what happened and shows the last lines that the
worker wrote to standard error. After that the worker is gone.
"""

from __future__ import annotations

import atexit
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, Final
from weakref import WeakSet, finalize

from snnhw.errors import DeviceError
from snnhw_ipu.channel import Channel
from snnhw_ipu.turns import Answer, Arrays
from snnhw_ipu.worker.frames import PROTOCOL

__all__ = ["Worker", "give_back", "take"]

FOLDER: Final = Path(__file__).with_name("worker")

START: Final = 180.0
"""Seconds a worker has to say hello: importing torch from a cold disk is slow."""


class Worker:
    """A running worker. One that nobody refers to any more is ended.

    Args:
        python: the interpreter of its environment.
        command: in place of it and the worker's own folder, for tests.

    Raises:
        DeviceError: it did not start, or is not one of ours.
    """

    def __init__(self, python: str, command: list[str] | None = None) -> None:
        self.python = python
        pipe = subprocess.PIPE
        try:
            process = subprocess.Popen(  # noqa: S603  # the interpreter is the user's choice
                command or [python, str(FOLDER)], stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0
            )
        except OSError as error:
            raise DeviceError(
                f"the IPU worker cannot be started: {error}; give the interpreter of your Poplar environment "
                "as option python=... or in SNNHW_IPU_PYTHON"
            ) from error
        self._channel = Channel(python, process)
        finalize(self, self._channel.end)
        _all.add(self)
        self.hello, _ = self.ask("hello", {}, {}, timeout=START)
        if self.hello.get("protocol") != PROTOCOL:
            self.kill()
            spoken = self.hello.get("protocol")
            raise DeviceError(f"the IPU worker speaks protocol {spoken}, not {PROTOCOL}; reinstall snnhw")

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._channel.process.pid

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._channel.alive

    @property
    def busy(self) -> bool:
        """Whether it still works on an answer that nobody waits for."""
        return self._channel.busy

    def ask(self, question: str, header: Mapping[str, Any], arrays: Arrays, *, timeout: float) -> Answer:
        """The answer to one question of `snnhw_ipu.worker.session`.

        Interrupted by Ctrl-C, it leaves the worker to finish the answer; the next question waits for that.

        Raises:
            DeviceError: there is none; the worker's own error is told, and is the cause.
        """
        return self._channel.ask(question, header, arrays, timeout)

    def kill(self) -> None:
        """End it now."""
        self._channel.end()


# -- keeping workers -----------------------------------------------------------------------------------

KEPT: Final = 2
"""Idle workers of one interpreter: starting one takes seconds, most of them importing torch."""

_all: WeakSet[Worker] = WeakSet()
_idle: dict[str, list[Worker]] = {}
_lock = Lock()


def take(python: str) -> Worker:
    """A worker that does nothing else: an idle one, if it still answers, or a new one."""
    while (worker := _waiting(python)) is not None:
        with suppress(DeviceError):
            worker.ask("hello", {}, {}, timeout=START)
            return worker
    return Worker(python)


def _waiting(python: str) -> Worker | None:
    with _lock:
        waiting = _idle.get(python, [])
        while waiting:
            worker = waiting.pop()
            if worker.alive:
                return worker
    return None


def give_back(worker: Worker) -> None:
    """Keep a worker that holds nothing any more for the next one who asks."""
    with _lock:
        waiting = _idle.setdefault(worker.python, [])
        if worker.alive and len(waiting) < KEPT:
            waiting.append(worker)
            return
    worker.kill()


@atexit.register
def _end_all() -> None:
    for worker in list(_all):
        worker.kill()
