"""Spiking neurons as torch modules: one class for every model, derived from its equations."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from inspect import Signature
from typing import Any, ClassVar, Self, cast

import torch
from torch import Tensor, fx, nn

from snnhw.errors import InputError
from snnhw.ir import FrozenMap, Neuron, NeuronModel, Param, Shape, StepEquations, TimeAxis
from snnhw.ir.composites import Composite, inhibited, single
from snnhw.nn.modules import benchmarked, graphs
from snnhw.nn.modules.arguments import (
    FACTOR,
    bind,
    check_value,
    held,
    own_tensor,
    signature_of,
)
from snnhw.nn.modules.described import described
from snnhw.nn.modules.documented import Documented
from snnhw.nn.modules.finite import refuse_silence
from snnhw.nn.modules.hooks import Hooked, overridden
from snnhw.nn.modules.inputs import computed, left_in_graph, unsqueezed, unwrapped
from snnhw.nn.modules.order import KIND, ORDER, in_order
from snnhw.nn.modules.running import NAME, CompositeRunner
from snnhw.nn.modules.shapes import param_shapes
from snnhw.nn.modules.states import Stateful, whole
from snnhw.tensors.scans.scan import run_step
from snnhw.tensors.watched import refuse_strict_export, tracing, untraced, watched

__all__ = ["SpikingNeuron"]

SPK = "spk"
FIRES = (SPK,)

RESETS = ("subtract", "zero", "none")
"""snnTorch's numbers for the kinds of reset, as its state_dict holds them; others are counted on."""

TIMINGS = {True: ("delayed",), False: ("retest", "immediate")}
"""``reset_delay`` -> timings, of which the first that the reset knows is meant."""

DT = TimeAxis().dt
"""Length of a step called by itself: that of a program which says nothing else."""


class _OfTheClass:
    """The equations, where a class is asked for them; a layer may have something else of that name."""

    def __get__(self, layer: SpikingNeuron | None, owner: type[SpikingNeuron]) -> NeuronModel:
        if layer is not None:
            raise AttributeError("model")
        return owner._hw_model


class SpikingNeuron(Stateful, Hooked):
    """A layer of neurons of one `NeuronModel`, called step by step.

    A call takes ``(input, *states)`` and returns ``(spk, *states)``; states left out go on from the
    call before. With ``init_hidden`` the states stay inside and only ``spk`` is returned, unless
    ``output`` asks for all. An input is ``[B, ...]``; spikes have its dtype, states that of the
    computation: float32 for half precision. A model that never fires returns its states alone.

    A membrane that is NaN is greater than no threshold, so that its neuron never fires again. On a CPU that
    is an error at once, unless constructed with ``validate_args=False``; on other devices a neuron does not
    look, which would wait for the device at every step. Within ``snnhw.utils.check_finite(net)`` every layer
    does, on any device, and the first to meet such a value is named.

    Under ``torch.compile(fullgraph=True)`` the same kernels run. A layer of several ops that draws random
    numbers is refused there.

    A subclass names its model, and may change what its constructor takes::

        class Neuron(SpikingNeuron, model=MODEL, leading={"beta": REQUIRED, "size": 1}): ...

    What snnTorch's neurons do not have begins with ``_hw_``: whoever derives a class of their own from one of
    these may use every other name.

    Class attributes:
        model: the equations, of a class alone; a layer's are ``_hw_model``, and may be others of the same
            states.
        _hw_renamed: parameter of the equations -> attribute of the module, where it is not the same.
        reset_dict: snnTorch's numbers for the kinds of reset.
        _hw_sizes: attributes that ``repr`` shows first.
    """

    model: ClassVar[NeuronModel] = cast("NeuronModel", _OfTheClass())
    reset_dict: ClassVar[Mapping[str, int]] = {kind: number for number, kind in enumerate(RESETS)}
    _hw_model: NeuronModel
    _hw_renamed: ClassVar[Mapping[str, str]] = {"levels": "_hw_levels"}
    _hw_sizes: ClassVar[tuple[str, ...]] = ()
    _hw_order: ClassVar[tuple[str, ...]] = ORDER
    _hw_signature: ClassVar[Signature]
    __signature__: ClassVar[Signature | None]
    _hw_dt: ClassVar[float] = DT
    _hw_steps: dict[Any, StepEquations]
    _hw_layers: dict[Any, CompositeRunner]

    def __init_subclass__(cls, *, model: NeuronModel | None = None, **arguments: Any) -> None:
        """Make the constructor; ``arguments`` as for `snnhw.nn.modules.arguments.signature_of`."""
        super().__init_subclass__()
        if model is not None:
            cls._hw_model = model
            cls._hw_signature = cls.__signature__ = signature_of(model, **arguments)
            cls.__doc__ = Documented(cls.__doc__, model, cls._hw_signature)  # type: ignore[assignment]  # read as text
        elif "__init__" in vars(cls):
            cls.__signature__ = None  # its own constructor says what it takes

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self._hw_overrides = overridden(type(self))  # now, since a class may have been changed
        given = bind(type(self).__name__, type(self)._hw_signature, args, kwargs)
        self._hw_validate_args = bool(given["validate_args"])
        self._hw_set_surrogate(given["spike_grad"], disabled=given["surrogate_disable"])
        self.state_quant = given["state_quant"]
        self._hw_prepare(given)
        for param in (*self._hw_model.params, Param(FACTOR)):
            if self._hw_validate_args:
                check_value(type(self).__name__, param, given[param.name])
            self._hw_keep(param.name, given[param.name], learn=given.get(f"learn_{param.name}", False))
        self.reset_mechanism = given["reset_mechanism"]
        in_order(self._parameters, self._hw_order)
        in_order(self._buffers, self._hw_order)
        self.init_hidden, self.output = bool(given["init_hidden"]), bool(given["output"])
        self.inhibition = bool(given["inhibition"])
        nn.Module.register_load_state_dict_post_hook(self, _follow_state_dict)
        self.reset_delay = bool(given["reset_delay"])
        self._hw_check_options()
        self._hw_number = graphs.number_of(self)
        if _bare(type(self)):
            Stateful._init_mem(self)  # a subclass calls its own when the rest of it is made
        else:
            self._init_mem()
        self.instances.append(self)

    def _hw_prepare(self, given: dict[str, Any]) -> None:
        """What a subclass does with its own arguments, before parameters are kept: it may change them,
        add modules, or set ``self._hw_model`` to equations of the same states."""

    def _hw_keep(self, name: str, value: Any, *, learn: bool) -> None:
        """A parameter where it is learnt, else a buffer, under the name that a state_dict has."""
        path = self._hw_renamed.get(name, name)
        if learn:
            own = value if isinstance(value, nn.Parameter) else nn.Parameter(own_tensor(value).detach())
            setattr(self, path, own)
        else:
            self.register_buffer(path, own_tensor(value))

    def _hw_tensor_of(self, name: str) -> Tensor:
        """The parameter or buffer that a name of the equations, or of a part such as
        ``recurrent.weight``, stands for."""
        path = self._hw_renamed.get(name, name)
        for kept in (self._parameters, self._buffers):  # asked at every step: torch's getattr looks further
            if (own := kept.get(path)) is not None:
                return own
        owner, dot, last = path.rpartition(".")
        found: Tensor = getattr(self.get_submodule(owner) if dot else self, last)
        return found

    def _hw_check_options(self) -> None:
        name = type(self).__name__
        if self._hw_timing not in self._hw_model.timings_of(self.reset_mechanism):
            raise InputError(
                f"{name}(reset_delay={self.reset_delay}): its equations do not say when reset "
                f"'{self.reset_mechanism}' acts then; give reset_delay={not self.reset_delay}"
            )
        if self.inhibition and self._hw_model.fire is None:
            raise InputError(
                f"{name}(inhibition=True): it never fires, so nothing can be inhibited; leave it out"
            )

    # -- options that are also part of a state_dict -------------------------------------------------

    @property
    def reset_mechanism(self) -> str:
        """The kind of reset; may be set, and travels in the state_dict as a number."""
        return self._hw_reset

    @reset_mechanism.setter
    def reset_mechanism(self, kind: str) -> None:
        if kind not in self._hw_model.kinds:
            owner, known = (
                type(self).__name__,
                [reset for reset in self._hw_numbered if reset in self._hw_model.kinds],
            )
            raise InputError(f"{owner}(reset_mechanism={kind!r}): give one of {', '.join(known)}")
        self._hw_reset: str = kind  # read at every step, where a number on a device would have to be fetched
        number, value = self._buffers.get(KIND), self._hw_numbered.index(kind)
        if number is None:
            self.register_buffer(KIND, torch.tensor(value))
        else:
            number.fill_(value)

    @property
    def _reset_mechanism(self) -> str:
        """snnTorch's name of what `reset_mechanism` gives."""
        return self._hw_reset

    @property
    def _hw_numbered(self) -> tuple[str, ...]:
        return (*RESETS, *(kind for kind in self._hw_model.kinds if kind not in RESETS))

    @property
    def _hw_timing(self) -> str:
        """When a reset acts, as `snnhw.ir.Neuron` says it."""
        meant = TIMINGS[self.reset_delay]
        offered = self._hw_model.timings_of(self.reset_mechanism)
        return next((timing for timing in meant if timing in offered), meant[0])

    # -- one step -----------------------------------------------------------------------------------

    def train(self, mode: bool = True) -> Self:
        """torch's; see `snnhw.nn.modules.benchmarked` for who is told then what a neuron is."""
        if benchmarked.MODEL in sys.modules:
            benchmarked.introduce(SpikingNeuron)
        return super().train(mode)

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
            InputError: a state or a parameter has not the shape of the input; or a membrane is NaN.
        """
        if isinstance(input_, fx.Proxy):
            return left_in_graph(self, input_, states, named)
        refuse_strict_export()
        given = self._hw_given(states, named)
        input_ = unwrapped(input_)
        x = computed(input_)
        alone = self._hw_alone(x)
        if alone:  # a sample keeps its axes apart from the batch
            x = x.unsqueeze(0)
            given = {name: unsqueezed(state) for name, state in given.items()}
        before = self._hw_before(given, x, alone=alone)
        by_hand = self._hw_by_hand
        if by_hand:
            spikes, after = self._hw_advance_by_hand(x, before)
        else:
            advance = graphs.advance if tracing() else type(self)._hw_advance
            spikes, after = advance(self, x, before)
        spikes = {port: spikes[port] for port in self._hw_fires}  # what else runs give are the states
        seen = tracing() or watched([x])
        if self._hw_validate_args and not seen:
            refuse_silence(self, x, before, after)
        if alone:
            spikes = {port: spk.squeeze(0) for port, spk in spikes.items()}
            after = {name: state.squeeze(0) for name, state in after.items()}
        if not seen:
            spikes, after = whole(spikes), whole(after)
        if len(given) < len(self._hw_state_names) or not watched([x]):
            self._hw_keep_states(after)  # what is traced or faked stays out, where a call does not need it
        if not by_hand and not seen:
            self.__dict__.update(_hw_stored=before, _hw_reset_flag=None)
        if input_.dtype != x.dtype and input_.is_floating_point():  # states stay as they are
            spikes = {port: spk.to(input_.dtype) for port, spk in spikes.items()}
        return self._hw_returned({**after, **spikes})

    def _hw_returned(self, ports: Mapping[str, Any]) -> Any:
        """What a call returns, of all that it has computed: spikes and states by name."""
        names = [*self._hw_fires, *(n for n in self._hw_state_names if n != SPK)]
        found = tuple(ports[name] for name in names)
        return found[0] if self.init_hidden and not self.output else found

    def _hw_alone(self, x: Tensor) -> bool:
        """Whether an input is one sample without an axis for the batch."""
        return x.ndim <= int(self.inhibition) or any(
            self._hw_tensor_of(param.name).ndim >= x.ndim for param in self._hw_model.params
        )

    @property
    def _hw_fires(self) -> tuple[str, ...]:
        """The port of the spikes, where it fires."""
        return FIRES[: self._hw_model.fire is not None]

    def _hw_sample_of(self, x: Tensor) -> Shape:
        """The shape of one sample at one step, of what `advance` takes."""
        return tuple(x.shape[1:])

    def _hw_advance(
        self, x: Tensor, before: dict[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Spikes and new states, all ``[B, ...]``."""
        if self._hw_composed:
            layer = self._hw_layer(tuple(x.shape[1:]))
            ports, after = layer.run(self, x.unsqueeze(0), before)
            return {name: y.squeeze(0) for name, y in ports.items()}, after
        step = self._hw_step()
        read = step.noise if torch.is_grad_enabled() else step.drawn
        noise = {name: (torch.rand if name in read else torch.zeros)(x.shape).to(x) for name in step.noise}
        return run_step(
            step,
            {self._hw_model.ports[0]: x, **noise},
            self._hw_tensors(x.dtype),
            before,
            outputs=self._hw_fires,
            dt=DT,
        )

    def _hw_step(self) -> StepEquations:
        """The equations of one step under the present options; the factor of the spikes always counts,
        since asking whether it is 1 would wait for the device."""
        key = (self.reset_mechanism, self.reset_delay, self._hw_surrogate)
        if key not in self._hw_steps:
            self._hw_steps[key] = replace(self._hw_op(0, graded=True), param_shapes=FrozenMap()).equations()
        return self._hw_steps[key]

    def _hw_tensor_names(self, shape: Shape) -> tuple[str, ...]:
        """What `tensor_of` is asked for, in a step of samples of ``shape``."""
        if self._hw_composed:
            return self._hw_layer(shape).tensors
        return (*(param.name for param in self._hw_model.params), FACTOR, *["levels"] * self._hw_has_levels)

    def _hw_tensors(self, dtype: torch.dtype) -> dict[str, Tensor]:
        found = {name: self._hw_tensor_of(name) for name in self._hw_tensor_names(())}
        return {name: x if x.dtype is dtype else x.to(dtype) for name, x in found.items()}

    # -- as ops of a program ------------------------------------------------------------------------

    @property
    def _hw_composed(self) -> bool:
        """Whether it takes more than one op."""
        return self.inhibition

    def _hw_composite(self, name: str, shape: Shape, *, graded: bool | None = None) -> Composite:
        """This layer as ops of a program.

        Args:
            name: the dotted name of the layer; its parameters are keyed ``NAME.attribute``.
            shape: of one sample of its input.
            graded: whether spikes have a factor; None: when it is more than a constant 1.
        """
        op = self._hw_op(len(self._hw_state_shape(shape)), graded=graded)
        return inhibited(name, op) if self.inhibition else single(name, op)

    def _hw_layer(self, shape: Shape) -> CompositeRunner:
        """`composite`, ready to be run; the factor of the spikes always counts, as in `_step`."""
        shape = tuple(map(int, shape))  # in a traced graph they may be symbols with one value left
        key = (shape, self.reset_mechanism, self.reset_delay, self._hw_surrogate)
        if key not in self._hw_layers:
            made = untraced(lambda: self._hw_composite(NAME, shape, graded=True))  # else first traces differ
            self._hw_layers[key] = CompositeRunner(made, shape)
        return self._hw_layers[key]

    def _hw_op(self, rank: int, *, graded: bool | None = None) -> Neuron:
        """The neurons themselves as an op, for samples of ``rank`` axes."""
        graded = self._hw_graded if graded is None else graded
        names = [param.name for param in self._hw_model.params] + [FACTOR] * graded
        return Neuron(
            self._hw_model,
            reset=self.reset_mechanism,
            timing=self._hw_timing,
            surrogate=self._hw_surrogate,
            graded=graded,
            quantised=self._hw_has_levels,
            param_shapes=param_shapes([(name, self._hw_tensor_of(name)) for name in names], rank),
        )

    @property
    def _hw_graded(self) -> bool:
        """Whether the factor is more than a constant 1."""
        factor = getattr(self, FACTOR)
        return factor.requires_grad or isinstance(factor, nn.Parameter) or not bool((factor == 1).all())

    def _hw_learns(self, name: str) -> bool:
        """Whether a parameter of the equations is one of the module, which an optimizer finds, or a part of
        one."""
        own = held(self._hw_tensor_of(name))
        return any(own is param for param in self.parameters())

    def extra_repr(self) -> str:
        return described(self)


def _bare(cls: type) -> bool:
    """Whether a class descends from one that is a parent alone, which in snnTorch has no states."""
    nearest = next(kind for kind in cls.__mro__ if kind.__module__.startswith("snnhw."))
    return nearest.__name__ in ("SpikingNeuron", "LIF")


def _follow_state_dict(module: nn.Module, _: object) -> None:
    """The kind of reset that a loaded state_dict names is the one that acts. snnTorch names one for
    neurons that are never reset, too."""
    assert isinstance(module, SpikingNeuron)
    named = module._hw_numbered[int(module.get_buffer(KIND))]
    module.reset_mechanism = named if named in module._hw_model.kinds else module.reset_mechanism
