"""What a workload is: one network on one kind of input, as data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Final, Literal, get_args

import torch

from benchmarks.layers import Layer, Net, Neuron, neurons

__all__ = ["MODES", "Case", "Mode", "tiny"]

Mode = Literal["train", "infer", "fwd", "fwd+bwd"]

MODES: Final[tuple[Mode, ...]] = get_args(Mode)
"""One update with loss and Adam; outputs of a network; outputs of a layer; those and all gradients."""


@dataclass(frozen=True)
class Case:
    """One network on one kind of input.

    Attributes:
        workload: its name, such as ``W1``.
        title: what it is, for people.
        net: its layers.
        sample: shape of one sample at one step.
        steps: T; batch: B.
        inputs: what arrives, a name in `benchmarks.inputs.INPUTS`.
        modes: what is timed.
        aims: the ratio to reach, by the beginning of a peer's name.
        variant: what tells it from other cases of the workload.
        loss: a name in `benchmarks.losses.FOLDED`, for training; lr: Adam's rate.
        outputs: what the last layer returns over all steps.
        density: share of inputs that spike, for inputs that are events.
        activity: share of neurons that fire at a step, by choice of thresholds; 0: as it comes.
        eager: on our side too, the loop over time is the script's own, and nothing is compiled ahead.
        needs: a public name that snnhw must have.
        dtype: of signals, where a row is about it; states are float32.
    """

    workload: str
    title: str
    net: Net
    sample: tuple[int, ...]
    steps: int
    batch: int
    inputs: str
    modes: tuple[Mode, ...]
    aims: tuple[tuple[str, float], ...]
    variant: str = ""
    loss: str = ""
    lr: float = 0.0
    outputs: tuple[str, ...] = ("spk",)
    density: float = 0.0
    activity: float = 0.0
    eager: bool = False
    needs: str = ""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"

    @property
    def key(self) -> str:
        """Its name on a command line."""
        return f"{self.workload} {self.variant}".strip()

    @property
    def torch_dtype(self) -> torch.dtype:
        found: torch.dtype = getattr(torch, self.dtype)
        return found

    @property
    def static(self) -> bool:
        """Whether the input does not change over time, and is given as ``[B, ...]``."""
        return self.inputs in ("image", "current")

    @property
    def alone(self) -> bool:
        """Whether it begins with neurons, so that it is the input which wants a gradient."""
        return isinstance(self.net[0][1], Neuron)

    @property
    def width(self) -> tuple[int, ...]:
        """Shape of one sample of the output at one step."""
        linear = [layer for _, layer in self.net if isinstance(layer, Layer) and layer.name == "Linear"]
        return linear[-1].arguments[1:2] if linear else self.sample

    @property
    def last(self) -> str:
        """Name of the last layer of neurons."""
        return list(neurons(self.net))[-1][0]

    def aim(self, peer: str) -> float | None:
        return next((ratio for prefix, ratio in self.aims if peer.startswith(prefix)), None)


LARGE: Final = 10_000
"""Numbers in a sample from which on fewer do."""


def tiny(case: Case) -> Case:
    """The same case over a few steps and samples: enough to see that it works, not how fast."""
    steps, batch = (6, 4) if prod(case.sample) < LARGE else (2, 1)
    return replace(case, steps=min(case.steps, steps), batch=min(case.batch, batch))
