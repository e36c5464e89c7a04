"""From ``key=value`` pairs to a backend's own frozen `Options`, or to what a format is called with."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    ParamSpec,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec

from snnhw.errors import InputError
from snnhw.words import did_you_mean, sentence

if TYPE_CHECKING:
    from snnhw.plugin import Backend, Format
    from snnhw.reader import Reader

__all__ = ["build_options", "check_format_options", "check_keywords", "numbers", "with_hints"]


WHERE = (
    " Where it runs is said by the choice of the backend; snnhw.backends() lists those that are installed."
)

P = ParamSpec("P")
R = TypeVar("R")


def with_hints(hints: Mapping[str, str]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A function that is told by `InputError` how it is called, where a call does not fit it.

    Args:
        hints: name of an argument -> what to do about it where it is missing, or is none of the function's.
    """

    def decorated(function: Callable[P, R]) -> Callable[P, R]:
        form = signature(function)

        @wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                form.bind(*args, **kwargs)
            except TypeError:
                raise InputError(_misfit(function.__name__, form, len(args), kwargs, hints)) from None
            return function(*args, **kwargs)

        return checked

    return decorated


def _misfit(
    name: str, form: Signature, places: int, kwargs: Mapping[str, object], hints: Mapping[str, str]
) -> str:
    """What is wrong with a call that gives so many arguments by their places, and some by name."""
    known = list(form.parameters)
    for given in kwargs:
        if given not in known:
            hint = f" {_told(hints[given])}" if given in hints else did_you_mean(given, known)
            return f"{name}() has no argument '{given}'.{hint} Its arguments: {', '.join(known)}."
    free = [each.name for each in form.parameters.values() if each.kind is not Parameter.KEYWORD_ONLY]
    needed = [each.name for each in form.parameters.values() if each.default is Parameter.empty]
    missing = [each for each in needed if each not in kwargs and each not in free[:places]]
    if missing and places <= len(free):
        told = " ".join(_told(hints[each]) for each in missing if each in hints)
        return f"{name}() needs {', '.join(missing)}. {told}".rstrip()
    return f"{name}() takes {' and '.join(free)} by their places, and all else by name: {', '.join(known)}."


def _told(hint: str) -> str:
    return sentence(f"{hint[0].upper()}{hint[1:]}")


def build_options(plugin: Backend | Reader, given: Mapping[str, object], kind: str = "backend") -> Any:
    """An instance of ``plugin.Options`` from what the user gave; ``kind`` of plugin, for messages.

    Text, as it comes from a command line, is converted by the type of the option: ``"4"`` becomes 4
    for an ``int``, ``"true"`` becomes True for a ``bool``, ``"none"`` becomes None where None is
    accepted. Other values must already be of that type.

    Raises:
        InputError: for a name that is not an option, a value that is not of its type, an option
            that must be given and is not, or values that ``Options`` itself refuses.
    """
    who = f"{kind} '{plugin.name}'"
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise InputError(
            f"the options of {who} are a mapping of names to values, such as {{'name': value}}, not {given!r}"
        )
    kinds = get_type_hints(plugin.Options)
    declared = [field for field in fields(plugin.Options) if field.init]
    options = {field.name: kinds[field.name] for field in declared}
    values = {name: _convert(who, name, value, options) for name, value in given.items()}
    for field in declared:
        if field.name not in values and field.default is MISSING and field.default_factory is MISSING:
            raise InputError(f"{who} needs option '{field.name}' ({_accepted(options[field.name])}).")
    try:
        return plugin.Options(**values)
    except (TypeError, ValueError) as error:
        raise InputError(f"{who} refuses these options: {sentence(str(error))}") from error


def check_format_options(plugin: Format, given: Iterable[str]) -> None:
    """Refuse what is no option of the format's ``write``.

    A format declares its options as keyword-only arguments; one that takes any says itself what is wrong.

    Raises:
        InputError: there is no such option; the message lists those that there are.
    """
    check_keywords(f"format '{plugin.name}'", "writing", plugin.write, given)


def check_keywords(who: str, purpose: str, function: Callable[..., Any], given: Iterable[str]) -> None:
    """Refuse what a function does not take as an option; raises as `check_format_options` does."""
    asked = signature(function).parameters.values()
    if any(argument.kind is Parameter.VAR_KEYWORD for argument in asked):
        return
    known = [argument.name for argument in asked if argument.kind is Parameter.KEYWORD_ONLY]
    for name in given:
        if name not in known:
            raise InputError(
                f"{who} has no option '{name}' for {purpose}.{did_you_mean(name, known)} "
                f"Its options: {', '.join(known) or 'none'}."
            )


def numbers(given: Mapping[str, object]) -> dict[str, object]:
    """Options for a format, whose types it does not declare: text that looks like a number becomes one, and
    ``true`` and ``false`` what they say."""
    return {name: _number(value) if isinstance(value, str) else value for name, value in given.items()}


def _number(text: str) -> float | bool | str:
    if text in ("true", "false"):
        return text == "true"
    try:
        return float(text)
    except ValueError:
        return text


def _convert(who: str, name: str, value: object, options: Mapping[str, Any]) -> Any:
    if name not in options:
        hint = WHERE if name == "device" else did_you_mean(name, options)
        raise InputError(f"{who} has no option '{name}'.{hint} {_listing(options)}")
    kind = options[name]
    if value in ("none", "None") and type(None) in get_args(kind):
        return None
    try:
        return msgspec.convert(value, kind, strict=False, dec_hook=_construct)
    except msgspec.ValidationError as error:
        raise InputError(
            f"{who}, option '{name}': {value!r} was given; accepted: {_accepted(kind)}."
        ) from error


def _construct(kind: type, value: object) -> object:
    """For types msgspec does not know, such as `pathlib.Path`: their constructor decides."""
    return kind(value)


def _listing(options: Mapping[str, Any]) -> str:
    if not options:
        return "It has no options."
    return "Its options: " + ", ".join(f"{name} ({_accepted(kind)})" for name, kind in options.items()) + "."


def _accepted(kind: Any) -> str:
    """A type, in the words of someone who types values."""
    if kind is bool:
        return "true or false"
    if kind is type(None):
        return "none"
    if get_origin(kind) is Literal:
        return " or ".join(map(str, get_args(kind)))
    if get_origin(kind) in (Union, types.UnionType):
        return " or ".join(map(_accepted, get_args(kind)))
    return kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind)
