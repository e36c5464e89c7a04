"""What stateless ops make of values and of bounds on them, by the reference's own rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from snnhw.conformance.bounded import Bounded
from snnhw.conformance.case import Array
from snnhw.ir import Add, AvgPool2d, Concat, Conv2d, Flatten, Linear, MaxPool2d, Op
from snnhw.reference import RULES
from snnhw.reference.elementwise import namespace
from snnhw.reference.ops import Here
from snnhw.reference.tape import constant

__all__ = ["TERMS", "pass_on"]

TERMS: Final[Mapping[type[Op], Callable[[Any], int]]] = {
    Linear: lambda op: op.in_features + 1,
    Conv2d: lambda op: op.in_channels // op.groups * op.kernel[0] * op.kernel[1] + 1,
    AvgPool2d: lambda op: op.kernel[0] * op.kernel[1] + 1,
    MaxPool2d: lambda op: 0,
    Flatten: lambda op: 0,
    Add: lambda op: 0,
    Concat: lambda op: 0,
}
"""Op -> how many roundings one result may collect. Each of them is linear in its inputs, or takes a maximum
of them; `pass_on` rests on that, so an op that is neither needs a rule of its own."""

_FLOAT64: Final = namespace(np.float64)


def pass_on(op: Op, env: Mapping[str, Bounded], unit: float) -> dict[str, Bounded]:
    """The outputs of an op.

    Its rule is linear in its inputs up to an offset, or a maximum. So the rule on absolute values bounds
    the sum of absolute values of its terms, and what it makes of bounds is the rule less the offset.

    Args:
        env: the inputs, and the parameters; these every backend is given alike.
        unit: how far one operation may be off, relative to its result.
    """
    slack = TERMS[type(op)](op) * unit
    xs = {port: env[port] for port in op.in_ports}
    weights = {name: np.abs(part.value) for name, part in env.items() if name not in xs}
    errors = {
        port: np.broadcast_to(x.error, x.value.shape) + slack * np.abs(x.value) for port, x in xs.items()
    }
    value = _rule(op, {name: part.value for name, part in env.items()})
    offset = _rule(op, {**weights, **{port: np.zeros_like(x.value[:1]) for port, x in xs.items()}})
    reach = _rule(op, {**weights, **errors})
    return {port: Bounded(y, reach[port] - (1.0 - slack) * offset[port]) for port, y in value.items()}


def _rule(op: Op, env: Mapping[str, Array]) -> dict[str, Array]:
    seen = {name: constant(array) for name, array in env.items()}
    # dt is none of a stateless op's business
    return {port: y.value for port, y in RULES[type(op)](Here(op, seen, _FLOAT64, dt=1.0)).items()}
