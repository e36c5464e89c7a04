"""snnTorch under ``torch.compile``: one step of all layers, called in the loop.

Compiled as a whole, the loop would be unrolled, and take minutes where there are hundreds of steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor

from benchmarks.case import Case, Mode
from benchmarks.dynamics import as_in_snntorch
from benchmarks.inputs import Data
from benchmarks.peers.peer import Peer
from benchmarks.peers.snntorch import build
from benchmarks.side import Job, Side, TorchSide, Trace, Unavailable

__all__ = ["COMPILED"]


class Stepwise(TorchSide):
    """What is timed, and the outputs and gradients that are compared, are compiled; membranes are not."""

    def job(self, mode: Mode, data: Data) -> Job:
        return self._compiled().job(mode, data)

    def gradients(self, mode: Mode, data: Data) -> dict[str, Tensor]:
        return self._compiled().gradients(mode, data)

    def traces(self, data: Data) -> dict[str, Trace]:
        found = super().traces(data)
        compiled = self._compiled()
        with torch.no_grad():
            spk = compiled.outputs(data.x)["spk"]
        return found | {self.case.last: found[self.case.last]._replace(spk=spk)}

    def _compiled(self) -> TorchSide:
        net: Any = self.net
        if not hasattr(net.step, "get_compiler_config"):
            torch._dynamo.reset()
            net.step = torch.compile(net.step, dynamic=False)
        return TorchSide(self.case, net, self.loss)


def _build(case: Case, weights: Mapping[str, Tensor]) -> Side:
    if case.eager:
        raise Unavailable("the script is the tutorial's, which does not compile")
    side = build(case, weights)
    return Stepwise(case, side.net, side.loss)


COMPILED: Final = Peer("snntorch-compiled", "snntorch", _build, as_in_snntorch)
