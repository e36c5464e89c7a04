"""A saved state taken apart and held to the run that is to go on: all of it, before anything is used."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np

from snnhw.errors import InputError
from snnhw.ir import Optimizer, Slot
from snnhw.session.origin import ADVICE, Origin
from snnhw.session.progress import Layout, Progress
from snnhw.session.values import check_counts, check_step, check_values, setting
from snnhw.session.writing import COUNTS, PARTS, VERSION, Array, Flat
from snnhw.words import brief, did_you_mean, listing

__all__ = ["about", "parted", "restored"]


def parted(arrays: Flat) -> dict[str, dict[str, Array]]:
    """Part of a state -> rest of the name -> array.

    Raises:
        InputError: a name that no state has.
    """
    parts: dict[str, dict[str, Array]] = {part: {} for part in PARTS}
    for name, array in arrays.items():
        part, _, rest = name.partition("/") if isinstance(name, str) else ("", "", "")
        if part not in parts or bool(rest) == (part in ("run", *COUNTS)):
            raise InputError(
                f"{brief(name)} is no part of a saved state; names begin with {', '.join(PARTS)}."
                f"{did_you_mean(part, PARTS)}"
            )
        parts[part][rest] = array
    return parts


def about(parts: Mapping[str, Flat]) -> dict[str, Any]:
    """What a state says of its run.

    Raises:
        InputError: it says nothing, or nothing that can be read.
    """
    written = parts["run"].get("")
    if written is None:
        raise InputError(
            "this state lacks 'run', which says of which run it is: an older release saved it, or it is no "
            "saved state; take its parameters alone with set_params"
        )
    try:
        bytes_ = written.dtype == np.uint8 and written.ndim == 1
        found = json.loads(written.tobytes().decode()) if bytes_ else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InputError(f"'run' of this state cannot be read; {ADVICE}")
    if found.get("version") != VERSION:
        raise InputError(
            f"this state is written in version {brief(found.get('version'))} of its layout, and {VERSION} is "
            "read here; take its parameters alone with set_params"
        )
    return found


def restored(
    parts: Mapping[str, Flat],
    origin: Origin,
    shapes: Mapping[str, tuple[int, ...]],
    optimizer: Optimizer,
    layout: Layout,
) -> Progress:
    """How far the run of a state had come, as `record` wrote it.

    Args:
        shapes: of what is trained.

    Raises:
        InputError: it is of another run, lacks something, or holds what no such run can hold.
    """
    found = about(parts)
    if "optimizer" not in found and found.get("program") == origin.program:
        raise InputError(
            "this state is of a run that only evaluates, and holds nothing that training goes on with; take "
            "its parameters with set_params"
        )
    origin.refuse(found)
    counts = check_counts({name: parts[name].get("") for name in COUNTS}, origin.accumulate)
    since = {name: f"'{name}' is {count}" for name, count in counts.items()}
    present = _settings(optimizer, parts["setting"])
    waiting = shapes if counts["pending"] and layout.grads else ()
    _same_names("grad", parts["grad"], waiting, since["pending"])
    for key, array in parts["grad"].items():
        check_values(f"grad/{key}", array, Slot(key), shapes[key])
    slots = _remembered(layout.slots_of(optimizer), found.get("slots"), counts["updates"])
    wanted = {f"{key}/{slot.name}": (slot, shape) for key, shape in shapes.items() for slot in slots}
    _same_names("optimizer", parts["optimizer"], wanted, since["updates"])
    for name, (slot, shape) in wanted.items():
        array = parts["optimizer"][name]
        check_values(f"optimizer/{name}", array, slot, shape)
        if slot.kind == "count":
            check_step(f"optimizer/{name}", array, counts["updates"], every=layout.every)
    _same_names("own", parts["own"], _texts(found.get("own")), "'run' lists what does")
    return Progress(present, **counts, grads=parts["grad"], memory=parts["optimizer"], own=parts["own"])


def _settings(optimizer: Optimizer, found: Flat) -> Optimizer:
    """The optimizer with the settings of a state."""
    known = {item.name: getattr(optimizer, item.name) for item in fields(optimizer)}
    _same_names("setting", found, known, f"the optimizer is {type(optimizer).__name__}")
    given: dict[str, Any] = {name: setting(name, found[name], value) for name, value in known.items()}
    return replace(optimizer, **given)


def _remembered(slots: tuple[Slot, ...], listed: Any, updates: int) -> tuple[Slot, ...]:
    """Those that the state's run had of each parameter."""
    names = _texts(listed)
    due = [slot.name for slot in slots if slot.always and updates]
    known = [slot.name for slot in slots if updates]
    if not set(due) <= set(names) <= set(known):
        raise InputError(
            f"after {updates} updates this optimizer remembers {listing(due or known)} of each parameter, "
            f"not {listing(names)} as 'run' of this state says; {ADVICE}"
        )
    return tuple(slot for slot in slots if slot.name in names)


def _texts(listed: Any) -> tuple[str, ...]:
    if not isinstance(listed, list) or any(not isinstance(each, str) for each in listed):
        raise InputError(f"'run' of this state cannot be read; {ADVICE}")
    return tuple(listed)


def _same_names(part: str, found: Iterable[str], wanted: Iterable[str], since: str) -> None:
    """All that is wanted is there, and nothing else."""
    found, wanted = list(found), list(wanted)
    for name in found:
        if name not in wanted:
            raise InputError(f"'{part}/{name}' does not belong to this run, since {since}; {ADVICE}")
    for name in wanted:
        if name not in found:
            raise InputError(f"this state lacks '{part}/{name}', though {since}; {ADVICE}")
