"""Turns of phrase that error messages share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from reprlib import Repr
from typing import NoReturn

__all__ = ["brief", "did_you_mean", "listing", "public", "sentence"]

_SHORT = Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 2, 80, 80


def brief(value: object) -> str:
    """The value's repr, cut short: what comes from a file may be of any size and depth."""
    return _SHORT.repr(value)


def listing(names: Sequence[str], most: int = 12) -> str:
    """``"'a', 'b'"``; only the first ones of many, with how many there are besides."""
    shown = ", ".join(brief(name) for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown or "none"


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """``" Did you mean 'cuda'?"``, with its leading space; empty when nothing comes close."""
    close = get_close_matches(given, list(known), n=1)
    return f" Did you mean '{close[0]}'?" if close else ""


def sentence(text: str) -> str:
    """The text with a full stop, unless it already ends as a sentence does."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


def public(module: str, names: Sequence[str]) -> tuple[Callable[[str], NoReturn], Callable[[], list[str]]]:
    """A module's ``__getattr__`` and ``__dir__``, where these names are all that its users look for."""

    def refuse(name: str) -> NoReturn:
        raise AttributeError(f"module '{module}' has no attribute '{name}'.{did_you_mean(name, names)}")

    return refuse, lambda: sorted(names)
