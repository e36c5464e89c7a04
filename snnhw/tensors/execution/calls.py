"""How an executable calls what is a function of tensors alone, and what it changes together: directly, or as
its device records it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Final, Protocol

from torch import Tensor

from snnhw.tensors.execution.commit import Change

__all__ = ["LENT", "Calls", "Direct", "Function", "Groups", "directly"]

Groups = Mapping[str, Mapping[str, Tensor]]
"""Tensors by name, in groups such as ``inputs``, ``state`` and ``targets``."""

Function = Callable[[Groups], Groups]
"""A function of the tensors that it is given, of their shapes and dtypes, and of the executable's parameters,
which stay where they are in memory; of nothing else that may change from one call to the next, but for what
the caller names."""

LENT: Final = frozenset({"grads"})
"""Groups that the caller has read before its next call, so that they need no memory of their own."""


class Calls(Protocol):
    """Calls a function, in one of several ways that give the same."""

    def __call__(
        self,
        name: str,
        function: Function,
        given: Groups,
        /,
        *,
        of: Callable[[], Hashable] = tuple,
        params: Sequence[Tensor] = (),
    ) -> Groups:
        """What the function gives, in memory that belongs to the caller, but for `LENT`.

        Args:
            name: which one it is, of those of one executable.
            of: says what else it is a function of, which it may decide itself.
            params: the executable's parameters.
        """
        ...

    def changes(
        self, name: str, make: Callable[[], list[Change]], of: Hashable, tensors: Sequence[Tensor]
    ) -> list[Change]:
        """Changes in place, to be made together with others.

        Args:
            make: what they are, as a function of ``of`` and of ``tensors``, where these lie.
            tensors: all that they read or write.
        """
        ...


class Direct:
    """As Python does."""

    def __call__(self, name: str, function: Function, given: Groups, /, **_: object) -> Groups:
        return function(given)

    def changes(
        self, name: str, make: Callable[[], list[Change]], of: Hashable, tensors: Sequence[Tensor]
    ) -> list[Change]:
        return make()


directly: Final = Direct()
