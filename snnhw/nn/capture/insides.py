"""What a value leads to: items, attributes, and what functions close over or know by a name."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property, partial
from types import (
    CellType,
    CodeType,
    FunctionType,
    MappingProxyType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any, Final
from weakref import ref

from torch import Tensor

__all__ = ["content", "global_names", "inside", "of_others", "slots"]

OTHERS = ("torch.", "snnhw.")
"""How the modules begin whose functions and classes are not the user's."""


def of_others(made: Any) -> bool:
    """Whether a function or a class is torch's or snnhw's."""
    return str(made.__module__).startswith(OTHERS)


def inside(value: Any) -> Iterable[Any]:
    """What a value leads to at once."""
    kind = type(value)  # not `isinstance`, which asks what stands in for something else
    if issubclass(kind, _CLOSED):
        return ()
    found = [look(value) for kinds, look in _INSIDES.items() if issubclass(kind, kinds)]
    if not issubclass(kind, _PLAIN) and not of_others(kind):
        held = getattr(value, "__dict__", None)
        found.append([*held.values()] if isinstance(held, dict) else [])
        found.append([item for _, item in slots(value)])
    return [item for part in found for item in part]


def slots(value: Any) -> Iterator[tuple[Any, Any]]:
    """The slots of an object's classes, as descriptors, and what they hold."""
    for owner in type(value).__mro__:
        for slot in vars(owner).values() if "__slots__" in vars(owner) else ():
            if isinstance(slot, MemberDescriptorType):
                with suppress(AttributeError):  # nothing is there
                    yield slot, slot.__get__(value)


def content(cell: CellType) -> list[Any]:
    """What a cell holds, if it is filled by now."""
    try:
        return [cell.cell_contents]
    except ValueError:
        return []


def global_names(function: FunctionType) -> Iterator[str]:
    """The global names that a function and those within it use. Of what stands in other files, it is not
    asked what it leads to."""
    given = function.__globals__
    for name in dict.fromkeys(_names(function.__code__)):
        value = given.get(name)
        elsewhere = isinstance(value, FunctionType) and value.__globals__ is not given
        if value is not None and not elsewhere:
            yield name


def _names(code: CodeType) -> Iterator[str]:
    """Global names among others."""
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)


def _of_function(value: FunctionType) -> list[Any]:
    if of_others(value):
        return []
    found = [item for cell in value.__closure__ or () for item in content(cell)]
    found += [value.__defaults__, value.__kwdefaults__, value.__dict__]
    return found + [value.__globals__[name] for name in global_names(value)]


_CLOSED: Final = (type, ModuleType, Tensor, str, bytes, int, float, complex)
"""What leads nowhere."""

_INSIDES: Final[Mapping[Any, Callable[[Any], Iterable[Any]]]] = {
    (list, tuple, set, frozenset, deque): list,
    (dict, MappingProxyType): lambda value: [*value.keys(), *value.values()],
    FunctionType: _of_function,
    MethodType: lambda value: [value.__self__, value.__func__],
    (staticmethod, classmethod): lambda value: [value.__func__],
    property: lambda value: [value.fget, value.fset, value.fdel],
    cached_property: lambda value: [value.func],
    partial: lambda value: [value.func, value.args, value.keywords],
    ref: lambda value: [value()],
}

_PLAIN: Final = (FunctionType, MethodType, staticmethod, classmethod, property, partial, ref)
"""Whose attributes are looked at already."""
