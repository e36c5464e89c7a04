"""Calls of a program that was compiled for some of the steps, until all are done."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Sequence

import torch
from torch import Tensor

from .model import Recipe

__all__ = ["Arguments", "Results", "at", "called", "forward", "joined"]

Arguments = Dict[str, Tensor]
Results = List[Tensor]

FIRST, RESTING = "first", "resting"


def called(executor: Callable[..., Any], recipe: Recipe, arguments: Arguments) -> Results:
    """One call of the device."""
    names = recipe["inputs"] + recipe["targets"] + recipe["states"]
    return list(executor(*[arguments[name].contiguous() for name in names]))


def at(recipe: Recipe, arguments: Arguments, number: int) -> Arguments:
    """What one chunk sees of arguments for all steps, but states."""
    steps = recipe["steps"]
    found = {name: x for name, x in arguments.items() if name not in recipe["states"]}
    found.update({name: arguments[name].narrow(1, number * steps, steps) for name in recipe["timed"]})
    if FIRST in arguments:
        found[FIRST] = arguments[FIRST] + number * steps
    return found


def forward(
    executor: Callable[..., Any],
    recipe: Recipe,
    arguments: Arguments,
    besides: Arguments | None = None,
) -> tuple[list[Results], list[Arguments]]:
    """One chunk after the other, each from the states of the one before it.

    Args:
        besides: further arguments, the same for every chunk.

    Returns:
        what each gave, and the states that each started from.
    """
    states = {name: arguments[name] for name in recipe["states"]}
    results, starts = [], []
    for number in range(recipe["chunks"]):
        given = {**at(recipe, arguments, number), **states, **(besides or {})}
        results.append(called(executor, recipe, given))
        starts.append(states)
        if number + 1 < recipe["chunks"]:
            states = {name: results[-1][place] for name, place in recipe["finals"].items()}
            states.update(
                {name: torch.zeros_like(arguments[name]) for name in [RESTING] if name in recipe["states"]}
            )
    return results, starts


def joined(recipe: Recipe, results: Sequence[Results]) -> Results:
    """Results of all steps: signals one after the other, of anything else the last."""
    if len(results) == 1:
        return list(results[0])
    over = set(recipe["over_time"])
    return [
        torch.cat(column, 1) if place in over else column[-1] for place, column in enumerate(zip(*results))
    ]
