"""Spiking neurons as torch modules: one class for every model, derived from its equations."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from inspect import Signature
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from snnhw.errors import InputError
from snnhw.ir import FrozenMap, Model, Neuron, Param, Params, Shape, Step, TimeAxis
from snnhw.nn.arguments import FACTOR, check_value, levels_of, own_tensor, shown, surrogate_of
from snnhw.tensors import run_step

__all__ = ["SpikingNeuron"]

SPK = "spk"
FIRES = (SPK,)

RESETS = ("subtract", "zero", "none")
"""snnTorch's numbers for the kinds of reset, as its state_dict holds them; others are counted on."""

TIMINGS = {True: ("delayed",), False: ("retest", "immediate")}
"""``reset_delay`` -> timings, of which the first that the reset knows is meant."""

DT = TimeAxis().dt
"""Length of a step called by itself: that of a program which says nothing else."""


class SpikingNeuron(nn.Module):
    """A layer of neurons of one `Model`, called step by step.

    A call takes ``(input, *states)`` and returns ``(spk, *states)``; states left out go on from the
    call before. With ``init_hidden`` the states stay inside and only ``spk`` is returned, unless
    ``output`` asks for all. An input is ``[B, ...]``; spikes have its dtype, states that of the
    computation: float32 for half precision. A model that never fires returns its states alone.

    Class attributes:
        model: the equations.
    """

    model: ClassVar[Model]
    __signature__: ClassVar[Signature]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        try:
            bound = type(self).__signature__.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{type(self).__name__}: {error}; it takes {type(self).__signature__}") from None
        bound.apply_defaults()
        given = bound.arguments
        for param in (*self.model.params, Param(FACTOR)):
            value = given[param.name]
            if given["validate_args"]:
                check_value(type(self).__name__, param, value)
            self._keep(param.name, value, learn=given[f"learn_{param.name}"])
        self.init_hidden, self.output = bool(given["init_hidden"]), bool(given["output"])
        self.surrogate = surrogate_of(given["spike_grad"], disabled=given["surrogate_disable"])
        self.reset_mechanism = given["reset_mechanism"]
        self.register_load_state_dict_post_hook(_follow_state_dict)  # type: ignore[no-untyped-call]  # torch's own
        self.reset_delay = bool(given["reset_delay"])
        if self.timing not in self.model.timings_of(self.reset_mechanism):
            raise InputError(
                f"{type(self).__name__}(reset_delay={self.reset_delay}): its equations do not say when reset "
                f"'{self.reset_mechanism}' acts then; leave reset_delay out"
            )
        if given["inhibition"]:
            raise InputError(f"{type(self).__name__}(inhibition=True) is not supported yet; leave it out")
        self.quantised = given["state_quant"] is not False
        if self.quantised:  # not in the state_dict, as snnTorch has it: the constructor gives them
            self.register_buffer("levels", levels_of(given["state_quant"]), persistent=False)
        self._steps: dict[Any, Step] = {}
        self.reset_mem()

    def _keep(self, name: str, value: Any, *, learn: bool) -> None:
        if learn:
            setattr(self, name, nn.Parameter(own_tensor(value)))
        else:
            self.register_buffer(name, own_tensor(value))

    # -- options that are also part of a state_dict -------------------------------------------------

    @property
    def reset_mechanism(self) -> str:
        """The kind of reset; may be set, and travels in the state_dict as a number."""
        return self._reset

    @reset_mechanism.setter
    def reset_mechanism(self, kind: str) -> None:
        if kind not in self.model.kinds:
            owner, known = (
                type(self).__name__,
                [reset for reset in self._numbered if reset in self.model.kinds],
            )
            raise InputError(f"{owner}(reset_mechanism={kind!r}): give one of {', '.join(known)}")
        self._reset: str = kind  # read at every step, where a number on a device would have to be fetched
        number, value = self._buffers.get("reset_mechanism_val"), self._numbered.index(kind)
        if number is None:
            self.register_buffer("reset_mechanism_val", torch.tensor(value))
        else:
            number.fill_(value)

    @property
    def _numbered(self) -> tuple[str, ...]:
        return (*RESETS, *(kind for kind in self.model.kinds if kind not in RESETS))

    @property
    def timing(self) -> str:
        """When a reset acts, as `snnhw.ir.Neuron` says it."""
        meant = TIMINGS[self.reset_delay]
        offered = self.model.timings_of(self.reset_mechanism)
        return next((timing for timing in meant if timing in offered), meant[0])

    # -- state --------------------------------------------------------------------------------------

    @property
    def state_names(self) -> tuple[str, ...]:
        return tuple(state.name for state in self.model.states)

    def reset_mem(self) -> Any:
        """Put the neurons at rest; returns what to pass as states to start from rest."""
        for name in self.state_names:
            setattr(self, name, torch.zeros(0))  # of no shape: the next input decides
        states = tuple(getattr(self, name) for name in self.state_names)
        return states[0] if len(states) == 1 else states

    def detach_hidden(self) -> None:
        """Cut the graph of earlier steps, keeping the values: truncated backpropagation."""
        for name in self.state_names:
            setattr(self, name, getattr(self, name).detach())

    reset_hidden = reset_mem

    def __getstate__(self) -> dict[str, Any]:
        # Copies and pickles keep the values of the states, not the graph behind them.
        return {**self.__dict__, **{name: getattr(self, name).detach() for name in self.state_names}}

    # -- one step -----------------------------------------------------------------------------------

    def forward(self, input_: Tensor, *states: Tensor | None, **named: Tensor | None) -> Any:
        """One step.

        Args:
            input_: ``[B, ...]``.
            states: in the model's order, or by name; None or nothing: go on from the last call. A
                state of one element stands for all neurons.

        Returns:
            ``(spk, *states)``, or ``spk`` alone with ``init_hidden`` and without ``output``.

        Raises:
            TypeError: states were passed although ``init_hidden`` keeps them inside.
            InputError: a state or a parameter has not the shape of the input.
        """
        given = self._given(states, named)
        x = _computed(input_)
        params = self._tensors(x.dtype)
        # A sample keeps its axes apart from the batch, unless a parameter reaches over the batch too.
        alone = x.ndim == 0 or any(param.ndim >= x.ndim for param in params.values())
        shape = (1, *x.shape) if alone else x.shape
        step = self._step()
        read = step.noise if torch.is_grad_enabled() else step.drawn
        noise = {name: (torch.rand if name in read else torch.zeros)(shape).to(x) for name in step.noise}
        spikes, after = run_step(
            step,
            {self.model.ports[0]: x.view(shape) if alone else x, **noise},
            params,
            {name: state.view(shape) if alone else state for name, state in self._before(given, x).items()},
            outputs=FIRES[: self.model.fire is not None],
            dt=DT,
        )
        if alone:
            spikes = {port: spk.view(x.shape) for port, spk in spikes.items()}
            after = {name: state.view(x.shape) for name, state in after.items()}
        self.__dict__.update(after)  # as setattr would, which asks at every step whether they are modules
        returned = [spk.to(input_.dtype) if input_.is_floating_point() else spk for spk in spikes.values()]
        returned += [state for name, state in after.items() if name != SPK]
        return returned[0] if self.init_hidden and not self.output else tuple(returned)

    def _given(
        self, states: Sequence[Tensor | None], named: Mapping[str, Tensor | None]
    ) -> dict[str, Tensor | None]:
        """The states of a call by name."""
        name, known = type(self).__name__, self.state_names
        given = dict(zip(known, states, strict=False))
        if len(states) > len(known) or not named.keys() <= set(known) or named.keys() & given.keys():
            raise TypeError(f"{name} takes an input and, once each, the states {', '.join(known)}")
        given |= named
        if self.init_hidden and any(state is not None for state in given.values()):
            raise TypeError(
                f"{name} keeps its states inside (init_hidden=True), so none can be passed; "
                "leave them out, or construct it with init_hidden=False"
            )
        return given

    def _before(self, given: Mapping[str, Tensor | None], x: Tensor) -> dict[str, Tensor]:
        """The states to go on from; those at rest are left out."""
        found = {}
        for name in self.state_names:
            state, passed = given.get(name), True
            if state is None:
                state, passed = getattr(self, name), False
            if state.numel() == 0:
                continue
            if passed and state.numel() == 1:
                state = state.reshape(()).expand(x.shape)
            if state.shape != x.shape:
                raise InputError(
                    f"{type(self).__name__}: state '{name}' has shape {tuple(state.shape)}, the input "
                    f"{tuple(x.shape)}; when a new batch begins, call snnhw.utils.reset(net) first, or pass "
                    "the state that reset_mem() returns"
                )
            found[name] = state.to(x.device, x.dtype)
        return found

    def _step(self) -> Step:
        """The equations of one step under the present options; the factor of the spikes always counts,
        since asking whether it is 1 would wait for the device."""
        key = (self.reset_mechanism, self.reset_delay, self.surrogate)
        if key not in self._steps:
            self._steps[key] = replace(self.op(0), graded=True, param_shapes=FrozenMap()).step()
        return self._steps[key]

    def _tensors(self, dtype: torch.dtype) -> dict[str, Tensor]:
        names = [*(param.name for param in self.model.params), FACTOR]
        found = {name: getattr(self, name) for name in names + ["levels"] * self.quantised}
        return {name: x if x.dtype is dtype else x.to(dtype) for name, x in found.items()}

    # -- as an op of a program ----------------------------------------------------------------------

    def op(self, rank: int) -> Neuron:
        """This layer as an op, for samples of ``rank`` axes."""
        return Neuron(
            self.model,
            reset=self.reset_mechanism,
            timing=self.timing,
            surrogate=self.surrogate,
            graded=self._graded(),
            quantised=self.quantised,
            param_shapes=FrozenMap({name: shape for name, shape in self._shapes(rank).items() if shape}),
        )

    def op_params(self, rank: int) -> Params:
        """The arrays of `op`'s parameters."""
        shapes: dict[str, Any] = {**self._shapes(rank), **({"levels": -1} if self.quantised else {})}
        return {
            name: getattr(self, name).detach().cpu().numpy().reshape(shape).copy()
            for name, shape in shapes.items()
        }

    def _graded(self) -> bool:
        """Whether the factor is more than a constant 1."""
        factor = getattr(self, FACTOR)
        return isinstance(factor, nn.Parameter) or not bool((factor == 1).all())

    def _shapes(self, rank: int) -> dict[str, Shape]:
        """Shapes of the parameters as a program writes them: scalar, or of the layer's rank.

        Torch aligns shapes on the right; so does this.
        """
        names = [param.name for param in self.model.params] + [FACTOR] * self._graded()
        found = {}
        for name in names:
            shape = tuple(getattr(self, name).shape)
            while len(shape) > rank and shape[0] == 1:  # an axis for the batch
                shape = shape[1:]
            found[name] = () if math.prod(shape) == 1 else (1,) * (rank - len(shape)) + shape
        return found

    def extra_repr(self) -> str:
        names = [param.name for param in self.model.params]
        parts = [f"{name}={shown(getattr(self, name))}" for name in names]
        learnt = [name for name in (*names, FACTOR) if isinstance(getattr(self, name), nn.Parameter)]
        parts += [f"learn_{name}=True" for name in learnt]
        if self._graded():
            parts.append(f"{FACTOR}={shown(getattr(self, FACTOR))}")
        parts += [f"spike_grad={self.surrogate!r}"] if self.surrogate else ["surrogate_disable=True"]
        parts.append(f"reset_mechanism={self.reset_mechanism!r}")
        flags = {"reset_delay": True, "init_hidden": False, "output": False}
        parts += [f"{name}={not usual}" for name, usual in flags.items() if getattr(self, name) != usual]
        parts += [f"state_quant={shown(self.levels)}"] if self.quantised else []
        return ", ".join(parts)


def _computed(input_: Tensor) -> Tensor:
    """The input in the dtype that the step computes in."""
    if not input_.is_floating_point():  # spikes as integers or booleans
        return input_.to(torch.get_default_dtype())
    return input_.float() if input_.dtype in (torch.float16, torch.bfloat16) else input_


def _follow_state_dict(module: nn.Module, _: object) -> None:
    """The kind of reset that a loaded state_dict names is the one that acts."""
    assert isinstance(module, SpikingNeuron)
    module.reset_mechanism = module._numbered[int(module.get_buffer("reset_mechanism_val"))]
