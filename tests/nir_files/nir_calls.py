"""What tests of NIR share: networks, graphs made with the package ``nir``, and how both are run."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import nir
import numpy as np

from snnhw.ir import MODELS, FrozenMap, Input, Linear, Neuron, Params, Program, init_params, sequential
from snnhw.reference import execute
from snnhw_nir.plugin import NirFormat

DT = 1e-4
FORMAT = NirFormat()

Array = Any


def dense(neuron: Neuron | None = None, **values: Any) -> tuple[Program, Params]:
    """4 inputs, 6 and 3 neurons."""
    neuron = neuron or Neuron(MODELS["Leaky"], reset="zero", timing="immediate")
    nodes = {"input": Input((4,)), "fc1": Linear(4, 6), "lif1": neuron, "fc2": Linear(6, 3), "lif2": neuron}
    program = sequential(nodes)
    given = {"beta": 0.9, "alpha": 0.8, **values}
    keys = {key: given[name] for key in program.params() if (name := key.rpartition(".")[2]) in given}
    return program, init_params(program, seed=3, given=keys)


def neuron(name: str, reset: str = "zero", timing: str = "immediate", **shapes: tuple[int, ...]) -> Neuron:
    return Neuron(MODELS[name], reset=reset, timing=timing, param_shapes=FrozenMap(shapes))


def drive(*shape: int, seed: int = 0, scale: float = 2.0) -> Array:
    """Random input in single precision, as every simulator gets it."""
    return np.random.default_rng(seed).normal(0.5, scale, shape).astype(np.float32)


def spikes(net: tuple[Program, Params], x: Array, port: str | None = None) -> Array:
    """What the reference gives, ``[T, B, ...]``."""
    program, params = net
    (name,) = program.named(Input)
    found = execute(program, params, {name: x}, record=[port] if port else [])
    return found.recordings[port] if port else next(iter(found.outputs.values()))


def written(
    path: Path, nodes: Mapping[str, Any], edges: list[tuple[str, str]], *, check: bool = True
) -> Path:
    """A file made with the package ``nir``, as a stranger would."""
    nir.write(path, nir.NIRGraph(dict(nodes), list(edges), type_check=check))
    return path


def chain(path: Path, *nodes: Any, shape: tuple[int, ...], out: tuple[int, ...], check: bool = True) -> Path:
    """A file of nodes ``n0``, ``n1``, ... in a row."""
    named = {f"n{place}": node for place, node in enumerate(nodes)}
    ends = {"input": nir.Input(np.array(shape)), "output": nir.Output(np.array(out))}
    return written(path, {**ends, **named}, list(pairwise(["input", *named, "output"])), check=check)


def filled(size: int, *values: Any) -> list[Array]:
    """Each value for every neuron, in single precision."""
    return [np.broadcast_to(np.asarray(value, np.float32), (size,)).copy() for value in values]


def lif(size: int, **given: Any) -> Any:
    """A LIF with unit gain at ``DT``, unless told otherwise."""
    usual = {"tau": 2e-3, "r": 20.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0}
    return nir.LIF(**dict(zip(usual, filled(size, *(usual | given).values()), strict=True)))


def load(path: Path, **options: Any) -> tuple[Program, Params]:
    program, params, _ = FORMAT.read(path, **{"dt": DT, "scheme": "euler", **options})
    return program, params
