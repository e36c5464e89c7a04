"""What is computed, noted call by call, so that it can be computed again without the Python around it: what a
CUDA graph is on a GPU.

While it is noted, everything runs as ever. What torch does is seen below autograd, as operations on tensors;
kernels of ours say themselves that they run (`launch`). Every tensor stays where it is, so that a view need
not be taken again, and a result is written to the place that it had. What follows from sizes alone is left
out: it is still there.

What is noted holds for other numbers in the same places, and nowhere else. So a tensor whose numbers come
from anywhere else ends it (`Unrepeatable`). And where a number has been looked at, what came after may depend
on it: it has to be the same again, or what is noted is not what would be done (`Parted`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from threading import local
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from snnhw.tensors.aten import Again, AtenCall, memory_of, same

__all__ = ["Again", "Noting", "Parted", "Unrepeatable", "launch", "notes"]


class Unrepeatable(Exception):
    """What is done cannot be noted; says what."""


class Parted(Exception):
    """A number that decides what is done is another one than it was."""


class Call(NamedTuple):
    """What to call again, and the memory that is read and written by it."""

    again: Sequence[Again]
    reads: frozenset[int]
    writes: frozenset[int]


class _Now(local):
    """Who notes, in this thread."""

    noting: Noting | None = None


_NOW: Final = _Now()

OTHERWISE: Final = frozenset({torch.Tag.nondeterministic_seeded, torch.Tag.dynamic_output_shape})
"""Of operations that are not a function of what they read, or whose results have no size of their own."""


def notes() -> bool:
    """Whether what this thread computes is noted."""
    return _NOW.noting is not None


def launch(again: Again, reads: Iterable[Tensor], writes: Iterable[Tensor]) -> None:
    """Call a kernel, of which torch sees nothing.

    Args:
        reads: all that it reads; writes: all that it writes to, which it has not read before.
    """
    again()
    if _NOW.noting:
        _NOW.noting.note([again], reads, writes)


class Noting(TorchDispatchMode):
    """Notes what runs within it.

    Args:
        given: tensors whose numbers may be others the next time.
        most: bytes of memory that may be held.
        atomic: whether every call has to be one that nothing interrupts, and none may look at a number.
        around: calls before and after an operation that threads would not be worth, see `AtenCall.small`.

    Attributes:
        held: memory -> a tensor there, so that nothing else comes to lie in it.
    """

    def __init__(
        self,
        given: Iterable[Tensor],
        most: int,
        *,
        atomic: bool = False,
        around: tuple[Again, Again] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.held: dict[int, Tensor] = {}
        self._room, self._atomic, self._around = most, atomic, around
        self._calls: list[Call] = []
        self._given = frozenset(map(self._hold, given))
        self._known = set(self._given)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """To skip it is to import it, which takes seconds."""
        return False

    def __enter__(self) -> Noting:
        super().__enter__()  # type: ignore[no-untyped-call]
        _NOW.noting = self
        return self

    def __exit__(self, *raised: Any) -> None:
        _NOW.noting = None
        super().__exit__(*raised)  # type: ignore[no-untyped-call]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        call = AtenCall(func, *tree_map_only(Tensor, Tensor.detach, (args, kwargs or {})))
        before = [x.clone() for x in call.tensors]
        found = func(*args, **(kwargs or {}))
        call.written += [x for x, was in zip(call.tensors, before, strict=True) if not same(x, was)]
        self._note_aten(call, found)
        return found

    def note(self, again: Sequence[Again], reads: Iterable[Tensor], writes: Iterable[Tensor]) -> None:
        """One call that has been made."""
        self.look(reads := [*reads])
        read, written = (frozenset(map(self._hold, tensors)) for tensors in (reads, writes))
        self._known |= written
        self._calls.append(Call(again, read, written))

    def look(self, tensors: Iterable[Tensor]) -> None:
        """Raise `Unrepeatable` unless all that they hold is noted."""
        if not self._known.issuperset(map(self._hold, tensors)):
            raise Unrepeatable("it computes with what is not noted")

    def calls(self) -> list[Again]:
        """What to call, in order, once there are other numbers in what was given."""
        moving, before = set(self._given), 0
        while len(moving) > before:
            before = len(moving)
            for call in self._calls:
                if moving & (call.reads | call.writes):
                    moving |= call.writes
        needed = [call for call in self._calls if moving & (call.writes or call.reads)]
        found: list[Again] = []
        for again in [again for call in needed for again in call.again]:
            if self._around and found and (found[-1], again) == self._around[::-1]:
                found.pop()  # a thread alone stays so
            else:
                found.append(again)
        return found

    def _hold(self, x: Tensor) -> int:
        key = memory_of(x)
        if key not in self.held:
            self.held[key] = x.detach()
            self._room -= x.untyped_storage().nbytes()
            if self._room < 0:
                raise Unrepeatable("it takes more memory than is kept for that")
        return key

    def _note_aten(self, call: AtenCall, found: Any) -> None:
        results = [result for result in tree_leaves(found) if result is not None]
        if call.tags & OTHERWISE:
            raise Unrepeatable(f"{call.func} gives another thing each time")
        if not all(isinstance(result, Tensor) for result in results):
            if self._atomic:
                raise Unrepeatable(f"{call.func} looks at a number")
            self.note([partial(_look, call, found)], call.tensors, ())
            return
        given = set(map(memory_of, call.tensors))
        places = [result.detach() for result in results if memory_of(result) not in given]
        if call.gives_room:
            for place in places:
                self._hold(place)
        elif places or call.written:  # else it gives views
            again = call.again(places) if len(places) == len(results) or not places else None
            if again is None and self._atomic:
                raise Unrepeatable(f"{call.func} writes to no place that it is given")
            made = self._quietly(call, again) if again else [partial(call.copy_to, places)]
            self.note(made, call.reads, [*call.written, *places])

    def _quietly(self, call: AtenCall, again: Again) -> list[Again]:
        if self._around and call.small:
            before, after = self._around
            return [before, again, after]
        return [again]


def _look(call: AtenCall, found: Any) -> None:
    """Whether numbers are the same again."""
    if call() != found:
        raise Parted
