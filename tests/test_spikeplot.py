"""Plots under snnTorch's names: what they draw, and what they leave alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from snnhw import spikeplot
from snnhw.errors import InputError


@pytest.fixture(autouse=True)
def settings_stay() -> Iterator[None]:
    before = dict(mpl.rcParams)
    yield
    assert dict(mpl.rcParams) == before


@pytest.fixture
def figure() -> Figure:
    return Figure()


SPIKES = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0]])


@pytest.mark.parametrize("data", [SPIKES, SPIKES.numpy(), SPIKES.clone().requires_grad_()])
def test_raster_has_a_dot_for_every_spike(data: object, figure: Figure) -> None:
    dots = spikeplot.raster(data, figure.add_subplot(), s=3, c="black")
    assert np.asarray(dots.get_offsets()).tolist() == [[0, 1], [1, 0], [1, 2]]
    assert dots.get_sizes().tolist() == [3]


def test_raster_of_one_neuron(figure: Figure) -> None:
    dots = spikeplot.raster(SPIKES[:, 0], figure.add_subplot())
    assert np.asarray(dots.get_offsets()).tolist() == [[1, 0]]


def test_raster_of_a_batch_says_how_to_choose(figure: Figure) -> None:
    with pytest.raises(InputError, match=r"not \[2, 1, 3\]; of a batch .* give one sample: data\[:, 0\]"):
        spikeplot.raster(SPIKES[:, None], figure.add_subplot())


def test_traces_draw_membranes_raised_by_spikes(figure: Figure) -> None:
    mem = torch.tensor([[0.5, 0.25], [0.75, 0.125]])
    spk = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    axes = spikeplot.traces(mem, spk, dim=(1, 2), spk_height=2, titles=["a", "b"], fig=figure)
    drawn = [np.asarray(ax.lines[0].get_ydata()).tolist() for ax in axes]
    assert drawn == [[0.5, 2.75], [2.25, 0.125]]
    assert [ax.get_title() for ax in axes] == ["a", "b"]
    assert axes[0].get_ylim() == axes[1].get_ylim()
    assert figure.axes == axes


def test_traces_draw_where_pyplot_is() -> None:
    from matplotlib import pyplot as plt

    current = plt.figure()
    axes = spikeplot.traces(np.zeros((5, 9)))
    assert current.axes == axes
    assert len(axes) == 9
    plt.close(current)


@pytest.mark.parametrize(
    ("data", "spk", "titles", "message"),
    [
        (np.zeros((5, 3)), None, None, r"traces draws 4 neurons \(dim=\(2, 2\)\) .* but was given \[5, 3\]"),
        (np.zeros((5, 1, 4)), None, None, r"was given \[5, 1, 4\]; choose .* one sample of a batch"),
        (np.zeros((5, 4)), np.zeros((5, 3)), None, r"spikes \[5, 4\], like the membranes, not \[5, 3\]"),
        (np.zeros((5, 4)), None, ["a"], "traces needs 4 titles, one for each plot, not 1"),
    ],
)
def test_traces_refuse_what_does_not_fit(
    data: object, spk: object, titles: list[str] | None, message: str, figure: Figure
) -> None:
    with pytest.raises(InputError, match=message):
        spikeplot.traces(data, spk, dim=(2, 2), titles=titles, fig=figure)


def test_importing_it_loads_no_matplotlib() -> None:
    script = "import sys, snnhw.spikeplot; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
