"""Forwards that ask for the shape of their input, and loops over its second axis."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import snnhw as snn
from snnhw.errors import CaptureError

T, B = 5, 3


class Asks(nn.Module):
    """Takes images, or vectors that it makes images of; the sample tells which."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.lif = nn.Conv2d(1, 2, 3), snn.Leaky(0.9, threshold=0.05, init_hidden=True)

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() == 2:
            x = x.unflatten(1, (1, 4, 4))
        elif x.ndim != 4 or x.shape[2] * x.shape[3] < 9 or x.size(1) > 1:
            raise ValueError("no image")
        spk: Tensor = self.lif(self.conv(x))
        return spk


@pytest.mark.parametrize("shape", [(16,), (1, 4, 4)], ids=str)
def test_a_choice_by_shape_is_followed_as_for_the_sample(shape: tuple[int, ...]) -> None:
    net, x = Asks(), 2 * torch.rand(T, B, *shape)
    with snn.compile(net, x[0], backend="cpu", time_steps=T) as model:
        found = model(x)
    assert isinstance(found, Tensor)
    torch.testing.assert_close(found, torch.stack([net(step) for step in x]))
    assert found.any()


def test_what_the_sample_rules_out_is_the_networks_own_error() -> None:
    with pytest.raises(CaptureError, match="no image"):
        snn.compile(Asks(), torch.rand(B, 2, 4, 4), backend="cpu", time_steps=T)


def test_a_choice_by_values_is_refused_as_ever() -> None:
    class Looks(Asks):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else super().forward(x)

    with pytest.raises(CaptureError, match="choices that depend on values"):
        snn.compile(Looks(), torch.rand(B, 1, 4, 4), backend="cpu", time_steps=T)


def test_a_loop_over_the_second_axis_is_told_that_time_comes_first() -> None:
    class BatchFirst(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.lif = nn.Linear(6, 4), snn.Leaky(0.9, init_hidden=True)

        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([self.lif(self.fc(x[:, step])) for step in range(T)])

    words = r"taken apart along axis 1, and time comes first here.*x\[step\]"
    with pytest.raises(CaptureError, match=words) as caught:
        snn.compile(BatchFirst(), torch.rand(B, T, 6), backend="cpu", time_steps=T)
    assert "init_hidden=True" not in str(caught.value), "it has that already"
