"""SpikingJelly 2.0: multi-step mode, every layer over all steps at once.

Also with the first layer hoisted by hand: of an input that does not change, it is computed once, and
its result is expanded over time, which costs no copy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any, Final

import torch
from torch import Tensor, nn

from benchmarks.case import Case
from benchmarks.dynamics import as_in_spikingjelly
from benchmarks.inputs import Data
from benchmarks.layers import Neuron, neurons
from benchmarks.losses import FOLDED
from benchmarks.peers.peer import Peer
from benchmarks.side import TorchSide, Trace, Unavailable

__all__ = ["HOISTED", "MULTI_STEP", "NOTE", "build"]

SURROGATES: Final = {"atan": "ATan", "fast_sigmoid": "SoftSign"}
"""snnTorch's name -> SpikingJelly's of the same shape."""


def _module(name: str) -> Any:
    return import_module(f"spikingjelly.activation_based.{name}")


def _spiking(spec: Neuron, kind: str, decay: str) -> Any:
    """``U' = decay * U + X``, with a reset by subtraction within the step of the spike."""
    tau = 1.0 / (1.0 - spec.constant(decay))
    name, setting = spec.surrogate
    if name not in SURROGATES:
        raise Unavailable(f"SpikingJelly has no {name}")
    learnt = {"init_tau": tau} if kind == "ParametricLIFNode" else {"tau": tau}
    return getattr(_module("neuron"), kind)(
        **learnt,
        decay_input=False,
        v_threshold=spec.constant("threshold"),
        v_reset=None,
        surrogate_function=getattr(_module("surrogate"), SURROGATES[name])(setting),
        detach_reset=True,
        step_mode="m",
    )


class Filtered(nn.Module):
    """Its layer that filters and never fires, scaled to ``I' = alpha * I + X``, then spiking neurons."""

    def __init__(self, spec: Neuron) -> None:
        super().__init__()
        self.tau = 1.0 / (1.0 - spec.constant("alpha"))
        self.current = _module("neuron").NonSpikingLIFNode(tau=self.tau)
        self.spiking = _spiking(spec, "LIFNode", "beta")

    def forward(self, x: Tensor) -> Any:
        return self.spiking(torch.stack(self.current(x)) * self.tau)


NEURONS: Final[dict[tuple[str, tuple[str, ...]], Callable[[Neuron], nn.Module]]] = {
    ("Leaky", ()): lambda spec: _spiking(spec, "LIFNode", "beta"),
    ("Leaky", ("beta",)): lambda spec: _spiking(spec, "ParametricLIFNode", "beta"),
    ("Synaptic", ()): Filtered,
}
"""Kind and what is learnt -> its layer."""


class MultiStep(nn.Module):
    """A chain of layers in multi-step mode.

    Args:
        hoist: compute what comes before the first neurons once, and expand it.
        make: a layer of neurons.
    """

    def __init__(self, case: Case, *, hoist: bool, make: Callable[[Neuron], nn.Module]) -> None:
        super().__init__()
        self.steps, self.static, self.hoist, self.outputs = case.steps, case.static, hoist, case.outputs
        self.layers = nn.ModuleDict()
        self.first = next(neurons(case.net))[0]
        for name, spec in case.net:
            if isinstance(spec, Neuron):
                self.layers[name] = make(spec)
            else:
                self.layers[name] = made = spec.build(_module("layer"))
                made.step_mode = "s" if hoist and self.first not in self.layers else "m"  # type: ignore[assignment]
        self.last = spiking_of(self.layers[case.last])
        self.last.store_v_seq = "mem" in case.outputs

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        _module("functional").reset_net(self)
        signal = self._over_time(x) if self.static and not self.hoist else x
        for name, layer in self.layers.items():
            if self.hoist and name == self.first:
                signal = self._over_time(signal)
            signal = layer(signal)
        return (signal, self.last.v_seq) if "mem" in self.outputs else (signal,)

    def _over_time(self, x: Tensor) -> Tensor:
        return x.expand(self.steps, *x.shape)


def neuron_of(spec: Neuron) -> nn.Module:
    build = NEURONS.get((spec.kind, spec.learnt))
    if build is None:
        learnt = f" that learns {', '.join(spec.learnt)} for every neuron" if spec.learnt else ""
        raise Unavailable(f"SpikingJelly has no multi-step {spec.kind}{learnt}")
    return build(spec)


def spiking_of(module: nn.Module) -> Any:
    """The part of a layer that spikes and holds the membrane."""
    return getattr(module, "spiking", module)


class JellySide(TorchSide):
    """As any torch module, but for where spikes and membranes are read."""

    def traces(self, data: Data) -> dict[str, Trace]:
        found: dict[str, Trace] = {}
        layers: Any = self.net.layers
        for name, _ in neurons(self.case.net):
            node = spiking_of(layers[name])
            node.store_v_seq = True
            node.register_forward_hook(
                lambda node, _, spk, name=name: found.update({name: Trace(spk, node.v_seq)})
            )
        with torch.no_grad():
            self.net.eval()(data.x)
        for name, _ in neurons(self.case.net):
            node = spiking_of(layers[name])
            node._forward_hooks.clear()
            node.store_v_seq = name == self.case.last and "mem" in self.case.outputs
        return found


def build(
    case: Case,
    weights: Mapping[str, Tensor],
    *,
    hoist: bool,
    make: Callable[[Neuron], nn.Module] = neuron_of,
) -> TorchSide:
    """SpikingJelly on a case."""
    if case.eager:
        raise Unavailable("the script is snnTorch's")
    if hoist and (not case.static or case.alone):
        raise Unavailable("no layer to hoist: the input changes, or begins with neurons")
    net = MultiStep(case, hoist=hoist, make=make)
    unknown = net.load_state_dict({f"layers.{key}": value for key, value in weights.items()}, strict=False)
    assert not unknown.unexpected_keys, unknown
    return JellySide(case, net, FOLDED.get(case.loss))


NOTE: Final = "SpikingJelly's dynamics on both sides"

MULTI_STEP: Final = Peer(
    "spikingjelly", "spikingjelly", partial(build, hoist=False), as_in_spikingjelly, NOTE
)
HOISTED: Final = Peer(
    "spikingjelly-hoisted", "spikingjelly", partial(build, hoist=True), as_in_spikingjelly, NOTE
)
