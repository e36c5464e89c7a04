"""What the integers of a program are: how many bits they have, and what one of them is worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from snnhw.errors import InputError
from snnhw.ir.checks import is_number
from snnhw.words import brief

__all__ = ["Fixed", "Overflow", "Rounding"]

Rounding = Literal["nearest", "floor", "toward_zero"]
Overflow = Literal["refuse", "saturate", "wrap"]
Whole = npt.NDArray[np.int64]

MOST: Final = 32
"""Most bits: products of two such numbers, and sums of as many as fit a memory, are integers of 64 bits."""

_ROUNDED: Final[Mapping[str, Callable[[Any], Any]]] = {
    "nearest": np.rint,  # half to even
    "floor": np.floor,
    "toward_zero": np.trunc,
}


@dataclass(frozen=True)
class Fixed:
    """The format of a parameter, state or signal that holds integers.

    Attributes:
        bits: how many it has, 1 to 32, the sign among them.
        signed: in two's complement; else from 0 on.
        scale: how many of them make 1 of the network that they were made from.
        rounding: how a float becomes one of them; ``nearest`` is half to even.
        overflow: what happens to a float that is beyond them.
    """

    bits: int
    signed: bool = True
    scale: float = 1.0
    rounding: Rounding = "nearest"
    overflow: Overflow = "refuse"

    def __post_init__(self) -> None:
        for name, sound, accepted in (
            ("bits", type(self.bits) is int and 1 <= self.bits <= MOST, f"a whole number from 1 to {MOST}"),
            ("signed", isinstance(self.signed, bool), "True or False"),
            ("scale", is_number(self.scale) and self.scale > 0, "a finite number above 0"),
            ("rounding", self.rounding in get_args(Rounding), f"one of {', '.join(get_args(Rounding))}"),
            ("overflow", self.overflow in get_args(Overflow), f"one of {', '.join(get_args(Overflow))}"),
        ):
            if not sound:
                raise InputError(f"Fixed({name}={brief(getattr(self, name))}): give {accepted}")

    @property
    def low(self) -> int:
        """The smallest."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """The largest."""
        return (1 << (self.bits - self.signed)) - 1

    def encode(self, values: npt.ArrayLike, name: str) -> Whole:
        """Floats as integers of this format: times `scale`, rounded, and within the bits.

        Args:
            name: of what they are, for messages.

        Raises:
            InputError: one is not finite, or beyond the bits of a format that refuses that.
        """
        given = np.asarray(values, np.float64)
        if not np.isfinite(given).all():
            raise InputError(f"{name}: {given[~np.isfinite(given)][0]} has no integer; give finite numbers")
        whole = _ROUNDED[self.rounding](given * self.scale)
        if self.overflow == "refuse":
            self.check(whole, name)
        if self.overflow == "wrap":
            span = float(1 << self.bits)
            whole = whole - span * np.floor((whole - self.low) / span)
        found: Whole = np.clip(whole, self.low, self.high).astype(np.int64)
        return found

    def check(self, values: npt.ArrayLike, name: str) -> Whole:
        """Values that should be integers of this format, as such.

        Raises:
            InputError: one is not, with its place.
        """
        given = np.asarray(values)
        with np.errstate(invalid="ignore"):
            sound = (given >= self.low) & (given <= self.high) & (given == np.floor(given))
        if not sound.all():
            place = tuple(int(at) for at in np.argwhere(~sound)[0])
            raise InputError(
                f"{name} holds {given[place]!s} at {list(place)}; accepted: whole numbers from {self.low} to "
                f"{self.high}, of {self.bits} bits"
            )
        return given.astype(np.int64)
