"""Graphs and files, and the objects of the package ``nir``."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from snnhw.errors import ExportError, LoadError
from snnhw.ir import write_atomic
from snnhw_nir.files.guard import read_tree
from snnhw_nir.files.limits import LIMITS, Limits
from snnhw_nir.graph import Graph, from_tree, to_tree

__all__ = ["from_nir", "read_graph", "to_nir", "write_graph"]

UNCHECKED = (
    "the shapes of this graph are sound, but nir's own check of them fails, which knows neither groups nor "
    "kernels that are not square: whoever reads the file with it passes nir.read(path, type_check=False)"
)

SUBGRAPH = "nir checks graphs within graphs whenever it reads them, and refuses one whose shapes are sound"


def read_graph(path: Path, limits: Limits = LIMITS) -> Graph:
    """The graph of a file from anywhere.

    Raises:
        LoadError: naming the file, the node and the field.
    """
    try:
        tree = read_tree(path, limits)
        return _graph(tree.get("node"))
    except LoadError as error:
        raise LoadError(f"cannot load '{path}': {error}") from error


def _graph(tree: Any) -> Graph:
    found = from_tree(tree)
    if not isinstance(found, Graph):
        raise LoadError(f"it holds a single node of type {found.type}, where a graph is expected")
    return found


def write_graph(path: Path, graph: Graph) -> tuple[str, ...]:
    """Write a file; returns what has to be said about it."""
    import nir

    made, notes = _checked(graph)
    buffer = io.BytesIO()
    nir.write(buffer, made)
    write_atomic(path, buffer.getvalue())
    return notes


def from_nir(graph: Any) -> Graph:
    """What an object of the package ``nir`` says.

    Raises:
        LoadError: it is none, or what it says makes no sense.
    """
    try:
        return _graph(graph.to_dict())
    except AttributeError as error:
        raise LoadError(f"{type(graph).__name__} is no nir.NIRGraph") from error


def to_nir(graph: Graph) -> Any:
    """The graph as a ``nir.NIRGraph``."""
    return _checked(graph)[0]


def _checked(graph: Graph) -> tuple[Any, tuple[str, ...]]:
    """With nir's check of types where it can be had: whoever reads the file may ask for it."""
    import nir

    try:
        return nir.dict2NIRNode(_plain(to_tree(graph))), ()
    except ValueError:  # about shapes, which were inferred here before
        pass
    try:
        return nir.dict2NIRNode({**_plain(to_tree(graph)), "type_check": False}), (UNCHECKED,)
    except ValueError as error:
        raise ExportError([f"{SUBGRAPH}: {error}"], "Write it with nested=False") from error


def _plain(value: Any) -> Any:
    """Arrays without axes as numbers: HDF5 compresses no scalars."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return value.item()
    return value
