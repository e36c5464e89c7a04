"""What is measured on a CPU: a table of cases. A workload is one or more cases of one name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from benchmarks.case import Case
from benchmarks.layers import Layer, Neuron, chain, leaky, mlp

__all__ = ["CASES", "USUAL", "WORKLOADS", "long", "select", "sparse"]

USUAL: Final = 0.1
"""Share of neurons that fire at a step in networks that would be all but silent before training."""


def _each(ratio: float) -> tuple[tuple[str, float], ...]:
    """One aim for all peers."""
    return (("", ratio),)


W1 = Case(
    "W1",
    "784-1000-10, Leaky 0.95, one image for 25 steps",
    mlp((784, 1000, 10), leaky(0.95)),
    sample=(784,),
    steps=25,
    batch=128,
    inputs="image",
    modes=("train", "infer"),
    aims=(("snntorch", 10.0), ("spikingjelly-hoisted", 4.0)),
    loss="ce_membrane",
    lr=5e-4,
    outputs=("spk", "mem"),
)

W1_EAGER = replace(
    W1,
    workload="W1-eager",
    title="the script of snnTorch's tutorial 5, unchanged but for the import",
    eager=True,
    aims=(("snntorch", 2.0),),
)

W2 = Case(
    "W2",
    "784-1000-10, Leaky 0.9, straight-through, cross entropy of the membrane's sum, as the tutorial for IPUs",
    mlp((784, 1000, 10), leaky(0.9, ("straight_through_estimator", None))),
    sample=(784,),
    steps=25,
    batch=128,
    inputs="image",
    modes=("train",),
    aims=(("snntorch", 7.0),),
    loss="ce_count",
    lr=1e-3,
    outputs=("spk", "mem"),
)

W3 = Case(
    "W3",
    "12C5-MP2-64C5-MP2-10, Leaky 0.5, one image for 50 steps",
    chain(
        Layer("Conv2d", (1, 12, 5)),
        Layer("MaxPool2d", (2,)),
        leaky(0.5, ("fast_sigmoid", 25.0)),
        Layer("Conv2d", (12, 64, 5)),
        Layer("MaxPool2d", (2,)),
        leaky(0.5, ("fast_sigmoid", 25.0)),
        Layer("Flatten"),
        Layer("Linear", (1024, 10)),
        leaky(0.5, ("fast_sigmoid", 25.0)),
    ),
    sample=(1, 28, 28),
    steps=50,
    batch=32,
    inputs="image",
    modes=("train", "infer"),
    aims=_each(2.0),
    loss="ce_rate",
    lr=1e-2,
    activity=USUAL,
)

W4 = Case(
    "W4",
    "12C5-MP2-32C5-MP2-10, Leaky 0.5, event frames 2x34x34 of which 1.5 % are on",
    chain(
        Layer("Conv2d", (2, 12, 5)),
        Layer("MaxPool2d", (2,)),
        leaky(0.5),
        Layer("Conv2d", (12, 32, 5)),
        Layer("MaxPool2d", (2,)),
        leaky(0.5),
        Layer("Flatten"),
        Layer("Linear", (800, 10)),
        leaky(0.5),
    ),
    sample=(2, 34, 34),
    steps=300,
    batch=4,
    inputs="events",
    density=0.015,
    modes=("train", "infer"),
    aims=_each(2.0),
    loss="mse_count",
    lr=2e-2,
    activity=USUAL,
)


def _layer(inputs: str, steps: int, batch: int, size: int, variant: str) -> Case:
    """W5: one layer of neurons, alone."""
    return Case(
        "W5",
        f"one layer of Leaky 0.95, N={size}",
        chain(leaky(0.95)),
        sample=(size,),
        steps=steps,
        batch=batch,
        inputs=inputs,
        modes=("fwd", "fwd+bwd"),
        aims=_each(10.0),
        variant=variant,
        activity=USUAL,
    )


W5 = (
    _layer("currents", 25, 128, 1000, "varying"),
    _layer("current", 25, 128, 1000, "static"),
    _layer("currents", 16, 64, 1000, "varying T=16 B=64 N=1000"),
    _layer("currents", 256, 16, 256, "varying T=256 B=16 N=256"),
    _layer("currents", 4, 256, 4000, "varying T=4 B=256 N=4000"),
)

W6 = Case(
    "W6",
    "512-512, Leaky 0.95, the layer of the benchmark of Open Neuromorphic",
    mlp((512, 512), leaky(0.95)),
    sample=(512,),
    steps=500,
    batch=16,
    inputs="normal",
    modes=("fwd", "fwd+bwd"),
    aims=_each(3.0),
    variant="N=512",
)

W7 = Case(
    "W7",
    "28-256-10, RLeaky 0.9 with every neuron connected to every other, rows of an image as steps",
    mlp((28, 256, 10), Neuron("RLeaky", (("beta", 0.9), ("threshold", 1.0)), size=256), leaky(0.9)),
    sample=(28,),
    steps=28,
    batch=128,
    inputs="currents",
    modes=("train", "infer"),
    aims=_each(2.0),
    loss="ce_membrane",
    lr=1e-3,
    outputs=("spk", "mem"),
    needs="RLeaky",
)

SYNAPTIC = Neuron("Synaptic", (("alpha", 0.9), ("beta", 0.8), ("threshold", 1.0)))

W8 = Case(
    "W8",
    "784-1000-10, Synaptic 0.9 0.8, images as rates of spikes",
    mlp((784, 1000, 10), SYNAPTIC),
    sample=(784,),
    steps=50,
    batch=128,
    inputs="rates",
    modes=("train", "infer"),
    aims=_each(10.0),
    variant="scalar",
    loss="ce_rate",
    lr=5e-4,
)

LEARNT = replace(SYNAPTIC, learnt=("alpha", "beta", "threshold"))
W8_LEARNT = replace(
    W8,
    title=f"{W8.title}; every neuron learns its decays and its threshold",
    variant="per neuron",
    net=mlp((784, 1000, 10), replace(LEARNT, size=1000), replace(LEARNT, size=10)),
)

W9 = Case(
    "W9",
    "784-128-500, Leaky 0.9, 50 neurons for each class",
    mlp((784, 128, 500), leaky(0.9)),
    sample=(784,),
    steps=1,
    batch=128,
    inputs="image",
    modes=("train",),
    aims=_each(2.0),
    variant="T=1",
    loss="mse_population",
    lr=2e-3,
    activity=USUAL,
)


def small(batch: int) -> Case:
    """Where a step is all overhead."""
    return Case(
        "small",
        "64-32-10, Leaky 0.9",
        mlp((64, 32, 10), leaky(0.9)),
        sample=(64,),
        steps=10,
        batch=batch,
        inputs="currents",
        modes=("train", "infer"),
        aims=(("spikingjelly", 15.0),) if batch == 1 else (),
        variant=f"B={batch}",
        loss="ce_rate",
        lr=1e-3,
    )


def long(steps: int) -> Case:
    """W10: many steps."""
    neuron = Neuron("Leaky", (("beta", 0.9), ("threshold", 1.0)), learnt=("beta",), size=256)
    return Case(
        "W10",
        "256-256, Leaky, every neuron learns its decay",
        mlp((256, 256), neuron),
        sample=(256,),
        steps=steps,
        batch=8,
        inputs="currents",
        modes=("fwd", "fwd+bwd"),
        aims=_each(5.0),
        variant=f"T={steps}",
        activity=USUAL,
    )


def sparse(density: float, batch: int) -> Case:
    """W11: few spikes."""
    return Case(
        "W11",
        f"2312-1024-1024-20, Leaky 0.9, {density:.0%} of inputs and neurons spike",
        mlp((2312, 1024, 1024, 20), leaky(0.9)),
        sample=(2312,),
        steps=100,
        batch=batch,
        inputs="events",
        density=density,
        activity=density,
        modes=("infer",),
        aims=_each(5.0) if density <= 0.05 else _each(1.0),
        variant=f"{density:.0%} B={batch}",
    )


CASES: Final[tuple[Case, ...]] = (
    W1,
    W1_EAGER,
    W2,
    W3,
    W4,
    *W5,
    W6,
    W7,
    W8,
    W8_LEARNT,
    W9,
    replace(W9, steps=10, variant="T=10"),
    *(long(steps) for steps in (1000, 3162, 10000)),
    *(small(batch) for batch in (1, 32)),
    *(sparse(density, batch) for batch in (1, 32) for density in (0.01, 0.02, 0.05, 0.2)),
)

WORKLOADS: Final = tuple(dict.fromkeys(case.workload for case in CASES))


def select(names: Sequence[str]) -> tuple[Case, ...]:
    """The cases of the named workloads, in the order of the table; of all when none is named.

    Raises:
        ValueError: there is no such workload.
    """
    unknown = [name for name in names if name not in WORKLOADS]
    if unknown:
        raise ValueError(f"no workload {', '.join(unknown)}; known: {', '.join(WORKLOADS)}")
    return tuple(case for case in CASES if not names or case.workload in names)
