"""NeuroBench itself, on snnTorch's neurons and on ours: each row of the page, and all else equal."""

from __future__ import annotations

from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final

import pytest
import torch
from page import rows
from torch import Tensor, nn

import snnhw

INSTALLED: Final = pytest.mark.skipif(
    find_spec("neurobench") is None, reason="needs neurobench: pip install neurobench==2.3.0 snntorch==1.0.0"
)

NEURONS: Final[dict[str, dict[str, Any]]] = {
    "Leaky": {"beta": 0.9},
    "Synaptic": {"alpha": 0.8, "beta": 0.9},
    "RLeaky": {"beta": 0.9, "linear_features": 6},
    "RSynaptic": {"alpha": 0.8, "beta": 0.9, "linear_features": 6},
    "Lapicque": {"beta": 0.9, "threshold": 0.1},
    "Alpha": {"alpha": 0.9, "beta": 0.8},
    "SLSTM": {"input_size": 6, "hidden_size": 6, "threshold": 0.1},
}

DIFFERS: Final = {
    "spikes and operations of `RSynaptic`": ("RSynaptic", {"ActivationSparsity", "SynapticOperations"}),
    "bytes of `Lapicque`": ("Lapicque", {"Footprint"}),
}
"""Row of the page -> the neuron, and its figures that differ."""

SAMPLES: Final = 10

X = torch.randn(SAMPLES, 7, 8, generator=torch.Generator().manual_seed(0)) * 2
"""``[B, T, ...]``, as NeuroBench has it."""


def figures(snn: ModuleType, name: str, batch: int, x: Tensor = X) -> dict[str, Any]:
    """What it gives of a network with such a layer, and one of `Leaky`."""
    from neurobench.benchmarks import Benchmark  # type: ignore[import-not-found, unused-ignore]
    from neurobench.metrics import static, workload  # type: ignore[import-not-found, unused-ignore]
    from neurobench.models import SNNTorchModel  # type: ignore[import-not-found, unused-ignore]
    from neurobench.processors.postprocessors import (  # type: ignore[import-not-found, unused-ignore]
        ChooseMaxCount,
    )
    from torch.utils.data import DataLoader, TensorDataset

    torch.manual_seed(0)
    neuron = getattr(snn, name)(**NEURONS[name], init_hidden=True)
    last = snn.Leaky(beta=0.8, init_hidden=True, output=True)
    net = nn.Sequential(nn.Linear(8, 6), neuron, nn.Linear(6, 3), last)
    data = DataLoader(TensorDataset(x, torch.arange(len(x)) % 3), batch_size=batch)
    asked = [
        [static.Footprint, static.ConnectionSparsity, static.ParameterCount],
        [
            workload.ClassificationAccuracy,
            workload.ActivationSparsity,
            workload.SynapticOperations,
            workload.MembraneUpdates,
        ],
    ]
    found: dict[str, Any] = Benchmark(SNNTorchModel(net), data, [], [ChooseMaxCount()], asked).run(quiet=True)
    return found


def test_the_page_has_a_row_for_each() -> None:
    assert rows("snntorch.md", "neurobench") == list(DIFFERS)


@INSTALLED
@pytest.mark.parametrize("name", NEURONS)
def test_all_figures_are_equal_but_those_of_the_page(name: str) -> None:
    import snntorch  # type: ignore[import-untyped, unused-ignore]

    theirs, ours = (figures(snn, name, SAMPLES // 2) for snn in (snntorch, snnhw))
    told = {figure for neuron, differ in DIFFERS.values() if neuron == name for figure in differ}
    assert {figure for figure in theirs if theirs[figure] != ours[figure]} == told
    assert ours["SynapticOperations"]["Effective_ACs"] > 0


@INSTALLED
def test_rsynaptic_hears_nothing_of_another_batch() -> None:
    """Ours of two batches are theirs of each of them alone."""
    import snntorch  # type: ignore[import-untyped, unused-ignore]

    half = SAMPLES // 2
    alone = [figures(snntorch, "RSynaptic", half, x)["SynapticOperations"] for x in X.split(half)]
    both = figures(snnhw, "RSynaptic", half)["SynapticOperations"]
    for what in ("Effective_MACs", "Effective_ACs"):
        assert both[what] == pytest.approx((alone[0][what] + alone[1][what]) / 2)


@INSTALLED
def test_lapicque_takes_eight_bytes_less() -> None:
    import snntorch  # type: ignore[import-untyped, unused-ignore]

    theirs, ours = (figures(snn, "Lapicque", SAMPLES)["Footprint"] for snn in (snntorch, snnhw))
    assert theirs - ours == 8
