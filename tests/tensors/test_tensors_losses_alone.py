"""Losses that only tensors have, over spikes of a compiled network."""

from __future__ import annotations

import torch

import snnhw as snn
from snnhw import functional as SF


def test_what_only_tensors_have_trains_over_a_compiled_network() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(4, 3), snn.Leaky(0.9, threshold=0.3, init_hidden=True))
    x = torch.rand(6, 2, 4).requires_grad_()
    with snn.compile(net, x[0].detach(), backend="cpu", time_steps=6) as model:
        module = model.torch_module()
        for loss in (SF.ce_rate_loss(reduction="none"), SF.mse_temporal_loss(multi_spike=True)):
            snn.utils.reset(net)
            ways = module(x)[0]["output"], torch.stack([net(now) for now in x])
            compiled, alone = (
                torch.autograd.grad(loss(spikes, torch.tensor([0, 2])).mean(), x)[0] for spikes in ways
            )
            torch.testing.assert_close(compiled, alone)
