"""What tells two frozen values apart, in a few bytes: a saved training run says so of which program it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import singledispatch
from hashlib import sha256
from typing import Any, Final

import numpy as np

from snnhw.ir import text
from snnhw.ir.expr import Expr

__all__ = ["identity"]

LATER: Final = {"later": True}
"""Metadata of a field that a class was given after runs had been saved: at its default, it says nothing."""

EXACT = 2**53
"""Up to here every int is a float."""


def identity(value: object) -> str:
    """A digest of a program, a loss or any other frozen value: equal for equal ones, in every process.

    What no file can hold, such as a function, counts by its name.
    """
    return sha256(_Words().of(value).encode()).hexdigest()


class _Words:
    """Values as text. What stands in many places of a program, a model above all, is written once."""

    def __init__(self) -> None:
        self.known: dict[int, str] = {}  # by id: all of them are parts of one value, which lives on

    def of(self, value: object) -> str:
        return _written(value, self)

    def once(self, value: Any) -> str:
        if id(value) not in self.known:
            inside = (
                f"{item.name}={self.of(getattr(value, item.name))}"
                for item in fields(value)
                if not (item.metadata == LATER and getattr(value, item.name) == item.default)
            )
            self.known[id(value)] = _short(f"{_name(type(value))}({', '.join(inside)})")
        return self.known[id(value)]


def _name(kind: type) -> str:
    """Of a class that was renamed, the name that saved runs know it by."""
    known: str = kind.__dict__.get("known_as", kind.__qualname__)
    return known


def _short(words: str) -> str:
    """The words, or where they are many what stands for them."""
    return words if len(words) < 200 else sha256(words.encode()).hexdigest()


@singledispatch
def _written(value: object, words: _Words) -> str:
    if is_dataclass(value):
        return words.once(value)
    return f"{type(value).__qualname__} {getattr(value, '__qualname__', '')}"


@_written.register(str)
@_written.register(bool)
@_written.register(type(None))
def _(value: object, words: _Words) -> str:  # noqa: ARG001  # every kind of value is asked alike
    return repr(value)


@_written.register(int)
@_written.register(float)
def _(value: float, words: _Words) -> str:  # noqa: ARG001  # likewise
    return repr(value) if isinstance(value, int) and abs(value) > EXACT else float(value).hex()  # 2 is 2.0


@_written.register
def _(value: np.generic, words: _Words) -> str:
    return words.of(value.item())


@_written.register
def _(value: Expr, words: _Words) -> str:  # noqa: ARG001  # likewise
    return _short(repr(text.dump([value])))


@_written.register(tuple)
@_written.register(list)
def _(value: Any, words: _Words) -> str:
    return f"[{', '.join(map(words.of, value))}]"


@_written.register(frozenset)
@_written.register(set)
def _(value: Any, words: _Words) -> str:
    return f"{{{', '.join(sorted(map(words.of, value)))}}}"


@_written.register
def _(value: Mapping, words: _Words) -> str:  # type: ignore[type-arg]  # singledispatch takes a class
    return f"{{{', '.join(f'{words.of(key)}: {words.of(item)}' for key, item in value.items())}}}"
