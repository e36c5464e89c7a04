# %% [markdown]
# # Training a spiking network
#
# A layer of neurons is a function of time, and training it is backpropagation through time. One thing
# stands in the way: a spike is a step of the membrane, whose derivative is 0 everywhere but at the
# threshold. A **surrogate** takes the derivative's place in the backward pass, and the spike itself stays
# what it is.

# %%
import matplotlib.pyplot as plt
import torch
from settings import settings
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset

import snnhw as snn
import snnhw.functional as SF
from snnhw import spikeplot, surrogate
from snnhw.training import fit

told = settings()

z = torch.linspace(-2, 2, 401)
fig, ax = plt.subplots()
for name, spike in (
    ("atan", surrogate.atan()),
    ("fast_sigmoid", surrogate.fast_sigmoid(slope=5)),
    ("triangle", surrogate.triangle()),
):
    u = z.clone().requires_grad_()
    spike(u).sum().backward()
    ax.plot(z, u.grad, label=name)
ax.set_xlabel("membrane minus threshold")
ax.set_ylabel("derivative of a spike")
ax.legend()
plt.show()

# %% [markdown]
# ## The network, one step of it
#
# Pixels of a digit go in as a current that is the same at every step; so the first layer's product is
# computed once, and its neurons make the spikes. Of ten neurons at the end, the one that fires most often
# is the answer.

# %%
images, digits = load_digits(return_X_y=True)
pixels, labels = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(digits)
parts = train_test_split(pixels, labels, test_size=360, stratify=digits, random_state=0)
train_x, test_x, train_y, test_y = parts

torch.manual_seed(0)
BATCH, STEPS = 64, 25
net = torch.nn.Sequential(
    torch.nn.Linear(64, 128),
    snn.Leaky(beta=0.9, spike_grad=surrogate.atan(), init_hidden=True),
    torch.nn.Linear(128, 10),
    snn.Leaky(beta=0.9, spike_grad=surrogate.atan(), init_hidden=True),
)

# %% [markdown]
# ## The loop by hand
#
# This is the loop of snnTorch's tutorials, unchanged but for the import: it runs step by step, and
# torch's autograd keeps what each step needs.

# %%
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
count_loss = SF.ce_rate_loss()
for x, y in DataLoader(TensorDataset(train_x[:512], train_y[:512]), BATCH):
    snn.utils.reset(net)
    spikes = torch.stack([net(x) for _ in range(STEPS)])  # [T, B, 10]
    loss = count_loss(spikes, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"loss {loss.item():.2f}, {SF.accuracy_rate(spikes, y):.0%} right after 8 updates")

# %% [markdown]
# ## The loop compiled
#
# `compile` takes the same network once, and gives a model whose `step` is all of the above: each layer
# one kernel over all steps, forward and backward derived from the equations. `fit` is the loop around it.

# %%
model = snn.compile(
    net,
    train_x[:BATCH],
    backend=told.backend,
    time_steps=STEPS,
    static=True,
    loss=SF.ce_rate_loss(),
    optimizer=snn.optim.Adam(lr=5e-3),
)
history = fit(
    model,
    DataLoader(TensorDataset(train_x, train_y), BATCH, shuffle=True),
    epochs=1 if told.small else 12,
    validate=DataLoader(TensorDataset(test_x, test_y), len(test_x)),
)
accuracy = history.last.validation.accuracy
print(f"{accuracy:.1%} of {len(test_x)} digits that it has never seen")

# %%
fig = plt.figure()
spikeplot.training_curves(history, fig)
plt.show()

# %% [markdown]
# ## What the network does
#
# The last layer's spikes for one digit: the neuron of the right class fires most.

# %%
(spikes,) = model.run(test_x[:1]).outputs.values()  # [T, 1, 10]
fig, ax = plt.subplots()
spikeplot.raster(spikes[:, 0], ax, s=30, marker="|")
ax.set_yticks(range(10))
ax.set_xlabel("time step")
ax.set_ylabel(f"class (a {test_y[0]})")
plt.show()

# %% [markdown]
# ## Does it compute what was trained?
#
# `verify` runs the trained model beside the float64 reference, node by node.

# %%
print(model.verify(test_x[:64]).ok)
model.write_back(net)  # and the weights are back in the torch module

# %%
AIM = {"accuracy": 0.95}  # at least
REACHED = {"accuracy": accuracy}
