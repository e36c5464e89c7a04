"""snnTorch: its tutorials' loop over time, states handed from call to call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from torch import Tensor

from benchmarks.case import Case
from benchmarks.dynamics import as_in_snntorch
from benchmarks.inputs import CLASSES
from benchmarks.loop import StepLoop, tutorial_net
from benchmarks.losses import CORRECT, INCORRECT, stepped_ce
from benchmarks.peers.peer import Peer
from benchmarks.side import TorchSide

__all__ = ["LOSSES", "SNNTORCH", "build"]

LOSSES: Final[dict[str, Callable[[], Callable[[Tensor, Tensor], Tensor]]]] = {
    "ce_membrane": lambda: stepped_ce,
    "ce_rate": lambda: _functional().ce_rate_loss(),
    "ce_count": lambda: _functional().ce_count_loss(),
    "mse_count": lambda: _functional().mse_count_loss(CORRECT, INCORRECT),
    "mse_population": lambda: _functional().mse_count_loss(
        1.0, 0.0, population_code=True, num_classes=CLASSES
    ),
}
"""Loss -> snnTorch's own, or the tutorial's where it writes one."""


def _functional() -> Any:
    import snntorch.functional as SF

    return SF


def build(case: Case, weights: Mapping[str, Tensor]) -> TorchSide:
    """snnTorch on a case."""
    import snntorch
    import snntorch.surrogate

    net = tutorial_net(case, snntorch) if case.eager else StepLoop(case, snntorch)
    prefix = "" if case.eager else "layers."
    unknown = net.load_state_dict({prefix + key: value for key, value in weights.items()}, strict=False)
    assert not unknown.unexpected_keys, unknown
    return TorchSide(case, net, LOSSES[case.loss]() if case.loss else None)


SNNTORCH: Final = Peer("snntorch", "snntorch", build, as_in_snntorch)
