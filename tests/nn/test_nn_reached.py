"""Capture: what stands in for a module is of its class, and found behind objects, globals and classes."""

from __future__ import annotations

import threading
from collections import ChainMap, UserList
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from types import MappingProxyType, SimpleNamespace
from typing import Any, ClassVar, NamedTuple

import pytest
import torch
from nn_captures import lif, same, signal
from torch import Tensor, nn

import snnhw as snn

pytestmark = pytest.mark.usefixtures("one_thread", "plain_torch")

X = signal(6)


class Net(nn.Module):
    """A Linear and a neuron, the first of them reached by ``way``."""

    way: Any

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.lif = nn.Linear(6, 4), lif()

    def forward(self, x: Tensor) -> Any:
        return self.lif(self.way(x))


def captured(net: nn.Module) -> None:
    """Both layers are found, and compute what they do in torch."""
    assert {"fc", "lif"} <= same(net, X).program.nodes.keys()


class Pair(NamedTuple):
    first: nn.Module
    second: nn.Module


class Listed(list[nn.Module]):
    """A list of a class of its own."""


class Settings(dict[str, Any]):
    """A dict with an attribute."""

    layer: nn.Module


class Slotted:
    """Its one attribute is in no dict; and it wants no copies."""

    __slots__ = ("layer",)

    def __init__(self, layer: nn.Module) -> None:
        self.layer = layer

    def __copy__(self) -> Slotted:
        raise TypeError("no copies")

    def __call__(self, x: Tensor) -> Any:
        return self.layer(x)


@dataclass(frozen=True)
class Frozen:
    layer: nn.Module
    lock: Any


def settings(layer: nn.Module) -> Settings:
    found = Settings()
    found.layer = layer
    return found


def helper(x: Tensor) -> Any:
    return REGISTRY["fc"](x)


REGISTRY: dict[str, nn.Module] = {}


def registered(net: Net) -> Callable[[Tensor], Any]:
    REGISTRY["fc"] = net.fc
    return helper


WAYS: dict[str, Callable[[Net], Any]] = {
    "a named tuple": lambda net: partial(lambda x, pair: pair.first(x), pair=Pair(net.fc, net.lif)),
    "a list's subclass": lambda net: partial(lambda x, of: of[0](x), of=Listed([net.fc])),
    "a dict's subclass": lambda net: partial(lambda x, of: of.layer(x), of=settings(net.fc)),
    "a frozen set": lambda net: partial(lambda x, of: next(iter(of))(x), of=frozenset([net.fc])),
    "a read-only dict": lambda net: partial(lambda x, of: of["fc"](x), of=MappingProxyType({"fc": net.fc})),
    "a chain of dicts": lambda net: partial(lambda x, of: of["fc"](x), of=ChainMap({"fc": net.fc})),
    "a list written in Python": lambda net: partial(lambda x, of: of[0](x), of=UserList([net.fc])),
    "an object's object": lambda net: partial(
        lambda x, of: of.within.fc(x), of=SimpleNamespace(within=SimpleNamespace(fc=net.fc))
    ),
    "a slot": lambda net: Slotted(net.fc),
    "a frozen object": lambda net: partial(
        lambda x, of: of.layer(x), of=Frozen(net.fc, lock=threading.Lock())
    ),
    "a function's global name": registered,
    "a function of torch's class": lambda net: partial(nn.Linear.__call__, net.fc),
    "an attribute of another layer": lambda net: net.lif.__dict__.setdefault("before", net.fc),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_layer_is_found_behind_whatever_holds_it(way: Callable[[Net], Any]) -> None:
    torch.manual_seed(1)
    net = Net()
    net.__dict__["way"] = way(net)
    captured(net)


class ByClass(Net):
    """Chooses by the very class of a layer."""

    def forward(self, x: Tensor) -> Any:
        assert type(self) is ByClass
        for layer in self.children():
            x = {nn.Linear: lambda x, of: of(x) * 2, snn.Leaky: lambda x, of: of(x)}[type(layer)](x, layer)
        return x


class InSlots(Net):
    """Keeps an attribute in a slot."""

    __slots__ = ("__factor",)

    def __init__(self) -> None:
        super().__init__()
        self.__factor = 2.0

    def forward(self, x: Tensor) -> Any:
        return self.lif(self.fc(x * self.__factor))


DEFAULT = nn.Linear(6, 4)


class Defaults(Net):
    """Its forward has a layer as the default of an argument."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = DEFAULT

    def forward(self, x: Tensor, layer: nn.Module = DEFAULT) -> Any:
        return self.lif(layer(x))


class OfClass(Net):
    """Its class has a layer, in a list, and functions of every kind that lead to it."""

    layers: ClassVar[list[nn.Module]] = []

    def __init__(self) -> None:
        super().__init__()
        OfClass.layers = [self.fc]

    @staticmethod
    def still(x: Tensor) -> Any:
        return OF_CLASS.fc(x)

    @classmethod
    def whole(cls, x: Tensor) -> Any:
        return OF_CLASS.fc(x)

    @property
    def asked(self) -> Any:
        return OF_CLASS.fc

    @cached_property
    def once(self) -> Any:
        return OF_CLASS.fc

    def forward(self, x: Tensor) -> Any:
        return self.lif(self.layers[0](x) + self.still(x) + self.whole(x) + self.asked(x) + self.once(x))


class Looped(Net):
    """Iterates over itself, and is empty to whoever asks."""

    def __iter__(self) -> Iterator[nn.Module]:
        return iter((self.fc, self.lif))

    def __bool__(self) -> bool:
        return False

    def forward(self, x: Tensor) -> Any:
        for layer in self:
            x = layer(x)
        return x


torch.manual_seed(1)
OF_CLASS = OfClass()


@pytest.mark.parametrize("kind", [ByClass, InSlots, Defaults, Looped])
def test_a_stand_in_is_what_its_module_is(kind: type[Net]) -> None:
    torch.manual_seed(1)
    captured(kind())


def test_a_layer_is_found_behind_its_networks_class() -> None:
    captured(OF_CLASS)
