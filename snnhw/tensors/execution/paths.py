"""What a backend decides by measurement, size or threshold, and how each way can be forced.

A backend keeps its thresholds in one frozen value, its *limits*, and lists its decisions in a table of
`Path`. It is data: the option ``paths`` reads it, `explain` shows it, and conformance tries every class of
cases on every way in it. Imports no torch, as options are built before anything runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from snnhw.words import brief, did_you_mean

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Limits = TypeVar("Limits", bound=DataclassInstance)

__all__ = ["ALWAYS", "Path", "Paths", "forced", "listed", "ways"]

ALWAYS: Final = 1 << 62
"""A limit that no size reaches."""


@dataclass(frozen=True)
class Path:
    """One decision.

    Attributes:
        by: what decides it, in words; ``{field}`` stands for that one of the limits.
        ways: name -> the limits that force it.
    """

    by: str
    ways: Mapping[str, Mapping[str, Any]]


Paths = Mapping[str, Path]
"""Name of a decision -> what decides it, and its ways. Where two move one limit, the later one does."""


def ways(paths: Paths) -> dict[str, tuple[str, ...]]:
    """Name of a decision -> the names of its ways, as `snnhw.plugin.Capabilities` has them."""
    return {name: tuple(path.ways) for name, path in paths.items()}


def forced(paths: Paths, text: str, limits: Limits) -> Limits:
    """The limits that the option ``paths`` asks for, such as ``linear:skip,threads:one``; "" forces nothing.

    Raises:
        ValueError: there is no such decision or way, or a decision is named twice.
    """
    asked, found = _asked(paths, text), limits
    for name, path in paths.items():  # in whatever order they were asked for
        if name in asked:
            found = replace(found, **path.ways[asked[name]])
    return found


def listed(
    paths: Paths, text: str, usual: DataclassInstance, otherwise: Mapping[str, str]
) -> tuple[tuple[str, ...], ...]:
    """The table as `explain` shows it under the option ``paths``.

    Args:
        usual: the limits as measured.
        otherwise: name of a decision that another option makes -> what runs, in words.
    """
    forced_to = {**{name: f"{way}, as forced" for name, way in _asked(paths, text).items()}, **otherwise}
    sizes = {field: f"{value:,}" for field, value in vars(usual).items() if value is not None}
    rows = [("path", "ways", "runs", "decided by")]
    for name, path in paths.items():
        runs = forced_to.get(name, "as it is decided")
        rows.append((name, ", ".join(path.ways), runs, path.by.format(**sizes)))
    return tuple(rows)


def _asked(paths: Paths, text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in filter(None, text.split(",")):
        name, _, way = part.partition(":")
        if name not in paths:
            raise ValueError(
                f"paths: there is no {brief(name)} in {brief(part)}."
                f"{did_you_mean(name, paths)} {_accepted(paths)}"
            )
        if way not in paths[name].ways:
            raise ValueError(
                f"paths: {brief(part)} names no way of {name}; accepted: {' or '.join(paths[name].ways)}"
            )
        if name in found:
            raise ValueError(f"paths: '{name}' is forced twice in {brief(text)}; name one way of it")
        found[name] = way
    return found


def _accepted(paths: Paths) -> str:
    each = "; ".join(f"{name}: {' or '.join(path.ways)}" for name, path in paths.items())
    return f"Accepted, as name:way with commas between: {each}"
