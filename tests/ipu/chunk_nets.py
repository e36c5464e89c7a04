"""Networks for tests of chunks, and what compiles them."""

from __future__ import annotations

from typing import Any

import numpy as np
from ipu_calls import B, backend, data

from snnhw.ir import (
    MODELS,
    Adam,
    BatchNorm1d,
    CECount,
    Dropout,
    Edge,
    FrozenMap,
    Input,
    L1Rate,
    Linear,
    Loss,
    MSECount,
    Neuron,
    Optimizer,
    Output,
    Params,
    Program,
    Term,
    TimeAxis,
    init_params,
    sequential,
    trainable,
)
from snnhw.lowering import lower, make_job
from snnhw.plugin import Backend, Executable
from snnhw_reference.plugin import ReferenceBackend

STEPS = 6
REFERENCE: Any = ReferenceBackend()
BOTH: tuple[dict[str, Any], ...] = ({}, {"chunk": 2})


def winding() -> tuple[Program, Params]:
    """Loops and ways past each other, late by one step, and by more than a chunk; a start that is learned;
    chance; and a layer that nothing reads."""
    nodes = {
        "x": Input((4,)),
        "still": Input((2,)),
        "drop": Dropout(0.3),
        "fc1": Linear(4, 5),
        "base": Linear(2, 5),
        "lif1": Neuron(MODELS["Leaky"]),
        "back": Linear(5, 5),
        "fc2": Linear(5, 3),
        "far": Linear(5, 3),
        "lif2": Neuron(MODELS["Synaptic"]),
        "spare": Linear(5, 2),
        "out": Output(),
    }
    edges = (
        Edge("x.y", "drop.x"),
        Edge("drop.y", "fc1.x"),
        Edge("still.y", "base.x"),
        Edge("fc1.y", "lif1.x"),
        Edge("base.y", "lif1.x"),
        Edge("lif1.spk", "back.x", delay=1, init=0.5),
        Edge("back.y", "lif1.x"),
        Edge("lif1.spk", "fc2.x"),
        Edge("fc2.y", "lif2.x"),
        Edge("lif1.mem", "far.x"),
        Edge("far.y", "lif2.x", delay=3),
        Edge("lif1.spk", "spare.x"),
        Edge("lif2.spk", "out.x"),
    )
    program = trainable(Program(FrozenMap(nodes), edges, time=TimeAxis(static_inputs=("still",))))
    given = {
        "lif1.beta": 0.8,
        "lif1.threshold": 0.2,
        "lif2.alpha": 0.7,
        "lif2.beta": 0.6,
        "lif2.threshold": 0.1,
    }
    return program, init_params(program, seed=3, given=given)


WINDING_LOSS = Loss(
    (
        Term(CECount(), of="lif2.spk"),
        Term(MSECount(class_weights=(0.5, 2.0, 1.0)), of="lif2.spk", weight=0.5),
        Term(L1Rate(), of="lif1.spk", weight=0.01),
    )
)


def made(
    plugin: Backend,
    program: Program,
    params: Params,
    options: dict[str, Any],
    *,
    loss: Loss = WINDING_LOSS,
    optimizer: Optimizer | None = None,
    record: tuple[str, ...] = (),
    accumulate: int = 1,
    clip_norm: float | None = None,
) -> Executable:
    job = make_job(
        plugin,
        program,
        time_steps=STEPS,
        batch=B,
        loss=loss,
        optimizer=optimizer or Adam(lr=0.02),
        accumulate=accumulate,
        clip_norm=clip_norm,
        record=record,
        options=options,
    )
    return lower(plugin, program, params, job)


def emulated(program: Program, params: Params, options: dict[str, Any], **how: Any) -> Executable:
    return made(backend(), program, params, {"emulate": True, **options}, **how)


def winding_data(batch: int = B) -> tuple[dict[str, Any], dict[str, Any]]:
    x, y = data(steps=STEPS, batch=batch)
    return {"x": x, "still": np.random.default_rng(7).random((batch, 2), np.float32)}, {"target": y}


LIF_LOSS = Loss((Term(CECount(), of="lif.spk"),))


def normed(**how: Any) -> tuple[Program, Params]:
    nodes = {
        "x": Input((4,)),
        "fc": Linear(4, 3),
        "norm": BatchNorm1d(3, **how),
        "lif": Neuron(MODELS["Leaky"]),
    }
    program = trainable(sequential(nodes))
    return program, init_params(program, seed=0, given={"lif.beta": 0.5, "lif.threshold": 0.1})
