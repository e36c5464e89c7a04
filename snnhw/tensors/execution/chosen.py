"""What training has decided by measurement, in a saved state: node -> the way in which it runs, as bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from snnhw.errors import InputError
from snnhw.tensors.network import Network, Remembering

__all__ = ["from_arrays", "to_arrays"]

Array = np.ndarray[Any, Any]


def to_arrays(chosen: Mapping[str, str]) -> dict[str, Array]:
    """For `snnhw.session.Progress.own`."""
    return {node: np.frombuffer(way.encode(), np.uint8).copy() for node, way in chosen.items()}


def from_arrays(arrays: Mapping[str, Array], network: Network) -> dict[str, str]:
    """What `to_arrays` gave, checked.

    Raises:
        InputError: a node that decides nothing here, or a way that it does not have.
    """
    return {node: _way(node, array, network) for node, array in arrays.items()}


def _way(node: str, array: Array, network: Network) -> str:
    layer = network.layers.get(node)
    ways = layer.ways if isinstance(layer, Remembering) else ()
    text = array.dtype == np.uint8 and array.ndim == 1
    said = array.tobytes().decode(errors="replace") if text else repr(array)
    if said not in ways:
        raise InputError(
            f"'own/{node}' of this state says '{said}'; accepted: {' or '.join(ways) or 'nothing there'}; "
            "load it on the backend that saved it, with the same options, or take the parameters alone with "
            "set_params"
        )
    return said
