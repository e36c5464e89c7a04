"""Layers that take whole sequences ``[T, B, ...]`` and keep nothing between calls."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from snnhw.errors import InputError
from snnhw.ir import Linear, Shape
from snnhw.ir.composites import Composite, associative, behind, fully_connected, rounded, single, truncated
from snnhw.ir.models.associative import ASSOCIATIVE
from snnhw.ir.models.leaky_parallel import LEAKY_PARALLEL, RECTIFIED
from snnhw.ir.models.state_leaky import STATE_LEAKY, STATE_LEAKY_TRUNCATED
from snnhw.nn.modules import graphs
from snnhw.nn.modules.arguments import REQUIRED, SEQUENCE, own_tensor
from snnhw.nn.modules.finite import refuse_silence
from snnhw.nn.modules.neuron import SpikingNeuron, computed, plain
from snnhw.nn.modules.parents import LIF

__all__ = ["AssociativeLeaky", "LeakyParallel", "LinearLeaky", "StateLeaky"]


class _Sequence(SpikingNeuron):
    """A layer called once for all steps. Within a captured network it is a layer like any other."""

    @property
    def composed(self) -> bool:
        return True

    def forward(self, input_: Tensor, *states: Any, **named: Any) -> Any:
        """All steps.

        Args:
            input_: ``[T, B, ...]``, or ``[T, N]`` without a batch.

        Returns:
            as the class says, ``[T, B, ...]``.
        """
        if states or named:
            raise TypeError(f"{type(self).__name__} starts every call from rest; it takes an input alone")
        input_ = plain(input_)
        alone = input_.ndim == 2
        x = computed(input_).unsqueeze(1) if alone else computed(input_)
        advance = graphs.advance if torch.compiler.is_compiling() else type(self).advance
        ports, _ = advance(self, x, {})
        if self.validate_args and not torch.compiler.is_compiling():
            refuse_silence(self, x, {}, ports)
        if alone:
            ports = {name: y.squeeze(1) for name, y in ports.items()}
        found = {name: y.to(input_.dtype) if name in self.fires else y for name, y in ports.items()}
        return self.returned(found)

    def advance(self, x: Tensor, before: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        ports, _ = self.layer(tuple(x.shape[2:])).run(self, x, before)
        return ports, {}

    def sample_of(self, x: Tensor) -> Shape:
        return tuple(x.shape[2:])

    @property
    def state_names(self) -> tuple[str, ...]:
        """None: every call starts from rest, and there is nothing to reset or to detach."""
        return ()


class LeakyParallel(
    _Sequence,
    model=LEAKY_PARALLEL,
    leading={
        "input_size": REQUIRED,
        "hidden_size": REQUIRED,
        "beta": None,
        "bias": True,
        "threshold": 1.0,
        "dropout": 0.0,
    },
    learnt={"learn_beta": False, "learn_threshold": False},
    without=(*SEQUENCE, "state_quant", "output"),
    defaults={"weight_hh_enable": False, "device": None, "dtype": None},
):
    """`snnhw.ir.models.leaky_parallel` behind a product: ``[T, B, input_size]`` to spikes.

    ``rnn`` holds the weights under the names of ``torch.nn.RNN``. Its recurrent matrix is diagonal, and
    kept as its diagonal, unless ``weight_hh_enable``; a state_dict holds the matrix either way.

    Args:
        input_size: features of the input.
        hidden_size: neurons.
        beta: what each membrane keeps per step: a number, or one for every neuron, which snnTorch 1.0
            forgets; None: random, as torch initialises.
        bias: whether both products have biases.
        threshold: the neuron fires where its membrane is greater.
        dropout: accepted as snnTorch does, where it has no effect on one layer; must be 0.
        weight_hh_enable: a full recurrent matrix.
        device, dtype: of the weights.
    """

    sizes: ClassVar[tuple[str, ...]] = ("input_size", "hidden_size")
    renamed: ClassVar[Mapping[str, str]] = {
        "weight": "rnn.weight_hh_l0",
        "bias": "rnn.bias_hh_l0",
        "input.weight": "rnn.weight_ih_l0",
        "input.bias": "rnn.bias_ih_l0",
        "hidden.weight": "rnn.weight_hh_l0",
        "hidden.bias": "rnn.bias_hh_l0",
    }

    def prepare(self, given: dict[str, Any]) -> None:
        if given["dropout"]:
            raise InputError(
                "LeakyParallel(dropout=...): one layer has no place for it; use nn.Dropout around it"
            )
        if given["dtype"] is not None and not given["dtype"].is_floating_point:
            raise InputError(f"LeakyParallel(dtype={given['dtype']}): give a floating dtype")
        self.input_size, self.hidden_size = int(given["input_size"]), int(given["hidden_size"])
        self.full = bool(given["weight_hh_enable"])
        bias = bool(given["bias"])
        self.rnn = _Weights(self.input_size, self.hidden_size, bias=bias, full=self.full)
        if given["beta"] is not None:
            self.rnn.fill(_per_channel("LeakyParallel", given["beta"], self.hidden_size))
        self.rnn.get_parameter("weight_hh_l0").requires_grad_(bool(given["learn_beta"]))
        self.rnn.to(given["device"], given["dtype"])
        if self.full:
            self.model = RECTIFIED
        given["weight"], given["bias"] = self.rnn.weight_hh_l0, self.rnn.bias_hh_l0

    def keep(self, name: str, value: Any, *, learn: bool) -> None:
        if name not in self.renamed:  # what `rnn` holds is kept already
            super().keep(name, value, learn=learn)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        del destination[f"{prefix}reset_mechanism_val"]  # snnTorch has none here, and there is no reset

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        state_dict.pop(f"{prefix}beta", None)  # what snnTorch began from; the matrix is what counts
        state_dict.setdefault(f"{prefix}reset_mechanism_val", self.get_buffer("reset_mechanism_val"))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def composite(self, name: str, shape: Shape, *, graded: bool | None = None) -> Composite:
        bias = self.rnn.bias
        neurons = single(name, self.op(len(shape), graded=graded))
        if self.full:
            neurons = fully_connected(name, neurons, Linear(self.hidden_size, self.hidden_size, bias=bias))
        return behind(name, Linear(self.input_size, self.hidden_size, bias=bias), neurons, node="input")

    def state_shape(self, shape: Shape) -> Shape:
        return (*shape[:-1], self.hidden_size)

    def returned(self, ports: Mapping[str, Any]) -> Any:
        return ports["spk"]


class _Weights(nn.Module):
    """Weights under the names, and with the initial values, of ``torch.nn.RNN``."""

    bias_ih_l0: Tensor
    bias_hh_l0: Tensor

    def __init__(self, inputs: int, hidden: int, *, bias: bool, full: bool) -> None:
        super().__init__()
        rnn = nn.RNN(inputs, hidden, bias=bias, nonlinearity="relu")
        given = dict(rnn.named_parameters())
        matrix = given["weight_hh_l0"].detach()
        self.bias, self.full = bias, full
        self.weight_ih_l0 = nn.Parameter(given["weight_ih_l0"].detach())
        self.weight_hh_l0 = nn.Parameter(matrix if full else matrix.diagonal().clone())
        for name in ("bias_ih_l0", "bias_hh_l0"):
            if bias:
                self.register_parameter(name, nn.Parameter(given[name].detach()))
            else:
                self.register_buffer(name, torch.zeros(hidden), persistent=False)

    def fill(self, beta: Tensor) -> None:
        """Let each neuron keep ``beta`` of its membrane, and hear no other."""
        own = self.get_parameter("weight_hh_l0")
        own.data.copy_(torch.diag(beta) if self.full else beta)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if not self.full:
            name = f"{prefix}weight_hh_l0"
            destination[name] = torch.diag(destination[name])

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        name = f"{prefix}weight_hh_l0"
        if not self.full and name in state_dict and state_dict[name].ndim == 2:
            state_dict[name] = state_dict[name].diagonal()
        super()._load_from_state_dict(state_dict, prefix, *rest)


class StateLeaky(
    _Sequence,
    LIF,
    model=STATE_LEAKY,
    leading={"beta": REQUIRED, "channels": REQUIRED},
    without=SEQUENCE,
    defaults={"output": True, "kernel_truncation_steps": None},
):
    """`snnhw.ir.models.state_leaky` as a torch module: ``[T, B, channels]`` to ``(spk, mem)``.

    With ``output=False`` only the membranes are returned. There is no reset, and the factor of graded
    spikes counts once, where snnTorch 1.0 squares it.

    Args:
        beta: the membrane decays by ``exp(beta - 1)`` per step; a number, or one for every channel.
        channels: neurons.
        threshold: the neuron fires where its membrane is greater.
        state_quant: rounds the membranes that fire and are returned; what is filtered are exact ones.
        kernel_truncation_steps: only so many last inputs count; None: all.
    """

    sizes: ClassVar[tuple[str, ...]] = ("channels", "kernel_truncation_steps")
    kept: Tensor

    def prepare(self, given: dict[str, Any]) -> None:
        self.channels = int(given["channels"])
        _per_channel(type(self).__name__, given["beta"], self.channels)
        steps = given["kernel_truncation_steps"]
        if steps is not None and (type(steps) is not int or steps < 1):
            raise InputError(
                f"{type(self).__name__}(kernel_truncation_steps={steps!r}): give 1 or more, or None"
            )
        self.kernel_truncation_steps = steps
        if steps is not None:
            self.model = STATE_LEAKY_TRUNCATED
            given["kept"] = float(steps)

    def keep(self, name: str, value: Any, *, learn: bool) -> None:
        if name == "kept":  # not learnt, and not in snnTorch's state_dict
            self.register_buffer(name, own_tensor(value), persistent=False)
        else:
            super().keep(name, value, learn=learn)

    def composite(self, name: str, shape: Shape, *, graded: bool | None = None) -> Composite:
        op, steps = self.op(len(self.state_shape(shape)), graded=graded), self.kernel_truncation_steps
        node, plain = (f"{name}.filter", replace(op, quantised=False)) if op.quantised else (name, op)
        owner = name if op.quantised else ""
        layer = (
            single(node, plain, owner=owner) if steps is None else truncated(node, plain, steps, owner=owner)
        )
        return rounded(name, layer, op) if op.quantised else layer

    def returned(self, ports: Mapping[str, Any]) -> Any:
        return (ports["spk"], ports["mem"]) if self.output else ports["mem"]

    @property
    def tau(self) -> Tensor:
        """The time constant in steps, ``1 / (1 - beta)``."""
        beta: Tensor = self.tensor_of("beta")
        return 1 / (1 - beta + TINY)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f"{prefix}tau"] = self.tau.detach()  # what snnTorch's own module loads

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        tau = state_dict.pop(f"{prefix}tau", None)
        if tau is not None:  # snnTorch trains tau, and leaves beta as it was
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

    Args:
        beta: as for `StateLeaky`.
        in_features: of the input.
        out_features: neurons.
        bias: whether the product has one.
        device, dtype: of the product.
    """

    def prepare(self, given: dict[str, Any]) -> None:
        self.linear = nn.Linear(
            given["in_features"], given["out_features"], given["bias"], given["device"], given["dtype"]
        )
        given["channels"] = given["out_features"]
        super().prepare(given)

    def composite(self, name: str, shape: Shape, *, graded: bool | None = None) -> Composite:
        layer = self.linear
        product = Linear(layer.in_features, layer.out_features, layer.bias is not None)
        return behind(name, product, super().composite(name, shape, graded=graded), node="linear")

    def state_shape(self, shape: Shape) -> Shape:
        return (*shape[:-1], self.channels)


class AssociativeLeaky(
    _Sequence,
    model=ASSOCIATIVE,
    leading={
        "in_dim": REQUIRED,
        "d_value": REQUIRED,
        "d_key": REQUIRED,
        "num_spiking_neurons": None,
        "use_q_projection": True,
    },
    without=(*SEQUENCE, "state_quant", "output"),
):
    """`snnhw.ir.models.associative` with its products: ``[T, B, in_dim]`` to one tensor.

    ``[T, B, d_value * d_value]`` with a query, else the spikes ``[T, B, d_value * d_key]``. The state is
    updated as it is written; snnTorch 1.0's sums lose it on sequences of more than about 25 steps.

    Args:
        in_dim: features of the input.
        d_value, d_key: sizes of the state.
        num_spiking_neurons: ``d_value * d_key``, or None.
        use_q_projection: read the spikes with a query.
    """

    sizes: ClassVar[tuple[str, ...]] = ("in_dim", "d_value", "d_key", "use_q_projection")

    def prepare(self, given: dict[str, Any]) -> None:
        self.in_dim, self.d_value, self.d_key = (int(given[n]) for n in ("in_dim", "d_value", "d_key"))
        count, asked = self.d_value * self.d_key, given["num_spiking_neurons"]
        if asked is not None and asked != count:
            raise InputError(
                f"AssociativeLeaky(num_spiking_neurons={asked}): d_value * d_key is {count}; give that"
            )
        self.num_spiking_neurons = count
        self.use_q_projection = bool(given["use_q_projection"])
        self.to_v = nn.Linear(self.in_dim, self.d_value)
        self.to_k = nn.Linear(self.in_dim, self.d_key)
        self.to_alpha = nn.Linear(self.in_dim, self.d_key)
        if self.use_q_projection:
            self.to_q = nn.Linear(self.in_dim, count)

    @classmethod
    def from_num_spiking_neurons(
        cls, in_dim: int, num_spiking_neurons: int, use_q_projection: bool = True
    ) -> AssociativeLeaky:
        """A square state of so many neurons.

        Raises:
            InputError: the number is no square.
        """
        side = math.isqrt(num_spiking_neurons)
        if side * side != num_spiking_neurons:
            raise InputError(
                f"AssociativeLeaky(num_spiking_neurons={num_spiking_neurons}): give a square, or use "
                "d_value and d_key"
            )
        return cls(in_dim, side, side, num_spiking_neurons, use_q_projection)

    def composite(self, name: str, shape: Shape, *, graded: bool | None = None) -> Composite:
        return associative(
            name,
            features=self.in_dim,
            values=self.d_value,
            keys=self.d_key,
            op=self.op(2, graded=graded),
            query=self.use_q_projection,
        )

    @property
    def fires(self) -> tuple[str, ...]:
        return () if self.use_q_projection else ("y",)

    def returned(self, ports: Mapping[str, Any]) -> Any:
        return ports["y"]


TINY = 1e-12
"""What keeps snnTorch's time constant finite at a decay of 1."""


def _per_channel(owner: str, beta: Any, channels: int) -> Tensor:
    """A decay for every channel."""
    tensor = own_tensor(beta)
    if tensor.numel() not in (1, channels) or tensor.ndim > 1:
        raise InputError(
            f"{owner}(beta=tensor{list(tensor.shape)}): give a number, or one for each of {channels} channels"
        )
    return tensor.expand(channels)
