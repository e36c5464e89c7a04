"""Room for the signals of several steps: a step's tensor is a slice, and costs no memory of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from snnhw.tensors.scans.provider import Provider

__all__ = ["Rooms", "follow"]


@dataclass(frozen=True, eq=False)
class Rooms:
    """Signals by name, each made when it is first asked for.

    Attributes:
        first: the first step; count: how many there are.
    """

    provider: Provider
    first: int
    count: int
    whole: dict[str, Tensor] = field(default_factory=dict)
    _slices: dict[str, Sequence[Tensor]] = field(default_factory=dict)

    def span(self, name: str, span: tuple[int, int], shape: Sequence[int], like: Tensor) -> Tensor:
        """The signal ``shape`` of some steps, of a dtype and on the device of a tensor."""
        if name not in self.whole:
            self.whole[name] = self.provider.empty(self.count, *shape, like=like)
        return self.whole[name].detach()[span[0] - self.first : span[1] - self.first]

    def at(self, name: str, step: int, shape: Sequence[int], like: Tensor) -> Tensor:
        """The same of one step."""
        if name not in self._slices:
            whole = self.whole[name] = self.provider.empty(self.count, *shape, like=like)
            # Detached, since a view knows what it is a view of: one that a node of autograd's graph keeps
            # would keep the node itself, once the whole is its result.
            self._slices[name] = whole.detach().unbind()
        return self._slices[name][step - self.first]


def follow(parts: Sequence[Tensor]) -> bool:
    """Whether tensors lie one behind the other in one memory."""
    first = parts[0]
    memory, size = first.untyped_storage()._cdata, first.numel() * first.element_size()
    return all(
        part.data_ptr() == first.data_ptr() + number * size
        and part.untyped_storage()._cdata == memory
        and part.is_contiguous()
        for number, part in enumerate(parts)
    )
