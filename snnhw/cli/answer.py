"""Standard output for one JSON object alone, whoever else prints."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

__all__ = ["close_for_good", "kept_for_json", "print_json"]

_answer: list[IO[str] | None] = []
"""Where the JSON goes while standard output is kept for it; the last one counts."""

_kept: list[IO[str]] = []
"""What was printed to while descriptor 1 was kept."""


@contextmanager
def kept_for_json() -> Iterator[None]:
    """Within it, what plugins and libraries print goes to stderr: what Python prints and, through the
    descriptor, what C code and processes that they start print. `print_json` alone still reaches stdout.
    """
    stdout = sys.stdout
    own: IO[str] | None
    with ExitStack() as stack:
        if _is_descriptor(stdout, 1):
            stdout.flush()
            own = os.fdopen(os.dup(1), "w", encoding=stdout.encoding, errors=stdout.errors)
            stack.callback(_give_back, own)
            _lead_to_stderr()
            _kept.append(own)
        else:  # of a test, or of a program that calls this one
            own = stdout
        _answer.append(own)
        stack.callback(_answer.remove, own)
        stack.callback(setattr, sys, "stdout", stdout)
        sys.stdout = sys.stderr or stack.enter_context(Path(os.devnull).open("w"))
        yield


def print_json(text: str) -> None:
    """To stdout, also where it is kept."""
    to = _answer[-1] if _answer else sys.stdout
    if to is None:
        raise OSError("stdout is closed, so that there is nowhere to print to")
    to.write(text)
    to.flush()


def close_for_good() -> None:
    """At the end of a process that printed JSON: what is printed while it exits goes to stderr, too."""
    if _kept and sys.stdout is not None:
        sys.stdout.flush()
        _lead_to_stderr()


def _lead_to_stderr() -> None:
    """From now on descriptor 1 leads to stderr, or nowhere where that is closed."""
    if _is_descriptor(sys.stderr, 2):
        os.dup2(2, 1)
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def _give_back(own: IO[str]) -> None:
    """Descriptor 1 leads to stdout again; what still waits in a buffer goes to stderr before."""
    sys.stdout.flush()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).fflush(None)
    os.dup2(own.fileno(), 1)
    own.close()


def _is_descriptor(stream: Any, number: int) -> bool:
    try:
        return bool(stream.fileno() == number)
    except (AttributeError, OSError, ValueError):  # closed, or no file
        return False
