"""Layers that take whole sequences ``[T, B, ...]`` and keep nothing between calls."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final

import torch
from torch import Tensor, fx, nn

from snnhw.errors import InputError
from snnhw.ir import Linear, Opaque, Shape
from snnhw.ir.composites import Composite, behind, rounded, single, truncated
from snnhw.ir.models.state_leaky import (
    STATE_LEAKY,
    STATE_LEAKY_TAU,
    STATE_LEAKY_TAU_TRUNCATED,
    STATE_LEAKY_TRUNCATED,
)
from snnhw.nn.modules import graphs
from snnhw.nn.modules.arguments import FACTOR, REQUIRED, SEQUENCE, check_value, holds, own_tensor
from snnhw.nn.modules.finite import refuse_silence
from snnhw.nn.modules.hooks import plain
from snnhw.nn.modules.inputs import computed, left_in_graph, unwrapped
from snnhw.nn.modules.neuron import SpikingNeuron
from snnhw.nn.modules.parents import LIF
from snnhw.tensors.custom import probed_by_steps
from snnhw.tensors.watched import refuse_strict_export, tracing, watched

__all__ = ["LinearLeaky", "SequenceNeuron", "StateLeaky", "per_channel"]


class SequenceNeuron(SpikingNeuron):
    """A layer called once for all steps. Within a captured network it is a layer like any other."""

    @property
    def _hw_composed(self) -> bool:
        return True

    @property
    def _hw_hears(self) -> bool:
        return True  # a function sees the membranes of all steps at once, as in snnTorch

    @property
    def _hw_in_pieces(self) -> bool:
        return self._hw_has_levels

    def _hw_apart(self) -> str | None:
        surrogate = self._hw_surrogate
        return super()._hw_apart() or (
            probed_by_steps(surrogate.function, surrogate.name) if isinstance(surrogate, Opaque) else None
        )

    def forward(self, input_: Tensor, *states: Any, **named: Any) -> Any:
        """All steps.

        Args:
            input_: ``[T, B, ...]``, or ``[T, N]`` without a batch.

        Returns:
            as the class says, ``[T, B, ...]``.
        """
        if isinstance(input_, fx.Proxy):
            return left_in_graph(self, input_, states, named)
        if states or named:
            raise TypeError(f"{type(self).__name__} starts every call from rest; it takes an input alone")
        refuse_strict_export()
        input_ = unwrapped(input_)
        alone = input_.ndim == 2
        x = computed(input_).unsqueeze(1) if alone else computed(input_)
        if self._hw_by_hand:
            ports = self._hw_all_by_hand(x)
        else:
            advance = graphs.advance if tracing() else type(self)._hw_advance
            ports, _ = advance(self, x, {})
        if self._hw_validate_args and not tracing() and not watched([x]):
            refuse_silence(self, x, {}, ports)
        if alone:
            ports = {name: y.squeeze(1) for name, y in ports.items()}
        found = {name: y.to(input_.dtype) if name in self._hw_fires else y for name, y in ports.items()}
        return self._hw_returned(found)

    def _hw_advance(
        self, x: Tensor, before: dict[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        ports, _ = self._hw_layer(tuple(x.shape[2:])).run(self, x, before)
        return ports, {}

    def _hw_all_by_hand(self, x: Tensor) -> dict[str, Tensor]:
        """All steps of ``x [T, B, ...]``, through the methods that a subclass may override."""
        raise NotImplementedError

    def _hw_sample_of(self, x: Tensor) -> Shape:
        return tuple(x.shape[2:])

    @property
    def _hw_state_names(self) -> tuple[str, ...]:
        """None: every call starts from rest, and there is nothing to reset or to detach."""
        return ()


class StateLeaky(
    SequenceNeuron,
    LIF,
    model=STATE_LEAKY,
    leading={"beta": REQUIRED, "channels": REQUIRED},
    without=SEQUENCE,
    defaults={"output": True, "kernel_truncation_steps": None},
):
    """`snnhw.ir.models.state_leaky` as a torch module: ``[T, B, channels]`` to ``(spk, mem)``.

    With ``output=False`` only the membranes are returned. There is no reset, and the factor of graded
    spikes counts once, where snnTorch 1.0 squares it. What is learnt of a decay is ``tau``.

    Args:
        beta: the membrane decays by ``exp(beta - 1)`` per step; a number, or one for every channel.
        channels: neurons.
        threshold: the neuron fires where its membrane is greater.
        state_quant: rounds the membranes that fire and are returned; what is filtered are exact ones.
        kernel_truncation_steps: only so many last inputs count; None: all.
        learn_beta: learn ``tau = 1 / (1 - beta)``, in steps: the membrane decays by ``exp(-1 / tau)`` then.
        output: return the spikes, too.
    """

    _hw_sizes: ClassVar[tuple[str, ...]] = ("channels", "kernel_truncation_steps")
    kept: Tensor

    def _hw_prepare(self, given: dict[str, Any]) -> None:
        self.channels = int(given["channels"])
        per_channel(type(self).__name__, given["beta"], self.channels)
        steps = given["kernel_truncation_steps"]
        if steps is not None and (type(steps) is not int or steps < 1):
            raise InputError(
                f"{type(self).__name__}(kernel_truncation_steps={steps!r}): give 1 or more, or None"
            )
        self.kernel_truncation_steps = steps
        self._hw_model = MODELS[bool(given["learn_beta"]), steps is not None]
        given["kept"] = float(steps or 0)
        if given["learn_beta"]:
            if given["validate_args"]:
                check_value(type(self).__name__, STATE_LEAKY.params[0], given["beta"])
            given["tau"] = _lasting(own_tensor(given["beta"]).detach())
            self.given_beta = own_tensor(given["beta"]).detach().clone()
        if not given["output"] and (unheard := [name for name in FOR_SPIKES if _set(given[name])]):
            warnings.warn(
                f"{type(self).__name__}(output=False) returns membranes alone, so that {', '.join(unheard)} "
                "has no effect; leave it out, or give output=True",
                stacklevel=4,
            )

    def _hw_keep(self, name: str, value: Any, *, learn: bool) -> None:
        if name == "kept":  # not learnt, and not in snnTorch's state_dict
            self._hw_keep_constant(name, value)
        elif name == "tau":  # past `register_parameter`: the names are those of properties
            self._parameters |= {
                "beta": nn.Parameter(self.given_beta),
                "tau": nn.Parameter(value),
            }
        elif name == "beta":
            self._buffers[name] = own_tensor(value)
        else:
            super()._hw_keep(name, value, learn=learn)

    def _hw_composite(self, name: str, shape: Shape, *, graded: bool | None = None) -> Composite:
        op, steps = self._hw_op(len(self._hw_state_shape(shape)), graded=graded), self.kernel_truncation_steps
        node, plain = (f"{name}.filter", replace(op, quantised=False)) if op.quantised else (name, op)
        owner = name if op.quantised else ""
        layer = (
            single(node, plain, owner=owner) if steps is None else truncated(node, plain, steps, owner=owner)
        )
        return rounded(name, layer, op) if op.quantised else layer

    def _hw_returned(self, ports: Mapping[str, Any]) -> Any:
        return (ports["spk"], ports["mem"]) if self.output else ports["mem"]

    def _base_state_function(self, input_: Any) -> Any:
        """The membranes of all steps, of what they are driven by ``[T, B, channels]``."""
        decay = (-1 / self.tau).exp() if "tau" in self._parameters else (self._hw_tensor_of("beta") - 1).exp()
        steps, mem, mems = self.kernel_truncation_steps, torch.zeros_like(input_[0]), []
        for t, now in enumerate(input_):
            mem = decay * mem + now
            if steps is not None and t >= steps:
                mem = mem - decay**steps * input_[t - steps]
            mems.append(mem)
        return torch.stack(mems)

    def _hw_all_by_hand(self, x: Tensor) -> dict[str, Tensor]:
        mem = self._hw_quantised(self._base_state_function(x))
        return {"mem": mem, **({"spk": self.fire(mem)} if self.output else {})}

    def fire_inhibition(self, batch_size: int, mem: Tensor) -> Tensor:
        """Refused, as in snnTorch: nothing inhibits here."""
        raise NotImplementedError(
            f"{type(self).__name__} has no inhibition; use snnhw.Leaky(inhibition=True)"
        )

    def mem_reset(self, mem: Tensor) -> Tensor:
        """Refused, as in snnTorch: nothing is reset here."""
        raise NotImplementedError(f"{type(self).__name__} is never reset; use snnhw.Leaky for a reset")

    @property
    def beta(self) -> Tensor:
        """The decay of which `tau` is made."""
        if "tau" in self._parameters:
            return (self.tau - 1) / self.tau
        held = self._parameters.get("beta", self._buffers.get("beta"))
        if held is None:  # while torch puts another in its place
            raise AttributeError("beta")
        return held

    @property
    def tau(self) -> Tensor:
        """The time constant in steps, ``1 / (1 - beta)``: the parameter that ``learn_beta`` learns."""
        learnt = self._parameters.get("tau")
        return _lasting(self._hw_tensor_of("beta")) if learnt is None else learnt

    def extra_repr(self) -> str:
        return super().extra_repr().replace("learn_tau", "learn_beta")

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination.setdefault(f"{prefix}tau", self.tau.detach())  # what snnTorch's own module loads

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        tau = state_dict.get(f"{prefix}tau")
        if (
            "tau" not in self._parameters and tau is not None
        ):  # snnTorch trains tau, and leaves beta as it was
            del state_dict[f"{prefix}tau"]
            state_dict[f"{prefix}beta"] = 1 + TINY - 1 / tau
        super()._load_from_state_dict(state_dict, prefix, *rest)


class LinearLeaky(
    StateLeaky,
    model=STATE_LEAKY,
    leading={
        "beta": REQUIRED,
        "in_features": REQUIRED,
        "out_features": REQUIRED,
        "bias": True,
        "device": None,
        "dtype": None,
    },
    without=SEQUENCE,
    defaults={"output": True, "kernel_truncation_steps": None},
):
    """A product, ``linear``, and `StateLeaky`: ``[T, B, in_features]`` to ``(spk, mem)``.

    ``x`` below is ``linear(input)``.

    Args:
        beta: as for `StateLeaky`.
        in_features: of the input.
        out_features: neurons.
        bias: whether the product has one.
        device, dtype: of the product.
        state_quant, kernel_truncation_steps, learn_beta, output: as for `StateLeaky`.
    """

    def _hw_prepare(self, given: dict[str, Any]) -> None:
        self.linear = nn.Linear(
            given["in_features"], given["out_features"], given["bias"], given["device"], given["dtype"]
        )
        given["channels"] = given["out_features"]
        super()._hw_prepare(given)

    def _hw_unusual(self) -> str | None:
        return None if plain(self.linear, nn.Linear) else "linear"

    def _hw_all_by_hand(self, x: Tensor) -> dict[str, Tensor]:
        driven = self.linear(x.flatten(0, 1))  # hooks and counters see [T * B, in_features], as in snnTorch
        return super()._hw_all_by_hand(driven.unflatten(0, x.shape[:2]))

    def _hw_composite(self, name: str, shape: Shape, *, graded: bool | None = None) -> Composite:
        layer = self.linear
        product = Linear(layer.in_features, layer.out_features, layer.bias is not None)
        return behind(name, product, super()._hw_composite(name, shape, graded=graded), node="linear")

    def _hw_state_shape(self, shape: Shape) -> Shape:
        return (*shape[:-1], self.channels)


TINY = 1e-12
"""What keeps snnTorch's time constant finite at a decay of 1."""


MODELS: Final = {
    (False, False): STATE_LEAKY,
    (False, True): STATE_LEAKY_TRUNCATED,
    (True, False): STATE_LEAKY_TAU,
    (True, True): STATE_LEAKY_TAU_TRUNCATED,
}
"""Whether the decay is learnt, and whether old inputs are left out -> equations."""

FOR_SPIKES: Final = ("spike_grad", "surrogate_disable", "learn_threshold", FACTOR, f"learn_{FACTOR}")
"""Options that mean nothing to a layer that returns no spikes."""


def _set(value: Any) -> bool:
    """Whether an option is another than the usual: nothing, False, or a factor of 1."""
    return not holds(torch.as_tensor(value) == 1) if isinstance(value, (float, Tensor)) else bool(value)


def _lasting(beta: Tensor) -> Tensor:
    """snnTorch's time constant of a decay."""
    return 1 / (1 - beta + TINY)


def per_channel(owner: str, beta: Any, channels: int) -> Tensor:
    """A decay for every channel."""
    tensor = own_tensor(beta)
    if tensor.numel() not in (1, channels) or tensor.ndim > 1:
        raise InputError(
            f"{owner}(beta=tensor{list(tensor.shape)}): give a number, or one for each of {channels} channels"
        )
    return tensor.expand(channels)
