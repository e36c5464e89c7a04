"""Spike-timing-dependent plasticity: weights that follow the order of spikes on their two sides.

With s the spikes before and after a synapse w, and a trace r of each side,

    r <- r (1 - 1 / tau) + s
    dw = sum over batch and places of  f_post(w) r_pre s_post - f_pre(w) r_post s_pre

so that a spike before one after it strengthens, and the other order weakens. Traces are updated
before they are read: two spikes in one step count in both terms. Source: snnTorch 1.0's
``stdp_learner``, which took it from SpikingJelly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import exp
from typing import Any, Final, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.grad import conv1d_weight, conv2d_weight

from snnhw.errors import InputError
from snnhw.functional.probe import InputMonitor, OutputMonitor

__all__ = [
    "STDPLearner",
    "mstdp_linear_single_step",
    "mstdpet_linear_single_step",
    "stdp_conv1d_single_step",
    "stdp_conv2d_single_step",
    "stdp_linear_single_step",
]

Trace: TypeAlias = Tensor | float | None
Weighing: TypeAlias = Callable[[Tensor], Tensor]


def _same(weight: Tensor) -> Tensor:
    return weight


def _linear(_: nn.Module, pre: Tensor, post: Tensor) -> Tensor:
    return torch.einsum("bi,bo->oi", pre, post)


def _conv(gradient: Callable[..., Tensor]) -> Callable[[Any, Tensor, Tensor], Tensor]:
    """The sum of ``pre * post`` at every place a weight joins: what a weight's gradient is made of."""

    def pairs(conv: Any, pre: Tensor, post: Tensor) -> Tensor:
        return gradient(
            pre, conv.weight.shape, post, stride=conv.stride, dilation=conv.dilation, groups=conv.groups
        )

    return pairs


_PAIRS: Final[Mapping[type[nn.Module], Callable[[Any, Tensor, Tensor], Tensor]]] = {
    nn.Linear: _linear,
    nn.Conv1d: _conv(conv1d_weight),
    nn.Conv2d: _conv(conv2d_weight),
}
"""Kind of synapse -> the sum, over batch and places, of what meets at each weight."""


def _padded(synapse: nn.Module, spikes: Tensor) -> Tensor:
    """The spikes as a convolution sees them."""
    if isinstance(synapse, nn.Linear):
        return spikes
    mode = "constant" if synapse.padding_mode == "zeros" else synapse.padding_mode
    return F.pad(spikes, synapse._reversed_padding_repeated_twice, mode=mode)  # type: ignore[arg-type]


def _step(
    synapse: Any,
    in_spike: Tensor,
    out_spike: Tensor,
    trace_pre: Trace,
    trace_post: Trace,
    tau_pre: float,
    tau_post: float,
    f_pre: Weighing = _same,
    f_post: Weighing = _same,
) -> tuple[Tensor, Tensor, Tensor]:
    """One step of the rule, for every kind of synapse."""
    pairs, weight = _PAIRS[_kind(synapse)], synapse.weight.detach()
    seen = _padded(synapse, in_spike)
    pre, post = 0.0 if trace_pre is None else trace_pre, 0.0 if trace_post is None else trace_post
    pre, post = pre - pre / tau_pre + seen, post - post / tau_post + out_spike
    change = f_post(weight) * pairs(synapse, pre, out_spike) - f_pre(weight) * pairs(synapse, seen, post)
    return pre, post, change


def stdp_linear_single_step(
    fc: nn.Linear,
    in_spike: Tensor,
    out_spike: Tensor,
    trace_pre: Trace,
    trace_post: Trace,
    tau_pre: float,
    tau_post: float,
    f_pre: Weighing = _same,
    f_post: Weighing = _same,
) -> tuple[Tensor, Tensor, Tensor]:
    """One step of the rule for a product.

    Args:
        fc: the synapse; its weights stay as they are.
        in_spike: what it was given, ``[B, in]``; out_spike: what its neurons fired, ``[B, out]``.
        trace_pre, trace_post: of the step before; None at the first.
        tau_pre, tau_post: how many steps a trace lasts.
        f_pre, f_post: how much change a weight of a given value takes.

    Returns:
        the traces, and the change of the weights.
    """
    return _step(fc, in_spike, out_spike, trace_pre, trace_post, tau_pre, tau_post, f_pre, f_post)


def stdp_conv2d_single_step(
    conv: nn.Conv1d | nn.Conv2d,
    in_spike: Tensor,
    out_spike: Tensor,
    trace_pre: Trace,
    trace_post: Trace,
    tau_pre: float,
    tau_post: float,
    f_pre: Weighing = _same,
    f_post: Weighing = _same,
) -> tuple[Tensor, Tensor, Tensor]:
    """One step of the rule for a convolution; as `stdp_linear_single_step`, with axes for places."""
    return _step(conv, in_spike, out_spike, trace_pre, trace_post, tau_pre, tau_post, f_pre, f_post)


stdp_conv1d_single_step = stdp_conv2d_single_step


def _kind(synapse: nn.Module) -> type[nn.Module]:
    for kind in _PAIRS:
        if isinstance(synapse, kind):
            return kind
    names = ", ".join(kind.__name__ for kind in _PAIRS)
    raise InputError(f"no STDP rule is known for a {type(synapse).__name__}; accepted: {names}")


def mstdp_linear_single_step(
    fc: nn.Linear,
    in_spike: Tensor,
    out_spike: Tensor,
    trace_pre: Trace,
    trace_post: Trace,
    tau_pre: float,
    tau_post: float,
    f_pre: Weighing = _same,
    f_post: Weighing = _same,
) -> tuple[Tensor, Tensor, Tensor]:
    """Reward-modulated STDP: a reward for each sample times its eligibility is the change.

    Traces decay by ``exp(-1 / tau)``. Arguments are those of `stdp_linear_single_step`.

    Returns:
        the traces ``[B, in]`` and ``[B, out]``, and the eligibility ``[B, out, in]``.
    """
    weight = fc.weight.detach()
    pre = (0.0 if trace_pre is None else trace_pre) * exp(-1 / tau_pre) + in_spike
    post = (0.0 if trace_post is None else trace_post) * exp(-1 / tau_post) + out_spike
    after = f_post(weight) * torch.einsum("...i,...o->...oi", pre, out_spike)
    before = f_pre(weight) * torch.einsum("...i,...o->...oi", in_spike, post)
    return pre, post, after - before


def mstdpet_linear_single_step(
    fc: nn.Linear,
    in_spike: Tensor,
    out_spike: Tensor,
    trace_pre: Trace,
    trace_post: Trace,
    tau_pre: float,
    tau_post: float,
    tau_trace: float,  # noqa: ARG001  # the caller's: snnTorch's signature has it
    f_pre: Weighing = _same,
    f_post: Weighing = _same,
) -> tuple[Tensor, Tensor, Tensor]:
    """`mstdp_linear_single_step` under the rule that also remembers eligibility.

    The remembering is the caller's: ``z <- z exp(-1 / tau_trace) + eligibility / tau_trace``. Spikes are
    ``[in]`` and ``[out]``, or of a batch.
    """
    return mstdp_linear_single_step(
        fc, in_spike, out_spike, trace_pre, trace_post, tau_pre, tau_post, f_pre, f_post
    )


class STDPLearner:
    """Watches a synapse and the neurons behind it, and changes the synapse's weights by STDP.

    Run the network for some steps, then call `step`. Spikes are watched from now on, without their graph.

    Args:
        synapse: a ``Linear``, ``Conv1d`` or ``Conv2d``, called once a step.
        sn: the neurons that it drives, called as often; spikes are what they return, or first return.
        tau_pre, tau_post: how many steps a trace lasts.
        f_pre, f_post: how much change a weight of a given value takes.

    Raises:
        InputError: another kind of synapse.
    """

    def __init__(
        self,
        synapse: nn.Module,
        sn: nn.Module,
        tau_pre: float,
        tau_post: float,
        f_pre: Weighing = _same,
        f_post: Weighing = _same,
    ) -> None:
        _kind(synapse)
        self.synapse: Any = synapse
        self.tau_pre, self.tau_post = tau_pre, tau_post
        self.f_pre, self.f_post = f_pre, f_post
        self.in_spike_monitor = InputMonitor(synapse, function_on_input=lambda x: x.detach())
        self.out_spike_monitor = OutputMonitor(sn, function_on_output=_spikes)
        self.trace_pre: Trace = None
        self.trace_post: Trace = None

    def reset(self) -> None:
        """Forget traces and what was watched: before another sequence."""
        self.trace_pre = self.trace_post = None
        self.in_spike_monitor.clear_recorded_data()
        self.out_spike_monitor.clear_recorded_data()

    def enable(self) -> None:
        """Watch again."""
        self.in_spike_monitor.enable()
        self.out_spike_monitor.enable()

    def disable(self) -> None:
        """Watch nothing until `enable`."""
        self.in_spike_monitor.disable()
        self.out_spike_monitor.disable()

    @torch.no_grad()
    def step(self, on_grad: bool = True, scale: float = 1.0) -> Tensor | None:
        """The change for all steps watched since the last call, times ``scale``.

        Args:
            on_grad: take it off the weight's gradient, so that an optimizer that descends adds it.

        Returns:
            with ``on_grad`` None, else the change, of the weight's shape.

        Raises:
            InputError: synapse and neurons were not called equally often, or not at all.
        """
        befores, afters = list(self.in_spike_monitor.records), list(self.out_spike_monitor.records)
        if len(befores) != len(afters) or not befores:
            raise InputError(
                f"the synapse was called {len(befores)} times and the neurons {len(afters)} times since the "
                "last step; run the network first, and call both once a step"
            )
        change = torch.zeros_like(self.synapse.weight)
        for before, after in zip(befores, afters, strict=True):
            self.trace_pre, self.trace_post, part = _step(
                self.synapse, before, after, self.trace_pre, self.trace_post, self.tau_pre, self.tau_post,
                self.f_pre, self.f_post,
            )  # fmt: skip
            change += scale * part
        self.in_spike_monitor.clear_recorded_data()
        self.out_spike_monitor.clear_recorded_data()
        if not on_grad:
            return change
        weight = self.synapse.weight
        weight.grad = -change if weight.grad is None else weight.grad - change
        return None


def _spikes(returned: Any) -> Tensor:
    spikes: Tensor = returned[0] if isinstance(returned, tuple) else returned
    return spikes.detach()
