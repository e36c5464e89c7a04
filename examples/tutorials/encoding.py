# %% [markdown]
# # From numbers to spikes
#
# A spiking network reads spikes: at each time step a neuron has fired, 1, or has not, 0. Pictures and
# sounds are numbers. Three codes lead from one to the other, and each keeps something else: **rate**
# codes say how often a neuron fires, **latency** codes when it fires first, **delta** codes where
# something has changed.
#
# Time comes first everywhere: spikes are `[T, B, ...]`, steps by samples by whatever a sample is made of.

# %%
import matplotlib.pyplot as plt
import torch
from settings import settings
from sklearn.datasets import load_digits

from snnhw import spikegen, spikeplot

settings()
torch.manual_seed(0)
digits = load_digits()
images = torch.tensor(digits.images / 16, dtype=torch.float32)  # [1797, 8, 8], from 0 to 1
some = images[:6]

fig, axes = plt.subplots(1, 6, figsize=(7, 1.3))
for ax, image, label in zip(axes, some, digits.target, strict=False):
    ax.imshow(image, cmap="Greys_r", vmin=0, vmax=1)
    ax.set_title(label)
    ax.axis("off")

# %% [markdown]
# ## Rate
#
# `spikegen.rate` takes a pixel as the probability of a spike, at each step anew. A white pixel fires at
# every step, a black one never, and a grey one as often as it is bright.

# %%
steps = 100
spikes = spikegen.rate(some, num_steps=steps)
print(spikes.shape, spikes.unique())

# %% [markdown]
# What a network can know of a pixel after $T$ steps is its mean, and that gets better slowly: the
# deviation of a mean of $T$ draws is $\sqrt{p (1 - p) / T}$, at most $1 / (2 \sqrt{T})$. Ten times the
# precision costs a hundred times the steps.

# %%
fig, axes = plt.subplots(1, 4, figsize=(7, 1.9))
for ax, count in zip(axes, (1, 4, 20, steps), strict=True):
    ax.imshow(spikes[:count, 0].mean(0), cmap="Greys_r", vmin=0, vmax=1)
    ax.set_title(f"mean of {count}")
    ax.axis("off")

error = (spikes.mean(0) - some).abs().max().item()
print(f"the mean of {steps} steps is at most {error:.2f} off; 4 deviations are {2 / steps**0.5:.2f}")

# %% [markdown]
# `gain` makes all of it sparser. A quarter of the spikes still shows the digit, and costs hardware a
# quarter of the work:

# %%
sparse = spikegen.rate(some, num_steps=steps, gain=0.25)
fig, (left, right) = plt.subplots(1, 2, sharey=True)
for ax, shown, title in ((left, spikes, "gain 1"), (right, sparse, "gain 0.25")):
    spikeplot.raster(shown[:, 0].flatten(1), ax, s=2, color="#0072b2")
    ax.set_title(f"{title}: {int(shown[:, 0].sum())} spikes")
    ax.set_xlabel("time step")
left.set_ylabel("pixel")
plt.show()

# %% [markdown]
# ## Latency
#
# One spike a pixel, early for a bright one. A pixel is taken for a current into a capacitor with a leak:
# its voltage passes `threshold` after
#
# $$ t = \tau \ln \frac{I}{I - \theta} $$
#
# steps, and pixels with $I < \theta$ never get there; they fire at the last step, or with `clip=True` not
# at all. Bright pixels lie close together. `linear=True` spaces them evenly instead, and `normalize=True`
# stretches the code over the `num_steps` there are.

# %%
curved = spikegen.latency(some, num_steps=steps, tau=30, threshold=0.06, clip=True, bypass=True)
straight = spikegen.latency(
    some, num_steps=steps, tau=30, threshold=0.06, clip=True, linear=True, normalize=True
)
fig, (left, right) = plt.subplots(1, 2, sharey=True)
for ax, shown, title in ((left, curved, "logarithmic"), (right, straight, "linear")):
    spikeplot.raster(shown[:, 0].flatten(1), ax, s=6, color="#d55e00")
    ax.set_title(f"{title}: {int(shown[:, 0].sum())} spikes")
    ax.set_xlabel("time step")
left.set_ylabel("pixel")
plt.show()

# %% [markdown]
# The code is exact: when a pixel fires first says how bright it is, to the step.

# %%
first = straight.argmax(0).float()
seen = 1 - first / (steps - 1)
lit = straight.sum(0) > 0
error = (seen - some)[lit].abs().max().item()
print(f"{int(straight[:, 0].sum())} spikes say what {int(spikes[:, 0].sum())} said, to {error:.3f}")

# %% [markdown]
# ## Delta
#
# What a retina, an event camera or a silicon cochlea tells: a spike where a signal has risen by more than
# `threshold` since the step before, with `off_spike` a negative one where it has fallen. What stands
# still is silent.

# %%
signal = torch.tensor([0, 0.4, 2, 2, 2.1, 3.9, 3.8, 1, 1, 0.9, 1.2, 1.2])
fig, (above, below) = plt.subplots(2, 1, sharex=True, height_ratios=(2, 1))
above.step(range(len(signal)), signal, where="mid")
above.set_ylabel("signal")
events = spikegen.delta(signal, threshold=0.5, off_spike=True)
below.stem(events)
below.set_ylabel("spikes")
below.set_xlabel("time step")
plt.show()

# %% [markdown]
# ## Which one
#
# | code | spikes | exact after | takes noise | typical use |
# |---|---|---|---|---|
# | rate | many | many steps | well: no spike matters alone | training, first experiments |
# | latency | one a pixel | the last step | badly: one spike is all there is | chips: spikes cost energy |
# | delta | as many as changes | at once | by its threshold | sensors that work this way |
#
# And often none is needed: a picture can go in as a current that is the same at every step, and the first
# layer of neurons makes the spikes. That is `static=True` in the tutorials that train.

# %%
AIM = {"worst pixel of a latency code": 0.011}  # at most
REACHED = {"worst pixel of a latency code": error}
