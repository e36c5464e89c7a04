"""What the demo trains: handwritten digits, a network of two layers.

This is how a user would write it; ``examples/digits.py`` is the same in one short script.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import snnhw as snn
import snnhw.functional as SF
from snnhw.nn import Model
from snnhw.training import Batch, Epoch, History, fit

__all__ = [
    "BATCH",
    "TIME_STEPS",
    "Data",
    "Net",
    "build",
    "evaluate",
    "first",
    "load",
    "loader",
    "train",
]

TIME_STEPS: Final = 20
BATCH: Final = 64
HIDDEN, OUTPUT = "lif1", "lif2"


class Net(nn.Module):
    """One time step: pixels in, spikes of ten neurons out."""

    def __init__(self, hidden: int = 128) -> None:
        super().__init__()
        self.fc1 = nn.Linear(64, hidden)
        self.lif1 = snn.Leaky(beta=0.9, init_hidden=True)
        self.fc2 = nn.Linear(hidden, 10)
        self.lif2 = snn.Leaky(beta=0.9, init_hidden=True)

    def forward(self, pixels: Tensor) -> Any:
        return self.lif2(self.fc2(self.lif1(self.fc1(pixels))))


class Data(NamedTuple):
    """Images ``[N, 64]`` with pixels in [0, 1], and the digits ``[N]`` they show."""

    x: Tensor
    y: Tensor


def load(samples: int | None = None) -> tuple[Data, Data]:
    """To train on, and to test on: four to one, every digit in proportion, always the same.

    The images come with scikit-learn: 1,797 of 8 x 8 pixels with values from 0 to 16.

    Args:
        samples: how many of them to take, in both parts together; None: all.
    """
    images, digits = load_digits(return_X_y=True)
    parts = train_test_split(images / 16, digits, test_size=360, stratify=digits, random_state=0)
    train_x, test_x, train_y, test_y = (torch.from_numpy(part) for part in parts)
    train, test = Data(train_x.float(), train_y), Data(test_x.float(), test_y)
    if samples is None:
        return train, test
    tested = max(1, samples // 5)
    return Data(*(part[: samples - tested] for part in train)), Data(*(part[:tested] for part in test))


def first(images: Data, *, fixed: bool = False) -> Data:
    """All images; one batch of them, the first ones repeated as needed, where shapes are ``fixed``."""
    rows = torch.arange(BATCH) % len(images.y) if fixed else torch.arange(len(images.y))
    return Data(images.x[rows], images.y[rows])


def build(backend: str, seed: int, options: Mapping[str, object]) -> Model:
    """The network, compiled to train; ``seed`` decides its weights."""
    torch.manual_seed(seed)
    return snn.compile(
        Net(),
        torch.zeros(BATCH, 64),
        backend=backend,
        time_steps=TIME_STEPS,
        static=True,  # an image is a current that does not change over time
        # The right neuron is asked to fire at 8 steps in 10, the others at 1: none falls silent, and
        # what has no spikes at all could not learn.
        loss=SF.mse_count_loss(correct_rate=0.8, incorrect_rate=0.1),
        optimizer=snn.optim.Adam(lr=5e-3),
        record=[f"{layer}.{port}" for layer in (HIDDEN, OUTPUT) for port in ("spk", "mem")],
        options=options,
    )


def loader(images: Data, seed: int, *, fixed: bool = False) -> DataLoader[tuple[Tensor, ...]]:
    """Batches in another order every epoch, which ``seed`` decides.

    Args:
        fixed: the backend takes batches of `BATCH` and no others: the ragged last one of an epoch is
            left out, and what it holds has its turn in another.
    """
    order = torch.Generator().manual_seed(seed)
    return DataLoader(TensorDataset(*images), BATCH, shuffle=True, drop_last=fixed, generator=order)


def train(
    model: Model,
    images: Data,
    test: Data,
    epochs: int,
    seed: int,
    *,
    fixed: bool = False,
    progress: bool | Callable[[Batch], object] = False,
    log: Callable[[Epoch], object] | None = None,
) -> History:
    """Train, and score on the test images after every epoch; ``progress`` and ``log`` as for `fit`."""
    size = BATCH if fixed else len(test.y)
    held = DataLoader(TensorDataset(*test), size)
    batches = loader(images, seed, fixed=fixed)
    return fit(model, batches, epochs=epochs, validate=held, progress=progress, log=log)


def evaluate(model: Model, x: Tensor, *, fixed: bool = False) -> dict[str, Tensor]:
    """What was recorded, ``[T, N, ...]``, at once or, where shapes are ``fixed``, in padded batches."""
    size = BATCH if fixed else len(x)
    rows = torch.arange(-(-len(x) // size) * size) % len(x)
    found = [model.run(x[part]).recordings for part in torch.split(rows, size)]
    return {port: torch.cat([each[port].cpu() for each in found], 1)[:, : len(x)] for port in found[0]}
