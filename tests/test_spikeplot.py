"""Plots under snnTorch's names: what they draw, and what they leave alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.animation import ArtistAnimation
from matplotlib.axes import Axes
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


# -- films -------------------------------------------------------------------------------------------


def frames(film: ArtistAnimation, path: Path) -> int:
    """Draws every frame into a file."""
    film.save(path, writer="pillow")
    return len(list(film.new_frame_seq()))


def test_animator_shows_every_step_to_one_scale(figure: Figure, tmp_path: Path) -> None:
    ax = figure.add_subplot()
    film = spikeplot.animator(torch.arange(12.0).reshape(3, 2, 2), figure, ax, interval=10, cmap="gray")
    assert frames(film, tmp_path / "film.gif") == 3
    assert [image.get_clim() for image in ax.images] == [(0, 11)] * 3
    assert np.asarray(ax.images[2].get_array()).tolist() == [[8, 9], [10, 11]]
    assert not ax.axison


def test_animator_stops_where_it_is_told(figure: Figure, tmp_path: Path) -> None:
    film = spikeplot.animator(torch.zeros(3, 2, 2), figure, figure.add_subplot(), num_steps=2)
    assert frames(film, tmp_path / "film.gif") == 2


COUNTED = torch.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 0.0]])


def test_spike_count_draws_a_line_as_long_as_each_count(figure: Figure) -> None:
    ax = figure.add_subplot()
    found = spikeplot.spike_count(COUNTED, figure, ax, ["cat", "dog"], time_step=0.5)
    assert found is None
    (dots,) = ax.lines
    assert np.asarray(dots.get_xdata()).tolist() == [3, 1]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["cat", "dog"]
    assert ax.get_xlabel() == "Time [s]"
    assert ax.xaxis.get_major_formatter()(2, 0) == "1"


def test_spike_count_grows_under_a_line_that_moves(figure: Figure, tmp_path: Path) -> None:
    ax = figure.add_subplot()
    film = spikeplot.spike_count(COUNTED, figure, ax, [0, 1], animate=True, interpolate=2, gridshader=False)
    assert film is not None
    assert frames(film, tmp_path / "film.gif") == 6
    dots, clock = ax.lines[::2], ax.lines[1::2]
    assert [np.asarray(line.get_xdata()).tolist() for line in dots] == [[0, 0]] * 2 + [[1, 0]] * 2 + [
        [2, 1]
    ] * 2
    assert [float(np.asarray(line.get_xdata())[0]) for line in clock] == [0, 0.5, 1, 1.5, 2, 2.5]


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (
            lambda f, a: spikeplot.animator(torch.zeros(3, 2), f, a),
            r"pictures \[T, height, width\], not \[3, 2\]",
        ),
        (
            lambda f, a: spikeplot.animator(torch.zeros(1, 2, 2), f, a, 2),
            r"num_steps=2\): the data has 1 steps",
        ),
        (
            lambda f, a: spikeplot.spike_count(COUNTED, f, a, ["cat"]),
            r"N labels, not \[3, 2\] and 1 of them; of",
        ),
        (
            lambda f, a: spikeplot.spike_count(COUNTED, f, a, [0, 1], 4),
            r"num_steps=4\): the data has 3 steps",
        ),
    ],
)
def test_what_cannot_be_filmed(draw: Callable[[Figure, Axes], object], message: str, figure: Figure) -> None:
    with pytest.raises(InputError, match=message):
        draw(figure, figure.add_subplot())


def test_a_camera_sees_what_was_drawn_since_its_last_picture(figure: Figure, tmp_path: Path) -> None:
    first, second = figure.subplots(1, 2)
    camera = spikeplot.Camera(figure)
    (line,) = first.plot([0, 1], label="a")
    first.legend()
    text = second.text(0, 0, "spike")
    assert camera.snap() == [line, first.get_legend(), text]
    dots = second.scatter([0], [1])
    first.legend()
    assert camera.snap() == [first.get_legend(), dots]
    assert camera.snap() == []
    assert frames(camera.animate(interval=20), tmp_path / "film.gif") == 3


def test_a_camera_without_pictures(figure: Figure) -> None:
    with pytest.raises(InputError, match=r"has taken no picture; call snap\(\)"):
        spikeplot.Camera(figure).animate()


def test_rates_are_means_of_each_step(figure: Figure) -> None:
    ax = figure.add_subplot()
    lines = spikeplot.rates({"a": SPIKES, "b": SPIKES[:, None, :2], "c": [0.25, 0.5]}, ax)
    drawn = [np.asarray(line.get_ydata()).tolist() for line in lines]
    assert drawn == [[pytest.approx(1 / 3), pytest.approx(2 / 3)], [0.5, 0.5], [0.25, 0.5]]
    assert len({line.get_linestyle() for line in lines}) == len({line.get_color() for line in lines}) == 3
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b", "c"]


def test_histograms_of_values_and_of_counts(figure: Figure) -> None:
    ax = figure.add_subplot()
    of_values = spikeplot.histogram(torch.tensor([[0.0, 0.1], [0.9, 1.0]]), ax, bins=2)
    assert of_values.get_data()[0].tolist() == [2, 2]
    of_counts = spikeplot.histogram([3, 1], ax, edges=(0, 0.5, 1))
    assert of_counts.get_data()[0].tolist() == [3, 1]
    assert of_counts.get_data()[1].tolist() == [0, 0.5, 1]


@pytest.mark.parametrize("scored", [True, False])
def test_curves_of_training(scored: bool, figure: Figure) -> None:
    from snnhw.training.history import Epoch, History, Scores

    scores = [Scores(0.5 / n, 0.25 + 0.25 * n, 3.0, 8) if scored else None for n in (1, 2)]
    epochs = tuple(Epoch(n, 4 * n, 0.1, 1.0 / n, 8, 1.0, scores[n - 1]) for n in (1, 2))
    axes = spikeplot.training_curves(History(epochs, "done"), figure)
    drawn = [[np.asarray(line.get_ydata()).tolist() for line in ax.lines] for ax in axes]
    assert drawn == ([[[1.0, 0.5], [0.5, 0.25]], [[0.5, 0.75]]] if scored else [[[1.0, 0.5]]])


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda ax: spikeplot.rates({}, ax), r"rates takes layer -> spikes \[T, ...\], not {}"),
        (lambda ax: spikeplot.rates({"a": 3.0}, ax), r"rates: 'a' has shape \[\]; accepted: \[T, ...\]"),
        (lambda ax: spikeplot.histogram([1.0, np.nan], ax), "of these 2, 1 are not"),
        (lambda ax: spikeplot.histogram([1], ax, edges=[0]), "one edge more than there are counts: 2, not 1"),
        (lambda ax: spikeplot.training_curves([], ax.figure), "the history has no epoch yet; train one"),
    ],
)
def test_what_cannot_be_drawn_is_said(call: Callable[[Axes], object], told: str, figure: Figure) -> None:
    with pytest.raises(InputError, match=told):
        call(figure.add_subplot())
