"""One conversation with one process: questions and answers through its pipes, in a thread of its own.

The thread is what makes Ctrl-C harmless: who asked stops waiting, the answer is still read to its end, and
the next question finds the worker, and all it has learnt, as they are. Nothing here refers to the `Worker`
that owns it, so that one that nobody holds any more is ended.
"""

from __future__ import annotations

import os
import subprocess
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Lock, Thread
from typing import IO, Any, Final, NamedTuple

import numpy.typing as npt

from snnhw.errors import DeviceError
from snnhw_ipu.worker.frames import FrameError, read_frame, write_frame

__all__ = ["Answer", "Arrays", "Channel"]

LINES: Final = 12
"""Of standard error, in a message."""

Arrays = Mapping[str, npt.NDArray[Any]]
Answer = tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]


class _Question(NamedTuple):
    name: str
    header: Mapping[str, Any]
    arrays: Arrays
    answer: Future[Answer]


@dataclass
class Channel:
    """The pipes of a running process.

    Attributes:
        python: the interpreter, for messages.
        process: with all three pipes, unbuffered.
        owner: the process that started it; in a fork of that one it is not there.
        waiting: how many questions have no answer yet.
        limit: seconds after which somebody gave up, and ended it.
        last: why it is gone, once it is.
    """

    python: str
    process: subprocess.Popen[bytes]
    owner: int = field(default_factory=os.getpid)
    waiting: int = 0
    limit: float | None = None
    last: str = ""
    _errors: deque[str] = field(default_factory=lambda: deque(maxlen=LINES))
    _questions: SimpleQueue[_Question | None] = field(default_factory=SimpleQueue)
    _gate: Lock = field(default_factory=Lock)

    def start(self) -> None:
        """Begin to talk."""
        self._listener = Thread(target=self._listen, name="stderr of an IPU worker", daemon=True)
        self._listener.start()
        Thread(target=self._talk, name="questions to an IPU worker", daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self.owner == os.getpid() and not self.last and self.process.poll() is None

    def ask(self, question: str, header: Mapping[str, Any], arrays: Arrays, timeout: float) -> Answer:
        """The answer, after those to earlier questions; raises `DeviceError` where there is none."""
        if self.owner != os.getpid():
            raise DeviceError(
                "an IPU worker answers only the process that started it, and this one is a fork of that; "
                "compile the program here"
            )
        answer: Future[Answer] = Future()
        with self._gate:
            if self.last:
                raise DeviceError(self.last)
            self.waiting += 1
            self._questions.put(_Question(question, header, arrays, answer))
        try:
            return answer.result(timeout)
        except TimeoutError:
            self.limit = timeout
            self.process.kill()
            return answer.result()

    def end(self) -> None:
        """End the process now; in a fork, leave it to its owner."""
        if self.owner == os.getpid():
            self.process.kill()
            self.process.wait()
            self._questions.put(None)

    # -- the thread ---------------------------------------------------------------------------------

    def _talk(self) -> None:
        while not self.last:
            question = self._questions.get()
            if question is None:
                self.last = f"the IPU worker ({self.python}) was ended"
            else:
                self._answer(question)
        self.process.kill()
        self.process.wait()
        self._listener.join(1.0)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()
        with self._gate:  # nobody asks any more
            while not self._questions.empty():
                late = self._questions.get()
                if late is not None:
                    late.answer.set_exception(DeviceError(self.last))

    def _answer(self, question: _Question) -> None:
        try:
            found = self._exchange(question)
        except BaseException as error:  # noqa: BLE001  # it is for the one who asked
            self._done()
            question.answer.set_exception(error)
        else:
            self._done()
            question.answer.set_result(found)

    def _done(self) -> None:
        with self._gate:
            self.waiting -= 1

    def _exchange(self, question: _Question) -> Answer:
        try:
            write_frame(self._write, {**question.header, "ask": question.name}, question.arrays)
            answer, results = read_frame(self._read)
        except (EOFError, OSError, FrameError) as error:
            if not isinstance(error, FrameError):
                self._last_words()
            self.process.kill()
            self.process.wait()
            self._listener.join(1.0)
            self.last = self._obituary(question.name, error)
            raise DeviceError(self.last) from error
        if not answer.pop("ok", False):
            cause = RuntimeError(str(answer.get("trace", "")))
            text = f"{answer.get('kind', 'Error')}: {answer.get('text', '')}"
            raise DeviceError(f"the IPU worker failed: {text}") from cause
        return answer, results

    def _last_words(self) -> None:
        """One that has closed its pipes is about to end, and how it ends is worth knowing."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(5.0)

    def _obituary(self, question: str, error: Exception) -> str:
        code = self.process.returncode
        if self.limit is not None:
            what = (
                f"did not answer '{question}' in {self.limit:g} s and was ended; "
                "option timeout=... waits longer"
            )
        elif isinstance(error, FrameError):
            what = f"wrote something that is no answer ({error}) and was ended"
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
