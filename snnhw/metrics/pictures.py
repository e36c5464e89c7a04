"""Pictures of a report, as SVG: lines and words in the colour of the page that they stand on.

Layers are told apart by dashes and by words as well as by colours, so that nobody has to see three of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from io import StringIO
from math import ceil
from typing import TYPE_CHECKING, Final

from snnhw.metrics.histogram import Histogram
from snnhw.metrics.records import NetworkReport, Proxies
from snnhw.spikeplot import histogram, rates
from snnhw.spikeplot.curves import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["DRAWN", "chip", "pictures"]

INK: Final = "#010203"
"""Put in the place of the page's own colour until the SVG is written."""

DRAWN: Final = 20_000
"""Spikes of a layer that are drawn; of more, as many, evenly taken."""

VECTORS: Final = 2000
"""Spikes of a layer up to which each is drawn as lines; more become a picture of points."""

ROW: Final = 3
"""Plots side by side."""


def pictures(report: NetworkReport) -> Iterator[tuple[str, str]]:
    """Title and SVG of each."""
    if report.layers:
        yield "Activity of layers over time", _written(lambda f: _activity(report, f), 8, 3)
        yield (
            "Spikes of the first sample",
            _written(lambda f: _raster(report, f), 8, 1.6 * len(report.layers)),
        )
        membranes = {each.name: each.membrane for each in report.layers if each.membrane is not None}
        if membranes:
            yield "Membranes after each step", _histograms(membranes)
    if report.weights:
        yield "Weights", _histograms(report.weights)


def chip(found: Proxies) -> str:
    """Spikes of a chip's layers at each step, as SVG."""
    sizes = {layer.name: layer.neurons for layer in found.layers}
    seen = {layer.name: [n / sizes[layer.name] for n in layer.per_step] for layer in found.layers}
    return _written(lambda figure: _lines(seen, figure), 8, 3)


def _activity(report: NetworkReport, figure: Figure) -> Axes:
    seen = {
        each.name: each.per_step / (each.neurons * each.samples) if each.neurons else each.per_step
        for each in report.layers
    }
    return _lines(seen, figure)


def _lines(seen: Mapping[str, object], figure: Figure) -> Axes:
    ax = figure.add_subplot()
    rates(seen, ax)
    legend = ax.get_legend()
    assert legend is not None
    ax.legend(frameon=False, labelcolor=INK, loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def _raster(report: NetworkReport, figure: Figure) -> None:
    from matplotlib.ticker import MaxNLocator

    sizes = [min(max(each.neurons, 8), 64) for each in report.layers]
    axes = figure.subplots(len(sizes), 1, sharex=True, squeeze=False, height_ratios=sizes)[:, 0]
    for ax, layer in zip(axes, report.layers, strict=True):
        steps, neurons = report.raster[layer.name]
        every = ceil(len(steps) / DRAWN) or 1
        dots = ax.plot(steps[::every], neurons[::every], linestyle="", marker="|", color=COLOURS[0])
        dots[0].set_rasterized(len(steps) > VECTORS)
        told = "" if every == 1 else f", one spike of {every} drawn"
        ax.set(ylim=(-0.5, layer.neurons - 0.5), xlim=(-0.5, report.time_steps - 0.5))
        ax.set_title(f"{layer.name} ({layer.model}, {layer.neurons:,} neurons{told})", loc="left", fontsize=9)
        ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes[-1].set_xlabel("time step")
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))


def _histograms(found: Mapping[str, Histogram]) -> str:
    rows = ceil(len(found) / ROW)
    return _written(lambda figure: _all(found, rows, figure), 8, 0.4 + 1.7 * rows)


def _all(found: Mapping[str, Histogram], rows: int, figure: Figure) -> None:
    for number, (name, each) in enumerate(found.items(), 1):
        ax = figure.add_subplot(rows, min(ROW, len(found)), number)
        if len(each.counts) == 1:
            ax.text(
                0.5, 0.5, f"all are {each.edges[0]:.4g}", ha="center", va="center", transform=ax.transAxes
            )
            ax.set(xticks=[], yticks=[])
        else:
            histogram(each.counts, ax, edges=each.edges)
            ax.set(yscale="symlog", ylabel="values")
        ax.set_title(f"of {name}", loc="left", fontsize=9)


def _written(draw: Callable[[Figure], object], width: float, height: float) -> str:
    """A figure as SVG, for the middle of a page."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": "snnhw", "font.size": 9}
    ):  # words stay words
        figure = Figure(figsize=(width, height), layout="constrained")
        figure.patch.set_alpha(0)
        draw(figure)
        for ax in figure.axes:
            _in_ink(ax)
        out = StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None}, dpi=120)
    text = out.getvalue()
    head, _, drawn = text[text.index("<svg") :].partition("<metadata>")
    return (head + drawn.partition("</metadata>")[2]).replace(INK, "currentColor")


def _in_ink(ax: Axes) -> None:
    ax.patch.set_alpha(0)
    ax.tick_params(colors=INK, which="both")
    for spine in ("top", "right"):
        ax.spines[spine].set_visible(False)
    for spine in ("bottom", "left"):
        ax.spines[spine].set_color(INK)
    for words in (ax.xaxis.label, ax.yaxis.label, ax.title, *ax.texts):
        words.set_color(INK)
    ax._left_title.set_color(INK)  # type: ignore[attr-defined]
