"""How an executable calls what is a function of tensors alone: directly, or as its device records it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from torch import Tensor

__all__ = ["Calls", "Function", "Groups", "directly"]

Groups = Mapping[str, Mapping[str, Tensor]]
"""Tensors by name, in groups such as ``inputs``, ``state`` and ``targets``."""

Function = Callable[[Groups], Groups]
"""A function of the tensors that it is given, of their shapes and dtypes, and of the executable's parameters,
which stay where they are in memory; of nothing else that may change from one call to the next."""


class Calls(Protocol):
    """Calls a function, in one of several ways that give the same."""

    def __call__(self, name: str, function: Function, given: Groups, /) -> Groups:
        """What the function gives, in memory that belongs to the caller; ``name`` says which one it is, of
        those of one executable."""
        ...


def directly(_: str, function: Function, given: Groups) -> Groups:
    """As Python does."""
    return function(given)
