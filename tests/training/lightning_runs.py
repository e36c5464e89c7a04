"""A network of snnhw's modules under Lightning: its parameters after training, as JSON on stdout.

    python lightning_runs.py FORM PROCESSES

FORM is ``plain``, a loop of torch; ``fabric``, `Fabric.setup`; ``module``, a `LightningModule` and `Trainer`.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

import lightning
import torch
from plain import use_plain_torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset
from training_runs import samples

import snnhw as snn

STEPS, BATCH = 4, 6

DATA = TensorDataset(*samples(18))


class Net(nn.Module):
    """Unchanged in all forms: a loop over steps, states inside."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 12)
        self.hidden = snn.Leaky(0.8, learn_beta=True, threshold=0.3, init_hidden=True)
        self.second = nn.Linear(12, 3)
        self.last = snn.RLeaky(0.7, linear_features=3, threshold=0.3, init_hidden=True, output=True)

    def forward(self, x: Tensor) -> Tensor:
        snn.utils.reset(self)
        return torch.stack([self.last(self.second(self.hidden(self.first(x))))[-1] for _ in range(STEPS)])


class Module(lightning.LightningModule):  # type: ignore[misc]  # untyped where it is not installed
    def __init__(self) -> None:
        super().__init__()
        self.net = made()

    def train_dataloader(self) -> DataLoader[Any]:
        size = self.trainer.world_size
        sampler: Any = (
            DistributedSampler(DATA, shuffle=False) if size > 1 else None
        )  # Lightning's own shuffles
        return DataLoader(DATA, BATCH // size, sampler=sampler)

    def training_step(self, batch: Any, _: int) -> Tensor:
        return loss_of(self.net, batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def made() -> Net:
    torch.manual_seed(0)
    return Net()


def loss_of(net: nn.Module, batch: Any) -> Tensor:
    x, y = batch
    return F.cross_entropy(net(x).mean(0), y)


def plain(_: int) -> nn.Module:
    net = made()
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    for _ in range(2):
        for batch in DataLoader(DATA, BATCH):
            optimizer.zero_grad()
            loss_of(net, batch).backward()
            optimizer.step()
    return net


def fabric(processes: int) -> nn.Module:
    run = lightning.Fabric(accelerator="cpu", devices=processes, strategy="ddp" if processes > 1 else "auto")
    run.launch()
    net, optimizer = run.setup(bare := made(), torch.optim.SGD(bare.parameters(), 0.1))
    data = run.setup_dataloaders(DataLoader(DATA, BATCH // processes))
    for _ in range(2):
        for batch in data:
            optimizer.zero_grad()
            run.backward(loss_of(net, batch))
            optimizer.step()
    return bare


def module(processes: int) -> nn.Module:
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=processes,
        strategy="ddp" if processes > 1 else "auto",
        max_epochs=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(own := Module())
    return own.net


if __name__ == "__main__":
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    use_plain_torch(setattr)
    forms = {"plain": plain, "fabric": fabric, "module": module}
    net = forms[sys.argv[1]](int(sys.argv[2]))
    print("\n" + json.dumps({name: x.detach().tolist() for name, x in net.named_parameters()}), flush=True)
