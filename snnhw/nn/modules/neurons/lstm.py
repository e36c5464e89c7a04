"""LSTMs that spike."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from snnhw.errors import InputError
from snnhw.ir import AvgPool2d, MaxPool2d, Op, Shape
from snnhw.ir.composites import Composite, convolutional_lstm, dense_lstm, inhibited, pooled, single
from snnhw.ir.models.lstm import LSTM_CELL
from snnhw.nn.modules.arguments import REQUIRED
from snnhw.nn.modules.hooks import plain
from snnhw.nn.modules.neuron import SpikingNeuron

__all__ = ["SLSTM", "SConv2dLSTM"]


class _LSTM(SpikingNeuron):
    """What the two have in common: several ops, and a cell whose parameters are the layer's."""

    @property
    def _hw_composed(self) -> bool:
        return True

    def _hw_cell(self, name: str, node: str, shape: Shape, *, graded: bool | None) -> Composite:
        op = self._hw_op(len(self._hw_state_shape(shape)), graded=graded)
        return inhibited(name, op) if self.inhibition else single(node, op, owner=name)


class SLSTM(
    _LSTM,
    model=LSTM_CELL,
    leading={"input_size": REQUIRED, "hidden_size": REQUIRED, "bias": True, "threshold": 1.0},
):
    """`snnhw.ir.models.lstm` behind dense gates; see `SpikingNeuron` for how it is called.

    A call takes ``[B, input_size]`` and the states ``syn, mem [B, hidden_size]``. snnTorch 1.0 forgets
    the states at every step where the two sizes differ; this does not. ``lstm_cell`` holds the weights,
    and makes of the input and of ``mem`` the gates ``i, f, g, o``.

    Args:
        input_size: features of the input.
        hidden_size: neurons.
        bias: whether the gates have biases.
        threshold: the neuron fires where its membrane is greater, which is never greater than 1: give
            less than snnTorch's default, or it stays silent.
    """

    def _hw_prepare(self, given: dict[str, Any]) -> None:
        self.input_size, self.hidden_size = int(given["input_size"]), int(given["hidden_size"])
        self.bias = bool(given["bias"])
        self.lstm_cell = nn.LSTMCell(self.input_size, self.hidden_size, bias=given["bias"])

    def _hw_unusual(self) -> str | None:
        return None if plain(self.lstm_cell, nn.LSTMCell) else "lstm_cell"

    def _hw_integrated(self, input_: Any) -> Any:
        mem, syn = self.lstm_cell(input_, (self._hw_state("mem"), self._hw_state("syn")))
        return syn, mem

    def _hw_composite(self, name: str, shape: Shape, *, graded: bool | None = None) -> Composite:
        return dense_lstm(
            name,
            self._hw_cell(name, name, shape, graded=graded),
            inputs=self.input_size,
            hidden=self.hidden_size,
            bias=self.lstm_cell.bias,
        )

    def _hw_state_shape(self, shape: Shape) -> Shape:
        return (*shape[:-1], self.hidden_size)

    def _hw_alone(self, x: Tensor) -> bool:
        return x.ndim == 1

    def init_slstm(self) -> Any:
        """`reset_mem` under snnTorch's older name."""
        return self.reset_mem()


class SConv2dLSTM(
    _LSTM,
    model=LSTM_CELL,
    leading={
        "in_channels": REQUIRED,
        "out_channels": REQUIRED,
        "kernel_size": REQUIRED,
        "bias": True,
        "max_pool": 0,
        "avg_pool": 0,
        "threshold": 1.0,
    },
):
    """`snnhw.ir.models.lstm` behind convolutional gates; see `SpikingNeuron` for how it is called.

    A call takes ``[B, in_channels, H, W]`` and the states ``syn, mem [B, out_channels, H, W]``. With a
    pool, what fires are the pooled membranes, so that spikes are smaller than states. ``conv`` makes of the
    input and of ``mem`` the gates ``i, f, g, o``.

    Args:
        in_channels: of the input.
        out_channels: of the states.
        kernel_size: one odd number, or two.
        bias: whether the gates have biases.
        max_pool: size of a pool before the threshold; 0: none.
        avg_pool: likewise, of averages; not both.
        threshold: the neuron fires where its membrane is greater.

    Raises:
        InputError: an even kernel, two pools, or inhibition together with a pool.
    """

    _hw_sizes: ClassVar[tuple[str, ...]] = ("max_pool", "avg_pool")

    def _hw_prepare(self, given: dict[str, Any]) -> None:
        kernel = given["kernel_size"]
        self.kernel_size = (kernel, kernel) if isinstance(kernel, int) else tuple(kernel)
        if any(side % 2 == 0 for side in self.kernel_size):
            raise InputError(f"SConv2dLSTM(kernel_size={kernel!r}): give odd numbers, which keep the size")
        if given["max_pool"] and given["avg_pool"]:
            raise InputError("SConv2dLSTM: it pools once; give max_pool or avg_pool, not both")
        if given["inhibition"] and (given["max_pool"] or given["avg_pool"]):
            raise InputError("SConv2dLSTM(inhibition=True) does not go with a pool; leave one of them out")
        self.in_channels, self.out_channels = int(given["in_channels"]), int(given["out_channels"])
        self.max_pool, self.avg_pool = given["max_pool"], given["avg_pool"]
        self.bias, self.padding = bool(given["bias"]), (self.kernel_size[0] // 2, self.kernel_size[1] // 2)
        self.conv = nn.Conv2d(
            self.in_channels + self.out_channels,
            4 * self.out_channels,
            self.kernel_size,
            padding=self.padding,
            bias=given["bias"],
        )

    def _hw_unusual(self) -> str | None:
        return None if plain(self.conv, nn.Conv2d) and self._hw_usual_conv() else "conv"

    def _hw_usual_conv(self) -> bool:
        conv = self.conv
        made = (conv.stride, conv.dilation, conv.groups, conv.padding_mode) == ((1, 1), (1, 1), 1, "zeros")
        return made and conv.kernel_size == self.kernel_size

    def _hw_integrated(self, input_: Any) -> Any:
        gates = self.conv(torch.cat([input_, self._hw_state("mem")], 1)).split(self.out_channels, 1)
        i, f, o = (gate.sigmoid() for gate in gates[:3])
        syn = f * self._hw_state("syn") + i * gates[3].tanh()
        return syn, o * syn.tanh()

    def _hw_fired(self, x: Tensor) -> Any:
        mem = self._hw_state("mem")
        if self.max_pool:
            return self.fire(nn.functional.max_pool2d(mem, self.max_pool))
        if self.avg_pool:
            return self.fire(nn.functional.avg_pool2d(mem, self.avg_pool))
        return super()._hw_fired(x)

    def _hw_composite(self, name: str, shape: Shape, *, graded: bool | None = None) -> Composite:
        pool = self._hw_pool()
        node = name if pool is None else f"{name}.cell"
        layer = convolutional_lstm(
            name,
            self._hw_cell(name, node, shape, graded=graded),
            in_channels=self.in_channels,
            channels=self.out_channels,
            kernel=(self.kernel_size[0], self.kernel_size[1]),
            bias=self.conv.bias is not None,
        )
        return layer if pool is None else pooled(name, layer, pool, self._hw_op(3, graded=graded))

    @property
    def _hw_in_pieces(self) -> bool:
        return self.inhibition or self._hw_pool() is not None

    def _hw_pool(self) -> Op | None:
        for kind, size in ((MaxPool2d, self.max_pool), (AvgPool2d, self.avg_pool)):
            if size:
                sides = (size, size) if isinstance(size, int) else tuple(size)
                return kind((sides[0], sides[1]), (sides[0], sides[1]))
        return None

    def _hw_state_shape(self, shape: Shape) -> Shape:
        return (self.out_channels, *shape[1:])

    def _hw_alone(self, x: Tensor) -> bool:
        return x.ndim == 3

    def init_sconv2dlstm(self) -> Any:
        """`reset_mem` under snnTorch's older name."""
        return self.reset_mem()
