"""Neuron modules against snnTorch 1.0 on the compiled kernels of the CPU, which a script runs as it is."""

from __future__ import annotations

from typing import Final

import pytest
from test_nn_snntorch import PAIRWISE, QUIET, compare, different

pytestmark = [
    pytest.mark.slow,  # every cell is a kernel to compile
    pytest.mark.usefixtures("one_thread"),
    *QUIET,
]

CELLS: Final = 6
"""Of every layer; all of them are compared in plain torch."""


@pytest.mark.parametrize("name", PAIRWISE)
def test_same_returns_and_gradients(name: str) -> None:
    for cell in [cell for cell in PAIRWISE[name] if not different(name, cell)][:CELLS]:
        compare(name, cell)
