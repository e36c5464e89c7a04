"""Plots of spikes and membranes under snnTorch's names."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from snnhw.errors import InputError
from snnhw.spikeplot.host import host

if TYPE_CHECKING:
    from matplotlib.animation import ArtistAnimation
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure, FigureBase

__all__ = ["Camera", "animator", "raster", "spike_count", "traces"]


def raster(data: Any, ax: Axes, **kwargs: Any) -> PathCollection:
    """A dot for every spike: time to the right, neurons upwards.

    Args:
        data: spikes ``[T, N]``, a tensor or array; ``[T]`` for a single neuron.
        ax: where to draw.
        kwargs: for ``ax.scatter``, such as ``s=1.5, c="black"``.

    Raises:
        InputError: data of another rank; pick one sample of a batch first.
    """
    spikes = host(data)
    if spikes.ndim not in (1, 2):
        raise InputError(
            f"raster takes spikes [T, N], or [T] for one neuron, not {list(spikes.shape)}; "
            "of a batch [T, B, N] give one sample: data[:, 0]"
        )
    steps, neurons = np.nonzero(spikes.reshape(len(spikes), -1))
    return ax.scatter(steps, neurons, **kwargs)


def traces(
    data: Any,
    spk: Any = None,
    dim: tuple[int, int] = (3, 3),
    spk_height: float = 5,
    titles: Sequence[str] | None = None,
    *,
    fig: FigureBase | None = None,
) -> list[Axes]:
    """The first neurons' membranes over time, one small plot each, to one scale and without axes.

    Args:
        data: membranes ``[T, N]``, a tensor or array, with N at least the number of plots.
        spk: spikes ``[T, N]``; each raises its trace by ``spk_height``.
        dim: rows and columns of plots.
        spk_height: in units of the membrane.
        titles: one for each plot.
        fig: where to draw; None: pyplot's current figure.

    Returns:
        the axes of each plot, row by row.

    Raises:
        InputError: too few neurons or titles, or spikes of another shape than the membranes.
    """
    mem = host(data)
    _check(mem, dim, titles)
    if spk is not None:
        spikes = host(spk)
        if spikes.shape != mem.shape:
            given, wanted = list(spikes.shape), list(mem.shape)
            raise InputError(f"traces takes spikes {wanted}, like the membranes, not {given}")
        mem = mem + spk_height * spikes
    if fig is None:
        from matplotlib import pyplot as plt

        fig = plt.gcf()
    grid = fig.add_gridspec(*dim)
    axes: list[Axes] = []
    for number in range(prod(dim)):
        ax = fig.add_subplot(grid[number // dim[1], number % dim[1]], sharey=axes[0] if axes else None)
        if titles is not None:
            ax.set_title(titles[number])
        ax.plot(mem[:, number])
        ax.axis("off")
        axes.append(ax)
    return axes


def animator(
    data: Any,
    fig: Figure,
    ax: Axes,
    num_steps: int | Literal[False] = False,
    interval: float = 40,
    cmap: str = "plasma",
) -> ArtistAnimation:
    """A film of pictures that change over time, to one scale of colours and without axes.

    Args:
        data: ``[T, height, width]``, a tensor or array.
        fig, ax: where to draw.
        num_steps: how many steps to show; False: all.
        interval: between steps, in milliseconds.
        cmap: name of a colour map.

    Returns:
        the film: ``film.save("spikes.gif")``, or in a notebook ``HTML(film.to_jshtml())``.

    Raises:
        InputError: data of another rank, or more steps than it has.
    """
    from matplotlib.animation import ArtistAnimation

    pictures = host(data)
    if pictures.ndim != 3:
        raise InputError(
            f"animator takes pictures [T, height, width], not {list(pictures.shape)}; "
            "pick one sample and channel"
        )
    steps = _steps("animator", num_steps, pictures)
    low, high = pictures.min(), pictures.max()
    ax.axis("off")
    frames: list[list[Artist]] = [
        [ax.imshow(picture, cmap=cmap, vmin=low, vmax=high, animated=True)] for picture in pictures[:steps]
    ]
    return ArtistAnimation(fig, frames, interval=interval)


def spike_count(
    data: Any,
    fig: Figure,
    ax: Axes,
    labels: Sequence[Any],
    num_steps: int | Literal[False] = False,
    animate: bool = False,
    interpolate: int = 1,
    gridshader: bool = True,
    interval: float = 25,
    time_step: float | Literal[False] = False,
) -> ArtistAnimation | None:
    """How often each neuron has fired: a line as long as its count, to the right, one above the other.

    Args:
        data: spikes ``[T, N]``, a tensor or array.
        fig, ax: where to draw.
        labels: a name for each neuron.
        num_steps: how many steps to count; False: all.
        animate: a film of the counts as they grow, under a line that moves with time.
        interpolate: frames for each step.
        gridshader: every other stretch between ticks is shaded.
        interval: between frames, in milliseconds.
        time_step: length of a step in seconds, for an axis in seconds; False: in steps.

    Returns:
        with ``animate`` the film, see `animator`; else None.

    Raises:
        InputError: data of another rank, another number of labels, or more steps than there are.
    """
    from matplotlib.animation import ArtistAnimation

    spikes = host(data)
    if spikes.ndim != 2 or len(labels) != spikes.shape[1]:
        raise InputError(
            f"spike_count takes spikes [T, N] and N labels, not {list(spikes.shape)} and {len(labels)} of "
            "them; of a batch [T, B, N] give one sample: data[:, 0]"
        )
    steps = _steps("spike_count", num_steps, spikes)
    counts = np.concatenate([np.zeros((1, spikes.shape[1])), spikes.cumsum(0)])
    _count_axes(ax, labels, steps, time_step or None)
    if gridshader:
        _shade(ax)
    if not animate:
        _count_lines(ax, counts[steps])
        return None
    frames = [
        [
            *_count_lines(ax, counts[frame // interpolate]),
            ax.axvline(frame / interpolate, color="tab:orange", lw=3),
        ]
        for frame in range(steps * interpolate)
    ]
    return ArtistAnimation(fig, frames, interval=interval)


class Camera:
    """A film of a figure: draw, `snap`, draw on, `snap`, and `animate`. What was drawn since the last picture
    is on one picture alone.

    Args:
        figure: with all of its axes.
    """

    def __init__(self, figure: Figure) -> None:
        self._figure = figure
        self._pictures: list[list[Artist]] = []
        self._seen: set[Artist] = set()

    def snap(self) -> list[Artist]:
        """Take a picture; returns what is on it."""
        drawn: list[Artist] = []
        for ax in self._figure.axes:
            if (legend := ax.get_legend()) is not None and legend not in ax.artists:
                ax.add_artist(legend)  # the next call of ax.legend would take it away
            drawn += [*ax.collections, *ax.patches, *ax.lines, *ax.texts, *ax.artists, *ax.images]
        picture = [artist for artist in drawn if artist not in self._seen]
        self._seen.update(picture)
        self._pictures.append(picture)
        return picture

    def animate(self, *args: Any, **kwargs: Any) -> ArtistAnimation:
        """The pictures as a film; arguments as for matplotlib's ``ArtistAnimation``, such as ``interval=40``.

        Raises:
            InputError: no picture was taken.
        """
        from matplotlib.animation import ArtistAnimation

        if not self._pictures:
            raise InputError("this camera has taken no picture; call snap() after drawing each of them")
        return ArtistAnimation(self._figure, self._pictures, *args, **kwargs)


_BLUE, _INK = "#007ACC", "#333F4B"


def _count_axes(ax: Axes, labels: Sequence[Any], steps: int, time_step: float | None) -> None:
    ax.set_xlim(0, steps)
    ax.set_yticks(range(1, len(labels) + 1), [str(label) for label in labels])
    ax.set_xlabel("Time step" if time_step is None else "Time [s]", fontsize=15, color=_INK)
    ax.set_ylabel("Labels", fontsize=15, color=_INK)
    ax.tick_params(labelsize=12, colors=_INK)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    if time_step is not None:
        ax.xaxis.set_major_formatter(lambda step, _: f"{step * time_step:g}")


def _count_lines(ax: Axes, counts: npt.NDArray[Any]) -> list[Artist]:
    rows = range(1, len(counts) + 1)
    lines = ax.hlines(rows, 0, counts, color=_BLUE, alpha=0.5, linewidth=8)
    return [lines, *ax.plot(counts, rows, "o", markersize=8, color=_BLUE, alpha=0.6)]


def _shade(ax: Axes) -> None:
    """Grey between every other pair of ticks."""
    low, high = ax.get_xlim()
    edges = [low, *(tick for tick in ax.get_xticks() if low < tick < high), high]
    for start, end in zip(edges[1::2], edges[2::2], strict=False):
        ax.axvspan(start, end, zorder=0, facecolor="lightgrey", alpha=0.7)


def _steps(name: str, num_steps: int | Literal[False], data: npt.NDArray[Any]) -> int:
    steps = num_steps or len(data)
    if steps > len(data):
        raise InputError(
            f"{name}(num_steps={num_steps}): the data has {len(data)} steps; give as many or fewer"
        )
    return steps


def _check(mem: npt.NDArray[Any], dim: tuple[int, int], titles: Sequence[str] | None) -> None:
    if mem.ndim != 2 or mem.shape[1] < prod(dim):
        raise InputError(
            f"traces draws {prod(dim)} neurons (dim={dim}) of membranes [T, N], "
            f"but was given {list(mem.shape)}; choose a smaller dim, or one sample of a batch: data[:, 0]"
        )
    if titles is not None and len(titles) < prod(dim):
        raise InputError(f"traces needs {prod(dim)} titles, one for each plot, not {len(titles)}")
