"""All neurons there are, without keeping one alive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload
from weakref import ref

__all__ = ["Instances"]


class Instances(Sequence[Any]):
    """What snnTorch keeps in a list: neurons in the order in which they were made, as long as they live."""

    def __init__(self) -> None:
        self._refs: list[ref[Any]] = []

    def append(self, layer: Any) -> None:
        """Enter a neuron."""
        self._refs.append(ref(layer, self._gone))

    def _gone(self, each: ref[Any]) -> None:
        if each in self._refs:  # not after `clear`
            self._refs.remove(each)

    def clear(self) -> None:
        """Forget all neurons that there are."""
        self._refs.clear()

    def _alive(self) -> list[Any]:
        return [layer for each in list(self._refs) if (layer := each()) is not None]

    @overload
    def __getitem__(self, place: int) -> Any: ...
    @overload
    def __getitem__(self, place: slice) -> list[Any]: ...
    def __getitem__(self, place: int | slice) -> Any:
        return self._alive()[place]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._alive())

    def __len__(self) -> int:
        return len(self._alive())
