"""Regression: where is a hand, as told by the spikes of forty neurons? Trained in each of the two loops.

Made up here: a point wanders smoothly over a plane, and each of forty neurons fires the more often, the
further the point is in a direction of its own. The network hears their spikes, ``[T, B, 40]``, and answers
with two membranes that never fire: a coordinate each, at every step. So targets are values over time, ``[T,
B, 2]``, and the loss is of the membrane.

``with_step`` lets snnhw update the weights, on any backend; ``with_torch`` takes the compiled network as a
differentiable torch module, so that loss, optimizer and scheduler are torch's own. Each explains at least
85 % of the variance of paths that it was not trained on (R squared).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import snnhw as snn
import snnhw.functional as SF

BACKEND, SAMPLES, EPOCHS, BATCH, TIME_STEPS = "cpu", 256, 20, 32, 80
NEURONS, SETTLING = 40, 10  # steps at the beginning that are not scored


def paths(samples: int, seed: int) -> TensorDataset:
    """Spikes ``[N, T, 40]`` and positions ``[N, T, 2]``."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(TIME_STEPS)[:, None, None] / TIME_STEPS
    waves = torch.arange(1, 4)[:, None]
    phase = torch.rand(samples, 1, 3, 2, generator=generator) * 2 * torch.pi
    size = torch.randn(samples, 1, 3, 2, generator=generator) / waves
    where = (size * torch.sin(2 * torch.pi * waves * time + phase)).sum(2)  # [N, T, 2]
    angle = torch.arange(NEURONS) * 2 * torch.pi / NEURONS
    along = where @ torch.stack([angle.cos(), angle.sin()])
    fired = torch.rand(along.shape, generator=generator) < torch.sigmoid(2 * along - 1)
    return TensorDataset(fired.float(), where)


def time_first(samples: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """A batch: spikes ``[T, B, 40]`` and positions ``[T, B, 2]``."""
    x, y = zip(*samples, strict=True)
    return torch.stack(x, dim=1), torch.stack(y, dim=1)


class Decoder(nn.Module):
    """One time step: spikes ``[B, 40]`` to the membranes ``[B, 2]`` of neurons that never fire."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.lif = nn.Linear(NEURONS, 64), snn.Leaky(beta=0.5, init_hidden=True)
        self.readout = nn.Linear(64, 2)
        self.where = snn.Leaky(beta=0.5, threshold=1e6, reset_mechanism="none", init_hidden=True, output=True)

    def forward(self, x: Tensor) -> Tensor:
        _, membrane = self.where(self.readout(self.lif(self.fc(x))))
        return membrane


def with_step(train: DataLoader) -> snn.nn.Model:
    """snnhw's updates, one call a batch, in a loop of one's own; `fit` is this and all that goes with it."""
    x, _ = next(iter(train))
    model = snn.compile(
        Decoder(),
        x[0],
        backend=BACKEND,
        time_steps=TIME_STEPS,
        loss=SF.mse_membrane_loss(),
        optimizer=snn.optim.Adam(lr=1e-2),
    )
    for epoch in range(EPOCHS):
        model.set_optimizer(snn.optim.Adam(lr=1e-2 * (1 - epoch / EPOCHS)))
        for x, y in train:
            model.step(x, y)  # y: the membranes that are wanted, [T, B, 2]
    return model


def with_torch(train: DataLoader) -> snn.nn.Model:
    """torch's loss, optimizer and scheduler around the compiled network."""
    x, _ = next(iter(train))
    model = snn.compile(Decoder(), x[0], backend=BACKEND, time_steps=TIME_STEPS)
    module = model.torch_module()
    optimizer = torch.optim.RMSprop(module.parameters(), lr=3e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    for _ in range(EPOCHS):
        for x, y in train:
            outputs, _ = module(x)
            loss = F.smooth_l1_loss(outputs["output"], y)  # any loss of torch's
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        scheduler.step()
    return model


def r_squared(model: snn.nn.Model, data: DataLoader) -> float:
    """The share of the variance that is explained, from the step on at which the membranes have settled."""
    found = [(model(x)[SETTLING:], y[SETTLING:]) for x, y in data]
    left = sum(float(((told - y) ** 2).sum()) for told, y in found)
    mean = torch.cat([y for _, y in found], dim=1).mean((0, 1))
    return 1 - left / sum(float(((y - mean) ** 2).sum()) for _, y in found)


def main() -> None:
    torch.manual_seed(0)  # of the weights and the order of batches
    loader = {"batch_size": BATCH, "collate_fn": time_first, "drop_last": True}
    train = DataLoader(paths(SAMPLES, seed=1), shuffle=True, **loader)
    test = DataLoader(paths(SAMPLES // 4, seed=2), **loader)
    for loop in (with_step, with_torch):
        with loop(train) as model:
            print(f"{loop.__name__}: R squared {r_squared(model, test):.3f}")


if __name__ == "__main__":
    main()
