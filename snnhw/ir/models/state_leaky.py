"""StateLeaky: a leaky membrane that is never reset, so that all its steps are one linear filter.

    U' = d * U + X                           d = exp(beta - 1)

    truncated to the last K inputs: U' = d * U + X - d^K * X_(t-K)

``StateLeakyTau`` is the same neuron with its decay given by a time constant in steps, which is what snnTorch
learns: d = exp(-1 / tau), where tau = 1 / (1 - beta).

As in snnTorch the decay per step is ``exp(beta - 1)``: a ``beta`` of 0.5 decays by 0.607. To have the
filter of a `Leaky` of decay b, give ``beta = 1 + ln(b)``.

Source: snnTorch 1.0's ``StateLeaky``, which squares the factor of graded spikes; that is not reproduced.
"""

from __future__ import annotations

from typing import Final

from snnhw.ir.expr import exp, variables
from snnhw.ir.models.family import NeuronModel, model, register
from snnhw.ir.params import Param

__all__ = ["STATE_LEAKY", "STATE_LEAKY_TAU", "STATE_LEAKY_TAU_TRUNCATED", "STATE_LEAKY_TRUNCATED"]

mem, x, late, beta, tau, kept, threshold = variables("mem x late beta tau kept threshold")
filtered = exp(beta - 1.0) * mem + x
lasting = exp(-1.0 / tau) * mem + x

BETA: Final = Param("beta", low=0.0, high=1.0, about="the membrane decays by exp(beta - 1) per step")
TAU: Final = Param("tau", about="the membrane decays by exp(-1 / tau) per step")
KEPT: Final = Param("kept", about="K, the inputs that count")
THRESHOLD: Final = Param("threshold", 1.0, about="the neuron fires where mem > threshold")

STATE_LEAKY: Final[NeuronModel] = register(
    model(
        "StateLeaky",
        states="mem",
        params=(BETA, THRESHOLD),
        integrate={"mem": filtered},
        fire=mem - threshold,
        membrane=None,  # there is no reset
    )
)

STATE_LEAKY_TRUNCATED: Final[NeuronModel] = register(
    model(
        "StateLeakyTruncated",
        states="mem",
        params=(BETA, KEPT, THRESHOLD),
        integrate={"mem": filtered - exp(kept * (beta - 1.0)) * late},
        fire=mem - threshold,
        ports=("x", "late"),
        membrane=None,
    )
)

STATE_LEAKY_TAU: Final[NeuronModel] = model(
    "StateLeakyTau",
    states="mem",
    params=(TAU, THRESHOLD),
    integrate={"mem": lasting},
    fire=mem - threshold,
    membrane=None,
)

STATE_LEAKY_TAU_TRUNCATED: Final[NeuronModel] = model(
    "StateLeakyTauTruncated",
    states="mem",
    params=(TAU, KEPT, THRESHOLD),
    integrate={"mem": lasting - exp(-kept / tau) * late},
    fire=mem - threshold,
    ports=("x", "late"),
    membrane=None,
)
