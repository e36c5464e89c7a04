"""Modules that stand in for a network's own while its forward is recorded.

Recording has to see which layer is called. To replace what every torch module does when it is called, as
torch.fx does, would be seen by every thread of the process. Here a network is copied instead, without its
parameters: a copy is of its module's own class, and has attributes that tell the recorder. What a forward
changes, it changes in the copy. So the network itself may be called, trained or captured by others meanwhile.
"""

from __future__ import annotations

import copy
from abc import ABCMeta
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from types import CellType, FunctionType, MappingProxyType, MethodType
from typing import Any, Final, Protocol
from weakref import ref

from torch import Tensor, nn

from snnhw.nn.capture.insides import content, global_names, inside, of_others, slots

__all__ = ["Recorder", "StandIns", "is_stand_in"]

PARTS = ("_modules", "_buffers")
"""Attributes in which a module keeps what a forward may reach without calling it."""

CALLED = "_call_impl"
"""Under which name `torch.nn.Module.__call__` looks for what it is to do."""

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


class _Called:
    """What `torch.nn.Module` calls of a copy: an attribute of its own in the place of its class's."""

    def __init__(self, recorder: Recorder, module: nn.Module) -> None:
        self._recorder, self._module = recorder, module

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        forward = partial(type(self._module)._call_impl, self._module)
        return self._recorder.module_called(self._module, forward, args, kwargs)

    def __deepcopy__(self, memo: dict[int, Any]) -> _Called:  # of a copy that a forward copies
        return _Called(self._recorder, copy.deepcopy(self._module, memo))


class _Parameters(dict[str, Any]):
    """The parameters of a copy: who asks for one is given what it stands for."""

    def __init__(self, recorder: Recorder, given: Mapping[str, Any]) -> None:
        super().__init__(given)
        self._recorder = recorder

    def __getitem__(self, name: str) -> Any:
        return self._recorder.module_asked(super().__getitem__(name))

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        return copy.deepcopy({**self}, memo)


class _Quiet(nn.Module):
    """The first class: no other is told of a subclass that nobody wrote."""

    def __init_subclass__(cls) -> None:
        pass


def is_stand_in(module: nn.Module) -> bool:
    """Whether it is a copy."""
    return isinstance(vars(module).get(CALLED), _Called)


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
        if not self.leads(value):
            return value
        kind = next((kind for kind in _SUBCLASSED if issubclass(type(value), kind)), None)
        return self._filled(value, _SUBCLASSED[kind](self, value)) if kind else self._holder(value)

    def keep(self, value: Any, made: Any) -> Any:
        """Remember what stands in for a value."""
        self._given.append(value)
        self._made[id(value)] = made
        return made

    def leads(self, value: Any) -> bool:
        """Whether a module of the network is reached through a value."""
        todo, seen = [value], set()
        while todo:
            if id(item := todo.pop()) in self._own:
                return True
            if id(item) not in seen:
                seen.add(id(item))
                todo += inside(item)
        return False

    # -- objects ---------------------------------------------------------------------------------------

    def _holder(self, value: Any) -> Any:
        """Made without asking its class, which may not want copies."""
        try:
            made = self.keep(value, object.__new__(type(value)))
        except TypeError:  # a class that is not written in Python
            made = self.keep(value, copy.copy(value))
        return self._filled(value, made)

    def _filled(self, value: Any, made: Any) -> Any:
        """An object with the attributes of another."""
        held = getattr(value, "__dict__", None)
        if isinstance(held, dict):
            vars(made).update({name: self.of(item) for name, item in held.items()})
        for slot, item in slots(value):
            slot.__set__(made, self.of(item))
        return made

    def _module(self, module: nn.Module) -> nn.Module:
        kind = type(module)
        made: nn.Module = self.keep(module, object.__new__(kind))
        vars(made)[CALLED] = _Called(self._recorder, made)
        if (copied := self._class_of(kind)) is not type(made):
            object.__setattr__(made, "__class__", copied)
        leaf = self._recorder.is_leaf(module)  # its forward is not run, and most of it stays as it is
        for name, value in [*vars(module).items()]:
            stays = leaf and type(value) is not Tensor and not self.leads(value)
            vars(made)[name] = self.of(value) if name in PARTS or not stays else value
        vars(made)["_parameters"] = _Parameters(self._recorder, module._parameters)
        vars(made)["_compiled_call_impl"] = None  # of `Module.compile`: the forward itself is recorded
        for slot, item in slots(module):
            slot.__set__(made, self.of(item))
        return made

    def _class_of(self, kind: type[nn.Module]) -> type[nn.Module]:
        """A module's class; where its methods have to be others, a subclass of it, made without the class or
        its metaclass being told."""
        if kind not in self._classes:
            self._classes[kind] = kind  # its attributes may lead back here
            if attributes := self._attributes(kind):
                names = {name: getattr(kind, name) for name in ("__module__", "__qualname__", "__doc__")}
                names |= {"__slots__": (), "__class__": property(lambda _: kind)}
                maker: Any = ABCMeta if issubclass(type(kind), ABCMeta) else type
                made = maker.__new__(type(kind), kind.__name__, (_Quiet, kind), names | attributes)
                self._classes[kind] = made
                for copied in [copied for copied in self._made.values() if type(copied) is kind]:
                    object.__setattr__(copied, "__class__", made)
        return self._classes[kind]

    def _attributes(self, kind: type[nn.Module]) -> dict[str, Any]:
        """What the user's classes have that reaches a module otherwise than through ``self``, rewritten."""
        found: dict[str, Any] = {}
        for owner in reversed(kind.__mro__):
            for name, value in [*vars(owner).items()]:
                found.pop(name, None)
                if not of_others(owner) and self.leads(value):
                    made = self.of(value)
                    found |= {} if made is value else {name: made}
        return found

    # -- functions -------------------------------------------------------------------------------------

    def function(self, function: FunctionType) -> Any:
        """A function with copies in its defaults, under its global names and in what it closes over; itself
        where these lead to no module. Of a function that torch compiles, what was given to be compiled."""
        if (plain := getattr(function, COMPILED, None)) is not None:
            return self.keep(function, self.of(plain))
        code, given, closed = function.__code__, function.__globals__, function.__closure__ or ()
        own = {name: self.of(given[name]) for name in global_names(function) if self.leads(given[name])}
        cells = tuple(CellType() for _ in closed)
        globals_ = {**given, **own} if own else given
        made = self.keep(function, FunctionType(code, globals_, function.__name__, None, cells))
        changed = bool(own)
        for cell, before in zip(cells, closed, strict=True):
            for item in content(before):
                cell.cell_contents = self.of(item)
                changed |= cell.cell_contents is not item
        for name in ("__defaults__", "__kwdefaults__", "__dict__"):
            before = getattr(function, name)
            setattr(made, name, self.of(before))
            changed |= getattr(made, name) is not before and bool(before)
        return made if changed else self.keep(function, function)


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
    changed = any(a is not b for a, b in zip(made, value, strict=True))
    return copies.keep(value, tuple.__new__(type(value), made)) if changed else value


def _frozen(copies: StandIns, value: frozenset[Any]) -> frozenset[Any]:
    made = frozenset(copies.of(item) for item in value)
    return value if made == value else copies.keep(value, made)


def _around(copies: StandIns, value: Any) -> Any:
    """A method of a class, as its kind wraps a function."""
    made = copies.of(value.__func__)
    return value if made is value.__func__ else type(value)(made)


def _property(copies: StandIns, value: property) -> property:
    return property(copies.of(value.fget), copies.of(value.fset), copies.of(value.fdel), value.__doc__)


def _computed_once(copies: StandIns, value: cached_property[Any]) -> cached_property[Any]:
    made: cached_property[Any] = copies.keep(value, copy.copy(value))
    made.func = copies.of(value.func)
    return made


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
    frozenset: _frozen,
    MappingProxyType: lambda copies, value: MappingProxyType(copies.of({**value})),
    staticmethod: _around,
    classmethod: _around,
    property: _property,
    cached_property: _computed_once,
    FunctionType: StandIns.function,
    MethodType: _method,
    partial: _partial,
    ref: _reference,
}
"""Parameters are not among them: no forward changes them."""

_SUBCLASSED: Final[Mapping[type, Callable[[StandIns, Any], Any]]] = {
    tuple: _tuple,
    list: _sequence,
    deque: _sequence,
    set: _sequence,
    dict: _mapping,
    frozenset: lambda copies, value: frozenset.__new__(type(value), map(copies.of, value)),
}
"""The same for subclasses of them that lead to a module."""
