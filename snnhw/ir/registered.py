"""Tables of classes by name, to which anyone may add."""

from __future__ import annotations

from typing import Any

from snnhw.errors import InputError

__all__ = ["enter"]


def enter(table: dict[str, Any], cls: type) -> None:
    """Enter a class under its name; the same definition, made again, takes the place of the first.

    Raises:
        InputError: another class has that name, and files tell classes by their names.
    """
    other = table.get(cls.__name__, cls)
    if (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
        raise InputError(
            f"{other.__module__}.{other.__qualname__} is already registered as '{cls.__name__}'; "
            f"choose another name for {cls.__module__}.{cls.__qualname__}"
        )
    table[cls.__name__] = cls
