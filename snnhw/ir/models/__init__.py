"""Neuron models: each a family of equations, one file apiece.

A new model is a new file in this folder that ends in ``NAME = register(model(...))``; it is found
by itself.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from snnhw.ir.models.family import MODELS, RESET, SPIKE, TIMINGS, NeuronModel, StepEquations, model, register

__all__ = ["MODELS", "RESET", "SPIKE", "TIMINGS", "NeuronModel", "StepEquations", "model", "register"]

for _found in iter_modules(__path__):
    import_module(f"{__name__}.{_found.name}")
