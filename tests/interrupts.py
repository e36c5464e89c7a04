"""Interrupting a call at every place where Python could: at each line, or each bytecode, of our own code."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
from source import ROOT

__all__ = ["interrupted", "places"]

OURS = tuple(str(ROOT / folder) for folder in ("snnhw", "backends"))


class _Counter:
    """A trace function that counts events of our code, and at one of them does what Ctrl-C does.

    Args:
        at: number of that event; below 0: none.
        event: ``line`` or ``opcode``.
        within: part of the paths of the files that count.
    """

    def __init__(self, at: int, event: str, within: str) -> None:
        self.at, self.event, self.within = at, event, within
        self.seen = 0

    def enter(self, frame: FrameType, event: str, arg: object) -> Any:  # Python's
        path = frame.f_code.co_filename
        if not path.startswith(OURS) or self.within not in path:
            return None
        frame.f_trace_opcodes = self.event == "opcode"
        return self.inside

    def inside(self, frame: FrameType, event: str, arg: object) -> Any:  # Python's
        if event == self.event:
            self.seen += 1
            if self.seen - 1 == self.at:
                raise KeyboardInterrupt
        return self.inside


@contextmanager
def _traced(counter: _Counter) -> Iterator[None]:
    before, collecting = sys.gettrace(), gc.isenabled()
    gc.disable()  # collecting runs lines of earlier tests, in which nothing may be raised
    sys.settrace(counter.enter)
    try:
        yield
    finally:
        sys.settrace(before)
        if collecting:
            gc.enable()


def places(call: Callable[[], object], event: str = "line", within: str = "") -> int:
    """How many there are in a call that runs to its end."""
    counter = _Counter(-1, event, within)
    with _traced(counter):
        call()
    return counter.seen


def interrupted(call: Callable[[], object], at: int, event: str = "line", within: str = "") -> bool:
    """Whether a call was interrupted at one of its `places`."""
    counter = _Counter(at, event, within)
    try:
        with _traced(counter):
            call()
    except KeyboardInterrupt:
        torch.set_grad_enabled(True)  # a tracer may raise at the end of a `with`, where no signal arrives
        return True
    return False
