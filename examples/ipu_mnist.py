"""The network of snnTorch's IPU tutorial, on any backend: one script for CPU, GPU and IPU.

    python examples/ipu_mnist.py --backend cpu
    python examples/ipu_mnist.py --backend cuda                   on an NVIDIA GPU, through Triton
    python examples/ipu_mnist.py --backend cuda -o interpret=true     without one, in Triton's interpreter
    python examples/ipu_mnist.py --backend ipu                    on an IPU, through PopTorch
    python examples/ipu_mnist.py --backend ipu -o emulate=true    without one, held to PopTorch's rules

A dense network of 1000 Leaky neurons and 10 more, 25 steps of time, the same image at each of them, trained
on how often each output neuron fires. With torchvision and ``--mnist FOLDER`` it learns MNIST, which must be
in that folder; otherwise the 8 x 8 digits that come with scikit-learn.
"""

import argparse
import time

import torch
from sklearn.datasets import load_digits
from torch import nn

import snnhw as snn
import snnhw.functional as SF

TIME_STEPS, BETA = 25, 0.9


class Net(nn.Module):
    """One step of time; neurons keep their state from step to step."""

    def __init__(self, pixels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(pixels, hidden)
        self.lif1 = snn.Leaky(beta=BETA, init_hidden=True)
        self.fc2 = nn.Linear(hidden, 10)
        self.lif2 = snn.Leaky(beta=BETA, init_hidden=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.lif2(self.fc2(self.lif1(self.fc1(x))))


def images(folder: str | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels between 0 and 1, one row to an image, and which digit each shows."""
    if folder is None:
        pixels, digits = load_digits(return_X_y=True)
        return torch.tensor(pixels / 16, dtype=torch.float32), torch.tensor(digits)
    from torchvision.datasets import MNIST

    data = MNIST(folder, train=True, download=False)
    return data.data.flatten(1).float() / 255, data.targets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--backend", default="cpu", help="one that `snnhw backends` lists")
    parser.add_argument("-o", "--option", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--mnist", metavar="FOLDER", help="where torchvision keeps MNIST")
    parser.add_argument("--updates", type=int, default=250)
    parser.add_argument("--hidden", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--time-steps", type=int, default=TIME_STEPS)
    given = parser.parse_args()

    x, y = images(given.mnist)
    torch.manual_seed(0)
    model = snn.compile(
        Net(x.shape[1], given.hidden),
        x[: given.batch],
        backend=given.backend,
        time_steps=given.time_steps,
        static=True,  # an image is a current that does not change over time
        loss=SF.ce_count_loss(),
        optimizer=snn.optim.Adam(lr=1e-3),
        options=dict(option.split("=", 1) for option in given.option),
    )
    began = time.perf_counter()
    with model:
        for update in range(given.updates):
            rows = torch.randint(len(x), (given.batch,))  # always a whole batch: IPUs run fixed shapes
            loss, spikes = model.step(x[rows], y[rows])
            if update % 25 == 0 or update == given.updates - 1:
                right = SF.accuracy_rate(spikes, y[rows])
                print(f"update {update + 1:4d}: loss {loss:.6f}, {right:.1%} of its batch right", flush=True)
            if update == 0:  # which compiles
                began = time.perf_counter()
        seconds = time.perf_counter() - began
        where = str(model).partition(", for training")[0]  # which says so if it is no device
        rate = (given.updates - 1) * given.batch / seconds
        print(f"{where}: {rate:.0f} images a second, but for the first update")


if __name__ == "__main__":
    main()
