"""Plots of spikes and membranes under snnTorch's names: ``raster``, ``traces``.

Both draw into figures that the caller made. matplotlib is imported when something is drawn, and none
of its global settings is touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from snnhw.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.figure import FigureBase

__all__ = ["raster", "traces"]


def raster(data: Any, ax: Axes, **kwargs: Any) -> PathCollection:
    """A dot for every spike: time to the right, neurons upwards.

    Args:
        data: spikes ``[T, N]``, a tensor or array; ``[T]`` for a single neuron.
        ax: where to draw.
        kwargs: for ``ax.scatter``, such as ``s=1.5, c="black"``.

    Raises:
        InputError: data of another rank; pick one sample of a batch first.
    """
    spikes = _host(data)
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
    mem = _host(data)
    _check(mem, dim, titles)
    if spk is not None:
        spikes = _host(spk)
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


def _check(mem: npt.NDArray[Any], dim: tuple[int, int], titles: Sequence[str] | None) -> None:
    if mem.ndim != 2 or mem.shape[1] < prod(dim):
        raise InputError(
            f"traces draws {prod(dim)} neurons (dim={dim}) of membranes [T, N], "
            f"but was given {list(mem.shape)}; choose a smaller dim, or one sample of a batch: data[:, 0]"
        )
    if titles is not None and len(titles) < prod(dim):
        raise InputError(f"traces needs {prod(dim)} titles, one for each plot, not {len(titles)}")


def _host(data: Any) -> npt.NDArray[Any]:
    """A tensor of any device, with or without a gradient, or anything NumPy takes."""
    return np.asarray(data.detach().cpu().numpy() if hasattr(data, "detach") else data)
