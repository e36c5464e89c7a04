"""Parameters and states to start from."""

from __future__ import annotations

from math import sqrt

import numpy as np

from snnhw.errors import ProgramError
from snnhw.ir.params import Params
from snnhw.ir.program import Program

__all__ = ["init_params"]


def init_params(program: Program, seed: int = 0, dtype: str = "float32") -> Params:
    """Fresh parameters: weights from U(-1/sqrt(fan_in), 1/sqrt(fan_in)), the rest at their default.

    Raises:
        ProgramError: listing the parameters without a default, which only the user can choose.
    """
    generator = np.random.default_rng(seed)
    params: Params = {}
    missing = []
    for key, spec in program.params().items():
        if spec.fan_in:
            bound = 1.0 / sqrt(spec.fan_in)
            params[key] = generator.uniform(-bound, bound, spec.shape).astype(dtype)
        elif spec.default is not None:
            params[key] = np.full(spec.shape, spec.default, dtype)
        else:
            missing.append(f"parameter '{key}' has no default; give its value")
    if missing:
        raise ProgramError(missing)
    return params
