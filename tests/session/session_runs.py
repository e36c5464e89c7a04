"""Training runs on every backend of ours, for what they save and how they may be interrupted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from snnhw import registry
from snnhw.ir import (
    MODELS,
    Adam,
    CECount,
    Dropout,
    Input,
    L1Rate,
    Linear,
    Loss,
    Neuron,
    Op,
    Optimizer,
    Program,
    Term,
    init_params,
    sequential,
)
from snnhw.lowering import lower, make_job
from snnhw.plugin import Arrays, Executable

__all__ = ["BACKENDS", "LOSS", "B", "T", "batch", "compiled", "copied", "network", "same", "step"]

T, B = 5, 4

BACKENDS: Mapping[str, dict[str, object]] = {
    "reference": {},
    "cpu": {"deterministic": True},
    "ipu": {"emulate": True},
}
"""Name -> options."""

LOSS = Loss((Term(CECount(), of="lif2.spk"), Term(L1Rate(), of="lif1.spk", weight=0.01)))


def network(*, chance: bool = False, **settings: Any) -> Program:
    """Two layers of Leaky neurons, of which the first has the settings."""
    nodes: dict[str, Op] = {
        "x": Input((4,)),
        "fc1": Linear(4, 6),
        "lif1": Neuron(MODELS["Leaky"], **settings),
        "fc2": Linear(6, 3),
        "lif2": Neuron(MODELS["Leaky"]),
    }
    if chance:
        nodes = {**dict(list(nodes.items())[:3]), "drop": Dropout(0.25), **dict(list(nodes.items())[3:])}
    return sequential(nodes)


def compiled(
    name: str,
    program: Program | None = None,
    *,
    optimizer: Optimizer | None = None,
    loss: Loss | None = LOSS,
    seed: int = 0,
    **job: Any,
) -> Executable:
    """A run on a backend; one that only evaluates where there is no loss."""
    program = program or network()
    plugin = registry.backend(name, BACKENDS[name])
    given = {"lif1.beta": 0.9, "lif2.beta": 0.8, "lif1.threshold": 0.3, "lif2.threshold": 0.2}
    made = make_job(
        plugin,
        program,
        time_steps=T,
        batch=B,
        loss=loss,
        optimizer=(optimizer or Adam(lr=0.05)) if loss else None,
        options=BACKENDS[name],
        seed=seed,
        **job,
    )
    return lower(plugin, program, init_params(program, seed=1, given=given), made)


def batch(seed: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    rng = np.random.default_rng(seed)
    return rng.random((T, B, 4), np.float32), rng.integers(0, 3, B)


def step(executable: Executable, number: int) -> float:
    x, y = batch(number)
    return float(executable.step({"x": x}, {"target": y}).loss)


def copied(arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
    return {name: np.array(array) for name, array in arrays.items()}


def same(found: Arrays, wanted: Arrays) -> bool:
    """Equal in every bit."""
    return found.keys() == wanted.keys() and all(
        np.asarray(found[name]).dtype == np.asarray(wanted[name]).dtype
        and np.array_equal(found[name], wanted[name], equal_nan=np.asarray(wanted[name]).dtype.kind == "f")
        for name in wanted
    )
