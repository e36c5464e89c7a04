"""snnTorch's ``import_nir``: a ``nir.NIRGraph`` as a torch module."""

from __future__ import annotations

from typing import Any

from torch import nn

from snnhw.export_nir import objects
from snnhw.nn import from_program

__all__ = ["import_from_nir"]


def import_from_nir(graph: Any, *, dt: float = 1e-4, scheme: str = "euler", **options: Any) -> nn.Module:
    """A graph as a torch module of one time step, in single precision, which keeps its states inside.

    Args:
        graph: a ``nir.NIRGraph``, such as ``nir.read`` gives. `snnhw.load` reads files behind a guard.
        dt: length of a step in seconds, and ``scheme``: how it is taken; by default what snnTorch takes
            for granted.
        options: ``reset``, ``recurrence`` and ``gain``, as for `snnhw.load`.

    Raises:
        LoadError: naming the node and the field, for what makes no sense or has no counterpart.
        PluginError: the package ``nir`` is not installed.
    """
    program, params, _ = objects().from_object(graph, dt=dt, scheme=scheme, **options)
    return from_program(program, params).float()  # graphs often hold NumPy's doubles
