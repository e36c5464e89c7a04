"""Modules that stand in for a network's own while its forward is recorded.

Recording has to see which layer is called. To replace what every torch module does when it is called, as
torch.fx does, would be seen by every thread of the process. Here a network is copied instead, without its
parameters: among the classes of a copy is one that tells the recorder, just before `torch.nn.Module`. What a
forward changes, it changes in the copy. So the network itself may be called, trained or captured by others
meanwhile.
"""

from __future__ import annotations

import copy
from abc import ABCMeta
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Final, Protocol
from weakref import ref

from torch import Tensor, nn

__all__ = ["Recorder", "StandIns", "is_stand_in"]

PARTS = ("_modules", "_buffers")
"""Attributes in which a module keeps what a forward may reach without calling it."""

OTHERS = ("torch.", "snnhw.")
"""How the modules begin whose functions are not the user's."""

COMPILED = "_torchdynamo_orig_callable"
"""Where a function that ``torch.compile`` gave has the one that it was given."""


class Recorder(Protocol):
    """Who is told what the copies are asked for."""

    def module_called(self, module: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """What the call of a copy gives; ``forward`` makes it."""
        ...

    def module_asked(self, value: Any) -> Any:
        """What a parameter, buffer or module stands for that a copy is asked for."""
        ...

    def is_leaf(self, module: nn.Module) -> bool:
        """Whether a module's forward is not looked into."""
        ...


class _Recorded(nn.Module):
    """The last class before `torch.nn.Module` in the line of a copy's classes."""

    _snnhw_recorder: Recorder

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._snnhw_recorder.module_called(self, super().__call__, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        return self._snnhw_recorder.module_asked(super().__getattr__(name))


class _Quiet:
    """The first class: no other is told of a subclass that nobody wrote."""

    def __init_subclass__(cls) -> None:
        pass


def is_stand_in(module: object) -> bool:
    """Whether it is a copy."""
    return isinstance(module, _Recorded)


class StandIns:
    """The copies of one network, for one recorder: the same for the same module, however it is reached.

    Attributes:
        root: what stands in for the network.
        paths: id of a copy -> the path of its module.
    """

    def __init__(self, net: nn.Module, recorder: Recorder) -> None:
        self._recorder = recorder
        self._classes: dict[type[nn.Module], type[nn.Module]] = {}
        self._made: dict[int, Any] = {}
        self._given: list[Any] = []  # kept, so that no other object gets the same id
        self._own = {id(module) for module in net.modules()}
        self.root: nn.Module = self.of(net)
        self.paths = {id(self.of(module)): path for path, module in net.named_modules()}

    def of(self, value: Any) -> Any:
        """What stands in for a value; itself where it leads to no module and nothing can be changed in it."""
        if id(value) in self._made:
            return self._made[id(value)]
        if isinstance(value, nn.Module):
            return self._module(value) if id(value) in self._own else value
        if (make := _COPIED.get(type(value))) is not None:
            return make(self, value)
        return self._holder(value) if self._holds(value) else value

    def keep(self, value: Any, made: Any) -> Any:
        """Remember what stands in for a value."""
        self._given.append(value)
        self._made[id(value)] = made
        return made

    # -- objects ---------------------------------------------------------------------------------------

    def _holds(self, value: Any) -> bool:
        """Whether a module of the network is an attribute of an object, which is not torch's."""
        held = getattr(value, "__dict__", None)
        if not isinstance(held, dict) or isinstance(value, ModuleType):
            return False
        own = any(id(item) in self._own for item in [*held.values()])
        return own and not type(value).__module__.startswith(OTHERS)

    def _holder(self, value: Any) -> Any:
        made = self.keep(value, copy.copy(value))
        made.__dict__.update({name: self.of(item) for name, item in value.__dict__.items()})
        return made

    def _module(self, module: nn.Module) -> nn.Module:
        made: nn.Module = self.keep(module, object.__new__(self._class_of(type(module))))
        leaf = self._recorder.is_leaf(module)  # its forward is not run, and most of it stays as it is
        for name, value in [*module.__dict__.items()]:
            stays = leaf and name not in PARTS and type(value) is not Tensor
            made.__dict__[name] = value if stays else self.of(value)
        made.__dict__["_compiled_call_impl"] = None  # of `Module.compile`: the forward itself is recorded
        return made

    def _class_of(self, kind: type[nn.Module]) -> type[nn.Module]:
        """A subclass of a module's class, made without the class or its metaclass being told."""
        if kind not in self._classes:
            bases = (_Quiet, _Recorded) if kind is nn.Module else (_Quiet, kind, _Recorded)
            names = {name: getattr(kind, name) for name in ("__module__", "__qualname__", "__doc__")}
            attributes = {**names, "_snnhw_recorder": self._recorder}
            maker: Any = ABCMeta if issubclass(type(kind), ABCMeta) else type
            made = self._classes[kind] = maker.__new__(type(kind), kind.__name__, bases, attributes)
            for name, method in self._methods(kind).items():  # which may lead back here
                type.__setattr__(made, name, method)
        return self._classes[kind]

    # -- functions -------------------------------------------------------------------------------------

    def _methods(self, kind: type[nn.Module]) -> dict[str, Any]:
        """The user's methods that reach a module otherwise than through ``self``, rewritten."""
        found: dict[str, Any] = {}
        for owner in reversed(kind.__mro__):
            for name, method in [*vars(owner).items()]:
                found.pop(name, None)
                if isinstance(method, FunctionType) and not owner.__module__.startswith(OTHERS):
                    made = self.function(method)
                    found |= {} if made is method else {name: made}
        return found

    def function(self, function: FunctionType) -> Any:
        """A function with copies in its defaults, under its global names and in what it closes over; itself
        where these lead to no module. Of a function that torch compiles, what was given to be compiled."""
        if (plain := getattr(function, COMPILED, None)) is not None:
            return self.keep(function, self.of(plain))
        code, given, closed = function.__code__, function.__globals__, function.__closure__ or ()
        own = {name: self.of(given[name]) for name in _names(code) if id(given.get(name)) in self._own}
        cells = tuple(CellType() for _ in closed)
        globals_ = {**given, **own} if own else given
        made = self.keep(function, FunctionType(code, globals_, function.__name__, None, cells))
        changed = bool(own)
        for cell, before in zip(cells, closed, strict=True):
            for content in _content(before):
                cell.cell_contents = self.of(content)
                changed |= cell.cell_contents is not content
        for name in ("__defaults__", "__kwdefaults__", "__dict__"):
            before = getattr(function, name)
            setattr(made, name, self.of(before))
            changed |= getattr(made, name) is not before and bool(before)
        return made if changed else self.keep(function, function)


def _names(code: CodeType) -> Iterator[str]:
    """The global names, among others, that a function and those within it use."""
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)


def _content(cell: CellType) -> list[Any]:
    """What a cell holds, if it is filled by now."""
    try:
        return [cell.cell_contents]
    except ValueError:
        return []


# -- what is copied, by its type ---------------------------------------------------------------------------


def _sequence(copies: StandIns, value: Any) -> Any:
    made = copies.keep(value, copy.copy(value))
    made.clear()
    getattr(made, "update" if isinstance(made, set) else "extend")([copies.of(item) for item in value])
    return made


def _mapping(copies: StandIns, value: Any) -> Any:
    made = copies.keep(value, copy.copy(value))
    made.clear()
    made.update([(copies.of(key), copies.of(item)) for key, item in value.items()])
    return made


def _tuple(copies: StandIns, value: tuple[Any, ...]) -> tuple[Any, ...]:
    made = tuple(copies.of(item) for item in value)
    return made if any(a is not b for a, b in zip(made, value, strict=True)) else value


def _method(copies: StandIns, value: MethodType) -> Any:
    owner, function = copies.of(value.__self__), value.__func__
    if owner is value.__self__:
        return value
    for name in ("__call__", getattr(function, "__name__", "")):
        if getattr(type(value.__self__), name, None) is function:
            return getattr(owner, name)
    return MethodType(copies.of(function), owner)


def _partial(copies: StandIns, value: partial[Any]) -> partial[Any]:
    return partial(copies.of(value.func), *copies.of(value.args), **copies.of(value.keywords))


def _reference(copies: StandIns, value: ref[Any]) -> ref[Any]:
    target = value()
    return value if copies.of(target) is target else ref(copies.of(target))


_COPIED: Final[Mapping[type, Callable[[StandIns, Any], Any]]] = {
    Tensor: lambda copies, value: copies.keep(value, value.detach().clone()),
    list: _sequence,
    deque: _sequence,
    set: _sequence,
    dict: _mapping,
    OrderedDict: _mapping,
    defaultdict: _mapping,
    tuple: _tuple,
    FunctionType: StandIns.function,
    MethodType: _method,
    partial: _partial,
    ref: _reference,
}
"""Parameters are not among them: no forward changes them."""
