"""Programs as JSON values and back, driven by the dataclasses' own type hints.

Expressions and models stand once, in tables, and are referred to by number. Reading checks every
value against the hint of its field and ends in `LoadError`, naming the place, for anything else.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from snnhw.errors import LoadError, ProgramError, SnnhwError
from snnhw.ir import text
from snnhw.ir.expr import Expr, topological
from snnhw.ir.fixed import Fixed
from snnhw.ir.frozen import FrozenMap
from snnhw.ir.identity import LATER
from snnhw.ir.limits import LIMITS, Limits
from snnhw.ir.models import NeuronModel
from snnhw.ir.ops import OPS, Neuron, Op
from snnhw.ir.program import Edge, Program, TimeAxis
from snnhw.ir.surrogates import SURROGATES, Opaque, Surrogate
from snnhw.words import brief

__all__ = ["IR_VERSION", "from_json", "to_json"]

IR_VERSION: Final = 1
"""Rises when a file written before would be read differently."""

_FAMILIES: Final[Mapping[type, Mapping[str, type]]] = {Op: OPS, Surrogate: SURROGATES}
"""Abstract type -> its registered classes by name; written as ``{"type": name, ...}``."""


class _Writer:
    """Collects what stands in tables while values are written."""

    def __init__(self) -> None:
        self.expressions: dict[Expr, int] = {}
        self.models: dict[NeuronModel, int] = {}
        self.written: list[Any] = []

    def write(self, value: Any) -> Any:
        if isinstance(value, Expr):
            return self.expressions.setdefault(value, len(self.expressions))
        if isinstance(value, NeuronModel):
            if value not in self.models:
                self.models[value] = len(self.models)
                self.written.append(self.record(value))
            return self.models[value]
        if isinstance(value, FrozenMap):
            return {key: self.write(item) for key, item in value.items()}
        if isinstance(value, (tuple, list)):
            return [self.write(item) for item in value]
        if isinstance(value, Opaque):
            raise ProgramError([f"no file can hold a function: {value.reason}"])
        if is_dataclass(value):
            kind = {"type": type(value).__name__} if isinstance(value, tuple(_FAMILIES)) else {}
            return {**kind, **self.record(value)}
        return float(value) if isinstance(value, float) else value  # NumPy's float64 is a float, too

    def record(self, value: Any) -> dict[str, Any]:
        return {
            item.name: self.write(getattr(value, item.name))
            for item in fields(value)
            if item.init and not (item.metadata == LATER and getattr(value, item.name) == item.default)
        }


def to_json(program: Program) -> dict[str, Any]:
    """A program as JSON values."""
    writer = _Writer()
    body = {
        "time": writer.write(program.time),
        "nodes": [[name, writer.write(op)] for name, op in program.nodes.items()],
        "edges": [writer.write(edge) for edge in program.edges],
        "trainable": sorted(program.trainable),
        **({"formats": writer.write(program.formats)} if program.formats else {}),
    }
    return {
        "ir_version": IR_VERSION,
        "models": writer.written,
        "expressions": text.dump(list(writer.expressions)),
        **body,
    }


class _Reader:
    """Turns JSON values into values of a hinted type."""

    def __init__(self, expressions: list[Expr], most: int) -> None:
        self.expressions = expressions
        self.most = most  # work
        self.models: list[NeuronModel] = []
        self.costs: dict[NeuronModel, int] = {}
        self.sizes = _sizes(expressions)
        self.work = 0

    def read_models(self, entries: list[Any]) -> None:
        for place, entry in enumerate(entries):
            before = self.work
            self.models.append(self.record(NeuronModel, entry, f"models[{place}]"))
            self.costs[self.models[-1]] = self.work - before

    def read_nodes(self, entries: list[Any]) -> FrozenMap[str, Op]:
        nodes = self.read(tuple[tuple[str, Op], ...], entries, "nodes")
        found = FrozenMap(nodes)
        _accept(len(found) == len(nodes), "a repeated name", "nodes", "every name once")
        for neuron in {op for op in found.values() if isinstance(op, Neuron)}:  # each is composed once
            self.spend(self.costs[neuron.model])
        return found

    def read(self, hint: Any, data: Any, where: str) -> Any:
        origin = get_origin(hint)
        if origin in (Union, types.UnionType):
            return self.union(get_args(hint), data, where)
        if origin is Literal:
            return _accept(data in get_args(hint), data, where, f"one of {get_args(hint)}")
        if origin is tuple:
            return self.tuple(get_args(hint), data, where)
        if origin is FrozenMap:
            _accept(isinstance(data, dict), data, where, "an object")
            value_hint = get_args(hint)[1]
            return FrozenMap({k: self.read(value_hint, v, f"{where}.{k}") for k, v in data.items()})
        if hint is Expr:
            return self.expression(data, where)
        if hint is NeuronModel:
            return _entry(self.models, data, where)
        if hint in _FAMILIES:
            return self.member(_FAMILIES[hint], data, where)
        if is_dataclass(hint):
            return self.record(hint, data, where)
        return self.plain(hint, data, where)

    def expression(self, data: Any, where: str) -> Expr:
        found: Expr = _entry(self.expressions, data, where)
        self.spend(self.sizes[found])
        return found

    def spend(self, work: int) -> None:
        self.work += work
        if self.work > self.most:
            raise LoadError(f"its equations are too large: more than {self.most} operations together")

    def plain(self, hint: Any, data: Any, where: str) -> Any:
        if hint is float and type(data) is int and abs(data) < 2**1023:
            return float(data)
        return _accept(type(data) is hint, data, where, f"a value of type {getattr(hint, '__name__', hint)}")

    def union(self, hints: tuple[Any, ...], data: Any, where: str) -> Any:
        if data is None and types.NoneType in hints:
            return None
        failure: LoadError | None = None
        for hint in hints:
            if hint is types.NoneType:
                continue
            try:
                return self.read(hint, data, where)
            except LoadError as error:
                failure = failure or error
        raise failure or LoadError(f"{where}: nothing is accepted here")

    def tuple(self, hints: tuple[Any, ...], data: Any, where: str) -> tuple[Any, ...]:
        _accept(isinstance(data, list), data, where, "a list")
        if len(hints) == 2 and hints[1] is Ellipsis:
            hints = (hints[0],) * len(data)
        _accept(len(data) == len(hints), data, where, f"a list of {len(hints)}")
        return tuple(
            self.read(hint, item, f"{where}[{place}]")
            for place, (hint, item) in enumerate(zip(hints, data, strict=True))
        )

    def member(self, family: Mapping[str, type], data: Any, where: str) -> Any:
        _accept(isinstance(data, dict), data, where, "an object")
        name = data.get("type")
        known = isinstance(name, str) and name in family
        _accept(known, name, f"{where}.type", f"one of {', '.join(family)}")
        return self.record(family[name], {k: v for k, v in data.items() if k != "type"}, where)

    def record(self, cls: Any, data: Any, where: str) -> Any:
        _accept(isinstance(data, dict), data, where, "an object")
        hints = _hints(cls)
        stray = sorted(set(data) - set(hints))
        _accept(not stray, stray, where, f"a field; known: {', '.join(hints)}")
        missing = [name for name in _required(cls) if name not in data]
        if missing:
            raise LoadError(f"{where}: the field '{missing[0]}' is missing")
        values = {name: self.read(hints[name], item, f"{where}.{name}") for name, item in data.items()}
        return _build(cls, values, where)


_PARTS: Final = ("models", "expressions", "nodes", "edges", "trainable")


def from_json(data: Any, limits: Limits = LIMITS) -> Program:
    """Read what `to_json` gave.

    Raises:
        LoadError: naming the place, for anything else. Whether the program makes sense as a whole
            is `validate`'s business.
    """
    _accept(isinstance(data, dict), data, "file", "an object")
    version = data.get("ir_version")
    if version != IR_VERSION:
        raise LoadError(f"the file has ir_version {brief(version)}; this release reads {IR_VERSION}")
    stray = sorted(set(data) - {*_PARTS, "ir_version", "time", "formats"})
    _accept(not stray, stray, "file", f"a field; known: {', '.join(_PARTS)}, ir_version, time, formats")
    parts = {
        name: _accept(isinstance(data.get(name), list), data.get(name), name, "a list") for name in _PARTS
    }
    for name, most in (("nodes", limits.nodes), ("edges", limits.edges)):
        _accept(len(parts[name]) <= most, len(parts[name]), name, f"at most {most}")
    expressions = {"lines": parts["expressions"], "limit": limits.lines}
    reader = _Reader(_build(text.load, expressions, "expressions"), limits.work)
    reader.read_models(parts["models"])
    return Program(
        nodes=reader.read_nodes(parts["nodes"]),
        edges=reader.read(tuple[Edge, ...], parts["edges"], "edges"),
        time=reader.read(TimeAxis, data.get("time"), "time"),
        trainable=frozenset(reader.read(tuple[str, ...], parts["trainable"], "trainable")),
        formats=reader.read(FrozenMap[str, Fixed], data.get("formats", {}), "formats"),
    )


def _entry(table: list[Any], data: Any, where: str) -> Any:
    number = type(data) is int and 0 <= data < len(table)
    return table[data] if number else _accept(False, data, where, "the number of a table entry")


def _sizes(roots: list[Expr]) -> dict[Expr, int]:
    """What a walk under each node takes, at most: what it shares with itself counts more than once."""
    order = topological(roots)
    most = sum(1 + len(node.args) for node in order)
    sizes: dict[Expr, int] = {}
    for node in order:
        sizes[node] = min(1 + sum(sizes[arg] for arg in node.args), most)
    return sizes


@lru_cache(maxsize=256)
def _hints(cls: type) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {item.name: hints[item.name] for item in fields(cls) if item.init}


@lru_cache(maxsize=256)
def _required(cls: type) -> tuple[str, ...]:
    free = (MISSING, MISSING)
    return tuple(
        item.name for item in fields(cls) if item.init and (item.default, item.default_factory) == free
    )


def _build(make: Callable[..., Any], values: dict[str, Any], where: str) -> Any:
    try:
        return make(**values)
    except (SnnhwError, TypeError) as error:
        raise LoadError(f"{where}: {error}") from error


def _accept(condition: bool, data: Any, where: str, accepted: str) -> Any:
    if not condition:
        raise LoadError(f"{where}: {brief(data)} is not {accepted}")
    return data
