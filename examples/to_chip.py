"""A spiking network for handwritten digits on two chips: trained, trained further as each chip computes,
quantised, and held to the vendors' simulators.

Run it with ``python examples/to_chip.py``. Simulators that are not at hand are left out: ``docs/chips.md``
says how to install them, and ``SNNHW_LAVA_PYTHON`` and ``SNNHW_XYLOSIM_PYTHON`` where they are.
"""

from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

import snnhw as snn
import snnhw.functional as SF
from snnhw.nn import Model

Array = np.ndarray[Any, Any]
Seed = int | tuple[int, ...]

EPOCHS, BATCH, STEPS = 12, 96, 20

images, digits = load_digits(return_X_y=True)
small = images.reshape(-1, 4, 2, 4, 2).mean((2, 4)).reshape(-1, 16) / 16  # 16 channels are what a Xylo takes
train_x, test_x, train_y, test_y = train_test_split(
    small, digits, test_size=360, stratify=digits, random_state=0
)


def spikes(pixels: Array, seed: Seed) -> Array:
    """Rates as spikes, [T, B, 16]: brighter pixels fire more often."""
    return (np.random.default_rng(seed).random((STEPS, *pixels.shape)) < pixels).astype(np.float32)


def train(net: Any, epochs: int, lr: float) -> Model:
    """A compiled model after some epochs on fresh spikes."""
    model = snn.compile(
        net,
        torch.zeros(BATCH, 16),
        backend="cpu",
        time_steps=STEPS,
        loss=SF.ce_rate_loss(),
        optimizer=snn.optim.Adam(lr=lr),
    )
    order = np.random.default_rng(1)
    for epoch in range(epochs):
        for rows in np.array_split(order.permutation(len(train_x)), len(train_x) // BATCH):
            model.step(spikes(train_x[rows], seed=(epoch, *rows[:2])), train_y[rows])
    return model


def right(outputs: Any, labels: Array) -> float:
    """The share of samples whose largest count of spikes is at the label."""
    return float((np.asarray(outputs).sum(0).argmax(-1) == labels).mean())


def network(reset: str) -> nn.Module:
    """Decays that both chips come close to; neurons that are reset at once, as chips do."""
    torch.manual_seed(0)
    kind = {"reset_mechanism": reset, "reset_delay": False, "init_hidden": True}
    return nn.Sequential(
        nn.Linear(16, 96, bias=False),
        snn.Synaptic(alpha=0.7, beta=0.9, **kind),
        nn.Linear(96, 10, bias=False),
        snn.Synaptic(alpha=0.7, beta=0.9, **kind),
    )


test = spikes(test_x, seed=2)
for target, reset in (("loihi2", "zero"), ("xylo-a3", "subtract")):
    float_model = train(network(reset), EPOCHS, 5e-3)
    before = right(float_model(test), test_y)

    ready = snn.chips.prepare((float_model.program, float_model.params), target=target)
    chip_model = train(ready, EPOCHS // 2, 2e-3)
    name = chip_model.program.named(snn.ir.Input)[0]
    deployed = snn.chips.quantise(
        (chip_model.program, chip_model.params), {name: spikes(train_x[:128], seed=3)}, target=target
    )
    made = deployed.quantised
    chip = snn.compile((made.program, made.params), test[0], backend="cpu", time_steps=STEPS)
    after = right(chip(test.astype(np.int64)), test_y)
    print(f"{target}: {before:.1%} of the tests right in floats, {after:.1%} in the chip's integers")

    probe = deployed.target.probe()
    if not probe.ready:
        print(f"{target}: the vendor's simulator is not here: {probe.reason}")
        continue
    held = snn.chips.verdicts(deployed, {name: test[:, :8]}, vendor=2).vendor
    print(f"{target}: {held.by}: {held.compared:,} integers compared, {held.differ} differ")
