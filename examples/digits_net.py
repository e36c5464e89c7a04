"""The network and the data that ``digits.toml`` names: handwritten digits, as in ``digits.py``."""

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import snnhw as snn

images, digits = load_digits(return_X_y=True)
pixels, labels = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(digits)
parts = train_test_split(pixels, labels, test_size=360, stratify=digits, random_state=0)
train_x, test_x, train_y, test_y = parts


def net() -> nn.Module:
    return nn.Sequential(
        nn.Linear(64, 128),
        snn.Leaky(beta=0.9, init_hidden=True),
        nn.Linear(128, 10),
        snn.Leaky(beta=0.9, init_hidden=True),
    )


def train() -> DataLoader:
    return DataLoader(TensorDataset(train_x, train_y), batch_size=64, shuffle=True)


def test() -> DataLoader:
    return DataLoader(TensorDataset(test_x, test_y), batch_size=360)
