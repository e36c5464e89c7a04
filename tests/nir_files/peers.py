"""Simulators that read NIR, each driven step by step on one file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nir_calls import DT, Array


def snntorch(path: Path) -> Any:
    import nir

    reader = pytest.importorskip("snntorch.import_nir")
    return reader.import_from_nir(nir.read(path, type_check=False))


def spikingjelly(path: Path) -> Any:
    import nir

    reader = pytest.importorskip("spikingjelly.activation_based.nir_exchange")
    return reader.import_from_nir(nir.read(path, type_check=False), dt=DT)


def norse(path: Path) -> Any:
    import nir

    return pytest.importorskip("norse.torch").from_nir(nir.read(path, type_check=False), dt=DT)


PEERS: dict[str, Callable[[Path], Any]] = {
    "norse": norse,
    "snntorch": snntorch,
    "spikingjelly": spikingjelly,
}


def ran(name: str, path: Path, x: Array) -> Array:
    """What the simulator itself gives, ``[T, B, ...]``."""
    import torch

    net, state, found = PEERS[name](path), None, []
    with torch.no_grad():
        for now in x:
            y, state = net(torch.as_tensor(now), state) if state is not None else net(torch.as_tensor(now))
            found.append((y[0] if isinstance(y, tuple) else y).numpy())
    return np.stack(found)
