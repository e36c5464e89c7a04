"""Event streams: which way does something move? Trained in each of the two loops, on the same data.

The streams are generated here, and no camera saw them: a blob moves in one of eight directions, and, as in
a dynamic vision sensor, a pixel that becomes brighter gives an event of one polarity, one that becomes
darker of the other; some events are noise. A single step says little, so that the network has to add up
over time.

A `DataLoader` stacks samples, and here the batch is the second axis: time comes first, ``[T, B, 2, H, W]``.
``with_fit`` lets snnhw update the weights, on any backend; ``with_torch`` takes the compiled network as a
differentiable torch module, so that loss, optimizer and scheduler are torch's own. Each finds at least 90 %
of the directions of streams that it was not trained on.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import snnhw as snn
import snnhw.functional as SF
from snnhw.training import Cosine, WarmUp, fit

BACKEND, SAMPLES, EPOCHS, BATCH, TIME_STEPS, SIZE = "cpu", 1024, 6, 64, 16, 16


def streams(samples: int, seed: int) -> TensorDataset:
    """Events ``[N, T, 2, H, W]``, each 0 or 1, and directions ``[N]``."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 8, (samples,), generator=generator)
    angle = y * torch.pi / 4
    start = torch.rand(samples, 2, generator=generator) * SIZE
    speed = 0.6 + 0.4 * torch.rand(samples, 1, generator=generator)
    step = speed * torch.stack([angle.cos(), angle.sin()], 1)
    time = torch.arange(TIME_STEPS + 1)[:, None]
    centre = start[:, None] + step[:, None] * time  # [N, T + 1, 2]
    pixel = torch.arange(SIZE)
    apart = [(pixel - centre[..., axis, None] + SIZE / 2) % SIZE - SIZE / 2 for axis in (0, 1)]
    bright = torch.exp(-(apart[0][..., None, :] ** 2 + apart[1][..., :, None] ** 2) / 8)
    change = bright.diff(dim=1)
    events = torch.stack([change > 0.06, change < -0.06], 2)
    noise = torch.rand(events.shape, generator=generator) < 0.01
    return TensorDataset((events ^ noise).float(), y)


def time_first(samples: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """A batch: streams ``[T, B, ...]``, and directions ``[B]``."""
    x, y = zip(*samples, strict=True)
    return torch.stack(x, dim=1), torch.stack(y)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(  # one time step
        nn.Conv2d(2, 8, 5, stride=2, padding=2),
        snn.Leaky(beta=0.8, threshold=0.5, init_hidden=True),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        snn.Leaky(beta=0.8, threshold=0.5, init_hidden=True),
        nn.Flatten(),
        nn.Linear(16 * 4 * 4, 8),
        snn.Leaky(beta=0.9, threshold=0.5, init_hidden=True),
    )


def with_fit(train: DataLoader) -> snn.nn.Model:
    """snnhw's updates: one call a batch, on any backend."""
    x, _ = next(iter(train))
    model = snn.compile(
        network(),
        x[0],
        backend=BACKEND,
        time_steps=TIME_STEPS,
        loss=SF.ce_count_loss(),
        optimizer=snn.optim.Adam(lr=1e-2),
    )
    schedule = WarmUp(updates=10).then(Cosine())
    fit(model, train, epochs=EPOCHS, schedule=schedule)  # which calls model.step(x, y) for every batch
    return model


def with_torch(train: DataLoader) -> snn.nn.Model:
    """torch's loss, optimizer and scheduler around the compiled network."""
    x, _ = next(iter(train))
    model = snn.compile(network(), x[0], backend=BACKEND, time_steps=TIME_STEPS)
    module = model.torch_module()
    optimizer = torch.optim.AdamW(module.parameters())
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=EPOCHS * len(train))
    for _ in range(EPOCHS):
        for x, y in train:
            outputs, _ = module(x)
            loss = F.cross_entropy(outputs["output"].sum(0), y)  # of spikes, [T, B, 8]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
    return model


def main() -> None:
    torch.manual_seed(0)  # of the order of batches
    loader = {"batch_size": BATCH, "collate_fn": time_first, "drop_last": True}
    train = DataLoader(streams(SAMPLES, seed=1), shuffle=True, **loader)
    test = DataLoader(streams(SAMPLES // 4, seed=2), **loader)
    for loop in (with_fit, with_torch):
        with loop(train) as model:
            found = snn.report(model, test, backend=BACKEND)
            told = (
                f"{found.spikes:.0f} spikes and {found.effective_acs:,.0f} of {found.dense:,.0f} operations"
            )
            print(f"{loop.__name__}: {found.accuracy:.1%} of the directions, with {told} a stream")


if __name__ == "__main__":
    main()
