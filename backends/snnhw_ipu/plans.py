"""What is asked of a program, and what it becomes: the two ends of lowering."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from snnhw.ir import Loss, Shape

__all__ = ["FIRST", "RESTING", "Lowered", "Noise", "Plan"]

RESTING = "resting"
"""An argument besides the states: 1 for a sample that starts from rest whatever its states say, else 0."""

FIRST = "first"
"""Another, where parameters belong to steps: the number of the first step, the same for every sample."""


@dataclass(frozen=True)
class Noise:
    """Random numbers that the host draws: the device's own would be other ones.

    Attributes:
        node, name: what they are for; see `snnhw.ir.uniform`.
        shape: of one sample at one step.
        held: whether they are the same at every step.
    """

    node: str
    name: str
    shape: Shape
    held: bool


@dataclass(frozen=True)
class Lowered:
    """A recipe, and how its arguments and results are to be read.

    Attributes:
        recipe: as `snnhw_ipu.worker.model` describes it; JSON has room for all of it.
        constants: parameters of the recipe that are none of the program.
        ports: port -> which result it is; states: state key -> likewise.
        noise: argument that holds random numbers -> which.
        targets: argument that a loss is compared with -> the shape of a sample's share.
        trained: constants that PopTorch is to train in place of the program's parameters; see
            `snnhw_ipu.chunks`.
    """

    recipe: dict[str, Any]
    constants: dict[str, npt.NDArray[Any]]
    ports: dict[str, int]
    states: dict[str, int]
    noise: dict[str, Noise]
    targets: dict[str, Shape]
    trained: tuple[str, ...] = ()

    def arguments(self) -> list[str]:
        """What a call is given, in the order of the recipe."""
        recipe = self.recipe
        targets = recipe["host"]["targets"] if "host" in recipe else recipe["targets"]
        return [*recipe["inputs"], *targets, *recipe["states"]]


@dataclass(frozen=True)
class Plan:
    """What is asked of a program.

    Attributes:
        steps: T, or of one chunk; chunks: how many of them, one after the other, make up T.
        batch: number of samples that the device sees at once.
        wanted: ports to return, ``[B, T, ...]``.
        loss: its value is returned as well; its terms name their ports.
        training: whether it is a step of training; derivatives: whether they matter.
        continued: whether the states to start from are arguments.
        finals: whether to return the states after the last step.
        dtype: of signals.
        parts: in how many parts a batch comes; see `snnhw_ipu.losses.Reading`.
    """

    steps: int
    batch: int
    wanted: tuple[str, ...]
    loss: Loss | None = None
    training: bool = False
    derivatives: bool = False
    continued: bool = False
    finals: bool = True
    dtype: str = "float32"
    parts: int = 1
    chunks: int = 1
