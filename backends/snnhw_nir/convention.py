"""What a NIR file leaves open, and has to be known before it is a program."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Final, Literal

from snnhw.errors import InputError
from snnhw.ir.models.textbook import SCHEMES
from snnhw_nir.cycles import Recurrence

__all__ = ["DT", "Convention"]

DT: Final = 1e-4
"""The step that snnTorch and SpikingJelly take for granted, in seconds."""


@dataclass(frozen=True)
class Convention:
    """How equations in continuous time become steps.

    Attributes:
        dt: length of a step, in seconds.
        scheme: how a step is taken; one of `snnhw.ir.models.textbook.SCHEMES`.
        reset: what a spike does to the membrane: set it to ``v_reset``, or take the threshold from it.
        recurrence: where a cycle is delayed by a step.
        neurons: ``textbook``; ``unit gain``: where an input of 1 adds 1 but for the last digit, it adds 1; or
            ``spyx``: whatever the file says of gains, leaks and resets, an input of 1 adds 1, a spike takes
            the threshold off in the step after, and arrives a step late.
    """

    dt: float
    scheme: str = "euler"
    reset: Literal["to_value", "subtract"] = "to_value"
    recurrence: Recurrence = "spikes"
    neurons: Literal["textbook", "unit gain", "spyx"] = "textbook"

    def __post_init__(self) -> None:
        number = isinstance(self.dt, (int, float)) and not isinstance(self.dt, bool)
        if not (number and isfinite(self.dt) and self.dt > 0):
            raise InputError(f"dt={self.dt!r}: give the length of a step in seconds, such as {DT:g}")
        choices = {"scheme": SCHEMES, "reset": ("to_value", "subtract"), "recurrence": ("spikes", "current")}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise InputError(f"{name}={getattr(self, name)!r}: give one of {', '.join(known)}")
