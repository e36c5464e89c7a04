"""Networks for neuromorphic chips: what they compute there, before and after training for it.

``snnhw export`` writes a network for a chip, and ``snnhw verify --on CHIP`` says how far it is from the float
network; see ``docs/chips.md``. Here is what comes between them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snnhw import api
from snnhw.deploy import Deployed, Verdicts, deploy, prepared, target_of, verdicts, write
from snnhw.errors import InputError
from snnhw.ir import Input, Params, Program
from snnhw.plugin import Array, Arrays

__all__ = ["Deployed", "Verdicts", "prepare", "quantise", "verdicts", "write"]


def prepare(
    net: Any,
    data: Array | Arrays,
    sample: Array | Arrays | None = None,
    *,
    target: str,
    allow_shifted: bool = False,
) -> tuple[Program, Params]:
    """The network as a chip computes it, for `snnhw.compile` to train further: with the chip's delays and
    decays, weights and thresholds on the chip's integers, as many spikes a step as its neurons fire, and its
    rounding of states where that counts. Gradients are those of the floats that the integers stand for.

    Scales are settled here: `quantise` keeps to them.

    Args:
        net: a torch module, which needs a sample; a `Program`, or one with its parameters.
        data: input name -> spikes ``[T, B, ...]``, like those in use; one array where there is one input.
        sample: one time step of input, ``[B, ...]``.
        target: the chip, such as ``"loihi2"``; ``snnhw backends`` lists them.
        allow_shifted: accept that ways of different delay shift spikes against each other.

    Raises:
        ExportError: the chip cannot compute it, or it does not fit; every reason.
        InputError: the data are no spikes.
        UnknownPlugin: there is no such target.
    """
    program, params, *_ = api.taken(net, sample)
    chip = target_of(target)
    return prepared(program, params, chip, _named(program, data), allow_shifted=allow_shifted)


def _named(program: Program, data: Array | Arrays) -> Arrays:
    """By the name of the input, where one array stands for it."""
    if isinstance(data, Mapping):
        return data
    names = program.named(Input)
    if len(names) != 1:
        raise InputError(f"the network has inputs {', '.join(names)}; give data by these names")
    return {names[0]: data}


def quantise(
    net: Any,
    data: Array | Arrays,
    sample: Array | Arrays | None = None,
    *,
    target: str,
    allow_shifted: bool = False,
) -> Deployed:
    """The network in a chip's integers; ``quantised.program`` and ``quantised.params`` run on ``cpu``.

    Args:
        net, data, sample, target, allow_shifted: as for `prepare`.

    Raises:
        ExportError: it does not fit; every reason.
        InputError: the data are no spikes.
    """
    program, params, *_ = api.taken(net, sample)
    chip = target_of(target)
    return deploy(program, params, chip, _named(program, data), allow_shifted=allow_shifted)
