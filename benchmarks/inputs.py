"""What goes into a network: made up, always the same, with the statistics of the real thing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Generator, Tensor

from benchmarks.case import Case

__all__ = ["CLASSES", "INPUTS", "Data", "make_data"]

CLASSES: Final = 10
INKED: Final = 0.19
"""Share of the pixels of a handwritten digit that are not blank."""

STROKE: Final = 4
"""Pixels that are inked together, in width and height."""


@dataclass(frozen=True)
class Data:
    """One batch.

    Attributes:
        x: ``[T, B, ...]``, or ``[B, ...]`` when static.
        y: class numbers ``[B]``.
        adjoint: the gradient that arrives at the spikes, ``[T, B, ...]``.
    """

    x: Tensor
    y: Tensor
    adjoint: Tensor
    static: bool

    def to(self, device: str, dtype: torch.dtype) -> Data:
        """The same on another device, signals in another dtype."""
        return replace(
            self,
            x=self.x.to(device, dtype),
            y=self.y.to(device),
            adjoint=self.adjoint.to(device, dtype),
        )

    def take(self, samples: Tensor) -> Data:
        """Some of the samples, by number."""
        x = self.x[samples] if self.static else self.x[:, samples]
        return replace(
            self, x=x.contiguous(), y=self.y[samples], adjoint=self.adjoint[:, samples].contiguous()
        )

    def until(self, step: int) -> Data:
        """The first steps; a static input knows no steps, and is left as it is."""
        return self if self.static else replace(self, x=self.x[:step], adjoint=self.adjoint[:step])


def _images(case: Case, generator: Generator) -> Tensor:
    """As blank as handwritten digits, and inked in patches as strokes are, 28 x 28."""
    patches = torch.rand(case.batch, 28 // STROKE, 28 // STROKE, generator=generator) < INKED
    inked = patches.repeat_interleave(STROKE, 1).repeat_interleave(STROKE, 2)
    shades = 0.5 + 0.5 * torch.rand(case.batch, 28, 28, generator=generator)
    return (shades * inked).reshape(case.batch, *case.sample)


def _rates(case: Case, generator: Generator) -> Tensor:
    """Spikes whose rates are the pixels of images."""
    images = _images(case, generator)
    return torch.bernoulli(images.expand(case.steps, *images.shape), generator=generator)


def _events(case: Case, generator: Generator) -> Tensor:
    shape = (case.steps, case.batch, *case.sample)
    return (torch.rand(shape, generator=generator) < case.density).float()


INPUTS: Final[dict[str, Callable[[Case, Generator], Tensor]]] = {
    "image": _images,
    "current": lambda case, generator: torch.rand(case.batch, *case.sample, generator=generator) * 0.2,
    "currents": lambda case, generator: (
        torch.rand(case.steps, case.batch, *case.sample, generator=generator) * 0.2
    ),
    "normal": lambda case, generator: torch.randn(case.steps, case.batch, *case.sample, generator=generator),
    "rates": _rates,
    "events": _events,
}
"""Name -> how it is made: one image or current for all steps, currents, normal numbers, spikes."""


def make_data(case: Case, seed: int = 1) -> Data:
    """A batch for a case."""
    generator = torch.Generator().manual_seed(seed)
    return Data(
        x=INPUTS[case.inputs](case, generator),
        y=torch.randint(0, CLASSES, (case.batch,), generator=generator),
        adjoint=torch.randn(case.steps, case.batch, *case.width, generator=generator),
        static=case.static,
    )
