"""Changes that are made together, or not at all, whatever interrupts."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial, wraps
from operator import call
from typing import ParamSpec, TypeVar

import torch

__all__ = ["Change", "at_once", "graded_as_before"]

Change = Callable[[], object]
"""Something written in C, with its arguments (`functools.partial`), which were checked: it does not fail."""

P = ParamSpec("P")
R = TypeVar("R")


def graded_as_before(function: Callable[P, R]) -> Callable[P, R]:
    """The same, and whatever ends it, torch records operations for gradients afterwards if it did before.

    torch's own ``no_grad`` is written in Python: an interrupt within its beginning or end leaves gradients
    off for all that a session computes later.
    """

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        before = torch.is_grad_enabled()
        try:
            return function(*args, **kwargs)
        finally:
            torch._C._set_grad_enabled(before)

    return wrapped


def at_once(changes: Iterable[Change]) -> None:
    """Make all changes, in order.

    Python handles a signal, such as that of Ctrl-C, between two bytecodes of the main thread. The call below
    is one bytecode, and runs no other as long as all that it calls is written in C. So is what keeps out
    whatever else a user has torch call, such as for a default device: it begins and ends within.
    """
    alone = torch._C.DisableTorchFunction()
    end = partial(alone.__exit__, None, None, None)
    steps: list[Change] = [alone.__enter__, *changes, end]
    try:
        deque(map(call, steps), maxlen=0)
    except BaseException:  # of a recording, some calls are written in Python
        end()
        raise
