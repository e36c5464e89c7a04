"""One of torch's operations with its arguments, and how it is done again with results in the same place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

__all__ = ["SMALL", "Again", "AtenCall", "memory_of", "same"]

Again = Callable[[], object]
"""A call with its arguments."""

FUNCTIONS: Final[Any] = torch._C._VariableFunctions  # those of ``torch``

UNWRITTEN: Final = frozenset({"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"})

FILLS: Final = frozenset({"copy_", "fill_", "zero_"})
"""Those that write to a tensor and read nothing of it."""

COPIES: Final = frozenset({"clone", "_to_copy"})

DIVIDED: Final = frozenset({
    "_log_softmax", "_log_softmax_backward_data", "nll_loss_forward", "nll_loss_backward",
    "_fused_adam_", "_fused_adamw_", "_fused_sgd_",
})  # fmt: skip
"""Those that torch divides among threads whatever their size, and whose results do not depend on it."""

SMALL: Final = 1 << 18
"""Numbers that one thread is through with about as soon as another one has been woken."""


class AtenCall:
    """One of torch's operations, with its arguments.

    Attributes:
        func: the operation, an overload; ``name`` of all its overloads.
        tensors: those among the arguments.
        written: those that it writes to, as far as it says so.
    """

    def __init__(self, func: Any, args: Any, kwargs: Any) -> None:
        self.func, self._args, self._kwargs = func, args, kwargs
        self.name: str = func.overloadpacket.__name__
        self.tags = frozenset(func.tags)
        self.tensors = _tensors((args, kwargs))
        arguments = func._schema.arguments
        named = dict(zip((each.name for each in arguments), args, strict=False)) | kwargs
        changed = [each for each in arguments if each.alias_info and each.alias_info.is_write]
        self.written = _tensors([named.get(each.name) for each in changed])
        self._fills = self.name in FILLS or (bool(changed) and all(each.is_out for each in changed))

    def __call__(self) -> Any:
        """What it gives."""
        return self.func(*self._args, **self._kwargs)

    @property
    def reads(self) -> list[Tensor]:
        """Tensors whose numbers it reads. Of others it takes the size, or only writes there."""
        if self.name.endswith("_like") or self.name.startswith("new_"):
            return []
        filled = set(map(memory_of, self.written)) if self._fills else set()
        return [x for x in self.tensors if memory_of(x) not in filled]

    @property
    def gives_room(self) -> bool:
        """Whether it only makes a tensor, whatever that holds."""
        return self.name in UNWRITTEN

    @property
    def small(self) -> bool:
        """Whether one thread does it as fast as several, and torch would take several."""
        return self.name in DIVIDED and sum(x.numel() for x in self.tensors) < SMALL

    def again(self, places: list[Tensor]) -> Again | None:
        """It once more, with its results to where they are, if it gives others than what it was given; None
        where it cannot be told where."""
        if not places:
            fast = getattr(FUNCTIONS, self.name, None) or getattr(torch._C.TensorBase, self.name, None)
            return partial(fast or self.func._op, *self._args, **self._kwargs)
        if self.written:
            return None
        if not self.reads:  # the same again
            return partial(torch._foreach_copy_, places, [x.clone() for x in places])
        for call in self._writers():
            rooms = [torch.empty_like(place) for place in places]
            try:
                call(rooms)()
            except (TypeError, RuntimeError):  # it takes other arguments
                continue
            if all(map(same, rooms, places)):
                return call(places)
        return None

    def copy_to(self, places: list[Tensor]) -> None:
        """It once more, and what it gives besides what it was given is copied to where it was."""
        given = set(map(memory_of, self.tensors))
        found = [x for x in tree_leaves(self()) if x is not None and memory_of(x) not in given]
        torch._foreach_copy_(places, found)

    def _writers(self) -> Iterator[Callable[[list[Tensor]], Again]]:
        """Ways to tell it where to write, the fastest first."""
        args, kwargs = self._args, self._kwargs
        if self.name in COPIES:
            yield lambda to: partial(torch._C.TensorBase.copy_, to[0], args[0])
        if fast := getattr(FUNCTIONS, self.name, None):
            yield lambda to: partial(fast, *args, **kwargs, out=to[0] if len(to) == 1 else tuple(to))
        packet, wanted = self.func.overloadpacket, _signature(self.func)
        for overload in [getattr(packet, name) for name in packet.overloads()]:
            outs = [each.name for each in overload._schema.arguments if each.is_out]
            if outs and _signature(overload) == wanted:
                yield lambda to, call=overload._op, outs=outs: partial(  # type: ignore[misc]
                    call, *args, **kwargs, **dict(zip(outs, to, strict=False))
                )


def _signature(func: Any) -> list[tuple[str, str]]:
    return [(each.name, str(each.type)) for each in func._schema.arguments if not each.is_out]


def memory_of(x: Tensor) -> int:
    """What tells one memory from another."""
    return int(x.untyped_storage()._cdata)


def same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors hold the same numbers; NaN is one."""
    if torch.equal(one, other):
        return True
    alike = one.shape == other.shape and one.is_floating_point()
    return alike and torch.allclose(one, other, rtol=0.0, atol=0.0, equal_nan=True)


def _tensors(given: Any) -> list[Tensor]:
    return [x for x in tree_leaves(given) if isinstance(x, Tensor)]
