"""The same digits as events, trained for a moment and held to the reference.

An inked pixel spikes once, the darker the sooner: so few inputs are active at a step that a backend may take
another way than on images, one that pays only there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

import snnhw as snn
import snnhw.functional as SF
from snnhw.cli.demo.digits import BATCH, Data, Net
from snnhw.nn import Model

if TYPE_CHECKING:
    from snnhw.parity.live import Live

__all__ = ["TIME_STEPS", "as_events", "build", "held"]

TIME_STEPS: Final = 32
UPDATES: Final = 12
HIDDEN: Final = 256


def as_events(images: Tensor) -> Tensor:
    """Pixels ``[B, 64]`` in [0, 1] as spikes ``[T, B, 64]``: one for each pixel that is not white."""
    return snn.spikegen.latency(images, num_steps=TIME_STEPS, linear=True, normalize=True, clip=True)


def build(backend: str, seed: int, options: Mapping[str, object]) -> Model:
    """The network, compiled to train; ``seed`` decides its weights."""
    torch.manual_seed(seed)
    return snn.compile(
        Net(HIDDEN),
        torch.zeros(BATCH, 64),
        backend=backend,
        time_steps=TIME_STEPS,
        loss=SF.ce_count_loss(),
        optimizer=snn.optim.Adam(lr=5e-3),
        options=options,
    )


def held(model: Model, train: Data, test: Data) -> Live:
    """What became of the model in some updates, beside the reference."""
    for update in range(UPDATES):
        rows = (torch.arange(BATCH) + update * BATCH) % len(train.y)
        model.step(as_events(train.x[rows]), train.y[rows])
    return model.verify(as_events(test.x[torch.arange(BATCH) % len(test.y)]))
