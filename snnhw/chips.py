"""Networks for neuromorphic chips: what they compute there, before and after training for it.

``snnhw export`` writes a network for a chip, and ``snnhw verify --on CHIP`` says how far it is from the float
network; see ``docs/chips.md``. Here is what comes between them.
"""

from __future__ import annotations

from typing import Any

from snnhw import api
from snnhw.deploy import Deployed, Verdicts, deploy, prepared, target_of, verdicts, write
from snnhw.ir import Params, Program
from snnhw.plugin import Array, Arrays

__all__ = ["Deployed", "Verdicts", "prepare", "quantise", "verdicts", "write"]


def prepare(
    net: Any, sample: Array | Arrays | None = None, *, target: str, allow_shifted: bool = False
) -> tuple[Program, Params]:
    """The network as a chip computes it, in floats, for `snnhw.compile` to train further: with the chip's
    delays, decays on its grid, and as many spikes a step as its neurons fire.

    Args:
        net: a torch module, which needs a sample; a `Program`, or one with its parameters.
        sample: one time step of input, ``[B, ...]``.
        target: the chip, such as ``"loihi2"``; ``snnhw backends`` lists them.
        allow_shifted: accept that ways of different delay shift spikes against each other.

    Raises:
        ExportError: the chip cannot compute it; every reason.
        UnknownPlugin: there is no such target.
    """
    program, params, *_ = api.taken(net, sample)
    return prepared(program, params, target_of(target), allow_shifted=allow_shifted)


def quantise(
    net: Any,
    data: Arrays,
    sample: Array | Arrays | None = None,
    *,
    target: str,
    allow_shifted: bool = False,
) -> Deployed:
    """The network in a chip's integers; ``quantised.program`` and ``quantised.params`` run on ``cpu``.

    Args:
        net, sample, target, allow_shifted: as for `prepare`.
        data: input name -> spikes ``[T, B, ...]``, like those in use.

    Raises:
        ExportError: it does not fit; every reason.
        InputError: the data are no spikes.
    """
    program, params, *_ = api.taken(net, sample)
    return deploy(program, params, target_of(target), data, allow_shifted=allow_shifted)
