"""Models that nobody has registered: any model is the business of every backend.

They use what the language offers and the registered ones may not: names that are words of Python, two
ports, a state that starts from a parameter, the length of a step, a reset of its own, no spikes at all,
random numbers.
"""

from __future__ import annotations

from typing import Final

from snnhw.ir import RESET, NeuronModel, Param, State, clamp, greater, maximum, model, var, where

__all__ = ["CUSTOM_MODELS", "LUCKY"]

held, rest, drive, gate = var("class"), var("def"), var("in"), var("is")
leak, floor, threshold = var("lambda"), var("None"), var("threshold")
won = greater(var("luck"), 0.5)

WORDS: Final[NeuronModel] = model(
    "import",
    states=(State("class", init="None"), State("def")),
    ports=("in", "is"),
    params=(Param("lambda", 0.5), Param("None", 0.25), Param("threshold", 1.0)),
    integrate={
        "class": maximum(leak * held + drive, floor) - gate * var("dt"),
        "def": where(greater(gate, rest), gate, leak * rest),
    },
    resets={
        "halve": {"class": (maximum(leak * held + drive, floor) - gate * var("dt")) * (1.0 - RESET / 2.0)}
    },
    fire=held - threshold,
    membrane="class",
    reset="halve",
)

INTEGRATOR: Final[NeuronModel] = model(
    "Integrator",
    states="total",
    params=(Param("gain", 0.5),),
    integrate={"total": var("total") + var("gain") * var("x")},
    fire=None,
)

LUCKY: Final[NeuronModel] = model(
    "Lucky",
    states="mem",
    params=(Param("beta", low=0.0, high=1.0), Param("threshold", 1.0)),
    integrate={"mem": clamp(var("beta"), 0.0, 1.0) * var("mem") + var("x") + where(won, 0.5, -0.25)},
    fire=var("mem") - threshold,
    noise=("luck",),
)

CUSTOM_MODELS: Final = {entry.name: entry for entry in (WORDS, INTEGRATOR, LUCKY)}
"""Name -> model, as in the registry."""
