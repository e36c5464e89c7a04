# %% [markdown]
# # The leaky integrate-and-fire neuron
#
# A membrane is a capacitor $C$ beside a resistor $R$: current $I$ charges it, and it leaks.
#
# $$ \tau \frac{dU}{dt} = -U + R I, \qquad \tau = R C $$
#
# When its voltage $U$ passes a threshold the neuron fires and is reset. That is Lapicque's neuron of
# 1907, and all of `snnhw`'s neurons are relatives of it.

# %%
import matplotlib.pyplot as plt
import torch
from settings import settings

import snnhw as snn
from snnhw.ir.equations import equations

told = settings()


def shown(ax, mem, spk, threshold=1.0):
    """A membrane over time, and a mark for each spike."""
    ax.plot(mem)
    ax.axhline(threshold, color="#7d8791", lw=0.8, ls="--")
    fired = spk.nonzero().flatten()
    ax.plot(
        fired, torch.full_like(fired, 1, dtype=torch.float) * threshold * 1.15, "|", color="#d55e00", ms=10
    )
    ax.set_ylabel("U")


# %% [markdown]
# ## Lapicque: in ohms, farads and seconds
#
# `snn.Lapicque` takes $R$, $C$ and the length of a step. With Euler's method a step is
#
# $$ U[t+1] = U[t] + \frac{\Delta t}{\tau} \left( -U[t] + R I[t+1] \right) $$

# %%
R, C, dt = 5.0, 1e-3, 1e-3  # 5 ohm, 1 mF: tau is 5 ms
steps = 100
current = torch.cat([torch.zeros(10), torch.full((steps - 10,), 0.25)])


def run(neuron, x):
    """Spikes and membranes, step by step: both [T, ...], like x."""
    spk, mem = zip(*(neuron(now) for now in x), strict=True)
    return torch.stack(spk).detach(), torch.stack(mem).detach()


spk, mem = run(snn.Lapicque(R=R, C=C, time_step=dt), current)
fig, ax = plt.subplots()
shown(ax, mem, spk)
ax.set_xlabel("time step, 1 ms")
plt.show()
print(f"{int(spk.sum())} spikes")

# %% [markdown]
# Without a threshold the membrane would settle at $R I$ = 1.25. As it is, it rises to 1 in $t = \tau \ln
# \frac{R I}{R I - 1}$ after each reset to zero, so how often it fires follows from the current alone. The
# formula is of continuous time; steps have a length, and a spike falls on one. Shorter steps come closer:

# %%
tau = R * C
currents = torch.linspace(0.15, 0.6, 19)
drive = R * currents
said = torch.where(drive > 1, 1e-3 / (tau * torch.log(drive / (drive - 1).clamp(min=1e-9))), 0)
fig, ax = plt.subplots()
ax.plot(currents, said, color="#7d8791", label="the formula")
for per_ms, mark in ((1, "o"), (20, "x")):
    neuron = snn.Lapicque(R=R, C=C, time_step=1e-3 / per_ms, reset_mechanism="zero")
    fired, _ = run(neuron, currents.expand(200 * per_ms, -1))
    rates = fired.mean(0) * per_ms
    ax.plot(currents, rates, mark, ms=5, label=f"steps of {1 / per_ms:g} ms")
ax.set_xlabel("current [A]")
ax.set_ylabel("spikes per ms")
ax.legend()
plt.show()

# %% [markdown]
# ## Leaky: the same with one number
#
# Deep learning has no use for ohms. With $\beta = 1 - \Delta t / \tau$, and the weight of the input
# learnt anyway, a step is
#
# $$ U[t+1] = \beta U[t] + X[t+1] - S[t]\, \theta $$
#
# where $S[t] = 1$ if $U[t] > \theta$. `snn.Leaky(beta=...)` is that: a reset by subtraction comes with
# the next step.

# %%
x = torch.full((steps,), 0.12)
fig, axes = plt.subplots(3, 1, figsize=(7, 5), sharex=True)
for ax, reset in zip(axes, ("subtract", "zero", "none"), strict=True):
    spk, mem = run(snn.Leaky(beta=0.95, reset_mechanism=reset), x)
    shown(ax, mem, spk)
    ax.set_title(f'reset_mechanism="{reset}": {int(spk.sum())} spikes')
ax.set_xlabel("time step")
plt.show()

# %% [markdown]
# ## What exactly happens in a step
#
# Reset before or after the decay, at the step itself or the next, fires at $U = \theta$ or above it:
# libraries differ, and each difference moves spikes. Here a neuron is its equations, and every backend's
# kernel is printed from them.

# %%
program = snn.capture(snn.Leaky(beta=0.95, init_hidden=True), torch.zeros(1, 1)).program
for name, equation in equations(program)[0].lines:
    print(f"{name:>6} = {equation}")

# %% [markdown]
# And what a backend computes is held to those equations in float64. Here with a current that changes:

# %%
net = torch.nn.Sequential(torch.nn.Linear(1, 8), snn.Leaky(beta=0.95, init_hidden=True))
noisy = torch.rand(steps, 4, 1)
model = snn.compile(net, noisy[0], backend=told.backend, time_steps=steps)
found = model.verify(noisy)
print(found)

# %%
away = (rates - said).abs().max().item()
AIM = {"largest error of the formula for the rate": 0.02}  # at most: spikes per ms, in steps of 0.05 ms
REACHED = {"largest error of the formula for the rate": away}
print(REACHED)
