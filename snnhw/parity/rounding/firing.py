"""The comparisons of a neuron: which of them a rounding may turn round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from snnhw.ir import RESET, SPIKE, Expr, Neuron, Pointwise, const, heaviside, substitute
from snnhw.ir.expr import replace
from snnhw.parity.arrays import Array
from snnhw.parity.rounding.bounded import Bounded
from snnhw.parity.rounding.forward import forward

__all__ = ["Flags", "ForwardEquations", "Spikes", "equations_of", "open_at"]


class Flags(NamedTuple):
    """What a neuron that fires compares with 0: z of its new states, and z of the stored ones."""

    fire: Expr
    stored: Expr


class ForwardEquations(NamedTuple):
    """A pointwise node going forward.

    Attributes:
        flags: None for one that never fires.
        outputs: port -> value, in terms of the flags ``spike`` and ``reset`` where there are any.
    """

    flags: Flags | None
    outputs: dict[str, Expr]


def equations_of(op: Neuron | Pointwise, dt: float) -> ForwardEquations:
    """The equations of a node, at a given length of a step."""
    step, length = op.equations(), {"dt": const(dt)}
    outputs = forward(substitute(list(step.outputs.values()), length))
    if not isinstance(op, Neuron) or op.model.fire is None or step.fire is None:
        return ForwardEquations(None, dict(zip(step.outputs, outputs, strict=True)))
    fire, stored = forward(substitute([step.fire, op.model.fire], length))
    outputs = replace(outputs, {heaviside(fire): SPIKE, heaviside(stored): RESET})
    (fire,) = replace([fire], {heaviside(stored): RESET})
    return ForwardEquations(Flags(fire, stored), dict(zip(step.outputs, outputs, strict=True)))


@dataclass(frozen=True, eq=False)
class Spikes:
    """A neuron's spikes at one step, ``[B, ...]``.

    Attributes:
        value: what the reference gives; other: what it would give, had the comparison gone the other way.
        z: what is compared with 0: how far from its threshold the neuron is, and how far rounding reaches.
    """

    value: Array
    other: Array
    z: Bounded

    @property
    def open(self) -> Array:
        """Where either is possible."""
        return open_at(self.z)

    def doubt(self, seen: Array | None) -> Array:
        """Where the flag behind a spike may be either: it is open, and what a backend returned does not
        tell, or tells that it went the other way."""
        if seen is None:
            return self.open
        silent = self.value == self.other  # graded with a factor of 0: a spike shows nothing
        differs = (seen == self.other.astype(seen.dtype)) & ~silent
        return np.asarray(self.open & (silent | differs))


def open_at(z: Bounded) -> Array:
    """Where a backend may find the other side of 0."""
    return np.asarray((np.abs(z.value) <= z.error) & (np.asarray(z.error) > 0))
