"""What the CPU decides by measurement, size or threshold, and how each way can be forced.

A table of data: the option ``paths`` reads it, `explain` shows it, and conformance tries every class of cases
on every way in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from snnhw.words import brief, did_you_mean
from snnhw_cpu.limits import USUAL, Limits

__all__ = ["PATHS", "Path", "forced", "listed", "ways"]

ALWAYS: Final = 1 << 62
"""A limit that no size reaches."""


@dataclass(frozen=True)
class Path:
    """One decision.

    Attributes:
        by: what decides it, in words; ``{field}`` stands for that one of the `Limits`.
        ways: name -> the limits that force it.
    """

    by: str
    ways: Mapping[str, Mapping[str, Any]]


PATHS: Final[Mapping[str, Path]] = MappingProxyType(
    {
        "linear": Path(
            "measured costs at the activity of the input; in training, of the first batch that is not silent",
            {"dense": {"way": "dense"}, "skip": {"way": "skip"}},
        ),
        "chains": Path(
            "a product and what stands around it run as one, {block} bytes of a large signal at a time",
            {"apart": {"block": 0}, "whole": {"block": ALWAYS}, "blocks": {"block": 1}},
        ),
        "pools": Path(
            "windows inside the image, of at most 255 places, keep one byte each",
            {"torch": {"own_pools": False}, "bytes": {"own_pools": True}},
        ),
        "loops": Path(
            "{held} bytes of a loop's signals are kept for the way back, the rest is computed again; "
            "autograd records a single step",
            {
                "kept": {"held": ALWAYS, "passing": ALWAYS},
                "again": {"held": 1, "passing": 1},
                "recorded": {"derived": False},
            },
        ),
        "threads": Path(
            "a further thread for every {wake} elements times steps, as far as there are tiles of them",
            {"one": {"wake": ALWAYS}, "many": {"wake": 0, "tile": 8}},
        ),
        "tiles": Path(
            "a kernel takes {tile} neurons at a time, and on the way back {chunk} steps",
            {"whole": {"tile": ALWAYS, "chunk": ALWAYS}, "small": {"tile": 8, "chunk": 2}},
        ),
        "rows": Path(
            "layers of fewer than {narrow} neurons with parameters of their own are one long row",
            {"one": {"narrow": ALWAYS}, "each": {"narrow": 0}},
        ),
        "memory": Path(
            "buffers from {reuse} bytes on are used again",
            {"fresh": {"reuse": ALWAYS}, "again": {"reuse": 0}},
        ),
    }
)
"""Name of a decision -> what decides it, and its ways. Where two decisions move one limit, the later one
does: there are many threads only as far as there are tiles of them."""


def ways() -> dict[str, tuple[str, ...]]:
    """Name of a decision -> the names of its ways."""
    return {name: tuple(path.ways) for name, path in PATHS.items()}


def forced(text: str, limits: Limits = USUAL) -> Limits:
    """The limits that the option ``paths`` asks for, such as ``linear:skip,threads:one``; "" forces nothing.

    Raises:
        ValueError: there is no such decision or way, or a decision is named twice.
    """
    asked, found = _asked(text), limits
    for name, path in PATHS.items():  # in whatever order they were asked for
        if name in asked:
            found = replace(found, **path.ways[asked[name]])
    return found


def _asked(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in filter(None, text.split(",")):
        name, _, way = part.partition(":")
        if name not in PATHS:
            raise ValueError(
                f"paths: there is no {brief(name)} in {brief(part)}.{did_you_mean(name, PATHS)} {_accepted()}"
            )
        if way not in PATHS[name].ways:
            raise ValueError(
                f"paths: {brief(part)} names no way of {name}; accepted: {' or '.join(PATHS[name].ways)}"
            )
        if name in found:
            raise ValueError(f"paths: '{name}' is forced twice in {brief(text)}; name one way of it")
        found[name] = way
    return found


def _accepted() -> str:
    listed = "; ".join(f"{name}: {' or '.join(path.ways)}" for name, path in PATHS.items())
    return f"Accepted, as name:way with commas between: {listed}"


def listed(text: str, otherwise: Mapping[str, str]) -> tuple[tuple[str, ...], ...]:
    """The table as `explain` shows it under the option ``paths``.

    Args:
        otherwise: name of a decision that another option makes -> what runs, in words.
    """
    forced_to = {**{name: f"{way}, as forced" for name, way in _asked(text).items()}, **otherwise}
    sizes = {field: f"{value:,}" for field, value in vars(USUAL).items() if value is not None}
    rows = [("path", "ways", "runs", "decided by")]
    for name, path in PATHS.items():
        runs = forced_to.get(name, "as it is decided")
        rows.append((name, ", ".join(path.ways), runs, path.by.format(**sizes)))
    return tuple(rows)
