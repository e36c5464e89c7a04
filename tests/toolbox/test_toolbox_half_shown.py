"""Plots, exports and comparisons take what a network gives at lower precision."""

from __future__ import annotations

import warnings

import matplotlib as mpl
import pytest
import torch
from torch import nn

import snnhw as snn
from snnhw import spikeplot
from snnhw.parity.arrays import host

mpl.use("Agg")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_plots_take_short_floats(dtype: torch.dtype) -> None:
    from matplotlib import pyplot as plt

    spikes = (torch.rand(20, 4, generator=torch.Generator().manual_seed(0)) < 0.5).to(dtype)
    spikes[0] = 1
    figure, axes = plt.subplots()
    drawn = spikeplot.raster(spikes, axes)
    assert len(drawn.get_offsets()) == int(spikes.float().sum())  # type: ignore[arg-type]
    spikeplot.traces(spikes, spikes, dim=(2, 2))
    spikeplot.spike_count(spikes, figure, axes, labels=list("abcd"))
    plt.close("all")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64], ids=str)
def test_a_module_of_another_precision_is_written_to_nir_and_verified(dtype: torch.dtype) -> None:
    pytest.importorskip("nir")
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 6), snn.Leaky(beta=0.9, init_hidden=True, reset_mechanism="zero")).to(
        dtype
    )
    x = torch.rand(3, 8).to(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of what NIR resets otherwise
        graph = snn.export_to_nir(net, x)
    weights = [node.weight for node in graph.nodes.values() if hasattr(node, "weight")]
    assert (weights[0] == host(net.get_parameter("0.weight").detach())).all()
    with snn.compile(net, x, backend="cpu", time_steps=3) as model:
        model.verify(torch.stack([x] * 3))
