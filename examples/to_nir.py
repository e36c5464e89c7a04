"""Train on handwritten digits, write the network for another simulator, and check that it computes the same.

Needs the extra ``nir``. Run it with ``python examples/to_nir.py``; it compares with snnTorch itself where
that is installed.
"""

from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

import snnhw as snn
import snnhw.functional as SF
from snnhw import registry
from snnhw.plugin import READERS
from snnhw.verify import Source, verify

TARGET, EPOCHS, BATCH, TIME_STEPS = "snntorch", 8, 64, 20

images, digits = load_digits(return_X_y=True)
pixels, labels = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(digits)

torch.manual_seed(0)
# NIR knows one reset: to a value, at once. Training with it means that nothing is lost on the way out.
resets = {"reset_mechanism": "zero", "reset_delay": False}
net = nn.Sequential(
    nn.Linear(64, 100),
    snn.Leaky(beta=0.9, init_hidden=True, **resets),
    nn.Linear(100, 10),
    snn.Leaky(beta=0.9, init_hidden=True, **resets),
)
model = snn.compile(
    net,
    pixels[:BATCH],
    backend="cpu",
    time_steps=TIME_STEPS,
    static=True,
    loss=SF.mse_count_loss(correct_rate=0.8, incorrect_rate=0.1),
    optimizer=snn.optim.Adam(lr=5e-3),
)
for _ in range(EPOCHS):
    for rows in torch.randperm(len(pixels)).split(BATCH):
        loss, _ = model.step(pixels[rows], labels[rows])
print(f"trained: last loss {loss:.4f}")
model.write_back(net)

report = snn.export(net, "digits.nir", pixels[:BATCH], target=TARGET)
print("written: digits.nir")
for note in report.notes:
    print(f"  note: {note}")

# The same spikes through our backend, and through the simulator itself, which is given the very file.
program, params = snn.load("digits.nir")
(name,) = (node for node, op in program.nodes.items() if isinstance(op, snn.ir.Input))
x = {name: np.repeat(pixels[None, :8].numpy(), TIME_STEPS, axis=0)}
on = ["cpu"]
if TARGET in registry.names(READERS) and registry.probe(READERS, TARGET).ready:
    on.append(f"{TARGET}@nir")
found = verify(program, params, x, on, time_steps=TIME_STEPS, source=Source(Path("digits.nir")))
for held in found.held:
    same = "every spike as in the reference" if held.ok else "it differs from the reference"
    print(f"{held.name}: {held.parity.spikes_compared} compared, {same}")
