"""A recipe as a torch module: what PopTorch captures.

A recipe is plain data, written by `snnhw_ipu.lower`:

    {"steps": T,
     "inputs": [name, ...], "targets": [...], "states": [...],     the arguments of forward, in this order
     "start": {register: register it starts as, ...},
     "stages": [stage, ...],                                       walks through all steps
     "after": [instruction, ...],                                  losses and final shapes
     "moved": {key: register, ...},                                statistics that training has moved
     "returns": [register, ...], "loss": register or null,
     "chunks": number of calls that make up all steps, "batch": samples of each,
     "timed": [argument with an axis of time, ...], "over_time": [number of a result with one, ...],
     "finals": {state: number of its result, ...}}

One that trains in chunks has "gradients", "carries", "reads", "cotangents" and "host" besides; see
`snnhw_ipu.chunks`.

There is one stage, unless something needs all steps of a signal at once; the next stage goes on from there:

    {"before": [instruction, ...],                                 what does not change over time
     "each":  [instruction, ...],                                  one step
     "carry": {register: register after the step, ...},
     "keep":  {register of a signal: register of its values over all steps, ...}}

An instruction is ``[result, function, [operand, ...], {option: value}]``. Registers ``param:KEY`` and the
names of arguments are there from the start; ``#step`` as an option's value stands for the number of the step.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from .functions import FUNCTIONS

__all__ = ["CONSTANT", "Recipe", "Registers", "UnrolledModel", "execute", "tensors_of", "unroll"]

CONSTANT = "#"
"""What the names of a recipe's constants begin with, among those of parameters."""

Recipe = Dict[str, Any]
Stage = Dict[str, Any]
Registers = Dict[str, Tensor]


def tensors_of(arrays: Mapping[str, Any], dtype: str) -> dict[str, Tensor]:
    """Parameters in the dtype of signals; a recipe's constants in the one that they are written in."""
    found = {key: torch.from_numpy(np.array(array)) for key, array in arrays.items()}
    floating = {key for key, x in found.items() if x.is_floating_point() and not key.startswith(CONSTANT)}
    return {key: x.to(getattr(torch, dtype)) if key in floating else x for key, x in found.items()}


class UnrolledModel(nn.Module):
    """All steps of a program, unrolled; every boundary tensor has the batch as its first axis.

    Args:
        params: key -> value; those of ``trainable`` become parameters, the others buffers.
        identity_loss: PopTorch's.

    Attributes:
        recipes: by `training`. Set before PopTorch wraps the module, which decides both.
    """

    def __init__(
        self,
        params: Mapping[str, Tensor],
        trainable: Sequence[str],
        identity_loss: Callable[..., Tensor],
    ) -> None:
        super().__init__()
        self.recipes: dict[bool, Recipe] = {}
        self.identity_loss = identity_loss
        self.names: dict[str, str] = {}
        for number, (key, value) in enumerate(params.items()):
            name = "p%d_%s" % (number, key.replace(".", "_"))  # torch keeps dots for itself
            self.names[key] = name
            if key in trainable:
                self.register_parameter(name, nn.Parameter(value))
            else:
                self.register_buffer(name, value)

    def value(self, key: str) -> Tensor:
        """The present value of a parameter, or of a buffer, on the host."""
        found: Tensor = getattr(self, self.names[key])
        return found

    def forward(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        """What the recipe returns; in training the loss comes last."""
        recipe = self.recipes[self.training]
        names = recipe["inputs"] + recipe["targets"] + recipe["states"]
        registers: Registers = dict(zip(names, arguments))
        for key, name in self.names.items():
            registers["param:" + key] = getattr(self, name)
        unroll(recipe, registers)
        found = tuple(registers[name] for name in recipe["returns"])
        for key, name in recipe["moved"].items():
            getattr(self, self.names[key]).copy_(registers[name])  # buffers, which keep it on the device
        if recipe["loss"] is None:
            return found
        loss = registers[recipe["loss"]]
        return (*found, self.identity_loss(loss, "none") if self.training else loss.reshape(1))


def unroll(recipe: Recipe, registers: Registers) -> None:
    """Fill the registers of a recipe, from arguments and parameters."""
    for number, stage in enumerate(recipe["stages"]):
        execute(stage["before"], registers, 0)
        if number == 0:
            registers.update({slot: registers[name] for slot, name in recipe["start"].items()})
        _walk(stage, recipe["steps"], registers)
    execute(recipe["after"], registers, recipe["steps"])


def _walk(stage: Stage, steps: int, registers: Registers) -> None:
    kept: dict[str, list[Tensor]] = {name: [] for name in stage["keep"]}
    for step in range(steps):
        execute(stage["each"], registers, step)
        for name, values in kept.items():
            values.append(registers[name])
        registers.update({before: registers[after] for before, after in stage["carry"].items()})
    for name, values in kept.items():
        registers[stage["keep"][name]] = torch.stack(values, 1)


def execute(instructions: list[Any], registers: Registers, step: int) -> None:
    """Instructions one after the other; ``step`` is the number of the step."""
    for result, function, operands, options in instructions:
        given = {name: step if value == "#step" else value for name, value in options.items()}
        registers[result] = FUNCTIONS[function](*[registers[name] for name in operands], **given)
