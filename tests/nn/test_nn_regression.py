"""Training on values that are wanted over time: on every backend what torch's own loss gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

import snnhw as snn
import snnhw.functional as SF
from snnhw import utils
from snnhw.errors import InputError
from snnhw.nn import Model

pytestmark = pytest.mark.usefixtures("one_thread")

T, B, C = 5, 4, 2
LR = 0.1
BACKENDS: dict[str, dict[str, Any]] = {"cpu": {}, "ipu": {"emulate": True}, "reference": {}}

X = torch.rand(T, B, 3, generator=torch.Generator().manual_seed(0)) * 2
WANTED = torch.randn(T, B, C, generator=torch.Generator().manual_seed(1))
CLASSES = torch.tensor([[0, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 1], [1, 0, 1, 1], [0, 1, 0, 1]])
TARGETS: dict[str, tuple[Tensor, Tensor]] = {
    "[T, B, C]": (WANTED, WANTED),
    "[B, C]": (WANTED[0], WANTED[0].expand(T, B, C)),
    "[T, B]": (CLASSES, nn.functional.one_hot(CLASSES, C).float()),
    "[B]": (CLASSES[0], nn.functional.one_hot(CLASSES[0], C).float().expand(T, B, C)),
}
"""Form -> a target, and the same as values."""


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.fc1, self.fc2 = nn.Linear(3, 6), nn.Linear(6, C)
        self.lif = snn.Leaky(beta=0.9, init_hidden=True)
        self.out = snn.Leaky(beta=0.8, init_hidden=True, output=True, reset_mechanism="none")

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        spk, mem = self.out(self.fc2(self.lif(self.fc1(x))))
        return spk, mem


def compiled(backend: str, loss: Any = None, **settings: Any) -> Model:
    return snn.compile(
        Net(),
        X[0],
        backend=backend,
        time_steps=T,
        loss=loss or SF.mse_membrane_loss(),
        optimizer=snn.optim.SGD(lr=LR),
        options=BACKENDS[backend],
        **settings,
    )


def by_torch(wanted: Tensor, steps: int) -> tuple[list[float], Net]:
    net, losses = Net(), []
    optimizer = torch.optim.SGD(net.parameters(), lr=LR)
    for _ in range(steps):
        utils.reset(net)
        loss = mse_loss(torch.stack([net(x)[1] for x in X]), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, net


@pytest.mark.parametrize("form", TARGETS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_losses_and_updates_are_torchs(backend: str, form: str) -> None:
    target, wanted = TARGETS[form]
    losses, net = by_torch(wanted, 3)
    with compiled(backend) as model:
        assert [float(model.step(X, target)[0]) for _ in losses] == pytest.approx(losses, rel=1e-5)
        model.verify(X)
        found = {name: np.asarray(array, np.float64) for name, array in model.params.items()}
    for name in ("fc1.weight", "fc2.weight", "fc2.bias"):
        np.testing.assert_allclose(found[name], net.get_parameter(name).detach(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_first_spikes_at_steps_that_are_wanted(backend: str) -> None:
    """Negative steps count from the end."""
    steps = torch.tensor([[0, -1], [2, 3], [-2, 1], [1, 0]])
    loss = SF.mse_temporal_loss(target_is_time=True)
    net = Net()
    spikes = torch.stack([net(x)[0] for x in X])
    with compiled(backend, loss) as model:
        found, _ = model.step(X, steps)
    assert float(found) == pytest.approx(loss(spikes, steps).item(), rel=1e-5)
    assert float(found) == pytest.approx(SF.mse_temporal_loss(target_is_time=True)(spikes, steps % T).item())


@pytest.mark.parametrize("backend", BACKENDS)
def test_half_an_update_and_its_checkpoint(backend: str, tmp_path: Path) -> None:
    """What waits for the rest of an update holds targets, too, on a device that keeps no gradient."""
    path = tmp_path / "run.safetensors"
    with compiled(backend, accumulate=2) as one, compiled(backend, accumulate=2) as other:
        one.step(X, WANTED)
        one.save_checkpoint(path)
        other.load_checkpoint(path)
        for model in (one, other):
            model.step(X, WANTED[0])
        for name, array in one.params.items():
            np.testing.assert_array_equal(other.params[name], array)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_target_of_another_shape(backend: str) -> None:
    with compiled(backend) as model, pytest.raises(InputError) as caught:
        model.step(X, WANTED.transpose(0, 1))
    assert str(caught.value) == (
        "target 'target' has shape [4, 5, 2] and dtype float32. MSEMembrane of 'out.mem' accepts "
        "[B] = [4], class numbers (an integer dtype); "
        "or [T, B] = [5, 4], class numbers of every step (an integer dtype); "
        "or [B, C] = [4, 2], values that are wanted at every step; "
        "or [T, B, C] = [5, 4, 2], values that are wanted, step by step. "
        "The batch stands first, where time does here: give y.transpose(0, 1)."
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_images_are_compared_as_they_are(backend: str) -> None:
    net = nn.Sequential(
        nn.Conv2d(1, 1, 3, padding=1), snn.Leaky(beta=0.5, init_hidden=True, output=True, threshold=9.0)
    )
    x, wanted = torch.rand(T, B, 1, 4, 4), torch.rand(B, 1, 4, 4)
    mems = torch.stack([net(each)[1] for each in x])
    with snn.compile(
        net,
        x[0],
        backend=backend,
        time_steps=T,
        loss=SF.mse_membrane_loss(),
        optimizer=snn.optim.SGD(lr=LR),
        options=BACKENDS[backend],
    ) as model:
        loss, _ = model.step(x, wanted)
    assert float(loss) == pytest.approx(mse_loss(mems, wanted.expand_as(mems)).item(), rel=1e-5)
