"""Changes that are made together, or not at all, whatever interrupts."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from operator import call

import torch

__all__ = ["Change", "at_once"]

Change = Callable[[], object]
"""Something written in C, with its arguments (`functools.partial`), which were checked: it does not fail."""


def at_once(changes: Iterable[Change]) -> None:
    """Make all changes, in order.

    Python handles a signal, such as that of Ctrl-C, between two bytecodes of the main thread. The last call
    is one bytecode, and runs no other as long as all that it calls is written in C.
    """
    with torch._C.DisableTorchFunction():  # what else a user has torch call, such as for a default device
        deque(map(call, changes), maxlen=0)
