"""snnTorch's ``export_nir``: a torch module as a ``nir.NIRGraph``."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from snnhw import registry
from snnhw.errors import CaptureError, ExportError, InputError, PluginUnavailable
from snnhw.ir import FrozenMap, Input, Neuron, Output, Program
from snnhw.nn import SpikingNeuron, capture
from snnhw.nn.capture.layers import copied
from snnhw.plugin import ObjectFormat
from snnhw.words import public

__all__ = ["export_to_nir", "objects"]

__getattr__, __dir__ = public(__name__, __all__)


def objects() -> ObjectFormat:
    """The format that these functions are about, which may come from any distribution.

    Raises:
        PluginError: it is not installed, or cannot be used here.
    """
    found = registry.file_format("nir")
    if not isinstance(found, ObjectFormat):
        raise PluginUnavailable("format 'nir' has no objects; upgrade the distribution that it comes from")
    return found


def export_to_nir(
    module: nn.Module,
    sample_data: Tensor,
    model_name: str = "snnhw",  # noqa: ARG001  # snnTorch's signature
    model_fwd_args: Sequence[Any] = (),
    ignore_dims: Sequence[int] = (),
    **options: Any,
) -> Any:
    """A module of one time step as a ``nir.NIRGraph``, which ``nir.write`` writes.

    What NIR cannot say is warned about, with the share of spikes that it changes on the sample;
    `snnhw.export` writes a file at once, and refuses to lose anything unasked. A node of NIR gives one thing:
    where a neuron's spikes and states are both returned, as with ``output=True``, the spikes are written.

    Args:
        sample_data: one time step of input, ``[B, ...]``.
        model_name: not used; snnTorch takes it here.
        model_fwd_args: what ``forward`` takes after the sample: states ``[B, ...]``, and flags and numbers,
            which hold for the graph.
        ignore_dims: the axes of the sample that are no features, such as ``[0]`` for ``[B, ...]`` and
            ``[0, 1]`` for ``[T, B, ...]``; without, the first is.
        options: ``target``, ``dt``, ``scheme``, as for `snnhw.export`.

    Raises:
        CaptureError: the module's step cannot be taken into a program.
        ExportError: NIR, or the target, has no form for the network.
        InputError: the sample has no such axes.
        PluginError: the package ``nir`` is not installed.
    """
    sample = _one_step(sample_data, ignore_dims)
    given = (sample, *(_plain(value) for value in model_fwd_args)) if model_fwd_args else sample
    program, params, _ = capture(module, given)
    program = _spikes_alone(program)
    names = program.named(Input)
    arrays = [each for each in (given if isinstance(given, tuple) else (given,)) if isinstance(each, Tensor)]
    held = {name: copied(array) for name, array in zip(names, arrays, strict=False)}
    own = {"sample": held, "lossy": "allow"}
    made, report = objects().to_object(program, params, **own, **options)
    for note in report.lost:
        warnings.warn(note, stacklevel=2)
    return made


def _extract_snntorch_module(module: nn.Module) -> Any:
    """snnTorch's inner function: one layer as a NIR node, or as a subgraph where it takes several; None for
    what has no form there.

    Raises:
        PluginError: the package ``nir`` is not installed.
    """
    objects()
    sample = _sample(module)
    if sample is None:
        return None
    try:
        graph = export_to_nir(_Spikes(module), sample)
    except (CaptureError, ExportError):
        return None
    inside = [node for node in graph.nodes.values() if type(node).__name__ not in ("Input", "Output")]
    return inside[0] if len(inside) == 1 else graph


class _Spikes(nn.Module):
    """A layer whose states nobody asks for."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.several = isinstance(layer, SpikingNeuron) and (layer.output or not layer.init_hidden)

    def forward(self, x: Tensor) -> Any:
        found = self.layer(x)
        return found[0] if self.several else found


def _sample(layer: nn.Module) -> Tensor | None:
    """An input that a layer takes."""
    if isinstance(layer, SpikingNeuron):
        recurrent = getattr(layer, "recurrent", None)
        if isinstance(recurrent, nn.Module):
            return _sample(recurrent)
        shapes = [layer._hw_tensor_of(param.name).shape for param in layer._hw_model.params]
        return torch.zeros(1, *(torch.broadcast_shapes(*shapes) or (1,)))
    if isinstance(layer, nn.Linear):
        return torch.zeros(1, layer.in_features)
    if isinstance(layer, nn.Conv2d):
        return torch.zeros(1, layer.in_channels, *layer.kernel_size)
    if isinstance(layer, nn.AvgPool2d):
        size = layer.kernel_size
        return torch.zeros(1, 1, *((size, size) if isinstance(size, int) else size))
    return torch.zeros(1, 1, 1) if isinstance(layer, nn.Flatten) else None


def _one_step(sample: Tensor, ignored: Sequence[int]) -> Tensor:
    """The sample ``[B, ...]``: of several axes that are no features, the last counts as B."""
    axes = sorted({axis % sample.ndim for axis in ignored if -sample.ndim <= axis < sample.ndim})
    if len(axes) != len({*ignored}):
        listed = ", ".join(map(str, ignored))
        raise InputError(
            f"ignore_dims={listed}: the sample has shape {list(sample.shape)}; give its axes that are no "
            "features, each once: [0] for [B, ...], [0, 1] for [T, B, ...]"
        )
    if not axes:
        return sample
    *others, batch = axes
    step = sample.movedim(batch, -1)
    for axis in reversed(others):
        step = step.select(axis, 0)
    return step.movedim(-1, 0)


def _plain(value: Any) -> Any:
    """An argument of forward; a tensor of no axes is a number."""
    return value.item() if isinstance(value, Tensor) and not value.ndim else value


def _spikes_alone(program: Program) -> Program:
    """Without the states of a neuron that are returned beside its spikes."""
    returned = program.outputs()
    firing = {port.rpartition(".")[0] for port in returned.values() if port.endswith(".spk")}
    beside = {
        name
        for name, port in returned.items()
        if (node := port.rpartition(".")[0]) in firing
        and isinstance(program.nodes[node], Neuron)
        and not port.endswith(".spk")
    }
    if not beside:
        return program
    left = [name for name in program.named(Output) if name not in beside]
    names = {left[0]: "output"} if len(left) == 1 and "output" not in program.nodes else {}
    nodes = {names.get(name, name): op for name, op in program.nodes.items() if name not in beside}
    edges = [
        replace(edge, dst=f"{names.get(edge.target.node, edge.target.node)}.{edge.target.port}")
        for edge in program.edges
        if edge.target.node not in beside
    ]
    return replace(program, nodes=FrozenMap(nodes), edges=tuple(edges))
