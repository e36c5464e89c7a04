"""``torch.fx.symbolic_trace`` of networks with neurons: each layer is one node, which is the layer itself."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, fx, nn

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
