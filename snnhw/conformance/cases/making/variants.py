"""Variants of a value: each of its settings changed, so that one that is ignored is noticed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import Field, fields
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from snnhw.errors import InputError

__all__ = ["variants"]

T = TypeVar("T")


def variants(kind: type[T], **fixed: Any) -> Iterator[tuple[str, T]]:
    """The value as it comes, with each field changed alone, and with all changed at once.

    A change that the value itself refuses is left out: some settings only make sense together.

    Args:
        fixed: fields with a value of their own in every variant.
    """
    yield "plain", kind(**fixed)
    hints = get_type_hints(kind)
    changed = [
        (item.name, other)
        for item in fields(kind)  # type: ignore[arg-type]  # every registered value is a dataclass
        if item.name not in fixed
        for other in _others(item, hints[item.name])
    ]
    for name, other in changed:
        try:
            yield name, kind(**fixed, **{name: other})
        except InputError:
            continue
    if len(changed) > 1:
        yield "all", kind(**fixed, **dict(changed))


def _others(item: Field[Any], hint: Any) -> tuple[Any, ...]:
    """Another value for a field, if there is a rule for its type."""
    default = item.default
    if get_origin(hint) is Literal:
        return tuple(choice for choice in get_args(hint) if choice != default)
    if isinstance(default, bool):
        return (not default,)
    if isinstance(default, (int, float)):
        return (default / 2 + 0.25,)
    if isinstance(default, tuple):
        return (tuple(number / 2 + 0.25 for number in default),)
    return ()
