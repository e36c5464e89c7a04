"""Recording a module's forward with torch.fx, and finding the user's line again."""

from __future__ import annotations

import linecache
import traceback
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn

from snnhw.errors import CaptureError
from snnhw.nn.neuron import SpikingNeuron
from snnhw.words import brief, sentence

__all__ = ["place", "trace"]

OTHERS = tuple(f"{Path(package).parent}/" for package in (torch.__file__, Path(__file__).parent))
"""Folders whose files are not the user's: torch's, and snnhw's."""

PLACE = "snnhw.place"
"""Where a node keeps the user's line."""


def trace(net: nn.Module) -> tuple[nn.Module, fx.Graph]:
    """The graph of one step, and the module whose paths it names: ``net``, or one that holds it alone.

    Raises:
        CaptureError: what the forward does cannot be recorded; names the line.
    """
    if not isinstance(net, nn.Module):
        raise CaptureError(f"a torch module is captured, not {brief(net)}")
    tracer = _Tracer()
    root = _Alone(net) if tracer.is_leaf_module(net, "") else net
    try:
        return root, tracer.trace(root)
    except Exception as error:  # whatever the user's forward does with a symbolic tensor
        frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(OTHERS)]
        where = (
            f"{frames[-1].filename}:{frames[-1].lineno}: `{frames[-1].line}`"
            if frames
            else type(net).__name__
        )
        raise CaptureError(
            f"{where} cannot be captured: {sentence(str(error))} The forward must compute one time step, and "
            "do so without choices that depend on values; write the loop over time outside it"
        ) from error


class _Tracer(fx.Tracer):
    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        # Not by fx's own record_stack_traces: it imports torch's compiler, which takes seconds.
        node = super().create_node(*args, **kwargs)
        node.meta[PLACE] = _users_line()
        return node

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        container = isinstance(m, (nn.Sequential, nn.ModuleList, nn.ModuleDict))
        return isinstance(m, SpikingNeuron) or (type(m).__module__.startswith("torch.nn") and not container)


class _Alone(nn.Module):
    """One layer as a network."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.name = type(layer).__name__.lower()
        self.add_module(self.name, layer)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # as nn.Sequential has it
        result: Tensor = self.get_submodule(self.name)(input)
        return result


def place(node: fx.Node) -> str:
    """The user's line that made a node."""
    return node.meta[PLACE] or f"'{node.name}'"


def _users_line() -> str:
    """The innermost line on the stack that is the user's, with where it stands; empty when none is."""
    for frame, number in traceback.walk_stack(None):
        file = frame.f_code.co_filename
        if not file.startswith(OTHERS):
            return f"{file}:{number}: `{linecache.getline(file, number).strip()}`"
    return ""
