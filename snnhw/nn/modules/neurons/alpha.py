"""The alpha-function neuron."""

from __future__ import annotations

from typing import Any

from snnhw.errors import InputError
from snnhw.ir.models.alpha import ALPHA
from snnhw.nn.modules.arguments import holds, own_tensor
from snnhw.nn.modules.parents import LIF

__all__ = ["Alpha"]


class Alpha(LIF, model=ALPHA):
    """`snnhw.ir.models.alpha` as a torch module; see `SpikingNeuron` for how it is called.

    A call takes and returns the states ``syn_exc, syn_inh, mem``. The membrane of the first step is 0.

    Args:
        alpha: decay of the excitation per step, greater than beta.
        beta: decay of the inhibition per step.
        threshold: the neuron fires where its membrane is greater.

    Raises:
        InputError: alpha is not greater than beta.
    """

    def _hw_prepare(self, given: dict[str, Any]) -> None:
        if given["validate_args"] and not holds(own_tensor(given["alpha"]) > own_tensor(given["beta"])):
            raise InputError(
                "Alpha: alpha must be greater than beta, or its excitation would fade before its inhibition; "
                "exchange the two, or pass validate_args=False"
            )

    def _base_state_reset_zero(self, input_: Any) -> Any:
        return self._base_state_function(input_)

    def _base_zero(self, input_: Any) -> Any:
        return self._hw_less(input_, self._base_state_reset_zero(input_))

    def _base_state_reset_sub_function(self, input_: Any) -> Any:
        """What a reset by subtraction takes from excitation, inhibition and membrane."""
        inhibited = self._hw_tensor_of("beta").clamp(0, 1) * self._hw_state("syn_inh") - input_
        return self.threshold, inhibited, -self._hw_state("syn_inh")

    def _base_sub(self, input_: Any) -> Any:
        return self._hw_less(input_, self._base_state_reset_sub_function(input_))

    def _hw_less(self, input_: Any, taken: Any) -> Any:
        return tuple(
            state - each * self.reset
            for state, each in zip(self._base_state_function(input_), taken, strict=True)
        )

    def init_alpha(self) -> Any:
        """`reset_mem` under snnTorch's older name."""
        return self.reset_mem()
