"""Plots of a whole network and of its training: rates of layers, histograms, loss and accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from snnhw.errors import InputError
from snnhw.spikeplot.host import host
from snnhw.words import brief

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase
    from matplotlib.lines import Line2D
    from matplotlib.patches import StepPatch

__all__ = ["COLOURS", "histogram", "rates", "training_curves"]

COLOURS: Final = ("#2684C6", "#D55E00", "#009E73", "#B55E97", "#8A7A00", "#5B6BB0")
"""Told apart by people who see two of three colours only, and seen on a light and on a dark ground."""

DASHES: Final = ("-", "--", "-.", ":")
"""What tells lines apart without colours."""


def rates(data: Mapping[str, Any], ax: Axes, **kwargs: Any) -> list[Line2D]:
    """How much layers fire over time: a line for each, and a legend.

    Args:
        data: layer -> spikes ``[T, ...]``, a tensor or array, of which each step's mean is drawn: spikes of a
            neuron in a step; ``[T]`` as it is.
        ax: where to draw.
        kwargs: for ``ax.plot``, of every line.

    Raises:
        InputError: no layer, or data without a time axis.
    """
    if not isinstance(data, Mapping) or not data:
        raise InputError(f"rates takes layer -> spikes [T, ...], not {brief(data)}")
    lines = []
    for (name, spikes), style in zip(data.items(), cycle(_styles()), strict=False):
        found = host(spikes)
        if not found.ndim or not found.size:
            raise InputError(f"rates: '{name}' has shape {list(found.shape)}; accepted: [T, ...]")
        mean = found.reshape(len(found), -1).mean(1)
        lines += ax.plot(np.arange(len(mean)), mean, label=name, **{**style, **kwargs})
    ax.set(xlabel="time step", ylabel="spikes of a neuron in a step")
    ax.set_ylim(bottom=0)
    _in_whole_numbers(ax)
    ax.legend(frameon=False)
    return lines


def histogram(data: Any, ax: Axes, *, edges: Any = None, bins: int = 64, **kwargs: Any) -> StepPatch:
    """How many values lie where: of weights, of membranes.

    Args:
        data: values of any shape; with ``edges`` what was counted between them, one number less.
        ax: where to draw.
        edges: where bins begin and end.
        bins: how many, where there are no edges.
        kwargs: for ``ax.stairs``.

    Raises:
        InputError: no values, some that are not finite, or edges that do not fit.
    """
    found = host(data).ravel()
    if not found.size or not np.isfinite(found).all():
        outside = int((~np.isfinite(found)).sum())
        raise InputError(f"histogram takes finite values; of these {found.size}, {outside} are not")
    if edges is None:
        found, edges = np.histogram(found, bins)
    elif len(host(edges)) != len(found) + 1:
        raise InputError(
            f"histogram takes one edge more than there are counts: {len(found) + 1}, not {len(host(edges))}"
        )
    return ax.stairs(found, host(edges), **{"fill": True, "color": COLOURS[0], **kwargs})


def training_curves(history: Any, fig: FigureBase | None = None) -> list[Axes]:
    """Loss, and where it is known the accuracy, epoch by epoch.

    Args:
        history: what `snnhw.training.fit` returns; or its epochs.
        fig: where to draw; None: pyplot's current figure.

    Returns:
        the axes of the loss, and of the accuracy where there is one.

    Raises:
        InputError: there is no epoch in it.
    """
    epochs = list(getattr(history, "epochs", history))
    if not epochs:
        raise InputError("training_curves: the history has no epoch yet; train one")
    if fig is None:
        from matplotlib import pyplot as plt

        fig = plt.gcf()
    scored = [epoch for epoch in epochs if epoch.validation is not None]
    right = [epoch for epoch in scored if epoch.validation.accuracy is not None]
    axes = [fig.add_subplot(1, 2 if right else 1, 1)]
    first, second, *_ = _styles()
    axes[0].plot([e.number for e in epochs], [e.loss for e in epochs], label="training", **first)
    if scored:
        numbers = [e.number for e in scored]
        axes[0].plot(numbers, [e.validation.loss for e in scored], label="validation", **second)
    axes[0].set(xlabel="epoch", ylabel="loss")
    axes[0].legend(frameon=False)
    _in_whole_numbers(axes[0])
    if right:
        axes.append(fig.add_subplot(1, 2, 2))
        axes[1].plot([e.number for e in right], [e.validation.accuracy for e in right], **second)
        axes[1].set(xlabel="epoch", ylabel="accuracy of the validation")
        _in_whole_numbers(axes[1])
    return axes


def _in_whole_numbers(ax: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def _styles() -> list[dict[str, Any]]:
    """Of lines, each with a colour and dashes of its own."""
    return [{"color": c, "linestyle": d} for c, d in zip(COLOURS, cycle(DASHES), strict=False)]
