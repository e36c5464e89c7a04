"""DistributedDataParallel: two processes, each with half of the batch, learn what one learns."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
import torch
from plain import use_plain_torch
from torch import Tensor, distributed, nn
from torch.multiprocessing.spawn import spawn

import snnhw as snn

pytestmark = pytest.mark.skipif(
    not (distributed.is_available() and distributed.is_gloo_available()),
    reason="this torch was built without gloo, through which processes on CPUs talk",
)

T, B = 3, 4


class Net(nn.Module):
    """A time loop over a feed-forward and a recurrent layer, states inside."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(5, 6)
        self.first = snn.Leaky(0.8, learn_beta=True, threshold=0.3, init_hidden=True)
        self.second = snn.RLeaky(0.7, linear_features=6, learn_threshold=True, threshold=0.3)

    def forward(self, xs: Tensor) -> Tensor:
        snn.utils.reset(self)
        return torch.stack([self.second(self.first(self.fc(x)))[1] for x in xs])


def network() -> Net:
    torch.manual_seed(0)
    return Net()


def batch() -> Tensor:
    return torch.rand(T, B, 5, generator=torch.Generator().manual_seed(1)) * 3


def gradients(net: nn.Module, xs: Tensor) -> dict[str, Tensor]:
    for _ in range(2):  # the second time over, hooks and buffers have been through a step
        net.zero_grad()
        net(xs).square().mean().backward()
    return {
        name.removeprefix("module."): param.grad
        for name, param in net.named_parameters()
        if param.grad is not None
    }


def work(rank: int, port: int, folder: str) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    use_plain_torch(setattr)  # as the fixture does for one process: kernels would be compiled in each
    distributed.init_process_group("gloo", rank=rank, world_size=2)
    net = nn.parallel.DistributedDataParallel(network())
    half = batch().chunk(2, dim=1)[rank]
    torch.save(gradients(net, half), Path(folder) / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.usefixtures("one_thread", "plain_torch")
def test_two_processes_learn_what_one_learns(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    spawn(work, args=(port, str(tmp_path)), nprocs=2)
    wanted = gradients(network(), batch())
    assert set(wanted) == {name for name, _ in network().named_parameters()}
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-7)
    assert all(value.count_nonzero() for value in wanted.values())
