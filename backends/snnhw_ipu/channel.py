"""One conversation with one process: questions and answers through its pipes.

Nothing here refers to the `Worker` that owns it, so that one that nobody holds any more is ended.
"""

from __future__ import annotations

import os
import subprocess
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from queue import Empty
from threading import Thread
from typing import IO, Any, Final

from snnhw.errors import DeviceError
from snnhw_ipu.turns import Answer, Arrays, Turns
from snnhw_ipu.worker.frames import FrameError, read_frame, write_frame

__all__ = ["Channel"]

LINES: Final = 12
"""Of standard error, in a message."""

ENDING: Final = 60.0
"""Seconds in which a process that has closed its pipes ends by itself; on a busy machine, it takes some."""


class Channel:
    """The pipes of a running process.

    Attributes:
        process: with all three pipes, unbuffered.
        last: why it is gone, once it is.

    Args:
        python: the interpreter, for messages.
    """

    def __init__(self, python: str, process: subprocess.Popen[bytes]) -> None:
        self.python, self.process = python, process
        self.owner = os.getpid()  # in a fork of this process it is not there
        self.limit: float | None = None  # seconds after which somebody gave up, and ended it
        self.hung = False  # whether it had closed its pipes, and was ended for not ending
        self.last = ""
        self._errors: deque[str] = deque(maxlen=LINES)
        self._listener = Thread(target=self._listen, name="stderr of an IPU worker", daemon=True)
        self._listener.start()
        self._turns = Turns(self._exchange, "questions to an IPU worker", self._let_go)

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self.owner == os.getpid() and not self.last and self.process.poll() is None

    @property
    def busy(self) -> bool:
        """Whether it still works on an answer."""
        return self._turns.busy

    def ask(self, question: str, header: Mapping[str, Any], arrays: Arrays, timeout: float) -> Answer:
        """The answer, after those to earlier questions; raises `DeviceError` where there is none."""
        if self.owner != os.getpid():
            raise DeviceError(
                "an IPU worker answers only the process that started it, and this one is a fork of that; "
                "compile the program here"
            )
        if self.last:
            raise DeviceError(self.last)
        box = self._turns.ask(question, header, arrays)
        try:
            found = box.get(timeout=timeout)
        except Empty:
            self.limit = timeout
            self.process.kill()
            found = box.get()
        if isinstance(found, BaseException):
            raise found
        return found

    def end(self) -> None:
        """End the process now; in a fork, leave it to its owner."""
        if self.owner == os.getpid():
            self.last = self.last or f"the IPU worker ({self.python}) was ended"
            self.process.kill()
            self.process.wait()
            self._turns.end()

    # -- in the thread that answers -----------------------------------------------------------------

    def _exchange(self, question: str, header: Mapping[str, Any], arrays: Arrays) -> Answer:
        if self.last:
            raise DeviceError(self.last)
        try:
            write_frame(self._write, {**header, "ask": question}, arrays)
            answer, results = read_frame(self._read)
        except (EOFError, OSError, FrameError) as error:
            if not isinstance(error, FrameError):
                self._last_words()
            self._let_go()
            self.last = self._obituary(question, error)
            raise DeviceError(self.last) from error
        if not answer.pop("ok", False):
            cause = RuntimeError(str(answer.get("trace", "")))
            text = f"{answer.get('kind', 'Error')}: {answer.get('text', '')}"
            raise DeviceError(f"the IPU worker failed: {text}") from cause
        return answer, results

    def _let_go(self) -> None:
        """End the process, if it has not ended by itself, and close its pipes."""
        self.process.kill()
        self.process.wait()
        self._listener.join(10.0)  # what a child of its own holds open is not waited for
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            _open(pipe).close()

    def _last_words(self) -> None:
        """One that has closed its pipes is about to end, and how it ends is worth knowing."""
        try:
            self.process.wait(ENDING)
        except subprocess.TimeoutExpired:
            self.hung = True

    def _obituary(self, question: str, error: Exception) -> str:
        code = self.process.returncode
        if self.limit is not None:
            what = (
                f"did not answer '{question}' in {self.limit:g} s and was ended; "
                "option timeout=... waits longer"
            )
        elif isinstance(error, FrameError):
            what = f"wrote something that is no answer ({error}) and was ended"
        elif self.hung:
            what = (
                f"closed its pipes while it was asked '{question}', did not end within {ENDING:g} s, and was "
                "ended"
            )
        elif code < 0:
            what = f"was killed by signal {-code} while it was asked '{question}'"
        else:
            what = f"ended with status {code} while it was asked '{question}'"
        last = "\n".join(f"    {line}" for line in self._errors) or "    (nothing)"
        return f"the IPU worker ({self.python}) {what}. The last it wrote to standard error:\n{last}"

    # -- pipes --------------------------------------------------------------------------------------

    def _write(self, data: bytes) -> None:
        view, pipe = memoryview(data), _open(self.process.stdin)
        while view:
            view = view[pipe.write(view) or 0 :]

    def _read(self, size: int) -> bytes:
        found, pipe = bytearray(), _open(self.process.stdout)
        while len(found) < size:
            piece = pipe.read(size - len(found))
            if not piece:
                raise EOFError
            found += piece
        return bytes(found)

    def _listen(self) -> None:
        with suppress(OSError, ValueError):  # closed, while the process is ended
            for line in _open(self.process.stderr):
                self._errors.append(line.decode("utf-8", "replace").rstrip())


def _open(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe
