"""Parameters to start from."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt

import numpy as np
import numpy.typing as npt

from snnhw.errors import ProgramError
from snnhw.ir.params import Params, ParamSpec
from snnhw.ir.program import Program
from snnhw.words import brief, did_you_mean

__all__ = ["init_params"]


def init_params(
    program: Program,
    seed: int = 0,
    dtype: str = "float32",
    given: Mapping[str, npt.ArrayLike] | None = None,
) -> Params:
    """Fresh parameters: weights from U(-1/sqrt(fan_in), 1/sqrt(fan_in)), the rest at their default.

    Args:
        given: parameter key -> its value, broadcast to the parameter's shape; others keep the values
            that the seed gives them.

    Raises:
        ProgramError: listing the parameters without a default, which only the user can choose, and
            what is given but does not fit.
    """
    generator = np.random.default_rng(seed)
    specs, given = program.params(), given or {}
    problems = [
        f"{brief(key)} is no parameter of this program.{did_you_mean(key, specs)}"
        for key in given
        if key not in specs
    ]
    params: Params = {}
    for key, spec in specs.items():
        fresh = _fresh(spec, generator)
        value = given.get(key, fresh)
        if value is None:
            problems.append(f"parameter '{key}' has no default; give its value as given={{'{key}': ...}}")
            continue
        try:
            params[key] = _shaped(spec, np.asarray(value)).astype(dtype)
        except ValueError:
            problems.append(f"parameter '{key}' of shape {spec.shape} cannot take {brief(value)}")
    if problems:
        raise ProgramError(problems)
    return params


def _fresh(spec: ParamSpec, generator: np.random.Generator) -> npt.ArrayLike | None:
    if not spec.fan_in:
        return spec.default
    bound = 1.0 / sqrt(spec.fan_in)
    return generator.uniform(-bound, bound, spec.shape)


def _shaped(spec: ParamSpec, value: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    return value if spec.table else np.broadcast_to(value, spec.shape)
