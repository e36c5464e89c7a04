"""Calls that a type checker would refuse, for tests of what happens to those who use none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["call"]


def call(make: Any, *args: Any, **named: Any) -> Callable[[], Any]:
    """A call to be made later."""
    return lambda: make(*args, **named)
