"""What a layer of neurons carries from call to call: kept inside, passed, put at rest, copied."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import torch
from torch import Tensor
from torch.nn.utils import parametrize

from snnhw.errors import InputError
from snnhw.nn.modules import graphs
from snnhw.nn.modules.copied import Copied, cut
from snnhw.nn.modules.instances import Instances
from snnhw.tensors.watched import lasting, tracing, watched
from snnhw.words import brief

if TYPE_CHECKING:
    from snnhw.ir import NeuronModel, Shape

__all__ = ["Stateful", "whole"]


FORGOTTEN: Final = {"_hw_stored": None, "_hw_reset_flag": None, "_hw_fired_last": None}
"""What the last call leaves, which copies do without."""


FORMER: Final = {
    "_functions": "_hw_functions",
    "_layers": "_hw_layers",
    "_overrides": "_hw_overrides",
    "_reset": "_hw_reset",
    "_spike_grad_function": "_hw_spike_grad_function",
    "_state_quant_function": "_hw_state_quant_function",
    "_steps": "_hw_steps",
    "full": "_hw_full",
    "model": "_hw_model",
    "number": "_hw_number",
    "quantised": "_hw_has_levels",
    "surrogate": "_hw_surrogate",
    "validate_args": "_hw_validate_args",
}
"""What attributes were called when every name could be met by one of a subclass -> what they are called now.
Modules that were saved whole have the former ones."""


class _OfOneOrAll:
    """A method of one layer; of a class, that of all its layers that are alive, as in snnTorch."""

    def __init__(self, method: Callable[[Any], Any]) -> None:
        self.method, self.__doc__ = method, method.__doc__

    def __get__(self, layer: Any, owner: type[Stateful]) -> Callable[[], Any]:
        if layer is not None:
            found: Callable[[], Any] = self.method.__get__(layer)
            return found

        def of_all() -> None:
            for each in owner.instances:
                if isinstance(each, owner):
                    self.method(each)

        return of_all


class Stateful(Copied):
    """The states of `snnhw.nn.SpikingNeuron`, each an attribute under its name."""

    _hw_model: NeuronModel
    init_hidden: bool
    _hw_number: int
    instances: ClassVar[Instances] = Instances()
    """The neurons of this process that are alive; `reset_hidden` and `detach_hidden` of a class go by it."""

    @classmethod
    def init(cls) -> None:
        """Forget what `instances` has."""
        cls.instances.clear()

    @staticmethod
    def zeros(*args: Tensor) -> None:  # noqa: ARG004  # snnTorch's signature
        """No effect, as in snnTorch, whose scripts may call it; says what has one."""
        warnings.warn(
            "SpikingNeuron.zeros(...) has no effect, as in snnTorch: it cannot change a caller's variables; "
            "call snnhw.utils.reset(net), or pass what reset_mem() returns",
            stacklevel=2,
        )

    def _hw_parts(self) -> dict[str, Tensor]:
        """What its equations read and torch does not list: parts of what it does, by path."""
        return {}

    def _hw_state_shape(self, shape: Shape) -> Shape:
        """The shape of a state of one sample, for an input of ``shape``."""
        return shape

    @cached_property
    def _hw_state_names(self) -> tuple[str, ...]:
        """The states, in the order in which a call takes and returns them."""
        return tuple(state.name for state in type(self)._hw_model.states)

    def _init_mem(self) -> None:
        """Register the states: buffers that no state_dict holds, so that they move with the layer."""
        for name in self._hw_state_names:
            self.register_buffer(name, torch.zeros(0), persistent=False)

    def reset_mem(self) -> Any:
        """Put the neurons at rest; returns what to pass as states to start from rest: zeros, of the shape
        that the states last had."""
        states = []
        for name in self._hw_state_names:
            last, rest = self._hw_lasting(name), _at_rest(self._hw_state(name))
            setattr(self, name, rest)
            states.append(rest if last is None or not self._hw_shaped(last) else torch.zeros_like(last))
        return states[0] if len(states) == 1 else tuple(states)

    def _hw_shaped(self, last: Tensor) -> bool:
        """Whether what a reset returns has a shape: not for what starts from something else than 0, nor where
        a graph is made, which would keep the batch of an earlier call."""
        starts = {state.init for state in self._hw_model.states}
        return starts <= {0.0} and not torch.compiler.is_compiling() and not watched([last])

    def _hw_state(self, name: str) -> Tensor:
        """A state as it stands."""
        found = self._buffers.get(name)
        return getattr(self, name) if found is None else found

    def _hw_keep_states(self, states: Mapping[str, Tensor]) -> None:
        """What the next call goes on from."""
        if tracing() or not states.keys() <= self._buffers.keys():
            for name, state in states.items():
                setattr(self, name, state)
        else:  # as setattr would, which asks at every step whether they are modules, and in `torch.export` of
            # a layer alone writes them into buffers of another shape
            self._buffers.update(states)

    def _hw_detach(self) -> None:
        """Cut the graph of earlier steps, keeping the values: truncated backpropagation."""
        self._hw_settle()
        for name in self._hw_state_names:
            setattr(self, name, self._hw_state(name).detach())

    def _hw_settle(self) -> None:
        """Take what a transformation that is over has left out of it; what has no values is at rest."""
        for name in self._hw_state_names:
            state = self._buffers.get(name)
            if state is not None and (found := lasting(state)) is not state:
                self._buffers[name] = _at_rest(state) if found is None else found

    def _apply(self, *args: Any, **kwargs: Any) -> Any:  # to another device or dtype
        self._hw_settle()
        moved = super()._apply(*args, **kwargs)  # type: ignore[no-untyped-call]
        constants: dict[str, Tensor] = self.__dict__.get("_hw_constants", {})
        for name in [name for name in constants if not self.get_buffer(name).is_meta]:
            self.get_buffer(name).copy_(constants.pop(name))  # `to_empty` leaves whatever the memory held
        return moved

    detach_hidden = _OfOneOrAll(_hw_detach)
    reset_hidden = _OfOneOrAll(lambda self: self.reset_mem())

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # By hand, since a parametrization makes a class whose copies would ask neither method below.
        copied = type(self).__new__(type(self))
        memo[id(self)] = copied
        kind: Any = parametrize.type_before_parametrizations(self)
        copied.__setstate__(deepcopy(kind.__getstate__(self), memo))
        return copied

    def __getstate__(self) -> dict[str, Any]:
        # Copies and pickles keep the values of the states, not the graph behind them.
        self._hw_settle()
        buffers = {name: cut(held) for name, held in self._buffers.items()}
        return {**super().__getstate__(), "_buffers": buffers, **FORGOTTEN, "_hw_steps": {}, "_hw_layers": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        restore: Callable[[dict[str, Any]], None] = super().__setstate__
        former = FORMER if "_overrides" in state and "_hw_overrides" not in state else {}
        restore({former.get(name, name): value for name, value in state.items()})
        if former and "levels" in self._buffers:
            self.register_buffer("_hw_levels", self._buffers.pop("levels"), persistent=False)
        for name in self._hw_state_names:
            if name in self.__dict__:  # saved when states were plain attributes
                self.register_buffer(name, self.__dict__.pop(name), persistent=False)
        self._hw_number = graphs.number_of(self)  # type: ignore[arg-type]  # a copy is another layer
        self.instances.append(self)

    def _hw_given(self, states: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Tensor | None]:
        """The states of a call by name."""
        name, known = type(self).__name__, self._hw_state_names
        given = dict(zip(known, states, strict=False))
        if len(states) > len(known) or not named.keys() <= set(known) or named.keys() & given.keys():
            raise TypeError(f"{name} takes an input and, once each, the states {', '.join(known)}")
        given |= named
        if self.init_hidden and any(state is not None for state in given.values()):
            raise TypeError(
                f"{name} keeps its states inside (init_hidden=True), so none can be passed; "
                "leave them out, or construct it with init_hidden=False"
            )
        return {state: as_state(name, state, value) for state, value in given.items()}

    def _hw_lasting(self, name: str) -> Tensor | None:
        """A state as it can be used now; None where it has no values any more."""
        state = self._hw_state(name)
        return state if torch.compiler.is_compiling() else lasting(state)

    def _hw_going_on(self, name: str) -> Tensor:
        """A state that no call has passed."""
        found = self._hw_lasting(name)
        if found is None:
            raise InputError(
                f"{type(self).__name__}: its state '{name}' was computed within torch.func or on fake "
                "tensors, which are over, and has no value now; call snnhw.utils.reset(net) first, or pass "
                "states"
            )
        return found

    def _hw_before(
        self, given: Mapping[str, Tensor | None], x: Tensor, *, alone: bool = False
    ) -> dict[str, Tensor]:
        """The states to go on from; those at rest are left out."""
        shape = (x.shape[0], *self._hw_state_shape(tuple(x.shape[1:])))
        found = {}
        for name in self._hw_state_names:
            state, passed = given.get(name), True
            if state is None:
                state, passed = self._hw_going_on(name), False
                state = state.unsqueeze(0) if alone and state.numel() else state
            if state.numel() == 0:
                continue
            if passed and state.numel() == 1:
                state = state.reshape(()).expand(shape)
            if state.shape != shape:
                if not watched([state]) and not tracing() and not state.any():
                    continue  # zeros, whatever the batch before was
                raise InputError(
                    f"{type(self).__name__}: state '{name}' has shape {tuple(state.shape)}, but for an input "
                    f"of shape {tuple(x.shape)} it is {shape}; when a new batch begins, call "
                    "snnhw.utils.reset(net) first, or pass the state that reset_mem() returns"
                )
            found[name] = state.to(x.device, x.dtype)
        return found


def whole(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What a call leaves, none of it a view, which torch would not detach in place; without a graph, that
    takes no copy."""
    return {name: _whole(x) if isinstance(x, Tensor) and x._is_view() else x for name, x in found.items()}


def _whole(view: Tensor) -> Tensor:
    return view.clone() if view.requires_grad else view.detach()


def _at_rest(state: Tensor) -> Tensor:
    """Of no shape: the next input decides. Made anew, since what is made of a state may have no values."""
    return torch.zeros(0, dtype=state.dtype, device=state.device)


def as_state(owner: str, name: str, value: Any) -> Tensor | None:
    """A state that a call is given: a tensor, or what becomes one, such as a number for all neurons.

    Raises:
        InputError: it does not.
    """
    if value is None or isinstance(value, Tensor):
        return value
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(
            f"{owner}: state '{name}' is {brief(value)}; pass a tensor of the input's shape, a number for "
            "all neurons, or None to go on from the last call"
        ) from None
