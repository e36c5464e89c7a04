"""A step as snnTorch computes it, through methods that a subclass may have of its own.

A layer computes its equations in one kernel. One that overrides what is here, or whose spikes or rounded
states are a function's, is computed by torch, method by method, as in snnTorch; `Hooked.apart` says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

import torch
from torch import Tensor, nn

from snnhw.ir import Expr, NeuronModel, Opaque, evaluate, free_variables, var
from snnhw.ir.models.family import RESET
from snnhw.nn.modules.firing import Firing
from snnhw.tensors.custom import probed
from snnhw.tensors.scans.recorded import recording
from snnhw.words import listing

if TYPE_CHECKING:
    from snnhw.ir import Shape

__all__ = ["EQUATIONS", "HOOKS", "Hooked", "overridden", "plain"]

HOOKS: Final = frozenset(
    {
        "_base_int",
        "_base_state_function",
        "_base_state_reset_sub_function",
        "_base_state_reset_zero",
        "_base_sub",
        "_base_zero",
        "fire",
        "fire_inhibition",
        "mem_reset",
        "state_function",
    }
)
"""Methods through which snnTorch's forward computes; on a class or, set, on a layer."""

MEM: Final = "mem"
SPK: Final = "spk"


def overridden(cls: type) -> frozenset[str]:
    """The hooks that a class has from somebody else than snnhw: in their class, or set on one of ours."""
    return frozenset(hook for hook in HOOKS if not _ours(cls, hook))


def _ours(cls: type, hook: str) -> bool:
    kind = next((kind for kind in cls.__mro__ if hook in vars(kind)), None)
    modules = () if kind is None else (kind.__module__, getattr(vars(kind)[hook], "__module__", None))
    return all(str(module).startswith("snnhw.") for module in modules)


class Hooked(Firing):
    """The methods, and the step that calls them. Each works on the states as they stand, ``self.mem``."""

    _hw_model: NeuronModel
    init_hidden: bool
    reset_mechanism: Any
    _hw_timing: Any
    _hw_dt: ClassVar[float]
    _hw_overrides: frozenset[str] = frozenset()

    if TYPE_CHECKING:

        def _hw_tensor_of(self, name: str) -> Tensor: ...
        def _hw_state(self, name: str) -> Tensor: ...
        def _hw_keep_states(self, states: Mapping[str, Tensor]) -> None: ...
        def _hw_state_shape(self, shape: Shape) -> Shape: ...
        @property
        def _hw_state_names(self) -> tuple[str, ...]: ...

    # -- why ----------------------------------------------------------------------------------------

    @property
    def _hw_by_hand(self) -> bool:
        """Whether it is computed method by method."""
        return (
            bool(self._hw_overrides)
            or self._hw_functions
            or not HOOKS.isdisjoint(self.__dict__)
            or self._hw_unusual() is not None
            or (self._hw_hears and isinstance(self._hw_surrogate, Opaque))
        )

    @property
    def _hw_hears(self) -> bool:
        """Whether a function as a surrogate is called where spikes are made, and not in the equations."""
        return self._hw_in_pieces

    @property
    def _hw_in_pieces(self) -> bool:
        """Whether its spikes are made apart from its neurons, where equations are all that runs."""
        return self.inhibition

    def _hw_unusual(self) -> str | None:
        """The layer inside it that is not what its constructor makes, and so is called as it is."""
        return None

    def _hw_apart(self) -> str | None:
        """Why no program says what it computes, and what to do; None where one does."""
        if own := sorted(self._hw_overrides | (HOOKS & self.__dict__.keys())):
            return f"has {listing(own)} of its own; {EQUATIONS}"
        if inside := self._hw_unusual():
            return (
                f"has a '{inside}' that is a {type(self.get_submodule(inside)).__name__} or has hooks or "
                f"parametrizations, and is called as it is; put a plain layer there, or {EQUATIONS}"
            )
        if self._hw_quantiser is not None:
            return "rounds its states by a function; give levels, as functional.quant.state_quant() does"
        own, surrogate = self._hw_spike_function, self._hw_surrogate
        if own is not None and (why := probed(own)):
            return why
        if self._hw_in_pieces and isinstance(surrogate, Opaque):
            return (
                f"has spike_grad={surrogate.name}, which torch alone can differentiate, and inhibits, pools "
                "or rounds by equations; train in torch, or choose one of snnhw.surrogate"
            )
        return None

    # -- methods ------------------------------------------------------------------------------------

    def state_function(self, input_: Any) -> Any:
        """The next states under the reset that is set, from ``self.reset``: one tensor, or a tuple."""
        kind = "none" if self._hw_timing == "immediate" else self.reset_mechanism
        known = {"subtract": self._base_sub, "zero": self._base_zero, "none": self._base_int}
        return known[kind](input_) if kind in known else self._hw_by_table(kind, input_)

    def _base_state_function(self, input_: Any) -> Any:
        """The next states without a reset."""
        return self._hw_integrated(input_)

    def _hw_integrated(self, input_: Any) -> Any:
        """`_base_state_function` as this package has it."""
        return self._hw_by_table("none", input_)

    def _base_state_reset_zero(self, input_: Any) -> Any:
        """What a reset to zero takes from each state. Of several, as snnTorch has it, what an overridden
        `_base_state_function` makes of them does not count."""
        several = len(self._hw_state_names) - (SPK in self._hw_state_names) > 1
        states = self._hw_by_name((self._hw_integrated if several else self._base_state_function)(input_))
        return self._hw_in_order({name: value if name == MEM else 0 for name, value in states.items()})

    def _base_sub(self, input_: Any) -> Any:
        if not self._hw_usual("subtract", lambda mem: mem - RESET * var("threshold")):
            return self._hw_by_table("subtract", input_)
        states = self._hw_by_name(self._base_state_function(input_))
        return self._hw_in_order({**states, MEM: states[MEM] - self.reset * self.threshold})

    def _base_zero(self, input_: Any) -> Any:
        if not self._hw_usual("zero", lambda mem: (1.0 - RESET) * mem):
            return self._hw_by_table("zero", input_)
        states = self._hw_by_name(self._base_state_function(input_))
        wiped = self._hw_by_name(self._base_state_reset_zero(input_))
        return self._hw_in_order({name: value - wiped[name] * self.reset for name, value in states.items()})

    def _base_int(self, input_: Any) -> Any:
        return self._base_state_function(input_)

    # -- the step -----------------------------------------------------------------------------------

    def _hw_advance_by_hand(
        self, x: Tensor, before: Mapping[str, Tensor]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """As `SpikingNeuron._hw_advance`, method by method."""
        shape = (x.shape[0], *self._hw_state_shape(tuple(x.shape[1:])))
        self._hw_keep_states({**self._hw_at_rest(x, shape), **before})
        if self._hw_model.fire is None:
            new = self._hw_rounded(self._hw_by_name(self._base_int(x)))
            self._hw_keep_states(new)
            return {}, new
        standard = self._hw_standard
        self.reset = (
            self.mem_reset(self._hw_state(MEM))
            if standard
            else self._hw_spikes(self._hw_condition(x)).detach()
        )
        new = self._hw_rounded(self._hw_by_name(self.state_function(x)))
        self._hw_keep_states(new)
        own = standard or "fire" in self._hw_overrides or "fire" in self.__dict__
        spk = self._hw_fired(x) if own else self._hw_spikes_at(self._hw_condition(x))
        new = {**new, **self._hw_after_firing(x, spk)}
        states = {name: new.get(name, spk) for name in self._hw_state_names}
        self._hw_keep_states(states)
        return {SPK: spk}, states

    def _hw_fired(self, _: Tensor) -> Any:
        mem = self._hw_state(MEM)
        return self.fire_inhibition(mem.shape[0], mem) if self.inhibition else self.fire(mem)

    def _hw_after_firing(self, x: Tensor, spk: Any) -> dict[str, Any]:
        post = self._hw_model.post[self._hw_timing][self.reset_mechanism]
        if not post:
            return {}
        values = self._hw_evaluated(list(post.values()), x, spike=self._hw_alone_spike(spk))
        return dict(zip(post, values, strict=True))

    # -- parts --------------------------------------------------------------------------------------

    @property
    def _hw_standard(self) -> bool:
        """Whether it fires where its membrane exceeds its threshold, as `fire` has it."""
        return self._hw_model.fire is var(MEM) - var("threshold")

    def _hw_usual(self, kind: str, changed: Any) -> bool:
        """Whether a reset is that of most models."""
        base = self._hw_model.integrate
        return MEM in base and self._hw_model.resets[kind] == base | {MEM: changed(base[MEM])}

    def _hw_by_table(self, kind: str, input_: Any) -> Any:
        equations = self._hw_model.resets[kind]
        values = self._hw_evaluated(list(equations.values()), input_)
        return self._hw_in_order(dict(zip(equations, values, strict=True)))

    def _hw_condition(self, input_: Any) -> Any:
        assert self._hw_model.fire is not None
        return self._hw_evaluated([self._hw_model.fire], input_)[0]

    def _hw_evaluated(self, roots: list[Expr], input_: Any, **more: Any) -> list[Any]:
        like, read = self._hw_state(self._hw_state_names[-1]), free_variables(*roots)
        params = (param.name for param in self._hw_model.params if param.name in read)
        env: dict[str, Any] = {name: self._hw_tensor_of(name).to(like.dtype) for name in params}
        env |= {name: self._hw_state(name) for name in self._hw_state_names}
        env |= {name: torch.rand_like(like) for name in self._hw_model.noise if name in read}
        env |= {"dt": like.new_tensor(self._hw_dt), "reset": self.__dict__.get("_hw_reset_flag"), **more}
        if not read.isdisjoint(self._hw_model.ports):  # what is behind them may keep states of its own
            env |= self._hw_ports(input_)
        return evaluate(roots, env, recording(like.dtype, like.device))

    def _hw_ports(self, input_: Any) -> dict[str, Any]:
        """What arrives at the ports of the equations."""
        return {self._hw_model.ports[0]: input_}

    def _hw_by_name(self, found: Any) -> dict[str, Any]:
        names = [name for name in self._hw_state_names if name != SPK]
        values = found if isinstance(found, (tuple, list)) else (found,)
        return dict(zip(names, values, strict=True))

    def _hw_in_order(self, states: Mapping[str, Any]) -> Any:
        values = tuple(states[name] for name in self._hw_state_names if name != SPK)
        return values[0] if len(values) == 1 else values

    def _hw_rounded(self, states: dict[str, Any]) -> dict[str, Any]:
        return {name: self._hw_quantised(value) for name, value in states.items()}

    def _hw_at_rest(self, x: Tensor, shape: tuple[int, ...]) -> dict[str, Tensor]:
        found = {}
        for state in self._hw_model.states:
            start = (
                self._hw_tensor_of(state.init).to(x)
                if isinstance(state.init, str)
                else x.new_tensor(state.init)
            )
            found[state.name] = start.expand(shape)
        return {**{name: x.new_zeros(shape) for name in self._hw_state_names}, **found}


EQUATIONS: Final = "write its equations with snnhw.neuron, as in examples/custom_neuron.py"


def plain(layer: Any, *kinds: type[nn.Module]) -> bool:
    """Whether a layer computes what its class says, and nothing hears of it."""
    return (
        type(layer) in kinds
        and "forward" not in layer.__dict__
        and not (layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks)
        and not layer._backward_pre_hooks
    )
