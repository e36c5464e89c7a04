"""Layers and functions that pool, convolve, slice and join: as torch computes them, or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from nn_captures import B, Through, kinds, lif, same, signal
from torch import Tensor, nn
from torch.nn import functional as F

from snnhw.errors import CaptureError
from snnhw.ir import Concat, LayerNorm, MatMul, Slice, Unflatten
from snnhw.nn import capture

pytestmark = pytest.mark.usefixtures("one_thread", "plain_torch")

LAYERS: list[tuple[nn.Module, tuple[int, ...]]] = [
    (nn.Conv1d(2, 4, 3, stride=2, padding=1), (2, 7)),
    (nn.Conv1d(2, 4, 3, padding="same", dilation=2, groups=2, bias=False), (2, 7)),
    (nn.Conv3d(2, 3, (1, 2, 3), padding=(0, 1, 1)), (2, 3, 4, 3)),
    (nn.ConvTranspose1d(2, 4, 3, stride=2, output_padding=1), (2, 4)),
    (nn.ConvTranspose2d(2, 4, (3, 2), stride=(2, 3), padding=1, groups=2), (2, 4, 3)),
    (nn.ConvTranspose2d(2, 4, 2, dilation=2, bias=False), (2, 4, 3)),
    (nn.MaxPool1d(3, stride=2, padding=1), (2, 7)),
    (nn.AvgPool1d(3, stride=1, padding=1), (2, 7)),
    (nn.AdaptiveAvgPool1d(2), (2, 6)),
    (nn.AdaptiveAvgPool2d((None, 1)), (2, 6, 4)),
    (nn.Upsample(scale_factor=2), (2, 4, 3)),
    (nn.Upsample(size=(4, 9)), (2, 4, 3)),
    (nn.Upsample(scale_factor=(2.0, 3.0), mode="bilinear"), (2, 4, 3)),
    (nn.UpsamplingNearest2d(scale_factor=2), (2, 4, 3)),
    (nn.LayerNorm(6), (2, 6)),
    (nn.LayerNorm((2, 6), eps=0.1, bias=False), (2, 6)),
    (nn.LayerNorm(6, elementwise_affine=False), (6,)),
    (nn.Unflatten(1, (2, 3)), (6,)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=lambda value: str(value).replace(" ", ""))
def test_layers(layer: nn.Module, shape: tuple[int, ...]) -> None:
    same(nn.Sequential(layer, lif()), signal(*shape))


def test_the_parameters_of_a_norm_are_the_modules_own() -> None:
    captured = capture(nn.Sequential(nn.LayerNorm(6, eps=0.5), lif()), torch.zeros(B, 6))
    assert captured.program.nodes["0"] == LayerNorm((6,), 0.5)
    assert {"0.weight", "0.bias"} <= captured.program.trainable


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "max_pool1d": lambda x: F.max_pool1d(x, 2),
    "avg_pool1d": lambda x: F.avg_pool1d(x, 3, 1, 1),
    "adaptive": lambda x: F.adaptive_avg_pool1d(x, 3),
    "interpolate": lambda x: F.interpolate(x, scale_factor=3),
    "interpolate to a size": lambda x: F.interpolate(x, size=12, mode="linear"),
    "unflatten": lambda x: x.unflatten(2, (2, -1)),
    "unflatten from behind": lambda x: torch.unflatten(x, -2, (2, 2)),
    "view": lambda x: x.flatten(1).view(x.size(0), 8, 3),
    "slice": lambda x: x[:, 1:3],
    "slice from behind": lambda x: x[..., -2:],
    "slices": lambda x: x[:, :2] + x[:, 2:],
    "slices one by one": lambda x: x[:, 1:][:, :, :3],
    "all of it": lambda x: x[:],
    "chunk": lambda x: torch.chunk(x, 2, dim=1)[0] * x.chunk(2, 1)[1],
    "split": lambda x: torch.cat(x.split([1, 3], dim=1)[::-1], 1),
    "uneven split": lambda x: torch.split(x, 3, 1)[1],
    "cat": lambda x: torch.cat([x, 2 * x], dim=-1),
    "unsqueeze and squeeze": lambda x: x.unsqueeze(2).squeeze(2).unsqueeze(-1).squeeze(-1).squeeze(1),
    "squeeze of the first": lambda x: x[:, 1:2].squeeze(1),
    "unsqueeze in front": lambda x: torch.squeeze(torch.unsqueeze(x, 1), dim=1),
    "mean": lambda x: x.mean(2) * x.mean(dim=(-1,), keepdim=True).flatten(1),
    "mean of images": lambda x: x.unflatten(2, (2, 3)).mean((2, 3)),
    "matmul": lambda x: x @ x.flatten(1).unflatten(1, (6, 4)),
    "bmm": lambda x: torch.bmm(x[:, :, :4], x),
    "method": lambda x: x[:, :, :4].matmul(x),
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_functions(function: Callable[[Any], Any]) -> None:
    same(Through(function), signal(4, 6))


class Gates(nn.Module):
    """Cuts a product into gates, as an LSTM does."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 8)
        self.lif = lif()

    def forward(self, x: Tensor) -> Any:
        gate, value = self.fc(x).chunk(2, dim=1)
        return self.lif(torch.cat([gate.sigmoid() * value.tanh(), x], dim=1))


def test_parts_that_join_others() -> None:
    captured = same(Gates(), signal(6))
    assert list(kinds(captured).values()).count(Slice) == 2
    assert Concat(0, (4, 6)) in captured.program.nodes.values()


def test_a_flat_signal_gets_axes() -> None:
    captured = same(Through(lambda x: x.view(-1, 2, 3)), signal(6))
    assert Unflatten(0, (2, 3)) in captured.program.nodes.values()


def test_a_product_of_two_signals() -> None:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.query, self.key, self.lif = nn.Linear(5, 3), nn.Linear(5, 8), lif()

        def forward(self, x: Tensor) -> Any:
            return self.lif(
                torch.matmul(self.query(x), self.key(x).unflatten(2, (2, 4)).flatten(1, 2)[:, :3])
            )

    captured = same(Attention(), signal(4, 5))
    assert MatMul in kinds(captured).values()


REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "an item": (lambda x: x[:, 0], "is indexed with one slice, as in x[:, 0:3], not with slice(None, None"),
    "two slices": (lambda x: x[:, 1:, 2:], "take several slices one after the other"),
    "a step": (lambda x: x[:, ::2], "step=2 is not supported; use 1"),
    "the batch": (lambda x: x[1:], "axis 0 is the batch, and samples stay apart"),
    "cat over the batch": (lambda x: torch.cat([x, x]), "axis 0 is the batch, and samples stay apart"),
    "cat of ranks": (lambda x: torch.cat([x, x.flatten(1)], 1), "cat takes signals of one rank, not [["),
    "cat of sizes": (lambda x: torch.cat([x, x[:, 1:]], 2), "takes inputs alike on all other axes, not"),
    "no such axis": (lambda x: x.chunk(2, 5), "there is no axis 5 among the 3 of [3, 4, 6]"),
    "sections": (lambda x: x.split([1, 2], 1), "the sum of sections=3 is not supported; use 4"),
    "matmul with a number": (lambda x: x @ x.size(1), "a product of matrices takes signals, not 4"),
    "matmul of sizes": (lambda x: x @ x, "MatMul takes (..., n, k) and (..., k, m) of one rank, not (4, 6)"),
    "a fraction": (lambda x: F.interpolate(x, scale_factor=1.5), "every axis grows by a whole factor"),
    "a smaller size": (lambda x: F.interpolate(x, size=3), "every axis grows by a whole factor"),
    "a mode": (lambda x: F.interpolate(x, scale_factor=2, mode="bicubic"), "mode='bicubic' is not supported"),
    "corners": (
        lambda x: F.interpolate(x, scale_factor=2, mode="linear", align_corners=True),
        "align_corners=True is not supported; use False",
    ),
    "windows": (lambda x: F.adaptive_avg_pool1d(x, 4), "output_size=4 does not cut [6] into equal windows"),
    "unflatten": (
        lambda x: x.unflatten(1, (3, 2)),
        "Unflatten(0, (3, 2)) does not fit a sample",
    ),
    "ceil": (lambda x: F.max_pool1d(x, 4, ceil_mode=True), "ceil_mode=True is not supported; use False"),
}


@pytest.mark.parametrize(("function", "message"), REFUSED.values(), ids=REFUSED)
def test_refusals_name_the_line(function: Callable[[Any], Any], message: str) -> None:
    with pytest.raises(CaptureError) as caught:
        capture(Through(function), torch.zeros(B, 4, 6))
    line, _, reason = str(caught.value).rpartition("`: ")  # the line holds the message as well
    assert "test_nn_functional.py:" in line
    assert message in reason


def test_a_size_among_what_is_joined_is_refused() -> None:
    with pytest.raises(CaptureError, match=r"test_nn_functional.py:.* cannot be captured: expected Tensor"):
        capture(Through(lambda x: torch.cat([x, x.size(1)], 1)), torch.zeros(B, 4, 6))


def test_a_size_beside_the_input_of_a_layer_is_refused() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up, self.lif = nn.ConvTranspose1d(2, 2, 3, stride=2), lif()

        def forward(self, x: Tensor) -> Any:
            return self.lif(self.up(x, output_size=[10]))

    with pytest.raises(CaptureError, match=r"'up' takes one signal; \[10\] beside it is not supported"):
        capture(Net(), torch.zeros(B, 2, 4))
