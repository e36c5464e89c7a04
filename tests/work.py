"""How much work a call is, in numbers that are the same on a busy machine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def lines(call: Callable[[], Any]) -> int:
    """How many lines of Python it runs; a line of a loop counts at each turn."""
    count = 0

    def trace(_: FrameType, event: str, __: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


def growth(call: Callable[[int], Callable[[], Any]], small: int, large: int) -> float:
    """By what the work grows beyond the size: 1 where it is linear, ``large / small`` where quadratic.

    Args:
        call: makes the call for a size; what that takes is not counted.
    """
    return lines(call(large)) / lines(call(small)) * small / large
