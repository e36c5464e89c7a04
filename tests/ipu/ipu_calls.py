"""What the tests of the IPU backend share."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from snnhw.conformance.bench import Bench
from snnhw.ir import (
    MODELS,
    SGD,
    CECount,
    Input,
    Linear,
    Loss,
    Neuron,
    Optimizer,
    Program,
    Term,
    init_params,
    sequential,
)
from snnhw.ir.params import Params
from snnhw.lowering import lower, make_job
from snnhw.plugin import Backend, Run, Train
from snnhw_ipu.executable import IpuExecutable
from snnhw_ipu.plugin import IpuBackend

PYTHON = sys.executable
T, B = 5, 4


def backend() -> Backend:
    return cast("Backend", IpuBackend())


def bench(**options: object) -> Bench:
    return Bench(backend(), {"emulate": True, **options})


def network(*, hidden: int = 6, classes: int = 3) -> tuple[Program, Params]:
    """Two layers of Leaky neurons, and parameters under which some of them fire."""
    program = sequential(
        {
            "x": Input((4,)),
            "fc1": Linear(4, hidden),
            "lif1": Neuron(MODELS["Leaky"]),
            "fc2": Linear(hidden, classes),
            "lif2": Neuron(MODELS["Leaky"]),
        }
    )
    given = {"lif1.beta": 0.9, "lif2.beta": 0.8, "lif1.threshold": 0.3, "lif2.threshold": 0.2}
    return program, init_params(program, seed=1, given=given)


def data(steps: int = T, batch: int = B, seed: int = 0) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    rng = np.random.default_rng(seed)
    return rng.random((steps, batch, 4), np.float32), rng.integers(0, 3, batch)


LOSS = Loss((Term(CECount(), of="lif2.spk"),))


def job_of(
    program: Program,
    *,
    train: bool = True,
    optimizer: Optimizer | None = None,
    record: Sequence[str] = (),
    accumulate: int = 1,
    clip_norm: float | None = None,
    batch: int = B,
    **options: object,
) -> Run | Train:
    return make_job(
        backend(),
        program,
        time_steps=T,
        batch=batch,
        loss=LOSS if train else None,
        optimizer=(optimizer or SGD(lr=0.1)) if train else None,
        record=tuple(record),
        options={"emulate": True, **options},
        accumulate=accumulate,
        clip_norm=clip_norm,
    )


def compiled(program: Program, params: Params, job: Run | Train) -> IpuExecutable:
    found = lower(backend(), program, params, job)
    assert isinstance(found, IpuExecutable)
    return found
