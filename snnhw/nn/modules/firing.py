"""What a neuron class of one's own is put together from, under snnTorch's names."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

import snnhw.tensors.surrogates  # noqa: F401  # what a surrogate called on a tensor means
from snnhw.ir import Opaque, Surrogate
from snnhw.nn.modules.arguments import FACTOR, known, levels_of, own_tensor, surrogate_of
from snnhw.tensors.custom import returned

__all__ = ["Firing"]

SET = ("spike_grad", "state_quant")
"""What has a setter, although it may be a module."""


class Firing(nn.Module):
    """Spikes and resets from a membrane, for a subclass that writes its own ``forward``::

        class Mine(snnhw.LIF):
            def forward(self, x, mem):
                reset = self.mem_reset(mem)
                mem = self.beta * mem + x - reset * self.threshold
                return self.fire(mem), mem

    Such a layer runs and trains as a torch module. Only equations can be compiled: see `snnhw.neuron`.
    """

    _hw_surrogate: Surrogate | None
    _hw_has_levels: bool
    inhibition: bool
    threshold: Tensor
    _hw_functions: bool = False
    """Whether a function makes its spikes or rounds its states."""

    def fire(self, mem: Tensor) -> Tensor:
        """Spikes where a membrane ``[B, ...]`` exceeds the threshold, each worth the graded factor."""
        return self._hw_worth(self._hw_spikes(self._hw_quantised(mem) - self.threshold))

    def fire_inhibition(self, batch_size: int, mem: Tensor) -> Tensor:
        """As `fire`, where a membrane ``[B, N, ...]`` is the largest of its sample; of equals the first."""
        above = mem - self.threshold
        spikes = self._hw_spikes(above)
        return self._hw_worth(spikes * _largest(above)[:batch_size])

    def mem_reset(self, mem: Tensor) -> Tensor:
        """1 where a membrane ``[B, ...]`` exceeds the threshold, else 0; a constant to the gradient. Where a
        function makes the spikes, what it returns."""
        if self._hw_spike_function is not None:
            return self._hw_spikes(mem - self.threshold).clone().detach()
        return (mem > self.threshold).to(mem.dtype)

    @property
    def reset(self) -> Any:
        """What the last step was reset by: 1 where the membrane before it exceeded the threshold."""
        flag, before = self.__dict__.get("_hw_reset_flag"), self.__dict__.get("_hw_stored")
        if flag is not None or before is None:
            return flag
        mem: Tensor = before["mem"] if "mem" in before else torch.zeros_like(self.get_buffer("mem"))
        return self.mem_reset(mem)

    @reset.setter
    def reset(self, flag: Any) -> None:
        self.__dict__["_hw_reset_flag"] = flag

    # -- what may be a function ---------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        if name in SET:
            object.__setattr__(self, name, value)  # torch would enter a module past the setter
        else:
            super().__setattr__(name, value)

    @property
    def spike_grad(self) -> Any:
        """What makes spikes of ``membrane - threshold``: a surrogate, or a function or module of yours, whose
        values are the spikes. May be set."""
        own = self._hw_spike_function
        return own if own is not None else _plain if self._hw_surrogate is None else self._hw_surrogate

    @spike_grad.setter
    def spike_grad(self, given: Any) -> None:
        self._hw_set_surrogate(given, disabled=False)

    def _hw_set_surrogate(self, given: Any, *, disabled: bool) -> None:
        self._hw_surrogate = surrogate_of(given, disabled=disabled)
        own = isinstance(self._hw_surrogate, Opaque) and not isinstance(given, Surrogate)
        self._hw_set_function("spike_grad", given if own else None)

    @property
    def surrogate_disable(self) -> bool:
        """Whether no gradient passes through spikes."""
        return self._hw_surrogate is None

    @property
    def state_quant(self) -> Any:
        """What rounds states: levels, or a function or module of yours; or False. May be set."""
        own = self._hw_quantiser
        return own if own is not None else self._hw_quantised if self._hw_has_levels else False

    @state_quant.setter
    def state_quant(self, given: Any) -> None:
        levels = levels_of(given)
        self._hw_has_levels = levels is not None
        self._buffers.pop("_hw_levels", None)
        if levels is not None:  # not in the state_dict, as snnTorch has it: the constructor gives them
            self._hw_keep_constant("_hw_levels", levels)
        off = given is False or given is None or levels is not None
        self._hw_set_function("state_quant", None if off else given)
        self.__dict__.update(_hw_steps={}, _hw_layers={})

    def _hw_keep_constant(self, name: str, value: Any) -> None:
        """A buffer that no state_dict has. Made on ``meta``, it gets its values when the layer moves on."""
        own = own_tensor(value)
        if own.is_meta:
            constants = self.__dict__.setdefault("_hw_constants", {})
            constants[name] = known(type(self).__name__, name.removeprefix("_hw_"), value)
        self.register_buffer(name, own, persistent=False)

    def _hw_set_function(self, name: str, given: Any) -> None:
        """Keep a user's function; a module among the modules, so that it is trained, saved and moved."""
        module = isinstance(given, nn.Module)
        self._modules.pop(name, None)
        if module:
            self._modules[name] = given
        self.__dict__[f"_hw_{name}_function"] = None if module else given
        self._hw_functions = self._hw_spike_function is not None or self._hw_quantiser is not None

    @property
    def _hw_spike_function(self) -> Any:
        return self._modules.get("spike_grad") or self.__dict__.get("_hw_spike_grad_function")

    @property
    def _hw_quantiser(self) -> Any:
        return self._modules.get("state_quant") or self.__dict__.get("_hw_state_quant_function")

    # -- parts --------------------------------------------------------------------------------------

    def _hw_spikes(self, z: Tensor) -> Tensor:
        """What it fires at ``membrane - threshold``, before the factor."""
        own = self._hw_spike_function
        spikes: Tensor = self.spike_grad(z) if own is None else returned(own, z)
        return spikes

    def _hw_spikes_at(self, z: Tensor) -> Tensor:
        """What it fires where its own condition, not a membrane, is z."""
        spikes = self._hw_spikes(z)
        return self._hw_worth(spikes * _largest(z) if self.inhibition else spikes)

    def _hw_worth(self, spikes: Tensor) -> Tensor:
        """Spikes times the factor; remembers both, since a factor may be 0."""
        worth: Tensor = spikes * getattr(self, FACTOR)
        self.__dict__["_hw_fired_last"] = (worth, spikes)
        return worth

    def _hw_alone_spike(self, worth: Any) -> Any:
        """The spikes without their factor, of what `fire` returned."""
        last = self.__dict__.pop("_hw_fired_last", None)
        if last is not None and last[0] is worth:
            return last[1]
        return worth / getattr(self, FACTOR)

    def _hw_quantised(self, mem: Any) -> Any:
        if (own := self._hw_quantiser) is not None:
            return own(mem)
        if not self._hw_has_levels:
            return mem
        from snnhw.functional.quant import StateQuant  # which imports torch's parts that few need

        return StateQuant(self.get_buffer("_hw_levels"))(mem)

    @staticmethod
    def _surrogate_bypass(input_: Tensor) -> Tensor:
        return _plain(input_)

    @staticmethod
    def detach(*args: Tensor) -> None:
        """Cut tensors off the graph behind them, in place."""
        for state in args:
            state.detach_()


def _largest(z: Tensor) -> Tensor:
    """1 where ``z [B, N, ...]`` is the largest along its second axis, of equals the first; else 0."""
    return torch.zeros_like(z).scatter(1, z.argmax(1, keepdim=True), 1.0)


def _plain(z: Tensor) -> Tensor:
    """Spikes that pass no gradient."""
    return (z > 0).to(z.dtype)
