"""Leaky neurons that hear each other, over whole sequences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from snnhw.errors import InputError
from snnhw.ir import Linear, Shape
from snnhw.ir.composites import Composite, behind, fully_connected, single
from snnhw.ir.models.leaky_parallel import LEAKY_PARALLEL, RECTIFIED
from snnhw.nn.modules.arguments import REQUIRED, SEQUENCE, own_tensor
from snnhw.nn.modules.copied import Copied
from snnhw.nn.modules.hooks import plain
from snnhw.nn.modules.neurons.sequences import SequenceNeuron, per_channel
from snnhw.nn.modules.order import ORDER

__all__ = ["LeakyParallel"]


class LeakyParallel(
    SequenceNeuron,
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

    ``rnn`` holds the weights under the names of ``torch.nn.RNN``. Of its recurrent matrix
    ``[hidden_size, hidden_size]`` only the diagonal counts, and has a gradient, unless ``weight_hh_enable``.
    ``x`` below is the input times ``rnn.weight_ih_l0``, ``weight`` that diagonal, ``weight * mem`` the
    product where the matrix is full.

    Args:
        input_size: features of the input.
        hidden_size: neurons.
        beta: what each membrane keeps per step: a number, or one for every neuron, which snnTorch 1.0
            forgets; None: random, as torch initialises. A full matrix is filled with it, row by row.
        bias: whether both products have biases.
        threshold: the neuron fires where its membrane is greater.
        dropout: accepted as snnTorch does, where it has no effect on one layer; must be 0.
        learn_beta: learn the recurrent matrix, or its diagonal.
        weight_hh_enable: a full recurrent matrix.
        device, dtype: of the weights.
    """

    beta: Tensor | None
    _hw_sizes: ClassVar[tuple[str, ...]] = ("input_size", "hidden_size")
    _hw_order: ClassVar[tuple[str, ...]] = ("beta", *ORDER)
    _hw_renamed: ClassVar[Mapping[str, str]] = {
        "weight": "rnn.diagonal",
        "bias": "rnn.bias_hh_l0",
        "input.weight": "rnn.weight_ih_l0",
        "input.bias": "rnn.bias_ih_l0",
        "hidden.weight": "rnn.weight_hh_l0",
        "hidden.bias": "rnn.bias_hh_l0",
    }

    def _hw_prepare(self, given: dict[str, Any]) -> None:
        if given["dropout"]:
            raise InputError(
                "LeakyParallel(dropout=...): one layer has no place for it; use nn.Dropout around it"
            )
        if given["dtype"] is not None and not given["dtype"].is_floating_point:
            raise InputError(f"LeakyParallel(dtype={given['dtype']}): give a floating dtype")
        self.input_size, self.hidden_size = int(given["input_size"]), int(given["hidden_size"])
        self._hw_full = bool(given["weight_hh_enable"])
        bias = bool(given["bias"])
        self.rnn = _Weights(self.input_size, self.hidden_size, bias=bias, full=self._hw_full)
        began = None if given["beta"] is None else own_tensor(given["beta"]).detach().reshape(-1)
        self.register_buffer("beta", began)
        if given["beta"] is not None:
            self.rnn.fill(per_channel("LeakyParallel", given["beta"], self.hidden_size))
        self.rnn.get_parameter("weight_hh_l0").requires_grad_(bool(given["learn_beta"]))
        self.rnn.to(given["device"], given["dtype"])
        if self._hw_full:
            self._hw_model = RECTIFIED
        given["weight"], given["bias"] = self.rnn.diagonal, self.rnn.bias_hh_l0

    def weight_hh_enable(self) -> None:
        """Let every neuron hear itself alone, under snnTorch's name: nothing beside the diagonal remains."""
        own = self.rnn.weight_hh_l0
        if not isinstance(own, nn.Parameter):
            raise InputError(
                "LeakyParallel.weight_hh_enable(): 'rnn.weight_hh_l0' is computed, by a parametrization or "
                "by pruning, and nothing set in it would stay; call it before that"
            )
        own.data.mul_(torch.eye(self.hidden_size, dtype=own.dtype, device=own.device))

    @staticmethod
    def grad_hook(grad: Tensor) -> Tensor:
        """snnTorch's: the diagonal of a gradient ``[hidden, hidden]``, and zeros beside it."""
        return grad.diagonal().diag()

    def _hw_parts(self) -> dict[str, Tensor]:
        return {"rnn.diagonal": self.rnn.diagonal} if self._hw_unusual() is None else {}

    def _hw_keep(self, name: str, value: Any, *, learn: bool) -> None:
        if name not in self._hw_renamed:  # what `rnn` holds is kept already
            super()._hw_keep(name, value, learn=learn)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        del destination[f"{prefix}reset_mechanism_val"]  # snnTorch has none here, and there is no reset

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        began = state_dict.pop(f"{prefix}beta", self.beta)  # of no effect: the matrix is what counts
        if self.beta is not None:
            state_dict[f"{prefix}beta"] = began
        number = torch.tensor(self._hw_numbered.index(self.reset_mechanism), device="cpu")
        state_dict.setdefault(f"{prefix}reset_mechanism_val", number)
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _hw_composite(self, name: str, shape: Shape, *, graded: bool | None = None) -> Composite:
        bias = self.rnn.bias
        neurons = single(name, self._hw_op(len(shape), graded=graded))
        if self._hw_full:
            neurons = fully_connected(name, neurons, Linear(self.hidden_size, self.hidden_size, bias=bias))
        return behind(name, Linear(self.input_size, self.hidden_size, bias=bias), neurons, node="input")

    def _hw_unusual(self) -> str | None:
        return None if plain(self.rnn, _Weights) else "rnn"

    def _hw_all_by_hand(self, x: Tensor) -> dict[str, Tensor]:
        return {"spk": self.fire(self.rnn(x)[0])}

    def _hw_state_shape(self, shape: Shape) -> Shape:
        return (*shape[:-1], self.hidden_size)

    def _hw_returned(self, ports: Mapping[str, Any]) -> Any:
        return ports["spk"]


class _Weights(Copied):
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
        self.weight_hh_l0 = nn.Parameter(matrix if full else matrix.diagonal().diag())
        for name in ("bias_ih_l0", "bias_hh_l0"):
            if bias:
                self.register_parameter(name, nn.Parameter(given[name].detach()))
            else:
                self.register_buffer(name, torch.zeros(hidden), persistent=False)

    @property
    def diagonal(self) -> Tensor:
        """What each neuron keeps of its own membrane, ``[hidden]``: a view."""
        return self.weight_hh_l0.diagonal()

    def fill(self, beta: Tensor) -> None:
        """Let each neuron keep ``beta`` of its membrane; and, where the matrix is full, hear as much of every
        other, as in snnTorch."""
        matrix = self.get_parameter("weight_hh_l0").data
        matrix.copy_(beta.unsqueeze(-1).expand_as(matrix) if self.full else torch.diag(beta))

    def forward(self, input: Tensor) -> tuple[Tensor, Tensor]:  # noqa: A002  # as torch.nn.RNN has it
        """Membranes ``[T, B, hidden]`` of ``[T, B, inputs]``, and ``[1, B, hidden]`` after the last step; for
        who hooks it or counts operations, since a layer computes its equations."""
        driven = nn.functional.linear(input, self.weight_ih_l0, self.bias_ih_l0 if self.bias else None)
        weight = self.weight_hh_l0 if self.full else self.diagonal
        mem = torch.zeros_like(driven[0])
        mems: list[Tensor] = []
        for now in driven + self.bias_hh_l0 if self.bias else driven:
            mem = (now + (nn.functional.linear(mem, weight) if self.full else weight * mem)).relu()
            mems.append(mem)
        return torch.stack(mems), mem.unsqueeze(0)

    def _apply(self, *args: Any, **kwargs: Any) -> Any:
        absent = self.bias_ih_l0.is_meta
        moved = super()._apply(*args, **kwargs)  # type: ignore[no-untyped-call]
        if absent and not self.bias and not self.bias_ih_l0.is_meta:  # no state_dict has these zeros
            for bias in (self.bias_ih_l0, self.bias_hh_l0):
                bias.zero_()
        return moved

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        name = f"{prefix}weight_hh_l0"
        matrix = state_dict.get(name)
        if not self.full and matrix is not None and bool((matrix.diagonal().diag() != matrix).any()):
            rest[-1].append(  # the errors that torch collects
                f"'{name}' has numbers beside its diagonal, which this layer would not hear: construct it as "
                "the one that was saved, LeakyParallel(..., weight_hh_enable=True)"
            )
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        own = self._parameters.get("weight_hh_l0")
        if own is not None and own.ndim == 1:  # saved when a diagonal was kept as such
            own.data = own.data.diag()
