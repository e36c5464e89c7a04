"""Names: whoever derives a class from one of our neurons may use those that snnTorch's neurons leave free."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final

import pytest
import torch
from torch import Tensor, nn

import snnhw as snn

pytestmark = pytest.mark.usefixtures("one_thread", "plain_torch")

theirs: Any = pytest.importorskip("snntorch", reason="snntorch is the oracle: pip install snntorch==1.0.0")

LAYERS: dict[str, Callable[[Any], Any]] = {
    "Leaky": lambda library: library.Leaky(0.8),
    "Leaky-levels": lambda library: library.Leaky(0.8, state_quant=torch.relu),
    "Synaptic": lambda library: library.Synaptic(0.7, 0.8),
    "RLeaky": lambda library: library.RLeaky(0.8, linear_features=3),
    "RSynaptic": lambda library: library.RSynaptic(0.7, 0.8, linear_features=3),
    "Lapicque": lambda library: library.Lapicque(beta=0.6),
    "Alpha": lambda library: library.Alpha(0.9, 0.6),
    "DeltaLeaky": lambda library: library.DeltaLeaky(0.5, beta=0.8),
    "SLSTM": lambda library: library.SLSTM(3, 3),
    "SConv2dLSTM": lambda library: library.SConv2dLSTM(1, 1, 3),
    "LeakyParallel": lambda library: library.LeakyParallel(3, 3),
    "StateLeaky": lambda library: library.StateLeaky(0.8, 3),
    "LinearLeaky": lambda library: library.LinearLeaky(0.8, 3, 3),
    "AssociativeLeaky": lambda library: library.AssociativeLeaky(3, 2, 2, 4),
}

FREE: Final = {
    "__deepcopy__": "what `copy` asks for; torch's parametrizations ask for their own beforehand",
    "__signature__": "what inspect asks a class for",
    "model": "of a class alone; a layer has no such attribute",
    "reset": "snnTorch sets it at the first step",
    "channels": "a size that the constructor is given, as `repr` shows it",
    "in_dim": "likewise",
    "input_size": "likewise",
}
"""Names of ours besides, and why they are in nobody's way."""


def everybodys() -> set[str]:
    """What a torch module or some neuron of snnTorch has."""
    names = set(dir(nn.Linear(1, 1)))
    for make in LAYERS.values():
        names |= set(dir(make(theirs)))
    return names


@pytest.mark.parametrize("name", LAYERS)
def test_our_own_names_are_told_by_their_beginning(name: str) -> None:
    layer = LAYERS[name](snn)
    own = set(dir(layer)) - everybodys()
    assert {each for each in own if not each.startswith("_hw_")} <= FREE.keys()
    assert len(own) > 20  # they are listed at all


WORDS: Final = """
    _before _given _layers _ports _state _step _steps _tensors advance alone apart composite dt
    fires graded keep layer learns levels model number op prepare quantised returned sizes
    state_names summed surrogate tau timing validate_args
""".split()  # noqa: SIM905  # as one reads them
"""Names that a neuron of somebody's own may well have."""


def _value(_: Any, name: str) -> Any:
    return len(name) / 10


def _parameter(_: Any, name: str) -> nn.Parameter:
    return nn.Parameter(torch.tensor(len(name) / 10))


def _module(_: Any, name: str) -> nn.Module:
    layer = nn.Linear(3, 3, bias=False)
    nn.init.constant_(layer.weight, len(name) / 10)
    return layer


def _buffer(owner: nn.Module, name: str) -> Tensor:
    owner.register_buffer(name, torch.tensor(len(name) / 10))
    return owner.get_buffer(name)


def owned(library: Any, kind: str, word: str, made: Callable[[Any, str], Any]) -> Any:
    """A neuron whose step adds what it has of that name to its input."""

    class Own(getattr(library, kind)):  # type: ignore[misc]  # of either library
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            setattr(self, word, made(self, word))

        def forward(self, x: Tensor, *states: Any) -> Any:
            held = getattr(self, word)
            return super().forward(held(x) if isinstance(held, nn.Module) else x + held, *states)

    rates = {"Leaky": (0.8,), "Synaptic": (0.7, 0.8)}[kind]
    return Own(*rates, learn_beta=True)


@pytest.mark.parametrize("made", [_value, _parameter, _module, _buffer])
@pytest.mark.parametrize("word", WORDS)
def test_a_neuron_may_keep_anything_under_such_a_name(word: str, made: Callable[[Any, str], Any]) -> None:
    found = []
    for library in (theirs, snn):
        layer = owned(library, "Leaky", word, made)
        x = torch.tensor([[0.3, 0.8, 1.4]], requires_grad=True)
        mem = layer.init_leaky()
        for _ in range(4):
            spk, mem = layer(x, mem)
        mem.sum().backward()
        found.append([spk, mem, x.grad, *(param.grad for param in layer.parameters()), *layer.state_dict()])
    for a, b in zip(*found, strict=True):
        if isinstance(a, str):
            assert a == b
        else:
            torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("word", WORDS)
def test_a_neuron_may_have_a_method_of_such_a_name(word: str) -> None:
    def method(self: Any, x: Tensor) -> Any:
        return x * self.beta

    found = []
    for library in (theirs, snn):

        class Own(library.Synaptic):  # type: ignore[misc,name-defined]  # of either library
            def forward(self, x: Tensor, *states: Any) -> Any:
                return super().forward(getattr(self, word)(x), *states)

        setattr(Own, word, method)
        layer, states, x = Own(0.7, 0.8), (), torch.tensor([[0.3, 0.8, 1.4]])
        for _ in range(4):
            spk, *states = layer(x, *states)
        found.append([spk, *states])
    assert all(map(torch.equal, *found))


def test_equations_are_those_of_a_class() -> None:
    assert snn.Leaky.model.name == "Leaky"
    assert not hasattr(snn.Leaky(0.5), "model")


def test_a_constructor_of_ones_own_says_what_it_takes() -> None:
    class Own(snn.Leaky):
        def __init__(self, size: int, beta: float = 0.5) -> None:
            super().__init__(beta)
            self.size = size

    class Further(Own):
        pass

    class Plain(snn.Leaky):
        pass

    for kind in (Own, Further):
        assert str(inspect.signature(kind)) == "(size: 'int', beta: 'float' = 0.5) -> 'None'"
        assert kind(3)(torch.ones(1, 2))[1].tolist() == [[1, 1]]
    assert next(iter(inspect.signature(Plain).parameters)) == "beta"
