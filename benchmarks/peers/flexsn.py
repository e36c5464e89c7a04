"""SpikingJelly's FlexSN: a step written in torch, of which it makes a Triton kernel over all steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final

import torch
from torch import Tensor, nn

from benchmarks.case import Case
from benchmarks.dynamics import as_in_snntorch
from benchmarks.layers import Neuron
from benchmarks.peers.peer import Peer
from benchmarks.peers.spikingjelly import build
from benchmarks.side import Side, Unavailable

__all__ = ["FLEXSN"]


def _synaptic(spec: Neuron) -> Callable[..., tuple[Tensor, ...]]:
    """snnTorch's: the reset shows one step after the spike, and is in no gradient."""
    alpha, beta, threshold = (spec.constant(name) for name in ("alpha", "beta", "threshold"))
    slope = spec.surrogate[1]
    fire = import_module("spikingjelly.activation_based.surrogate").ATan(slope)

    def core(x: Tensor, syn: Tensor, mem: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        reset = (mem > threshold).to(mem.dtype).detach()
        syn = alpha * syn + x
        mem = beta * mem + syn - reset * threshold
        return spike(mem - threshold, slope), syn, mem

    spike = fire.spiking_function
    return core


class Flexible(nn.Module):
    """With the names under which membranes of other layers are kept."""

    def __init__(self, spec: Neuron) -> None:
        super().__init__()
        if spec.kind != "Synaptic" or spec.learnt or spec.surrogate[0] != "atan":
            learnt = f" that learns {', '.join(spec.learnt)} for every neuron" if spec.learnt else ""
            raise Unavailable(f"no step for FlexSN was written of a {spec.kind}{learnt}")
        node = import_module("spikingjelly.activation_based.neuron.flexsn").FlexSN
        self.node: Any = node(_synaptic(spec), num_states=2, step_mode="m")

    @property
    def store_v_seq(self) -> bool:
        return bool(self.node.store_state_seqs)

    @store_v_seq.setter
    def store_v_seq(self, kept: bool) -> None:
        self.node.store_state_seqs = kept

    @property
    def v_seq(self) -> Tensor:
        found: Tensor = self.node.state_seqs[-1]
        return found

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.node(x)
        return found


def _build(case: Case, weights: Mapping[str, Tensor]) -> Side:
    if case.eager:
        raise Unavailable("the script is snnTorch's")
    if case.static:
        raise Unavailable("the input does not change, for which spikingjelly-hoisted is there")
    torch.manual_seed(0)
    return build(case, weights, hoist=False, make=Flexible)


FLEXSN: Final = Peer("spikingjelly-flexsn", "spikingjelly", _build, as_in_snntorch)
