"""Neurons that hear the last spikes of their layer: each its own, or all through a matrix."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import torch
from torch import Tensor, nn

from snnhw.errors import InputError
from snnhw.ir import Conv2d, Linear, NeuronModel, Op, Shape
from snnhw.ir.composites import Composite, recurrent
from snnhw.ir.models.rleaky import RLEAKY, RLEAKY_SUM
from snnhw.ir.models.rsynaptic import RSYNAPTIC
from snnhw.ir.models.synaptic import SYNAPTIC
from snnhw.nn.modules.arguments import REQUIRED
from snnhw.nn.modules.copied import Copied
from snnhw.nn.modules.hooks import plain
from snnhw.nn.modules.parents import LIF

__all__ = ["RLeaky", "RSynaptic"]

CONNECTIONS: Final = {
    "V": 1.0,
    "all_to_all": True,
    "linear_features": None,
    "conv2d_channels": None,
    "kernel_size": None,
}

SIZES: Final = "linear_features", "conv2d_channels", "kernel_size"


class _Recurrent(LIF):
    """What the two have in common.

    Class attributes:
        summed: the equations of a neuron to which input and recurrent current come as one.
    """

    _hw_summed: ClassVar[NeuronModel]
    linear_features: int | None
    conv2d_channels: int | None
    kernel_size: Any
    recurrent: Any
    V: Any

    def _hw_prepare(self, given: dict[str, Any]) -> None:
        self.all_to_all = bool(given["all_to_all"])
        sizes = {name: given[name] for name in SIZES}
        _check_sizes(type(self).__name__, self.all_to_all, sizes)
        given["learn_V"] = self.learn_recurrent = bool(given["learn_recurrent"])
        self.__dict__.update(sizes)
        if not self.all_to_all:
            return
        self._hw_model = self._hw_summed
        self._init_recurrent_net()
        if not self.learn_recurrent:
            self._disable_recurrent_grad()

    def _init_recurrent_net(self) -> None:
        """Make ``self.recurrent``."""
        if self.linear_features is not None:
            self._init_recurrent_linear()
        else:
            self._init_recurrent_conv2d()

    def _disable_recurrent_grad(self) -> None:
        """Learn nothing in ``self.recurrent``."""
        self.recurrent.requires_grad_(False)

    def _init_recurrent_linear(self) -> None:
        """Make ``self.recurrent`` for neurons ``[B, N]``; a subclass may make another module."""
        assert self.linear_features is not None
        self.recurrent = nn.Linear(self.linear_features, self.linear_features)

    def _init_recurrent_conv2d(self) -> None:
        """Make ``self.recurrent`` for neurons ``[B, C, H, W]``; a subclass may make another module."""
        assert self.conv2d_channels is not None
        kernel = self.kernel_size
        height, width = (kernel, kernel) if isinstance(kernel, int) else tuple(kernel)
        padding = height // 2, width // 2
        channels = self.conv2d_channels
        self.recurrent = nn.Conv2d(channels, channels, (height, width), padding=padding)

    def _init_recurrent_one_to_one(self) -> None:
        """Make ``self.recurrent`` for neurons that hear themselves alone; as above."""
        self.recurrent = RecurrentOneToOne(self.V)

    def _hw_keep(self, name: str, value: Any, *, learn: bool) -> None:
        super()._hw_keep(name, value, learn=learn)
        if name == "V":
            self._init_recurrent_one_to_one()
            if not learn:
                self._disable_recurrent_grad()

    def _hw_unusual(self) -> str | None:
        layer: Any = self.recurrent
        if self.all_to_all:
            made = plain(layer, nn.Linear) or (plain(layer, nn.Conv2d) and _same_size(layer))
        else:
            own = self._hw_heard
            made = plain(layer, RecurrentOneToOne) and (own is None or own is layer.held)
        return None if made else "recurrent"  # else put there by somebody, in place of V

    def _hw_ports(self, input_: Any) -> dict[str, Any]:
        if not self.all_to_all and self._hw_unusual() is None:
            return {"x": input_}
        return {"x": input_ + self.recurrent(self._hw_state("spk")), "V": torch.zeros_like(input_)}

    @property
    def _hw_heard(self) -> Tensor | None:
        """The V that torch lists; None where a parametrization or pruning computes it."""
        return self._parameters.get("V", self._buffers.get("V"))

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "V":
            self._hw_tell()

    def _hw_tell(self) -> None:
        """Let ``self.recurrent`` have the V of this layer, whose tensor may be another one than it was."""
        layer, own = self._modules.get("recurrent"), self._hw_heard
        if isinstance(layer, RecurrentOneToOne) and layer.held is not None and own is not None:
            layer.hold(own)

    def _apply(self, *args: Any, **kwargs: Any) -> Any:
        found = super()._apply(*args, **kwargs)
        self._hw_tell()
        return found

    @property
    def _hw_composed(self) -> bool:
        return self.all_to_all or self.inhibition

    def _hw_composite(self, name: str, shape: Shape, *, graded: bool | None = None) -> Composite:
        neurons = super()._hw_composite(name, shape, graded=graded)
        return recurrent(name, neurons, self._hw_connection()) if self.all_to_all else neurons

    def _hw_connection(self) -> Op:
        layer = self.recurrent
        if isinstance(layer, nn.Linear):
            return Linear(layer.in_features, layer.out_features, layer.bias is not None)
        height, width = layer.kernel_size
        return Conv2d(
            layer.in_channels,
            layer.out_channels,
            kernel=(height, width),
            padding=(height // 2, width // 2),
            bias=layer.bias is not None,
        )

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        if not self.all_to_all:
            inside, own = f"{prefix}recurrent.V", f"{prefix}V"  # one tensor, of which a file may have either
            if inside in state_dict:
                state_dict.setdefault(own, state_dict[inside])
            if "V" not in self.recurrent._parameters:
                state_dict.pop(inside, None)
            elif own in state_dict:
                state_dict.setdefault(inside, state_dict[own])
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "recurrent" not in self._modules:  # saved when V was held by this layer alone
            self._init_recurrent_one_to_one()

    def _hw_alone(self, x: Tensor) -> bool:
        if not self.all_to_all:
            return super()._hw_alone(x)
        return x.ndim == (3 if self.linear_features is None else 1)


class RecurrentOneToOne(Copied):
    """``spikes * V``, for neurons ``[B, ...]`` that hear themselves alone; V is that of their layer."""

    V: Tensor

    def __init__(self, V: Tensor) -> None:  # snnTorch's name
        super().__init__()
        self.hold(V)

    def hold(self, own: Tensor) -> None:
        """Take that very tensor: a parameter, or else a buffer that no state_dict has."""
        for kept in (self._parameters, self._buffers):
            kept.pop("V", None)
        if isinstance(own, nn.Parameter):
            self.register_parameter("V", own)
        else:
            self.register_buffer("V", own, persistent=False)

    @property
    def held(self) -> Tensor | None:
        """That tensor; None where a parametrization or pruning computes V from it."""
        return self._parameters.get("V", self._buffers.get("V"))

    def forward(self, spikes: Tensor) -> Tensor:
        """What comes back to the neurons, of their spikes ``[B, ...]``."""
        return spikes * self.V


class RLeaky(
    _Recurrent,
    model=RLEAKY,
    leading={"beta": REQUIRED, **CONNECTIONS},
    learnt={"learn_beta": False, "learn_threshold": False, "learn_recurrent": True},
):
    """`snnhw.ir.models.rleaky` as a torch module; see `SpikingNeuron` for how it is called.

    A call takes and returns ``spk, mem``; the spikes are a state too. With ``all_to_all``, ``recurrent(spk)``
    stands in the place of ``V * spk``.

    Args:
        beta: decay of the membrane per step.
        V: with ``all_to_all=False``, what a neuron's spike adds to its own next input: a number, or
            one for every neuron.
        all_to_all: spikes come back to all neurons, through ``recurrent``, a layer with bias.
        linear_features: number of neurons ``[B, N]``; ``recurrent`` is an ``nn.Linear``.
        conv2d_channels: channels ``[B, C, H, W]``, with ``kernel_size``, odd numbers; ``recurrent`` is
            an ``nn.Conv2d`` that keeps the size.
        kernel_size: of that convolution, one odd number or two.
        threshold: the neuron fires where its membrane is greater.
        learn_recurrent: learn ``recurrent``, or V.

    Raises:
        InputError: the sizes do not say what the connection is.
    """

    _hw_summed: ClassVar[NeuronModel] = RLEAKY_SUM

    def init_rleaky(self) -> Any:
        """`reset_mem` under snnTorch's older name."""
        return self.reset_mem()


class RSynaptic(
    _Recurrent,
    model=RSYNAPTIC,
    leading={"alpha": REQUIRED, "beta": REQUIRED, **CONNECTIONS},
    learnt={"learn_alpha": False, "learn_beta": False, "learn_threshold": False, "learn_recurrent": True},
):
    """`snnhw.ir.models.rsynaptic` as a torch module; as `RLeaky`, with a decaying current.

    A call takes and returns ``spk, syn, mem``.

    Args:
        alpha: decay of the current per step.
        beta: decay of the membrane per step.
        V: with ``all_to_all=False``, what a neuron's spike adds to its own next input: a number, or
            one for every neuron.
        all_to_all: spikes come back to all neurons, through ``recurrent``, a layer with bias.
        linear_features: number of neurons ``[B, N]``; ``recurrent`` is an ``nn.Linear``.
        conv2d_channels: channels ``[B, C, H, W]``, with ``kernel_size``, odd numbers; ``recurrent`` is
            an ``nn.Conv2d`` that keeps the size.
        kernel_size: of that convolution, one odd number or two.
        threshold: the neuron fires where its membrane is greater.
        learn_recurrent: learn ``recurrent``, or V.
    """

    _hw_summed: ClassVar[NeuronModel] = SYNAPTIC

    def init_rsynaptic(self) -> Any:
        """`reset_mem` under snnTorch's older name."""
        return self.reset_mem()


def _same_size(layer: nn.Conv2d) -> bool:
    """Whether a convolution is one that this module makes."""
    made = (layer.stride, layer.dilation, layer.groups, layer.padding_mode) == ((1, 1), (1, 1), 1, "zeros")
    return made and layer.padding == tuple(side // 2 for side in layer.kernel_size)


def _check_sizes(owner: str, all_to_all: bool, sizes: dict[str, Any]) -> None:
    given = [name for name, value in sizes.items() if value is not None]
    if not all_to_all and given:
        raise InputError(f"{owner}(all_to_all=False): each neuron hears itself; leave {', '.join(given)} out")
    if all_to_all and given not in (["linear_features"], ["conv2d_channels", "kernel_size"]):
        raise InputError(
            f"{owner}(all_to_all=True) needs the size of its connection, and was given "
            f"{', '.join(given) or 'none'}: give linear_features; or conv2d_channels and kernel_size; or "
            "all_to_all=False, and V"
        )
    kernel = sizes["kernel_size"]
    sides = (kernel,) if isinstance(kernel, int) else tuple(kernel or ())
    if any(type(side) is not int or side % 2 == 0 for side in sides):
        raise InputError(
            f"{owner}(kernel_size={kernel!r}): give odd numbers, or the size would change each step"
        )
