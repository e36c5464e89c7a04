"""The front end over the kernels that are installed, rather than over plain torch."""

from __future__ import annotations

import torch
from torch import nn

import snnhw as snn


def test_a_compiled_model_gives_the_spikes_of_the_module() -> None:
    torch.manual_seed(3)
    net = nn.Sequential(
        nn.Linear(5, 7),
        snn.Leaky(beta=0.8, init_hidden=True, learn_beta=True),
        nn.Linear(7, 3),
        snn.Leaky(beta=0.8, init_hidden=True, output=True, threshold=0.5),
    )
    x = torch.randn(6, 8, 5, generator=torch.Generator().manual_seed(0)) * 2
    model = snn.compile(net, x[0], backend="cpu", time_steps=6)
    with torch.no_grad():
        steps = [net(step) for step in x]
    spikes = model(x)[0]
    assert torch.equal(spikes, torch.stack([spk for spk, _ in steps]))
    assert spikes.count_nonzero() > 0
