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
from snnhw.chips import Deployed
from snnhw.nn import Model

Array = np.ndarray[Any, Any]
Seed = int | tuple[int, ...]

EPOCHS, BATCH, STEPS = 40, 96, 20
SEEDS, DRAWS = 2, 4
"""Networks, and spike trains of each test."""

LATE = 2
"""Steps that a chip may answer later: it runs that much longer, in silence."""

images, digits = load_digits(return_X_y=True)
small = images.reshape(-1, 4, 2, 4, 2).mean((2, 4)).reshape(-1, 16) / 16  # 16 channels are what a Xylo takes
train_x, test_x, train_y, test_y = train_test_split(
    small, digits, test_size=360, stratify=digits, random_state=0
)


def spikes(pixels: Array, seed: Seed, silent: int = 0) -> Array:
    """Rates as spikes, [T, B, 16]: brighter pixels fire more often; then some steps of silence."""
    fired = np.random.default_rng(seed).random((STEPS, *pixels.shape)) < pixels
    return np.concatenate([fired, np.zeros((silent, *pixels.shape))]).astype(np.float32)


def train(net: Any, epochs: int, lr: float, seed: int, silent: int = 0) -> Model:
    """A compiled model after some epochs on fresh spikes; the rate of learning falls to nothing."""
    steps = epochs * (len(train_x) // BATCH)
    model = snn.compile(
        net,
        torch.zeros(BATCH, 16),
        backend="cpu",
        time_steps=STEPS + silent,
        loss=SF.ce_count_loss(),
        optimizer=snn.optim.Adam(lr=lr),
    )
    order, done = np.random.default_rng(seed), 0
    for epoch in range(epochs):
        for rows in np.array_split(order.permutation(len(train_x)), len(train_x) // BATCH):
            model.set_optimizer(snn.optim.Adam(lr=lr * (1 - done / steps)))
            model.step(spikes(train_x[rows], (seed, epoch, *rows[:2]), silent), train_y[rows])
            done += 1
    return model


def right(outputs: Any) -> float:
    """The share of tests whose largest count of spikes is at the label."""
    return float((np.asarray(outputs).sum(0).argmax(-1) == np.tile(test_y, DRAWS)).mean())


def network(reset: str, seed: int) -> nn.Module:
    """Decays that both chips come close to; neurons that are reset at once, as chips do."""
    torch.manual_seed(seed)
    kind = {"reset_mechanism": reset, "reset_delay": False, "init_hidden": True}
    return nn.Sequential(
        nn.Linear(16, 96, bias=False),
        snn.Synaptic(alpha=0.75, beta=0.9375, **kind),
        nn.Linear(96, 10, bias=False),
        snn.Synaptic(alpha=0.75, beta=0.9375, **kind),
    )


def on_chip(target: str, reset: str, seed: int) -> tuple[float, float, Deployed, Array]:
    """How much is right in floats and on the chip, what goes there, and the tests as it is given them."""
    float_model = train(network(reset, seed), EPOCHS, 5e-3, seed)
    test = spikes(np.tile(test_x, (DRAWS, 1)), seed + 100)
    like_those = spikes(train_x[:256], (seed, 3), LATE)
    ready = snn.chips.prepare((float_model.program, float_model.params), like_those, target=target)
    chip_model = train(ready, EPOCHS // 3, 1e-3, seed + 50, LATE)
    deployed = snn.chips.quantise((chip_model.program, chip_model.params), like_those, target=target)
    made, late = deployed.quantised, np.concatenate([test, 0 * test[:LATE]])
    chip = snn.compile((made.program, made.params), late[0], backend="cpu", time_steps=len(late))
    return right(float_model(test)), right(chip(late.astype(np.int64))), deployed, late


for target, reset in (("loihi2", "zero"), ("xylo-a3", "subtract")):
    found = [on_chip(target, reset, seed) for seed in range(SEEDS)]
    before, after = (float(np.mean(shares)) for shares in list(zip(*found, strict=True))[:2])
    print(
        f"{target}: {before:.1%} of the tests right in floats, {after:.1%} in the chip's integers "
        f"(mean of {SEEDS} networks, each on {DRAWS * len(test_x):,} spike trains)"
    )

    *_, deployed, late = found[0]
    probe = deployed.target.probe()
    if not probe.ready:
        print(f"{target}: the vendor's simulator is not here: {probe.reason}")
        continue
    (name,) = deployed.timed.network.inputs
    held = snn.chips.verdicts(deployed, {name: late[:, :8]}, vendor=2).vendor
    assert held is not None, "two samples were asked for"
    print(f"{target}: {held.by}: {held.compared:,} integers compared, {held.differ} differ")
