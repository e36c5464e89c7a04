"""snnTorch's ``export_nir``: a torch module as a ``nir.NIRGraph``."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from snnhw import registry
from snnhw.errors import CaptureError, ExportError, InputError, PluginUnavailable
from snnhw.ir import Input
from snnhw.nn import SpikingNeuron, capture
from snnhw.plugin import ObjectFormat

__all__ = ["export_to_nir", "objects"]


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
    `snnhw.export` writes a file at once, and refuses to lose anything unasked.

    Args:
        sample_data: one time step of input, ``[B, ...]``.
        model_name: not used; snnTorch takes it here.
        options: ``target``, ``dt``, ``scheme``, as for `snnhw.export`.

    Raises:
        CaptureError: the module's step cannot be taken into a program.
        ExportError: NIR, or the target, has no form for the network.
        PluginError: the package ``nir`` is not installed.
    """
    if model_fwd_args or ignore_dims:
        raise InputError("model_fwd_args and ignore_dims are not supported: forward takes the sample alone")
    program, params, _ = capture(module, sample_data)
    (name,) = program.named(Input)
    own = {"sample": {name: sample_data.detach().cpu().numpy()}, "lossy": "allow"}
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
        shapes = [layer.tensor_of(param.name).shape for param in layer.model.params]
        return torch.zeros(1, *(torch.broadcast_shapes(*shapes) or (1,)))
    if isinstance(layer, nn.Linear):
        return torch.zeros(1, layer.in_features)
    if isinstance(layer, nn.Conv2d):
        return torch.zeros(1, layer.in_channels, *layer.kernel_size)
    if isinstance(layer, nn.AvgPool2d):
        size = layer.kernel_size
        return torch.zeros(1, 1, *((size, size) if isinstance(size, int) else size))
    return torch.zeros(1, 1, 1) if isinstance(layer, nn.Flatten) else None
