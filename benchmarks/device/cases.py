"""What is measured on a GPU: sizes that fill one, with the ratios that are aimed at there."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Literal

from benchmarks.case import Case
from benchmarks.layers import Layer, Neuron, chain, leaky, mlp
from benchmarks.workloads import USUAL, W1, W1_EAGER, W2, W3, W4, W6, W7, W8, W8_LEARNT, W9, long, sparse

__all__ = ["CASES", "ROOFLINE", "bytes_at_least", "case_of"]

Aims = tuple[tuple[str, float], ...]

ROOFLINE: Final = 0.85
"""Share of the bandwidth of a copy that is aimed at in W5, at 50 million element-steps or more."""


def _layer(
    steps: int,
    batch: int,
    size: int,
    dtype: Literal["float32", "bfloat16"] = "float32",
    inputs: str = "currents",
) -> Case:
    """W5: one layer of neurons, alone."""
    kind = "static" if inputs == "current" else "varying"
    return Case(
        "W5",
        "one layer of Leaky 0.95",
        chain(leaky(0.95)),
        sample=(size,),
        steps=steps,
        batch=batch,
        inputs=inputs,
        modes=("fwd", "fwd+bwd"),
        aims=(("spikingjelly", 1.4 if dtype == "float32" else 1.8),),
        variant=f"{kind} {dtype} T={steps} B={batch} N={size}",
        activity=USUAL,
        dtype=dtype,
    )


BIG: Final = _layer(64, 64, 16384)
BIG_HALF: Final = _layer(64, 64, 16384, "bfloat16")


def _open_neuromorphic(size: int, aims: Aims) -> Case:
    return replace(
        W6,
        title=f"{size}-{size}, Leaky 0.95, the layer of the benchmark of Open Neuromorphic",
        net=mlp((size, size), leaky(0.95)),
        sample=(size,),
        variant=f"N={size}",
        aims=aims,
    )


RECURRENT: Final = Neuron("RLeaky", (("beta", 0.9), ("threshold", 1.0)), size=512)

W7_EVENTS: Final = replace(
    W7,
    title="700-512-20, RLeaky 0.9 with every neuron connected to every other, 2 % of inputs spike",
    net=mlp((700, 512, 20), RECURRENT, leaky(0.9)),
    sample=(700,),
    steps=100,
    inputs="events",
    density=0.02,
    activity=USUAL,
    variant="events",
    aims=(("snntorch", 20.0),),
)

FAST: Final = ("atan", 4.0)

W12: Final = Case(
    "W12",
    "64C3-BN-MP2-128C3-BN-MP2-1024-10, Leaky 0.5, images 3x64x64 that change",
    chain(
        Layer("Conv2d", (3, 64, 3, 1, 1, 1, 1, 0)),  # a norm takes the bias away again
        Layer("BatchNorm2d", (64,)),
        leaky(0.5, FAST),
        Layer("MaxPool2d", (2,)),
        Layer("Conv2d", (64, 128, 3, 1, 1, 1, 1, 0)),
        Layer("BatchNorm2d", (128,)),
        leaky(0.5, FAST),
        Layer("MaxPool2d", (2,)),
        Layer("Flatten"),
        Layer("Linear", (128 * 16 * 16, 1024)),
        leaky(0.5, FAST),
        Layer("Linear", (1024, 10)),
        leaky(0.5, FAST),
    ),
    sample=(3, 64, 64),
    steps=16,
    batch=64,
    inputs="currents",
    modes=("train", "infer"),
    aims=(("spikingjelly", 1.3),),
    loss="ce_rate",
    lr=1e-3,
    activity=USUAL,
)

CASES: Final[tuple[Case, ...]] = (
    replace(W1, aims=(("snntorch", 50.0), ("spikingjelly", 4.0))),
    replace(W1_EAGER, aims=()),
    replace(W2, aims=(("snntorch", 20.0),)),
    *(replace(W2, batch=batch, variant=f"B={batch}", aims=()) for batch in (32, 1024)),
    replace(W3, batch=128, aims=(("spikingjelly", 2.0),)),
    replace(W4, batch=128, aims=()),
    BIG,
    BIG_HALF,
    _layer(1024, 64, 1024),
    _layer(64, 64, 16384, inputs="current"),
    _layer(32, 64, 65536, "bfloat16"),
    _layer(25, 128, 1000),
    _open_neuromorphic(512, (("", 10.0),)),
    _open_neuromorphic(4096, (("", 1.2),)),
    _open_neuromorphic(16384, ()),
    replace(W7, aims=(("snntorch", 20.0),)),
    W7_EVENTS,
    replace(W8, aims=(("snntorch", 30.0), ("spikingjelly-flexsn", 3.0))),
    replace(W8_LEARNT, aims=(("snntorch", 30.0),)),
    replace(W9, aims=()),
    replace(W9, aims=(), steps=10, variant="T=10"),
    *(replace(long(steps), batch=64, aims=(("snntorch-stateleaky", 3.0),)) for steps in (1000, 10000)),
    *(replace(sparse(density, batch), aims=()) for batch in (1, 256) for density in (0.01, 0.2)),
    W12,
)


def case_of(key: str) -> Case:
    """By its key; raises StopIteration where there is none."""
    return next(case for case in CASES if case.key == key)


def bytes_at_least(case: Case, mode: str) -> int | None:
    """Bytes that a layer of neurons alone must read and write in a GPU's memory; None for networks.

    Forward, an input is read and a spike written; backward, the spikes' gradient and the input are read, and
    the input's gradient is written. What does not change over time is read once, which is left out.
    """
    if case.workload != "W5":
        return None
    forward, backward = (1, 1) if case.static else (2, 3)
    signals = forward + (backward if mode == "fwd+bwd" else 0)
    return signals * case.torch_dtype.itemsize * case.steps * case.batch * case.sample[0]
