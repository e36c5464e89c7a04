"""Tables of meaning, keyed by class, to which anyone may add a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from snnhw.errors import InputError, ProgramError

__all__ = ["Table", "added"]

_ADDED: Final[dict[str, list[type]]] = {}

K = TypeVar("K", bound=type)
V = TypeVar("V")


class Table(dict[K, V]):
    """Class -> what is known of it. A row that is missing is a `ProgramError`; ``get`` and ``in`` ask whether
    it is there."""

    def __init__(self, name: str, rows: Mapping[K, V], *, otherwise: str = "") -> None:
        """
        Args:
            name: where it stands, such as ``"snnhw.reference.RULES"``; its last part is the table's own.
            otherwise: what else helps where a row is missing.
        """
        super().__init__(rows)
        self.name = name
        self.otherwise = otherwise

    def add(self, kind: K) -> Callable[[V], V]:
        """A decorator that enters what it is given as the row of a class, and gives it back. The same
        definition, made again, takes the place of the first.

        Raises:
            InputError: the class has another row.
        """

        def enter(value: V) -> V:
            if kind in self and _home(self[kind]) != _home(value):
                raise InputError(
                    f"{self.name} has a row for {kind.__name__} already, {_shown(self[kind])}; a row is not "
                    f"replaced: add {_shown(value)} for a class of your own"
                )
            if kind not in self:
                _ADDED.setdefault(self.name, []).append(kind)
            self[kind] = value
            return value

        return enter

    def __missing__(self, kind: K) -> V:
        add = f"add a row with {self.name.rpartition('.')[2]}.add({kind.__name__})"
        raise ProgramError(
            f"{self.name} has no row for {kind.__module__}.{kind.__qualname__}; "
            + (f"{self.otherwise}, or {add}" if self.otherwise else add)
        )


def added(table: str) -> tuple[type, ...]:
    """The classes that somebody has added to the table of that name; it is not loaded for it."""
    return tuple(_ADDED.get(table, ()))


def _home(value: Any) -> object:
    """Where a function or class is defined; of any other value, itself."""
    return (value.__module__, value.__qualname__) if hasattr(value, "__qualname__") else value


def _shown(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}" if hasattr(value, "__qualname__") else repr(value)
