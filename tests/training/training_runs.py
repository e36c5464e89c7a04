"""A small network and its data, and what of a run is the same whether it was stopped or not."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

import snnhw as snn
import snnhw.functional as SF
from snnhw.ir import MODELS, Adam, Optimizer
from snnhw.training import Batch, Epoch, History

__all__ = ["CLASSES", "B", "Killed", "Noisy", "T", "compiled", "curve", "killer", "loader", "same", "samples"]

T, B, CLASSES = 5, 4, 3

NAME = "ChanceForTraining"


def _chance() -> nn.Module:
    """A neuron whose membrane depends on chance."""
    if NAME in MODELS:
        del MODELS[NAME]
    made = snn.neuron(
        NAME,
        states="mem",
        params={"beta": 0.8, "threshold": 1.0},
        equations={"mem": "beta * mem + x + 0.5 * luck"},
        fire="mem > threshold",
        reset={"mem": "mem - threshold"},
        noise="luck",
    )
    neuron: nn.Module = made(init_hidden=True)
    return neuron


def compiled(
    optimizer: Optimizer | None = None, *, chance: bool = False, norm: bool = True, **settings: Any
) -> snn.nn.Model:
    """A network of two layers; with ``chance`` batch norm (but for ``norm=False``), dropout and noise are in
    it."""
    torch.manual_seed(0)
    normed = [nn.BatchNorm1d(12)] if norm else []
    between = [*normed, _chance(), snn.nn.Dropout(0.2)] if chance else [_leaky()]
    net = nn.Sequential(nn.Linear(6, 12), *between, nn.Linear(12, CLASSES), _leaky())
    for layer in net:
        if isinstance(layer, nn.Linear):
            nn.init.uniform_(layer.weight, -0.5, 1.0)
    job: dict[str, Any] = {
        "loss": SF.ce_count_loss(),
        "optimizer": optimizer or Adam(lr=0.02),
        "static": True,
    }
    job = {"backend": "cpu", "time_steps": T, **job, **settings}
    return snn.compile(net, torch.zeros(B, 6), **job)


def _leaky() -> nn.Module:
    return snn.Leaky(beta=0.8, init_hidden=True)


def samples(number: int = 18) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    x = torch.rand(number, 6, generator=generator)
    return x, torch.arange(number) % CLASSES


class Noisy(Dataset[tuple[Tensor, Tensor]]):
    """Data that random numbers of all kinds change."""

    def __init__(self) -> None:
        self.x, self.y = samples()
        self.own = np.random.default_rng(7)

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        old = np.random.rand()  # noqa: NPY002  # the generator that nobody holds
        luck = torch.rand(1).item() + old + random.random() + self.own.random()
        return self.x[row] + 0.1 * luck, self.y[row]


def loader(data: Dataset[Any] | None = None, **settings: Any) -> DataLoader[Any]:
    return DataLoader(data or TensorDataset(*samples()), B, **{"shuffle": True, **settings})


class Killed(Exception):
    """What stands for the end of a process."""


def killer(at: int) -> Any:
    """To be called with every batch; the run ends within its call number ``at``."""
    calls = 0

    def tick(_: Batch) -> None:
        nonlocal calls
        calls += 1
        if calls == at:
            raise Killed

    return tick


def curve(history: History) -> list[tuple[Any, ...]]:
    """All of every epoch but the time it took."""
    return [_told(epoch) for epoch in history.epochs]


def _told(epoch: Epoch) -> tuple[Any, ...]:
    return epoch.number, epoch.steps, epoch.lr, epoch.loss, epoch.samples, epoch.validation


def same(one: snn.nn.Model, other: snn.nn.Model) -> bool:
    """Whether both would go on alike, in every bit."""
    a, b = one.executable.save_state(), other.executable.save_state()
    return a.keys() == b.keys() and all(
        np.asarray(a[key]).tobytes() == np.asarray(b[key]).tobytes() for key in a
    )
