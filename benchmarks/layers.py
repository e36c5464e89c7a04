"""Networks as data: a chain of named layers that every library builds in its own way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Layer", "Net", "Neuron", "chain", "init_weights", "leaky", "mlp", "neurons"]


@dataclass(frozen=True)
class Layer:
    """A stateless layer, under torch's name and with torch's positional arguments."""

    name: str
    arguments: tuple[int, ...] = ()

    def build(self, library: Any) -> nn.Module:
        """The layer, from ``torch.nn`` or from a library that has classes of the same names."""
        made: nn.Module = getattr(library, self.name)(*self.arguments)
        return made


@dataclass(frozen=True)
class Neuron:
    """A layer of neurons, under the name and with the arguments that snnTorch and snnhw share.

    Attributes:
        kind: name of the class.
        constants: what is the same for all neurons when training starts: decays, the threshold.
        learnt: constants that are learnt, one value for each neuron.
        size: how many neurons learn their own constants, or are connected to each other.
        surrogate: its name and its one setting, None where it has none.
    """

    kind: str
    constants: tuple[tuple[str, float], ...]
    learnt: tuple[str, ...] = ()
    size: int = 0
    surrogate: tuple[str, float | None] = ("atan", 2.0)

    def constant(self, name: str) -> float:
        return dict(self.constants)[name]

    def replaced(self, **constants: float) -> Neuron:
        """The same layer with other values of some constants."""
        values = {**dict(self.constants), **constants}
        return Neuron(self.kind, tuple(values.items()), self.learnt, self.size, self.surrogate)

    def build(self, library: Any, **options: Any) -> nn.Module:
        """The layer, from a library with snnTorch's classes and surrogates."""
        name, setting = self.surrogate
        values: dict[str, Any] = {
            name: torch.full((self.size,), value) if name in self.learnt else value
            for name, value in self.constants
        }
        values |= {f"learn_{name}": True for name in self.learnt}
        if self.kind in RECURRENT:
            values["linear_features"] = self.size
        values["spike_grad"] = getattr(library.surrogate, name)(*([] if setting is None else [setting]))
        made: nn.Module = getattr(library, self.kind)(**values, **options)
        return made


Net = tuple[tuple[str, Layer | Neuron], ...]
"""Names, as in a ``state_dict``, and layers in order."""

STATES: dict[str, tuple[str, ...]] = {
    "Leaky": ("mem",),
    "Synaptic": ("syn", "mem"),
    "RLeaky": ("spk", "mem"),
}
"""Kind -> the states that a call takes after the input, and that end what it returns."""

RECURRENT = frozenset({"RLeaky"})
"""Kinds whose neurons are connected to each other by a linear layer of their own."""

WEIGHTED = frozenset({"Linear", "Conv2d", "BatchNorm2d"})
"""Stateless layers with a weight and a bias."""


def leaky(beta: float, surrogate: tuple[str, float | None] = ("atan", 2.0)) -> Neuron:
    return Neuron("Leaky", (("beta", beta), ("threshold", 1.0)), surrogate=surrogate)


def chain(*layers: Layer | Neuron) -> Net:
    """Layers with the names that tutorials give them: ``fc1 lif1 fc2 lif2``, ``conv1 pool1 ...``."""
    stems = {"Linear": "fc", "Conv2d": "conv", "MaxPool2d": "pool", "Flatten": "flat", "BatchNorm2d": "norm"}
    counts: dict[str, int] = {}
    found = []
    for layer in layers:
        stem = "lif" if isinstance(layer, Neuron) else stems[layer.name]
        counts[stem] = counts.get(stem, 0) + 1
        found.append((f"{stem}{counts[stem]}", layer))
    return tuple(found)


def mlp(sizes: Sequence[int], *layers: Neuron) -> Net:
    """Linear layers between the sizes, each followed by neurons; the last kind given serves the rest."""
    found: list[Layer | Neuron] = []
    for number, (inputs, outputs) in enumerate(pairwise(sizes)):
        found += [Layer("Linear", (inputs, outputs)), layers[min(number, len(layers) - 1)]]
    return chain(*found)


def neurons(net: Net) -> Iterator[tuple[str, Neuron]]:
    """The layers that spike."""
    for name, layer in net:
        if isinstance(layer, Neuron):
            yield name, layer


def init_weights(net: Net, seed: int = 0) -> dict[str, Tensor]:
    """Weights and biases that all libraries start from, as torch draws them: ``fc1.weight``, ..."""
    torch.manual_seed(seed)
    found: dict[str, Tensor] = {}
    for name, layer in net:
        made: nn.Module | None = None
        if isinstance(layer, Layer) and layer.name in WEIGHTED:
            made = layer.build(nn)
        elif isinstance(layer, Neuron) and layer.kind in RECURRENT:
            name, made = f"{name}.recurrent", nn.Linear(layer.size, layer.size)  # noqa: PLW2901  # where it lies
        if made is not None:
            found |= {f"{name}.{key}": value.detach() for key, value in made.state_dict().items()}
    return found
