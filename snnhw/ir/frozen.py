"""A mapping that can be hashed and compared, so that programs are plain values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, TypeVar

__all__ = ["FrozenMap", "freeze"]

K = TypeVar("K")
V = TypeVar("V")


class FrozenMap(Mapping[K, V], Generic[K, V]):
    """An immutable mapping. Its order counts: that of nodes decides what weights start from, and that of
    outputs what a call returns."""

    __slots__ = ("_hash", "_items")

    def __init__(self, items: Mapping[K, V] | Iterable[tuple[K, V]] = ()) -> None:
        self._items: dict[K, V] = dict(items)
        self._hash: int | None = None

    def __getitem__(self, key: K) -> V:
        return self._items[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(tuple(self._items.items()))
        return self._hash

    def __eq__(self, other: object) -> bool:
        if isinstance(other, FrozenMap):
            return list(self._items.items()) == list(other._items.items())
        return NotImplemented

    def __or__(self, other: Mapping[K, V]) -> FrozenMap[K, V]:
        return FrozenMap({**self._items, **other})

    def __ror__(self, other: Mapping[K, V]) -> FrozenMap[K, V]:
        return FrozenMap({**other, **self._items})

    def __reduce__(self) -> tuple[type[FrozenMap[K, V]], tuple[dict[K, V]]]:
        return type(self), (self._items,)  # hashes of strings differ between processes

    def __repr__(self) -> str:
        return repr(self._items)


def freeze(instance: object, *fields: str) -> None:
    """Replace the named mapping fields of a frozen dataclass by `FrozenMap`, at construction."""
    for name in fields:
        value = getattr(instance, name)
        if not isinstance(value, FrozenMap):
            object.__setattr__(instance, name, FrozenMap(value))
