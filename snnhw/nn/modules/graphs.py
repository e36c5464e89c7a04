"""Layers of neurons inside the graphs of ``torch.compile``.

Dynamo traces the call of a layer up to here: options, shapes, and the states that it takes, keeps and
returns. One step of the layer is a single node of its graph, `_advance`, into which it does not look: the
equations, the schedule and the caches of kernels are values that are the same at every step. AOTAutograd
does look into it, with tensors without values, and finds torch's own operators and those of
`snnhw.tensors.scans.compiled`.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from snnhw.errors import InputError

if TYPE_CHECKING:
    from snnhw.nn.modules.neuron import SpikingNeuron

__all__ = ["advance", "number_of"]

_LAYERS: Final[WeakValueDictionary[int, SpikingNeuron]] = WeakValueDictionary()
_COUNT: Final = count()

Ports = dict[str, Tensor]


def number_of(layer: SpikingNeuron) -> int:
    """A number that names this layer in graphs, which may hold numbers but no layers."""
    number = next(_COUNT)
    _LAYERS[number] = layer
    return number


def advance(layer: SpikingNeuron, x: Tensor, before: Ports) -> tuple[Ports, Ports]:
    """`SpikingNeuron._hw_advance`, as one node of the graph that is being traced."""
    options = (
        f"{layer.reset_mechanism}, {layer.reset_delay}, {layer._hw_has_levels}, {id(layer._hw_surrogate)}"
    )
    # Several ops are scheduled for one shape. `range` makes a symbol a number: another, another graph.
    shape = tuple(len(range(size)) for size in layer._hw_sample_of(x)) if layer._hw_composed else ()
    names, ports, after = _names(layer._hw_number, options, shape)
    tensors = [layer._hw_tensor_of(name) for name in names]
    states = tuple(before)
    found = _advance(layer._hw_number, options, names, states, x, *tensors, *before.values())
    return dict(zip(ports, found, strict=False)), dict(zip(after, found[len(ports) :], strict=True))


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]  # torch's own
def _names(
    number: int,
    options: str,  # noqa: ARG001  # see below
    shape: tuple[int, ...],
) -> tuple[tuple[str, ...], ...]:
    """Names of the tensors that a layer reads, of its ports, and of the states after it.

    Args:
        options: whose change makes another graph.
    """
    layer = _LAYERS[number]
    if not layer._hw_composed:
        return layer._hw_tensor_names(shape), layer._hw_fires, layer._hw_state_names
    whole = layer._hw_layer(shape)
    if whole.draws:
        raise InputError(
            f"{type(layer).__name__}: a layer of several ops that draws random numbers cannot stand in a "
            "graph of torch.compile, which would draw the same at every call; call it outside, or choose "
            "a surrogate without noise"
        )
    return (
        whole.tensors,
        tuple(whole.composite.outputs),
        tuple(whole.composite.states) if layer._hw_state_names else (),
    )


@torch.compiler.allow_in_graph  # type: ignore[untyped-decorator]  # torch's own
def _advance(
    number: int,
    options: str,  # noqa: ARG001  # as above
    names: tuple[str, ...],
    states: tuple[str, ...],
    x: Tensor,
    *tensors: Tensor,
) -> tuple[Tensor, ...]:
    """New ports and states of the layer of that number, with these tensors in place of its own."""
    layer = _LAYERS[number]
    given = dict(zip(names, tensors, strict=False))
    before = dict(zip(states, tensors[len(names) :], strict=True))
    stand_in = object.__new__(type(layer))  # the same values; nothing of the layer changes
    stand_in.__dict__.update(layer.__dict__, _hw_tensor_of=given.__getitem__)
    ports, after = type(layer)._hw_advance(stand_in, x, before)
    return (*ports.values(), *after.values())
