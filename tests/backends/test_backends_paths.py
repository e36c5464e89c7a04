"""Networks so large that every limit of the CPU is passed: what it then does by itself, and each forced way,
compute the same."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import snnhw as snn
import snnhw.functional as SF
from snnhw_cpu.limits import USUAL
from snnhw_cpu.paths import PATHS


def leaky(*shape: int) -> nn.Module:
    """Every neuron, or channel, has a decay of its own."""
    return snn.Leaky(beta=0.7 + 0.2 * torch.rand(shape), learn_beta=True, threshold=0.05, init_hidden=True)


def dense() -> nn.Module:
    return nn.Sequential(nn.Linear(784, 1100), leaky(1100), nn.Linear(1100, 10), leaky(10))


def images() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 5),
        nn.MaxPool2d(2),
        leaky(8, 1, 1),
        nn.Conv2d(8, 16, 3),
        nn.MaxPool2d(2),
        leaky(16, 1, 1),
        nn.Flatten(),
        nn.Linear(16 * 36, 10),
        leaky(10),
    )


def recurrent() -> nn.Module:
    back = snn.RLeaky(beta=0.9, linear_features=900, threshold=0.05, init_hidden=True)
    return nn.Sequential(nn.Linear(784, 900), back, nn.Linear(900, 10), leaky(10))


class Network(NamedTuple):
    """How it is made, its input at a step, T and B, and what it computes in: where rounding flips a spike,
    all of a loop hear of it."""

    make: Callable[[], nn.Module]
    sample: tuple[int, ...]
    steps: int
    batch: int
    dtype: str = "float32"


NETWORKS = {
    "dense": Network(dense, (784,), 40, 32),
    "images": Network(images, (1, 34, 34), 40, 8),
    "recurrent": Network(recurrent, (784,), 100, 32, "float64"),
}

PASSED = {"linear": "dense", "chains": "images", "pools": "images", "loops": "recurrent"}
"""Decision -> the network that is large enough for it; all others: the dense one."""

OTHERWISE_SUMMED = {"linear", "chains", "loops"}
"""Decisions that change the order of sums."""


class Trained(NamedTuple):
    """What came of one update."""

    loss: float
    spikes: Tensor
    params: dict[str, Tensor]
    chosen: dict[str, str]


@lru_cache(maxsize=4)
def updated(name: str, paths: str) -> Trained:
    network = NETWORKS[name]
    torch.manual_seed(0)
    made = network.make()
    x = (torch.rand(network.steps, network.batch, *network.sample) < 0.01).float()
    with snn.compile(
        made,
        x[0],
        backend="cpu",
        time_steps=network.steps,
        loss=SF.ce_rate_loss(),
        optimizer=snn.optim.SGD(lr=1.0),
        options={"paths": paths, "dtype": network.dtype},
    ) as model:
        loss, spikes = model.step(x, torch.arange(network.batch) % 10)
        assert isinstance(spikes, Tensor)
        params = {key: torch.from_numpy(array) for key, array in model.params.items()}
        saved = {key: np.asarray(array) for key, array in model.executable.save_state().items()}
        chosen = {key[4:]: x.tobytes().decode() for key, x in saved.items() if key.startswith("own/")}
        return Trained(loss, spikes, params, chosen)


def test_the_networks_pass_every_limit() -> None:
    """Beyond which the usual way is the one that small networks never take."""
    assert USUAL.narrow < USUAL.tile < 1100
    assert USUAL.chunk < 40
    assert 2 * USUAL.wake < 40 * 32 * 1100
    assert USUAL.reuse < 40 * 32 * 1100 * 4
    assert 2 * USUAL.block < 40 * 8 * (8 * 30 * 30 * 4)
    assert USUAL.fused < 900 * 900 * 8
    assert USUAL.held < 100 * 32 * (3 * 900 * 8)  # a neuron's spikes and membrane, and what flows back


@pytest.mark.parametrize("path", [f"{name}:{way}" for name, path in PATHS.items() for way in path.ways])
def test_every_way_computes_what_the_usual_one_does(path: str) -> None:
    decision, _, _ = path.partition(":")
    name = PASSED.get(decision, "dense")
    usual, found = updated(name, ""), updated(name, path)
    assert usual.spikes.any()
    if decision not in OTHERWISE_SUMMED:
        assert torch.equal(found.spikes, usual.spikes)
        assert found.loss == usual.loss
    else:
        assert (found.spikes != usual.spikes).float().mean() < 1e-3  # rounding may flip a few
        assert abs(found.loss - usual.loss) < 1e-3
    for key, param in usual.params.items():
        moved = found.params[key] - param
        tolerance = 1e-3 if decision in OTHERWISE_SUMMED else 1e-6
        assert moved.norm() <= tolerance * param.norm(), key


def test_the_usual_way_is_what_costs_less() -> None:
    """A wide product of few events skips zeros; one with few outputs does not."""
    assert updated("dense", "").chosen == {"0": "skip", "2": "dense"}
