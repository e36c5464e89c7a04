"""What tests of neuron modules share: a signal, and a neuron to give it to."""

from __future__ import annotations

from typing import Any

import torch

import snnhw as snn

X = torch.rand(6, 4, 5, generator=torch.Generator().manual_seed(0)) * 1.5
"""Six steps of four samples."""


def leaky(**settings: Any) -> Any:
    return snn.Leaky(**{"beta": 0.8, **settings})
