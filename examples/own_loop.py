"""Two ways to keep a training loop of your own, on the same small task.

``step by step`` is a script as snnTorch users write it, with the import changed: a loop over time that
calls the network, and torch's own optimizer. ``all steps at once`` compiles the network and takes it as
a differentiable torch module, so that neurons and layers still run fused over time, while the loss and
the optimizer remain yours. Both start from the same weights, and their losses agree.
"""

import torch
from torch import nn
from torch.nn import functional as F

import snnhw as snn

TIME_STEPS, UPDATES = 20, 30
torch.manual_seed(0)
x, y = torch.rand(64, 12), torch.randint(0, 3, (64,))


def network() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Linear(12, 32),
        snn.Leaky(beta=0.9, init_hidden=True),
        nn.Linear(32, 3),
        snn.Leaky(beta=0.9, init_hidden=True),
    )


def step_by_step() -> float:
    net = network()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(UPDATES):
        snn.utils.reset(net)
        counts = sum(net(x) for _ in range(TIME_STEPS))  # spikes of every step, added up
        loss = F.cross_entropy(counts, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def all_steps_at_once() -> float:
    model = snn.compile(network(), x, backend="cpu", time_steps=TIME_STEPS, static=True)
    fused = model.torch_module()
    optimizer = torch.optim.Adam(fused.parameters(), lr=1e-2)
    for _ in range(UPDATES):
        outputs, _ = fused(x)
        loss = F.cross_entropy(outputs["output"].sum(0), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


print(f"step by step:      loss {step_by_step():.6f} after {UPDATES} updates")
print(f"all steps at once: loss {all_steps_at_once():.6f}")
