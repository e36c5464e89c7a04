"""Ctrl-C, and what a system asks of a process that is to end: training stops after a step, with all of it
saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

from snnhw.plugin import Ranks

__all__ = ["Stop", "Stopped", "signals_heard"]

DEFAULTS: Final = {signal.SIGINT: (signal.default_int_handler,), signal.SIGTERM: (signal.SIG_DFL,)}
"""Signal -> what handles it where nobody else has chosen something."""


class Stopped(KeyboardInterrupt):
    """Training was asked to end, and has been saved.

    Attributes:
        signal: by which signal.
        path: the checkpoint to go on from.
    """

    def __init__(self, text: str, number: int, path: str) -> None:
        super().__init__(text)
        self.signal, self.path = number, path


class Stop:
    """Which signal has come; None as long as none has.

    Attributes:
        signal: to this process; agreed: to any of those that train together, as all of them know.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self.agreed: int | None = None

    def agree(self, ranks: Ranks, samples: int = 0) -> int:
        """What ranks tell each other between two steps: whether one is to stop, and how many samples all of
        them have."""
        told, total = ranks.sum([self.signal is not None, samples])
        if told:
            self.agreed = self.signal or signal.SIGTERM
        return int(total)


@contextmanager
def signals_heard(*, wanted: bool) -> Iterator[Stop]:
    """Within it, the first SIGINT or SIGTERM is noted; a second one acts as it would have at first.

    Only in the main thread, which Python hears signals in, and only where nobody else handles them.
    """
    stop = Stop()
    before: dict[Any, Any] = {}

    def heard(number: int, _: FrameType | None) -> None:
        stop.signal = number
        _give_back(before)

    if wanted and threading.current_thread() is threading.main_thread():
        for number, usual in DEFAULTS.items():
            present = signal.getsignal(number)
            if present in usual:
                before[number] = present
                signal.signal(number, heard)
    try:
        yield stop
    finally:
        _give_back(before)


def _give_back(before: dict[Any, Any]) -> None:
    for number, handler in before.items():
        signal.signal(number, handler)
    before.clear()
