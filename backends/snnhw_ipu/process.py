"""A worker in a process of its own: started, asked, and told apart from a dead one.

Whatever goes wrong ends in one `DeviceError` that says what happened and shows the last lines that the
worker wrote to standard error. After that the worker is gone.
"""

from __future__ import annotations

import atexit
import subprocess
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock, Thread, Timer
from typing import Any, Final

import numpy.typing as npt

from snnhw.errors import DeviceError
from snnhw_ipu.worker.frames import PROTOCOL, FrameError, read_frame, write_frame

__all__ = ["Answer", "Worker", "give_back", "take"]

FOLDER: Final = Path(__file__).with_name("worker")
LINES: Final = 12
"""Of standard error, in a message."""

START: Final = 180.0
"""Seconds a worker has to say hello: importing torch from a cold disk is slow."""

Arrays = Mapping[str, npt.NDArray[Any]]
Answer = tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]


class Worker:
    """A running worker.

    Args:
        python: the interpreter of its environment.
        command: in place of it and the worker's own folder, for tests.

    Raises:
        DeviceError: it did not start, or is not one of ours.
    """

    def __init__(self, python: str, command: list[str] | None = None) -> None:
        self.python = python
        self._errors: deque[str] = deque(maxlen=LINES)
        self._expired = False
        pipe = subprocess.PIPE
        try:
            self._process = subprocess.Popen(  # noqa: S603  # the interpreter is the user's choice
                command or [python, str(FOLDER)], stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0
            )
        except OSError as error:
            raise DeviceError(
                f"the IPU worker cannot be started: {error}; give the interpreter of your Poplar environment "
                "as option python=... or in SNNHW_IPU_PYTHON"
            ) from error
        self._listener = Thread(target=self._listen, name="stderr of an IPU worker", daemon=True)
        self._listener.start()
        self.hello, _ = self.ask("hello", {}, {}, timeout=START)
        if self.hello.get("protocol") != PROTOCOL:
            self.kill()
            spoken = self.hello.get("protocol")
            raise DeviceError(f"the IPU worker speaks protocol {spoken}, not {PROTOCOL}; reinstall snnhw")

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def ask(self, question: str, header: Mapping[str, Any], arrays: Arrays, *, timeout: float) -> Answer:
        """The answer to one question of `snnhw_ipu.worker.session`.

        Raises:
            DeviceError: there is none; the worker's own error is told, and is the cause.
        """
        watch = Timer(timeout, self._expire)
        watch.daemon = True
        watch.start()
        try:
            assert self._process.stdin is not None
            write_frame(self._write, {**header, "ask": question}, arrays)
            answer, results = read_frame(self._read)
        except (EOFError, OSError, FrameError) as error:
            if not isinstance(error, FrameError):
                self._last_words()
            self.kill()
            raise DeviceError(self._obituary(question, error, timeout)) from error
        except BaseException:  # Ctrl-C in the middle of an answer: the rest of it must not meet the next one
            self.kill()
            raise
        finally:
            watch.cancel()
        if not answer.pop("ok", False):
            cause = RuntimeError(str(answer.get("trace", "")))
            text = f"{answer.get('kind', 'Error')}: {answer.get('text', '')}"
            raise DeviceError(f"the IPU worker failed: {text}") from cause
        return answer, results

    def kill(self) -> None:
        """End it now."""
        self._process.kill()
        self._process.wait()
        self._listener.join(1.0)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _last_words(self) -> None:
        """One that has closed its pipes is about to end, and how it ends is worth knowing."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5.0)

    def _expire(self) -> None:
        self._expired = True
        self._process.kill()

    def _write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        view = memoryview(data)
        while view:
            view = view[self._process.stdin.write(view) or 0 :]

    def _read(self, size: int) -> bytes:
        assert self._process.stdout is not None
        found = bytearray()
        while len(found) < size:
            piece = self._process.stdout.read(size - len(found))
            if not piece:
                raise EOFError
            found += piece
        return bytes(found)

    def _listen(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._errors.append(line.decode("utf-8", "replace").rstrip())

    def _obituary(self, question: str, error: Exception, timeout: float) -> str:
        code = self._process.returncode
        if self._expired:
            what = (
                f"did not answer '{question}' in {timeout:g} s and was ended; option timeout=... waits longer"
            )
        elif isinstance(error, FrameError):
            what = f"wrote something that is no answer ({error}) and was ended"
        elif code < 0:
            what = f"was killed by signal {-code} while it was asked '{question}'"
        else:
            what = f"ended with status {code} while it was asked '{question}'"
        last = "\n".join(f"    {line}" for line in self._errors) or "    (nothing)"
        return f"the IPU worker ({self.python}) {what}. The last it wrote to standard error:\n{last}"


# -- keeping workers -----------------------------------------------------------------------------------

KEPT: Final = 2
"""Idle workers of one interpreter: starting one takes seconds, most of them importing torch."""

_idle: dict[str, list[Worker]] = {}
_lock = Lock()


def take(python: str) -> Worker:
    """A worker that does nothing else: an idle one, or a new one."""
    with _lock:
        waiting = _idle.get(python, [])
        while waiting:
            worker = waiting.pop()
            if worker.alive:
                return worker
    return Worker(python)


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
    with _lock:
        workers = [worker for waiting in _idle.values() for worker in waiting]
        _idle.clear()
    for worker in workers:
        worker.kill()
