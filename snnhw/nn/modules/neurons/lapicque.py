"""Lapicque's neuron, given by its resistor and capacitor or by a decay."""

from __future__ import annotations

import math
from typing import Any, Final

import torch
from torch import Tensor

from snnhw.errors import InputError
from snnhw.ir.models.lapicque import LAPICQUE, LAPICQUE_DECAY
from snnhw.nn.modules.arguments import holds, own_tensor
from snnhw.nn.modules.parents import LIF

__all__ = ["Lapicque"]

GIVE: Final = "give R and C; or beta; or beta and one of them"


class Lapicque(
    LIF,
    model=LAPICQUE,
    leading={"beta": False, "R": False, "C": False, "time_step": 1},
    learnt={"learn_beta": False, "learn_threshold": False},
):
    """`snnhw.ir.models.lapicque` as a torch module; see `SpikingNeuron` for how it is called.

    With ``beta`` the decay that acts is ``1 + ln(beta)``, as in snnTorch: ``beta`` stands for
    ``exp(-T / (R * C))``, and a step is taken by Euler's method.

    Args:
        beta: ``exp(-time_step / (R * C))``; alone, R is 1.
        R: resistance of the membrane.
        C: capacity of the membrane.
        time_step: length of a step, in the units of ``R * C``.
        learn_beta: learn it; R then stays as it is, and C follows. Give beta alone, or with R.

    Raises:
        InputError: too little, too much, or what cannot be learnt.
    """

    def _hw_prepare(self, given: dict[str, Any]) -> None:
        beta, R, C = (_given(given[name]) for name in ("beta", "R", "C"))
        step = own_tensor(given["time_step"])
        if beta is None and (R is None or C is None):
            raise InputError(f"Lapicque: R, C and beta are not enough to know the membrane; {GIVE}")
        if given["learn_beta"] and (beta is None or C is not None):
            raise InputError("Lapicque(learn_beta=True): C follows from beta; give beta alone, or beta and R")
        followed = (
            beta is not None and beta.requires_grad and C is None
        )  # at every step, as if it were learnt
        if given["learn_beta"] or followed:
            self._hw_model = LAPICQUE_DECAY
        if beta is None:
            assert R is not None
            assert C is not None
            given["beta"] = torch.ones(1) * torch.exp(-step / (R * C))  # [1], as in a state_dict of snnTorch
        else:
            _check_decay(beta)
            if C is None:
                R = own_tensor(1.0) if R is None else R
                C = step / (R * torch.log(1 / beta))
            else:
                R = step / (C * torch.log(1 / beta))
        given["R"], given["C"] = R, C
        for name in ("beta", "R", "C", "time_step"):  # a state_dict holds all four
            if name not in {param.name for param in self._hw_model.params}:
                self.register_buffer(name, own_tensor(given[name]))

    def init_lapicque(self) -> Any:
        """`reset_mem` under snnTorch's older name."""
        return self.reset_mem()


def _given(value: Any) -> Tensor | None:
    return None if value is None or value is False else own_tensor(value)


def _check_decay(beta: Tensor) -> None:
    if not holds((beta > 0) & (beta < 1) & torch.isfinite(beta)):
        shown = f"{beta.item():g}" if beta.numel() == 1 else f"tensor{list(beta.shape)}"
        raise InputError(
            f"Lapicque(beta={shown}): it is exp(-T / (R * C)), which lies between 0 and 1 and is neither; "
            f"{math.exp(-1):.3g} and more decay without changing sign"
        )
