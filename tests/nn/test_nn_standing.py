"""Capture: a layer is found in whatever way a forward reaches it, and classes hear of no subclass."""

from __future__ import annotations

import abc
import copy
import math
import warnings
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from nn_captures import B, kinds, lif, same, signal
from torch import Tensor, nn

from snnhw.errors import CaptureError
from snnhw.ir import Linear, Neuron
from snnhw.nn import capture

pytestmark = pytest.mark.usefixtures("one_thread", "plain_torch")

X = signal(6)


class Net(nn.Module):
    """A Linear and a neuron, reached by ``way``."""

    way: Any

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.lif = nn.Linear(6, 4), lif()

    def forward(self, x: Tensor) -> Any:
        return self.way(x)

    def both(self, x: Tensor, layers: Any = None) -> Any:
        for layer in layers or (self.fc, self.lif):
            x = layer(x)
        return x


def recursive(net: Net) -> Callable[[Tensor], Any]:
    def again(x: Tensor, layers: tuple[Any, ...] = (net.fc, net.lif)) -> Any:
        return again(layers[0](x), layers[1:]) if layers else x

    return again


def by_name(net: Net) -> Any:
    space: dict[str, Any] = {"net": net}
    exec("def run(x):\n    return net.lif(net.fc(x))", space)  # as in a notebook's cell
    return space["run"]


class Cell:
    """No module, but holds one."""

    def __init__(self, net: Net) -> None:
        self.lif = net.lif

    def run(self, x: Tensor) -> Any:
        return self.lif(x)


WAYS: dict[str, Callable[[Net], Any]] = {
    "a lambda": lambda net: lambda x: net.lif(net.fc(x)),
    "a function of itself": recursive,
    "defaults by name": lambda net: lambda x, *, fc=net.fc, lif=net.lif: lif(fc(x)),
    "a global name": by_name,
    "a method": lambda net: net.both,
    "a call": lambda net: lambda x, call=net.lif.__call__: call(net.fc(x)),
    "a partial": lambda net: partial(net.both, layers=[net.fc, net.lif]),
    "a list": lambda net: partial(net.both, layers=[net.fc, net.lif]),
    "a deque": lambda net: partial(net.both, layers=deque([net.fc, net.lif])),
    "a dict": lambda net: partial(lambda x, of: of["lif"](of["fc"](x)), of={"fc": net.fc, "lif": net.lif}),
    "an ordered dict": lambda net: partial(
        lambda x, of: of["lif"](of["fc"](x)), of=OrderedDict(fc=net.fc, lif=net.lif)
    ),
    "keys": lambda net: partial(
        lambda x, first, then: next(iter(then))(next(iter(first))(x)), first={net.fc: 1}, then={net.lif}
    ),
    "an object": lambda net: partial(lambda x, cell: cell.run(net.fc(x)), cell=Cell(net)),
    "a namespace": lambda net: partial(lambda x, of: of.lif(net.fc(x)), of=SimpleNamespace(lif=net.lif)),
    "a weak reference": lambda net: partial(lambda x, of: of().both(x), of=weakref.ref(net)),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_layer_is_found_however_it_is_reached(way: Callable[[Net], Any]) -> None:
    torch.manual_seed(1)
    net = Net()
    net.way = way(net)
    captured = same(net, X)
    assert kinds(captured) | {"fc": Linear, "lif": Neuron} == kinds(captured)


def test_a_method_of_a_class_may_close_over_a_layer() -> None:
    torch.manual_seed(1)
    outer = lif()

    class Closing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.lif = nn.Linear(6, 4), outer

        def forward(self, x: Tensor) -> Any:
            return outer(self.fc(x))

    assert "lif" in same(Closing(), X).program.nodes


class Global(nn.Module):
    """Its forward knows the network by a global name."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.lif = nn.Linear(6, 4), lif()

    def forward(self, x: Tensor) -> Any:
        return GLOBAL.lif(GLOBAL.fc(x))


torch.manual_seed(1)
GLOBAL = Global()


def test_a_network_may_know_itself_by_a_global_name() -> None:
    assert {"fc", "lif"} <= same(GLOBAL, X).program.nodes.keys()


def test_a_slice_of_a_sequence_is_followed() -> None:
    torch.manual_seed(1)

    class Sliced(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), lif())

        def forward(self, x: Tensor) -> Any:
            return self.layers[1:](self.layers[:1](x))

    assert {"layers.0", "layers.1", "layers.2"} <= same(Sliced(), X).program.nodes.keys()


@pytest.mark.parametrize("compiled", ["forward", "part", "in place"])
def test_what_torch_compiles_is_captured_as_it_was_written(compiled: str) -> None:
    torch.manual_seed(1)
    inner: Any = nn.Sequential(nn.Linear(6, 4), lif())
    net: nn.Module = nn.Sequential(inner)
    if compiled == "forward":
        inner.forward = torch.compile(inner.forward, backend="eager", fullgraph=True)
    elif compiled == "part":
        inner = torch.compile(inner, backend="eager", fullgraph=True)
        net = nn.Sequential(inner)
    else:
        inner.compile(backend="eager", fullgraph=True)
    assert {Linear, Neuron} <= set(kinds(capture(net, X[0])).values())


def test_a_layer_that_no_attribute_leads_to_is_refused() -> None:
    class Stray(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = [nn.Linear(6, 4)]

        def forward(self, x: Tensor) -> Any:
            return self.hidden[0](x)

    with pytest.raises(CaptureError) as caught:
        capture(Stray(), X[0])
    assert "`return self.hidden[0](x)` cannot be captured: it calls a Linear that no attribute" in str(
        caught.value
    )
    assert "Assign it in the constructor, self.NAME = ..., and call it as self.NAME(x)" in str(caught.value)


def test_a_neuron_in_a_variable_outside_is_refused() -> None:
    outer = [lif()]

    class Stray(nn.Module):
        def forward(self, x: Tensor) -> Any:
            return neuron_of(outer)(x)

    with pytest.raises(CaptureError, match="it calls a Leaky that no attribute of the network leads to"):
        capture(Stray(), X[0])


def neuron_of(layers: list[Any]) -> Any:
    return layers[0]


def test_a_layer_that_forward_copies_is_refused() -> None:
    class Copying(Net):
        def forward(self, x: Tensor) -> Any:
            return copy.deepcopy(self.lif)(x)

    with pytest.raises(CaptureError, match="it calls a Leaky that no attribute of the network leads to"):
        capture(Copying(), X[0])


def test_a_scripted_layer_is_refused_by_its_name() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch gives that function up
        scripted = torch.jit.script(nn.Linear(6, 4))
    net = nn.Sequential(scripted, lif())
    with pytest.raises(CaptureError, match="'0' is a RecursiveScriptModule, which has no counterpart"):
        capture(net, X[0])


# -- classes ---------------------------------------------------------------------------------------


class Listed(type):
    made: ClassVar[list[str]] = []

    def __init__(cls, name: str, *rest: Any) -> None:
        super().__init__(name, *rest)
        Listed.made.append(name)


def test_classes_and_their_metaclasses_hear_of_no_subclass() -> None:
    heard: list[type] = []

    class Told(nn.Module, metaclass=Listed):
        def __init_subclass__(cls, **options: Any) -> None:
            heard.append(cls)

        def forward(self, x: Tensor) -> Any:
            return x

    class Below(Told):
        def __init__(self) -> None:
            super().__init__()
            self.lif = lif()

        def forward(self, x: Tensor) -> Any:
            assert type(self).__name__ == "Below"
            assert type(self).__module__ == Below.__module__
            return self.lif(super().forward(x))

    before = [*heard], [*Listed.made]
    captured = capture(Below(), X[0])
    assert "lif" in captured.program.nodes
    assert (heard, Listed.made) == before


def test_an_abstract_class_still_knows_its_instances() -> None:
    class Abstract(nn.Module, abc.ABC):
        @abc.abstractmethod
        def inner(self, x: Tensor) -> Any: ...

        def forward(self, x: Tensor) -> Any:
            assert isinstance(self, Abstract)
            assert not isinstance(x, Abstract)  # asks every subclass that there is
            return self.inner(x)

    class Concrete(Abstract):
        def __init__(self) -> None:
            super().__init__()
            self.lif = lif()

        def inner(self, x: Tensor) -> Any:
            return self.lif(x)

    assert "lif" in capture(Concrete(), X[0]).program.nodes


# -- sizes -----------------------------------------------------------------------------------------


class Scaled(nn.Module):
    def __init__(self, scale: Callable[[Tensor], float]) -> None:
        super().__init__()
        self.fc, self.lif, self.scale = nn.Linear(6, 4), lif(), scale

    def forward(self, x: Tensor) -> Any:
        return self.lif(self.fc(x * self.scale(x)))


@pytest.mark.parametrize("scale", [lambda x: 1 / math.sqrt(x.shape[1]), lambda x: 2 / float(x.size(-1))])
def test_the_number_of_features_is_a_constant(scale: Callable[[Tensor], float]) -> None:
    torch.manual_seed(1)
    same(Scaled(scale), X)


def test_the_size_of_the_batch_is_no_constant() -> None:
    with pytest.raises(
        CaptureError, match="'size' may be the size of the batch, which a program does not know"
    ):
        capture(Scaled(lambda x: 1 / float(x.size(0))), X[0])


def test_the_number_of_steps_is_no_constant() -> None:
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lif = lif()

        def forward(self, x: Tensor) -> Any:
            return torch.stack([self.lif(x[step] * math.sqrt(x.shape[0])) for step in range(x.size(0))])

    with pytest.raises(CaptureError, match=r"may be the (number of time steps|size of the batch), which"):
        capture(Loop(), torch.zeros(B, 6))


def test_a_size_that_is_not_known_is_named() -> None:
    class Intermediate(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.lif = nn.Linear(6, 4), lif()

        def forward(self, x: Tensor) -> Any:
            current = self.fc(x)
            return self.lif(current + torch.zeros(current.size(1)))

    with pytest.raises(CaptureError, match="'size' is no number before the network runs"):
        capture(Intermediate(), X[0])
