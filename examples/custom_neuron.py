"""Two neurons of one's own, each a few equations, on every backend that can run here.

The first adapts: every spike raises its threshold, which falls back by and by. The second is Izhikevich's,
with a reset of its own: after a spike the membrane goes to c, and the recovery variable rises by d (E. M.
Izhikevich, "Simple Model of Spiking Neurons", IEEE Trans. Neural Networks 14(6), 2003). No backend knows
either: each derives its kernels, forward and backward, from the equations. The table compares them with the
reference: how many spikes differ, and how far the gradients do.
"""

import torch
from torch import nn

import snnhw as snn
import snnhw.functional as SF

AdaptiveLIF = snn.neuron(
    "AdaptiveLIF",
    states="mem adapt",
    params={"beta": 0.9, "rho": 0.95, "jump": 0.2, "threshold": 1.0},
    equations={"mem": "beta * mem + x", "adapt": "rho * adapt"},
    fire="mem > threshold + adapt",
    reset={"mem": "mem - threshold", "adapt": "adapt + jump"},
)

Izhikevich = snn.neuron(
    "Izhikevich",
    states={"v": -65.0, "u": -13.0},  # millivolts
    params={"a": 0.02, "b": 0.2, "c": -65.0, "d": 8.0, "gain": 20.0, "peak": 30.0},
    equations={
        "slope": "0.04 * v ** 2 + 5 * v + 140 - u + gain * x",
        "ms": "1000 * dt",
        "v": "v + ms * slope",
        "u": "u + ms * a * (b * v - u)",
    },
    fire="v > peak",
    reset={"v": "c", "u": "u + d"},
)

TIME_STEPS, DT, BATCH, RATE = 20, 0.25e-3, 16, 1000.0
torch.manual_seed(0)
x, y = 3 * torch.rand(TIME_STEPS, BATCH, 6), torch.randint(0, 5, (BATCH,))


def outcome(net: nn.Module, backend: str) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Spikes of a network, and the gradients of its parameters, from what one update takes off."""
    loss, optimizer = SF.ce_rate_loss(), snn.optim.SGD(lr=RATE)
    with snn.compile(
        net, x[0], backend=backend, time_steps=TIME_STEPS, dt=DT, loss=loss, optimizer=optimizer
    ) as model:
        spikes, before = model(x), model.params
        model.step(x, y)
        after = model.params
    return torch.as_tensor(spikes).cpu(), {
        key: torch.as_tensor((before[key] - after[key]) / RATE).double() for key in before
    }


def furthest(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> float:
    """The largest difference of a gradient, relative to the largest of the same parameter."""
    return max(float((found[key] - g).abs().max() / g.abs().max()) for key, g in wanted.items())


print(f"{'neuron':<14}{'backend':<12}{'spikes':>8}{'differ':>8}   gradients differ by")
for kind in (AdaptiveLIF, Izhikevich):
    learnt = {f"learn_{param.name}": True for param in kind.model.params}
    net = nn.Sequential(nn.Linear(6, 5), kind(init_hidden=True, **learnt))
    wanted, gradients = outcome(net, "reference")
    for backend, probe in snn.backends().items():
        if not probe.ready:
            continue
        spikes, found = outcome(net, backend)
        row = f"{kind.__name__:<14}{backend:<12}{int(spikes.sum()):>8}{int((spikes != wanted).sum()):>8}"
        print(f"{row}   {furthest(found, gradients):.1e}")
