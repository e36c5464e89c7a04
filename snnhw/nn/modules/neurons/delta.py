"""The neuron that fires when its membrane moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from snnhw.errors import InputError
from snnhw.ir.models.delta_leaky import DELTA_LEAKY
from snnhw.nn.modules.arguments import own_tensor
from snnhw.nn.modules.neuron import RESETS
from snnhw.nn.modules.parents import LIF

__all__ = ["DeltaLeaky"]


class DeltaLeaky(
    LIF,
    model=DELTA_LEAKY,
    leading={"delta_threshold": 1.0, "beta": 0.9, "threshold": 1.0},
    learnt={"learn_beta": False, "learn_threshold": False},
    defaults={"reset_mechanism": "subtract", "learn_delta_threshold": False},
    last=("reset_delay", "learn_delta_threshold"),
):
    """`snnhw.ir.models.delta_leaky` as a torch module; see `SpikingNeuron` for how it is called.

    It takes the arguments of `snnhw.Leaky` besides its own, as in snnTorch. Those of a reset, and the
    threshold of the membrane, have no effect. A call takes the pair ``(mem, mem_prev)`` as its state, and
    always returns ``(spk, (mem, mem_prev))``, whatever ``init_hidden`` and ``output`` are.

    Args:
        delta_threshold: the neuron fires where its membrane moves by more. Not in a state_dict unless it is
            learnt: the constructor gives it.
        beta: decay of the membrane per step; not clamped.
        threshold, learn_threshold, reset_mechanism, reset_delay: no effect.
        learn_delta_threshold: learn ``delta_threshold``.

    Raises:
        InputError: a reset that there is not.
    """

    def _hw_prepare(self, given: dict[str, Any]) -> None:
        if given["reset_mechanism"] not in RESETS:
            raise InputError(
                f"DeltaLeaky(reset_mechanism={given['reset_mechanism']!r}): give one of {', '.join(RESETS)}; "
                "it is never reset"
            )
        given["reset_mechanism"] = "none"
        self.register_buffer("threshold", own_tensor(given["threshold"]))  # a state_dict of snnTorch has it

    def _hw_keep(self, name: str, value: Any, *, learn: bool) -> None:
        if name == "delta_threshold" and not learn:
            self._hw_keep_constant(name, value)
        else:
            super()._hw_keep(name, value, learn=learn)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        if "delta_threshold" in self._parameters:
            state_dict.setdefault(f"{prefix}delta_threshold", self._hw_tensor_of("delta_threshold"))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _hw_returned(self, ports: Mapping[str, Any]) -> Any:
        return ports["spk"], (ports["mem"], ports["mem_prev"])

    def init_leaky(self) -> Any:
        """`reset_mem` under snnTorch's older name."""
        return self.reset_mem()

    def _hw_given(self, states: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Tensor | None]:
        if len(states) == 1 and isinstance(states[0], (tuple, list)):
            states = states[0]
        if isinstance(named.get("mem"), (tuple, list)):
            mem, mem_prev = named["mem"]
            named = {"mem": mem, "mem_prev": mem_prev}
        return super()._hw_given(states, named)
