"""Surrogates of a user's own: an expression, which everything runs, or a function that only torch can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from snnhw.errors import InputError
from snnhw.ir.expr import Expr, const, substitute, topological, var
from snnhw.ir.surrogates.base import Surrogate, surrogate
from snnhw.ir.text import MAX_NODES
from snnhw.words import brief

__all__ = ["Custom", "Opaque", "by_equations"]

Z: Final = var("z")
SOFTSIGN: Final = 1.0 / ((abs(Z) + 1.0) * (abs(Z) + 1.0))


@surrogate
@dataclass(frozen=True)
class Custom(Surrogate):
    """A derivative written by the user: ``Custom(1.0 / (1.0 + z * z))`` with ``z = snnhw.ir.var("z")``.

    It travels in files as data. ``snnhw.surrogate.custom_surrogate`` makes one from a function.

    Attributes:
        slope: dS/dz, an expression of the variable ``z``. Keep it finite for every finite z.
    """

    slope: Expr = SOFTSIGN

    def __post_init__(self) -> None:
        sound = isinstance(self.slope, Expr) and self.slope.sort == "real"
        self._need(sound, "slope", "an expression of z, a number, such as 1.0 / (1.0 + z * z)")
        order = topological([self.slope])
        self._need(len(order) <= MAX_NODES, "slope", f"at most {MAX_NODES} operations")
        alone = all(node is Z for node in order if node.op in ("var", "nearest"))
        self._need(alone, "slope", "an expression of the variable z and of nothing else")

    def derivative(self, z: Expr) -> Expr:
        (found,) = substitute([self.slope], {"z": z})
        return found


@dataclass(frozen=True)
class Opaque(Surrogate):
    """A function of tensors that no expression says. Torch runs it; files and other backends cannot hold it.

    Spikes are what they always are, so that it matters to training alone.

    Attributes:
        function: z -> spikes of z, differentiable in torch's autograd.
        name: what it is called, and the line where it stands.
        why: why it is no expression.
    """

    function: Callable[[Any], Any]
    name: str
    why: str

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise InputError(f"Opaque(function={brief(self.function)}): give a function of a tensor")

    def derivative(self, z: Expr) -> Expr:  # there is none to be said
        """0, since equations must say something: who trains asks `function`."""
        return const(0.0)

    @property
    def reason(self) -> str:
        """Why something else than torch cannot train with it, and what to do."""
        return (
            f"the surrogate {self.name} runs in torch only, since {self.why}; return the gradient times a "
            "pointwise function of input_ and spikes, or choose one of snnhw.surrogate"
        )

    def __repr__(self) -> str:
        return f"Opaque({self.name})"


def by_equations(surrogate: Surrogate | None) -> Surrogate | None:
    """A surrogate for where equations are all that runs.

    Raises:
        InputError: none says its derivative.
    """
    if isinstance(surrogate, Opaque):
        raise InputError(
            f"{surrogate!r}: spikes that are made apart from their neurons (inhibited, pooled, of rounded "
            "membranes) have the derivative that an equation says; choose one of snnhw.surrogate"
        )
    return surrogate
