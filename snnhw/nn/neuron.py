"""Spiking neurons as torch modules: one class for every model, derived from its equations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from inspect import Signature
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from snnhw.errors import InputError
from snnhw.ir import ATan, FrozenMap, Model, Neuron, Param, Params, Shape, Step, Surrogate
from snnhw.nn.arguments import FACTOR, signature_of
from snnhw.tensors import run_step

__all__ = ["SpikingNeuron", "neuron_class"]

FIRES = ("spk",)

RESETS = ("subtract", "zero", "none")
"""snnTorch's numbers for the kinds of reset, as its state_dict holds them."""

TIMINGS = {True: "delayed", False: "retest"}
"""``reset_delay`` -> timing."""


class SpikingNeuron(nn.Module):
    """A layer of neurons of one `Model`, called step by step.

    A call takes ``(input, *states)`` and returns ``(spk, *states)``; states left out go on from the
    call before. With ``init_hidden`` the states stay inside and only ``spk`` is returned, unless
    ``output`` asks for all. An input is ``[B, ...]``; spikes have its dtype.

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
                _check_value(type(self).__name__, param, value)
            self._keep(param.name, value, learn=given[f"learn_{param.name}"])
        self.init_hidden, self.output = bool(given["init_hidden"]), bool(given["output"])
        self.surrogate = _surrogate(given["spike_grad"], disabled=given["surrogate_disable"])
        self.reset_mechanism = given["reset_mechanism"]
        self.register_load_state_dict_post_hook(_follow_state_dict)
        self.reset_delay = bool(given["reset_delay"])
        if given["inhibition"]:
            raise InputError(f"{type(self).__name__}(inhibition=True) is not supported yet; leave it out")
        self.quantised = given["state_quant"] is not False
        if self.quantised:
            self.register_buffer("levels", _levels(given["state_quant"]))
        self._steps: dict[Any, Step] = {}
        self.reset_mem()

    def _keep(self, name: str, value: Any, *, learn: bool) -> None:
        tensor = torch.as_tensor(value, dtype=None if isinstance(value, Tensor) else torch.get_default_dtype())
        if learn:
            setattr(self, name, nn.Parameter(tensor.detach().clone()))
        else:
            self.register_buffer(name, tensor)

    # -- options that are also part of a state_dict -------------------------------------------------

    @property
    def reset_mechanism(self) -> str:
        """The kind of reset; may be set, and travels in the state_dict as a number."""
        return self._reset

    @reset_mechanism.setter
    def reset_mechanism(self, kind: str) -> None:
        known = [reset for reset in RESETS if reset in self.model.kinds]
        if kind not in known:
            raise InputError(f"{type(self).__name__}(reset_mechanism={kind!r}): give one of {', '.join(known)}")
        self._reset: str = kind  # read at every step, where a number on a device would have to be fetched
        self.register_buffer("reset_mechanism_val", torch.tensor(RESETS.index(kind)))

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
            states: in the model's order, or by name; None or nothing: go on from the last call.

        Returns:
            ``(spk, *states)``, or ``spk`` alone with ``init_hidden`` and without ``output``.

        Raises:
            TypeError: states were passed although ``init_hidden`` keeps them inside.
            InputError: a state has not the shape of the input.
        """
        given = dict(zip(self.state_names, states, strict=False)) | named
        self._check_call(states, named, given)
        before = {name: given[name] if given.get(name) is not None else getattr(self, name) for name in self.state_names}
        x = input_.float() if input_.dtype in (torch.float16, torch.bfloat16) else input_
        params = self._tensors(x.dtype)
        # A sample keeps its axes apart from the batch, unless a parameter reaches over the batch too.
        alone = x.ndim == 0 or any(param.ndim >= x.ndim for param in params.values())
        shape = (1, *x.shape) if alone else x.shape
        spikes, after = run_step(
            self._step(),
            {self.model.ports[0]: x.view(shape) if alone else x},
            params,
            {name: self._state(name, state, x, shape) for name, state in before.items() if state.numel()},
            outputs=FIRES[: self.model.fire is not None],
        )
        if alone:
            spikes = {port: spk.view(x.shape) for port, spk in spikes.items()}
            after = {name: state.view(x.shape) for name, state in after.items()}
        self.__dict__.update(after)  # as setattr would, which asks at every step whether they are modules
        returned = [spk.to(input_.dtype) for spk in spikes.values()]
        return returned[0] if self.init_hidden and not self.output else (*returned, *after.values())

    def _check_call(self, states: Any, named: Any, given: Any) -> None:
        name = type(self).__name__
        if len(states) > len(self.state_names) or set(named) - set(self.state_names):
            raise TypeError(f"{name} takes an input and the states {', '.join(self.state_names)}")
        if self.init_hidden and any(state is not None for state in given.values()):
            raise TypeError(
                f"{name} keeps its states inside (init_hidden=True), so none can be passed; "
                "leave them out, or construct it with init_hidden=False"
            )

    def _state(self, name: str, state: Tensor, x: Tensor, shape: Sequence[int]) -> Tensor:
        if state.shape != x.shape:
            raise InputError(
                f"{type(self).__name__}: state '{name}' has shape {tuple(state.shape)}, the input "
                f"{tuple(x.shape)}; when a new batch begins, call snnhw.utils.reset(net) first, or pass "
                "the state that reset_mem() returns"
            )
        state = state.to(x.device, x.dtype)
        return state if len(shape) == x.ndim else state.view(shape)

    def _step(self) -> Step:
        """The equations of one step under the present options; the factor of the spikes always counts,
        since asking whether it is 1 would wait for the device."""
        key = (self.reset_mechanism, self.reset_delay, self.surrogate)
        if key not in self._steps:
            self._steps[key] = replace(self.op(0), graded=True, param_shapes=FrozenMap()).step()
        return self._steps[key]

    def _tensors(self, dtype: torch.dtype) -> dict[str, Tensor]:
        names = [*(param.name for param in self.model.params), FACTOR]
        return {name: getattr(self, name).to(dtype) for name in names + ["levels"] * self.quantised}

    # -- as an op of a program ----------------------------------------------------------------------

    def op(self, rank: int) -> Neuron:
        """This layer as an op, for samples of ``rank`` axes."""
        shapes = {name: shape for name, shape in self._shapes(rank).items() if shape}
        return Neuron(
            self.model,
            reset=self.reset_mechanism,
            timing=TIMINGS[self.reset_delay],
            surrogate=self.surrogate,
            graded=self._graded(),
            quantised=self.quantised,
            param_shapes=shapes,
        )

    def op_params(self, rank: int) -> Params:
        """The arrays of `op`'s parameters."""
        names = [*self._shapes(rank), *(["levels"] if self.quantised else [])]
        shapes = self._shapes(rank)
        return {
            name: getattr(self, name).detach().cpu().numpy().reshape(shapes.get(name, -1)).copy() for name in names
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
            found[name] = () if math.prod(shape) == 1 else (1,) * (rank - len(shape)) + shape
        return found

    def extra_repr(self) -> str:
        names = [param.name for param in self.model.params]
        shown = [f"{name}={_brief(getattr(self, name))}" for name in names]
        shown += [f"learn_{name}=True" for name in [*names, FACTOR] if isinstance(getattr(self, name), nn.Parameter)]
        if self._graded():
            shown.append(f"{FACTOR}={_brief(getattr(self, FACTOR))}")
        shown += [f"spike_grad={self.surrogate!r}", f"reset_mechanism={self.reset_mechanism!r}"]
        shown += [f"{name}={value}" for name, value, usual in (
            ("reset_delay", self.reset_delay, True),
            ("init_hidden", self.init_hidden, False),
            ("output", self.output, False),
        ) if value != usual]
        return ", ".join(shown)


def neuron_class(model: Model, *, module: str) -> type[SpikingNeuron]:
    """The module class of a model; ``module`` is where it will be found, for pickle."""
    equations = "\n".join(f"        {state}' = {expr!r}" for state, expr in model.integrate.items())
    doc = [f"{model.name} as a torch module; see `SpikingNeuron` for how it is called.", ""]
    doc += ["    Without a reset:", "", equations, "", "    Args:"]
    doc += [f"        {param.name}: {param.about}." for param in model.params if param.about]
    name = model.name
    init = {f"init_{name.lower()}": SpikingNeuron.reset_mem}
    return type(
        name,
        (SpikingNeuron,),
        {
            "model": model,
            "__signature__": signature_of(model),
            "__doc__": "\n".join(doc) + "\n",
            "__module__": module,
            **init,
        },
    )


def _follow_state_dict(module: nn.Module, incompatible: Any) -> None:
    """The kind of reset that a loaded state_dict names is the one that acts."""
    assert isinstance(module, SpikingNeuron)
    module.reset_mechanism = RESETS[int(module.get_buffer("reset_mechanism_val"))]


def _check_value(owner: str, param: Param, value: Any) -> None:
    tensor = torch.as_tensor(value)
    if tensor.dtype.is_complex or tensor.dtype == torch.bool or not bool(torch.isfinite(tensor).all()):
        raise InputError(f"{owner}({param.name}={_brief(tensor)}): give finite numbers")
    low = -math.inf if param.low is None else param.low
    high = math.inf if param.high is None else param.high
    if bool((tensor < low).any()) or bool((tensor > high).any()):
        raise InputError(
            f"{owner}({param.name}={_brief(tensor)}) lies outside [{low:g}, {high:g}]; "
            "pass validate_args=False to use it all the same"
        )


def _surrogate(given: Any, *, disabled: bool) -> Surrogate | None:
    if disabled:
        return None
    if given is None:
        return ATan()
    if not isinstance(given, Surrogate):
        raise InputError(f"spike_grad is a surrogate such as snnhw.surrogate.fast_sigmoid(slope=25), not {given!r}")
    return given


def _levels(given: Any) -> Tensor:
    levels = getattr(given, "levels", given)
    if not isinstance(levels, Tensor) or levels.ndim != 1 or levels.numel() == 0:
        raise InputError(f"state_quant is False or a tensor of levels [L], not {given!r}")
    return levels


def _brief(tensor: Any) -> str:
    tensor = torch.as_tensor(tensor)
    return f"{float(tensor):.6g}" if tensor.numel() == 1 else f"tensor{list(tensor.shape)}"
