"""Train a spiking network on handwritten digits: 8 x 8 pixels in, one of ten neurons out.

The images come with scikit-learn, so nothing is downloaded. Run it with ``python examples/digits.py``;
``BACKEND`` may be any that ``snnhw backends`` lists.
"""

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import snnhw as snn
import snnhw.functional as SF
from snnhw.training import fit

BACKEND, EPOCHS, BATCH, TIME_STEPS = "cpu", 12, 64, 20

images, digits = load_digits(return_X_y=True)
pixels, labels = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(digits)
parts = train_test_split(pixels, labels, test_size=360, stratify=digits, random_state=0)
train_x, test_x, train_y, test_y = parts

torch.manual_seed(0)
net = nn.Sequential(  # one time step; neurons keep their state from step to step
    nn.Linear(64, 128),
    snn.Leaky(beta=0.9, init_hidden=True),
    nn.Linear(128, 10),
    snn.Leaky(beta=0.9, init_hidden=True),
)
model = snn.compile(
    net,
    train_x[:BATCH],
    backend=BACKEND,
    time_steps=TIME_STEPS,
    static=True,  # an image is a current that does not change over time
    loss=SF.mse_count_loss(correct_rate=0.8, incorrect_rate=0.1),
    optimizer=snn.optim.Adam(lr=5e-3),
)
fit(
    model,
    DataLoader(TensorDataset(train_x, train_y), BATCH, shuffle=True),
    epochs=EPOCHS,
    validate=DataLoader(TensorDataset(test_x, test_y), len(test_x)),
    log=lambda epoch: print(
        f"epoch {epoch.number:2d}: loss {epoch.loss:.4f}, {epoch.validation.accuracy:.1%} of the tests right"
    ),
)

model.write_back(net)  # trained weights, back in the torch module
model.save("digits.snn")  # structure, equations and weights: try `snnhw inspect digits.snn`
