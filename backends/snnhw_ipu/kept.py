"""What a saved state of an IPU has of its own: PopART's names of what the optimizer remembers, and the
arguments of calls that wait for an update, as the device keeps no gradient from one call to the next.

    optimizer/KEY/Accl1       what is called ``Accl1___KEY`` there
    own/waiting/N/ARGUMENT    of the Nth pending call
    own/optimizer/NAME        whatever else PopTorch remembers, which goes back to it as it came
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from snnhw.errors import InputError
from snnhw.ir import SGD, Adam, AdamW, RMSprop, Slot
from snnhw.session import Layout, Progress

__all__ = ["LAYOUT", "checked", "own", "remembered", "to_device"]

Array = npt.NDArray[Any]
Arguments = dict[str, Array]

MOMENTS: Final = (Slot("Step", "count"), Slot("Accl1"), Slot("Accl2", "square"))

OTHERS: Final = (
    Slot("Step", "count", always=False),
    *(Slot(f"Accl{number}", always=False) for number in (1, 2, 3)),
)
"""Which of them there are depends on settings."""

LAYOUT: Final = Layout(
    "batches",
    grads=False,
    slots={SGD: (Slot("Accl1"),), Adam: MOMENTS, AdamW: MOMENTS, RMSprop: OTHERS},
    every=False,  # a weight that no loss reads is not updated
    memory="float32",
)

GAP: Final = "___"
"""Between PopART's name of a slot and that of the parameter."""


def _ours(name: str, progress: Progress) -> str | None:
    """``KEY/SLOT`` for ``SLOT___KEY``; None for a name of another kind."""
    slot, gap, key = name.rpartition(GAP)
    assert progress.optimizer is not None
    known = {each.name for each in LAYOUT.slots_of(progress.optimizer)}
    return f"{key}/{slot}" if gap and slot in known else None


def remembered(
    memory: Mapping[str, Array], progress: Progress, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Array]:
    """By the names of a saved state; nothing before the first update, when all of it is zero.

    Args:
        shapes: of what is trained. The device has nothing for a parameter that no loss reads.
    """
    if not progress.updates:
        return {}
    assert progress.optimizer is not None
    named = {_ours(name, progress): array for name, array in memory.items()}
    names = {name.rpartition("/")[2] for name in named if name is not None}
    slots = [slot for slot in LAYOUT.slots_of(progress.optimizer) if slot.name in names]
    wanted = {f"{key}/{slot.name}": (slot, shape) for key, shape in shapes.items() for slot in slots}
    return {name: named.get(name, _zeros(slot, shape)) for name, (slot, shape) in wanted.items()}


def _zeros(slot: Slot, shape: tuple[int, ...]) -> Array:
    return np.zeros(() if slot.kind == "count" else shape, np.float32)


def own(memory: Mapping[str, Array], progress: Progress, waiting: Sequence[Arguments]) -> dict[str, Array]:
    """What other backends do not have."""
    found = {f"waiting/{n}/{name}": x for n, each in enumerate(waiting) for name, x in each.items()}
    if progress.updates:
        others = {name: x for name, x in memory.items() if _ours(name, progress) is None}
        found |= {f"optimizer/{name}": x for name, x in others.items()}
    return found


def to_device(
    found: Progress, held: Mapping[str, Array], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Array]:
    """All that the optimizer is to remember, as the device names it; nothing where both know of nothing.

    PopTorch writes a state from where its arrays lie, and asks for neither names nor shapes nor dtypes: so
    none may be missing, and each must be what the device has.

    Args:
        held: what the device remembers now; nothing before training is compiled.
        shapes: of what is trained.

    Raises:
        InputError: what this program's optimizer does not remember, or not in this form.
    """
    assert found.optimizer is not None
    given = {
        name.removeprefix("optimizer/"): x for name, x in found.own.items() if name.startswith("optimizer/")
    }
    for name in given:
        if name not in held:
            raise InputError(
                f"'own/optimizer/{name}' is nothing that this program's optimizer is known to remember"
                + (
                    ""
                    if held
                    else "; before training is compiled that cannot be told: do a step, then load it"
                )
            )
    for name, array in found.memory.items():
        key, _, slot_name = name.rpartition("/")
        given[f"{slot_name}{GAP}{key}"] = np.asarray(array, np.float32)
    known = {name.rpartition("/")[2] for name in found.memory}
    slots = [slot for slot in LAYOUT.slots_of(found.optimizer) if slot.name in known]
    blank = {f"{slot.name}{GAP}{key}": _zeros(slot, shape) for key, shape in shapes.items() for slot in slots}
    wanted = held or blank
    for name, there in wanted.items():
        array = given.get(name, there)
        if array.shape != there.shape or array.dtype != there.dtype:
            raise InputError(
                f"what the optimizer remembers as '{name}' is {array.dtype} of shape {list(array.shape)}; "
                f"accepted: {there.dtype} of shape {list(there.shape)}"
            )
    return {f"optimizer/{name}": given.get(name, np.zeros_like(there)) for name, there in wanted.items()}


def checked(
    found: Progress, examples: Sequence[Arguments], classes: Mapping[str, int]
) -> tuple[Arguments, ...]:
    """The arguments of a state's pending calls.

    Args:
        examples: what they may look like, from rest and continued.
        classes: how many there are, of a target.

    Raises:
        InputError: they are not those of calls of this program.
    """
    calls: list[Arguments] = [{} for _ in range(found.pending)]
    for name, array in found.own.items():
        part, _, rest = name.partition("/")
        if part == "optimizer":
            continue
        number, _, argument = rest.partition("/")
        if part != "waiting" or number not in map(str, range(found.pending)):
            raise InputError(
                f"'own/{name}' does not belong to this run, in which 'pending' is {found.pending}"
            )
        calls[int(number)][argument] = array
    for place, call in enumerate(calls):
        _check_call(f"own/waiting/{place}", call, examples, classes)
    return tuple(calls)


def _check_call(
    where: str, call: Arguments, examples: Sequence[Arguments], classes: Mapping[str, int]
) -> None:
    fitting = [example for example in examples if example.keys() == call.keys()]
    if not fitting:
        raise InputError(
            f"'{where}' has the arguments {', '.join(sorted(call)) or 'none'}; accepted: "
            f"{' or '.join(', '.join(sorted(example)) for example in examples)}"
        )
    for name, wanted in fitting[0].items():
        array = call[name]
        if array.shape != wanted.shape or array.dtype != wanted.dtype:
            raise InputError(
                f"'{where}/{name}' is {array.dtype} of shape {list(array.shape)}; accepted: {wanted.dtype} "
                f"of shape {list(wanted.shape)}"
            )
        if name in classes and not np.all((array >= 0) & (array < classes[name])):
            raise InputError(f"'{where}/{name}' holds classes that are not from 0 to {classes[name] - 1}")
