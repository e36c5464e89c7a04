"""Held to NeuroBench: to what stands in its own tests, and to the package itself where it is installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest
import torch
from metrics_nets import EXAMPLES, KNOWN, drawn

import snnhw as snn

T, B, SAMPLES = 6, 4, 10


@pytest.mark.parametrize("name", KNOWN)
def test_operations_are_those_of_its_own_tests(name: str) -> None:
    build, x, macs, acs = KNOWN[name]
    torch.manual_seed(0)
    found = snn.report(build(), x, backend="reference")
    assert (found.effective_macs, found.effective_acs) == (macs, acs)
    assert found.dense == macs + acs


@pytest.mark.skipif(find_spec("neurobench") is None, reason="needs neurobench 2.3 (and snntorch)")
@pytest.mark.parametrize("name", EXAMPLES)
def test_every_figure_is_its_own(name: str) -> None:
    """Its benchmark on the network, with snnTorch's loop over steps, and the report of what is captured."""
    from neurobench.benchmarks import Benchmark  # type: ignore[import-not-found, unused-ignore]
    from neurobench.metrics import static, workload  # type: ignore[import-not-found, unused-ignore]
    from neurobench.models import SNNTorchModel  # type: ignore[import-not-found, unused-ignore]
    from neurobench.processors.postprocessors import (  # type: ignore[import-not-found, unused-ignore]
        ChooseMaxCount,
    )
    from torch.utils.data import DataLoader, TensorDataset

    build, shape, spikes = EXAMPLES[name]
    generator = torch.Generator().manual_seed(1)
    x = torch.randint(-8, 9, (T, SAMPLES, *shape), generator=generator) / 8
    if spikes:
        x = (x > 0.4).float()
    y = torch.arange(SAMPLES) % 3
    data = DataLoader(TensorDataset(x.transpose(0, 1), y), batch_size=B)
    metrics = [
        [static.ConnectionSparsity, static.ParameterCount],
        [
            workload.ClassificationAccuracy,
            workload.ActivationSparsity,
            workload.ActivationSparsityByLayer,
            workload.SynapticOperations,
        ],
    ]
    theirs: Any = Benchmark(SNNTorchModel(drawn(build())), data, [], [ChooseMaxCount()], metrics)
    wanted = theirs.run(quiet=True)
    for backend in ("cpu", "reference"):
        found = snn.report(drawn(build()).eval(), x, y, backend=backend, batch=B)
        assert found.spikes > 0
        assert wanted["SynapticOperations"] == {
            "Effective_MACs": found.effective_macs,
            "Effective_ACs": found.effective_acs,
            "Dense": found.dense,
        }
        assert wanted["ActivationSparsity"] == found.activation_sparsity
        assert list(wanted["ActivationSparsityByLayer"].values()) == [each.sparsity for each in found.layers]
        assert wanted["ConnectionSparsity"] == round(found.footprint.connection_sparsity, 4)
        assert wanted["ClassificationAccuracy"] == pytest.approx(found.accuracy, abs=1e-6)  # in float32
