"""A session behind pipes."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from typing import Any, Callable

from .frames import FrameError, read_frame, write_frame
from .session import Session

__all__ = ["serve"]


def serve() -> None:
    """Answer questions from standard input until it is closed.

    What anything prints goes to standard error: a print in the middle of a frame would end the conversation.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who asks
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    questions = os.fdopen(os.dup(0), "rb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    session = Session()
    while True:
        try:
            header, arrays = read_frame(_reader(questions))
        except EOFError:
            return
        except FrameError as error:  # there is no way to find the next frame
            sys.stderr.write("%s\n" % error)
            sys.exit(2)
        _answer(session, header, arrays, answers)


def _answer(session: Session, header: dict[str, Any], arrays: dict[str, Any], answers: Any) -> None:
    try:
        found, results = session.ask(header.pop("ask"), header, arrays)
        reply = {"ok": True, **found}
    except Exception as error:  # noqa: BLE001  # everything is for the one who asked
        text = str(error) or type(error).__name__
        reply, results = {"ok": False, "kind": type(error).__name__, "text": text}, {}
        reply["trace"] = traceback.format_exc()
    write_frame(_writer(answers), reply, results)


def _reader(pipe: Any) -> Callable[[int], bytes]:
    def read(size: int) -> bytes:
        data: bytes = pipe.read(size)
        if len(data) < size:
            raise EOFError
        return data

    return read


def _writer(pipe: Any) -> Callable[[bytes], None]:
    def write(data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[pipe.write(view) :]

    return write
