"""The demo's pictures, as PNG files in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from snnhw.cli.demo.digits import HIDDEN, OUTPUT, TIME_STEPS, Data
from snnhw.spikeplot import raster, traces

__all__ = ["raster_picture", "traces_picture"]

INK, QUIET, ACCENT = "#1f2933", "#9aa5b1", "#d64545"
SHOWN: Final = (0, 3, 5, 8)
"""The digits of which the raster plot shows one image each."""


def raster_picture(test: Data, recorded: Mapping[str, Tensor]) -> bytes:
    """Who fires when: four images, the hidden layer, and the ten neurons that answer.

    Args:
        recorded: port -> ``[T, N, ...]`` for all images of ``test``.
    """
    figure = Figure(figsize=(11, 7.5), layout="constrained")
    grid = figure.add_gridspec(3, len(SHOWN), height_ratios=(1.1, 3, 1.5))
    for column, sample in enumerate(_examples(test)):
        image, hidden, answer = (figure.add_subplot(grid[row, column]) for row in range(3))
        spikes = recorded[f"{OUTPUT}.spk"][:, sample]
        winner = int(spikes.sum(0).argmax())
        _image(image, test, sample, winner)
        _raster(hidden, recorded[f"{HIDDEN}.spk"][:, sample], marker="|", s=7, linewidths=1.1, c=INK)
        answer.axhspan(winner - 0.5, winner + 0.5, color=ACCENT, alpha=0.12, lw=0)
        colours = [ACCENT if neuron == winner else INK for _, neuron in spikes.nonzero()]
        _raster(answer, spikes, s=16, linewidths=0, c=colours)
        answer.set(yticks=range(10), xlabel="time step")
        hidden.tick_params(labelbottom=False)
        if column == 0:
            hidden.set_ylabel("hidden neuron")
            answer.set_ylabel("digit")
        else:
            hidden.tick_params(labelleft=False)
            answer.tick_params(labelleft=False)
    return _png(figure)


def traces_picture(test: Data, recorded: Mapping[str, Tensor]) -> bytes:
    """The membranes of the ten neurons that answer, while they see one image."""
    sample = _examples(test)[-1]
    mem, spk = (recorded[f"{OUTPUT}.{port}"][:, sample] for port in ("mem", "spk"))
    figure = Figure(figsize=(11, 5), layout="constrained")
    shown = int(test.y[sample])
    caption = f"The output neurons' membranes while they see a {shown}, raised by 1 where they fire"
    figure.suptitle(f"{caption}; dashed: the threshold", color=INK, fontsize=10)
    axes = traces(mem, spk, dim=(2, 5), spk_height=1, titles=[f"digit {n}" for n in range(10)], fig=figure)
    for number, ax in enumerate(axes):
        right = number == shown
        ax.axhline(1.0, color=QUIET, lw=0.8, ls="--")
        ax.lines[0].set(color=ACCENT if right else INK, lw=1.4)
        ax.set_title(ax.get_title(), color=ACCENT if right else INK, fontsize=10)
    return _png(figure)


def _examples(test: Data) -> Sequence[int]:
    """An image of each digit that is shown; of a slice that lacks one, its first image."""
    return [int((test.y == digit).int().argmax()) for digit in SHOWN]


def _image(ax: Axes, test: Data, sample: int, answer: int) -> None:
    ax.imshow(test.x[sample].reshape(8, 8).numpy(), cmap="gray_r")
    ax.set_title(f"a {int(test.y[sample])}, taken for a {answer}", color=INK, fontsize=10)
    ax.axis("off")


def _raster(ax: Axes, spikes: Tensor, **style: Any) -> None:
    raster(spikes, ax, **style)
    ax.set(xlim=(-0.5, TIME_STEPS - 0.5), ylim=(-0.5, spikes.shape[1] - 0.5), xticks=range(0, TIME_STEPS, 5))
    ax.spines[["top", "right"]].set_visible(False)


def _png(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()
