"""Networks with neurons under ``torch.fx.symbolic_trace``, averaged, and after inference mode."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn
from torch.optim.swa_utils import AveragedModel

import snnhw as snn
from snnhw.errors import InputError

pytestmark = pytest.mark.usefixtures("one_thread")


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc, self.lif = nn.Linear(4, 3), snn.Synaptic(0.8, 0.9)
        self.rec = nn.Sequential(snn.RLeaky(0.9, linear_features=3, init_hidden=True))
        self.delta, self.all = snn.DeltaLeaky(0.5, beta=0.9), snn.LeakyParallel(3, 2, threshold=0.1)

    def forward(self, x: Tensor, syn: Tensor, mem: Tensor) -> tuple[Tensor, ...]:
        spk, syn, mem = self.lif(self.fc(x), syn, mem=mem)
        moved, (_, last) = self.delta(self.rec(spk) + mem)
        return self.all(torch.stack([moved, spk])).relu(), syn, mem, last


def test_a_network_is_a_graph_of_its_layers() -> None:
    torch.manual_seed(0)
    net, given = Net(), (torch.randn(2, 4), torch.rand(2, 3), torch.rand(2, 3))
    traced = fx.symbolic_trace(net)
    assert [node.target for node in traced.graph.find_nodes(op="call_module", sort=False)] == [
        "fc",
        "lif",
        "rec.0",
        "delta",
        "all",
    ]
    for _ in range(2):  # states that are kept inside go on
        snn.utils.reset(net)
        wanted = net(*given)
        snn.utils.reset(traced)
        for mine, theirs in zip(traced(*given), wanted, strict=True):
            assert torch.equal(mine, theirs)


def test_a_layer_alone_says_what_to_trace() -> None:
    for layer in (snn.Leaky(0.9), snn.StateLeaky(0.9, 3)):
        with pytest.raises(InputError, match=r"symbolic_trace\(.*Leaky.*trace the network.*nn.Sequential"):
            fx.symbolic_trace(layer)


def test_an_average_follows_a_net_that_is_at_rest() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 3), snn.RLeaky(0.9, linear_features=3, init_hidden=True))
    average, x = AveragedModel(net), torch.randn(2, 4)
    for factor in (1.0, 3.0):
        net(x)
        snn.utils.reset(net)
        with torch.no_grad():
            for p in net.parameters():
                p.mul_(factor)
        average.update_parameters(net)
    for mean, p in zip(average.module.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(mean, p * 2 / 3)  # of p / 3 and p
    assert average(x).shape == (2, 3)


def test_training_goes_on_from_states_of_inference_mode() -> None:
    x = torch.rand(2, 3)
    net: Any = snn.Synaptic(0.8, 0.9, init_hidden=True, learn_beta=True)
    with torch.inference_mode():
        net(x)
    wanted = copy.deepcopy(net)
    net(x).sum().backward()
    assert net.beta.grad is not None
    wanted(x)
    assert torch.equal(net.mem, wanted.mem)
