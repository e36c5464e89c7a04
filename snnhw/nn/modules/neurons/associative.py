"""Neurons whose membranes are a matrix, written and read by keys."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from snnhw.errors import InputError
from snnhw.ir import Shape
from snnhw.ir.composites import Composite, associative
from snnhw.ir.models.associative import ASSOCIATIVE
from snnhw.nn.modules.arguments import REQUIRED, SEQUENCE
from snnhw.nn.modules.hooks import plain
from snnhw.nn.modules.neurons.sequences import SequenceNeuron

__all__ = ["AssociativeLeaky"]


class AssociativeLeaky(
    SequenceNeuron,
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
    ``v`` is ``to_v(input)``, ``k`` is ``to_k(input)`` and ``a`` the sigmoid of ``to_alpha(input)``.

    Args:
        in_dim: features of the input.
        d_value, d_key: sizes of the state.
        num_spiking_neurons: ``d_value * d_key``, or None.
        use_q_projection: read the spikes with a query.
    """

    _hw_sizes: ClassVar[tuple[str, ...]] = ("in_dim", "d_value", "d_key", "use_q_projection")

    def _hw_prepare(self, given: dict[str, Any]) -> None:
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

    def _hw_composite(self, name: str, shape: Shape, *, graded: bool | None = None) -> Composite:
        return associative(
            name,
            features=self.in_dim,
            values=self.d_value,
            keys=self.d_key,
            op=self._hw_op(2, graded=graded),
            query=self.use_q_projection,
        )

    def _hw_unusual(self) -> str | None:
        names = ("to_v", "to_k", "to_alpha", *["to_q"] * self.use_q_projection)
        return next((name for name in names if not _biased(self._modules[name])), None)

    def _hw_all_by_hand(self, x: Tensor) -> dict[str, Tensor]:
        written = self.to_v(x).unsqueeze(-1) * self.to_k(x).unsqueeze(-2)
        decays, mem, mems = self.to_alpha(x).sigmoid().unsqueeze(-2), torch.zeros_like(written[0]), []
        for decay, now in zip(decays, written, strict=True):
            mem = decay * mem + now
            mems.append(mem)
        spikes = self.fire(torch.stack(mems).flatten(-2))
        if not self.use_q_projection:
            return {"y": spikes}
        query = self.to_q(x).unflatten(-1, (self.d_key, self.d_value))
        return {"y": (spikes.unflatten(-1, (self.d_value, self.d_key)) @ query).flatten(-2)}

    @property
    def _hw_fires(self) -> tuple[str, ...]:
        return () if self.use_q_projection else ("y",)

    def _hw_returned(self, ports: Mapping[str, Any]) -> Any:
        return ports["y"]


def _biased(layer: Any) -> bool:
    """Whether a product is one that a constructor here makes."""
    return plain(layer, nn.Linear) and layer.bias is not None
