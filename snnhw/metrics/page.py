"""A report as one page for a browser: nothing is loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final

from snnhw.metrics.pictures import chip, pictures
from snnhw.metrics.record import LABEL
from snnhw.metrics.records import NetworkReport, Proxies
from snnhw.metrics.tables import Rows, layers, limits, network, populations, weights

__all__ = ["page"]

STYLE: Final = """
:root { color-scheme: light dark; --line: #8885; --calm: #777; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.2; } h2 { font-size: 1.15rem; margin: 2rem 0 .3rem; }
p { margin: .3rem 0; }
table { border-collapse: collapse; margin: .5rem 0 1rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .8rem .2rem 0; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; }
.number { text-align: right; }
.label { border: 2px solid currentColor; padding: .1rem .5rem; border-radius: 4px; font-size: .6em; }
.scroll { overflow-x: auto; }
svg { width: 100%; height: auto; display: block; }
"""


def page(report: NetworkReport, title: str) -> str:
    """The whole page, as HTML.

    Args:
        title: what was reported on, such as the name of its file.
    """
    label = f' <span class="label">{escape(report.label)}</span>' if report.label else ""
    said = f"Run on {report.backend}: T = {report.time_steps}, {report.samples:,} samples."
    body = [
        f"<h1>{escape(title)}{label}</h1><p>{escape(said)}</p>",
        _table(network(report)),
        "<h2>Layers that fire</h2>",
        "<p>Rate: spikes of a neuron in a step. Silent: neurons that never fired.</p>",
        _table(layers(report)),
        "<h2>Synaptic operations of a sample</h2><p>As NeuroBench counts them.</p>",
        _table(weights(report)),
    ]
    for name, svg in pictures(report):
        body.append(f'<h2>{escape(name)}</h2><div role="img" aria-label="{escape(name)}">{svg}</div>')
    if report.proxies is not None:
        body += _proxies(report.proxies)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )


def _proxies(found: Proxies) -> Iterator[str]:
    yield f"<h2>{escape(found.target)}</h2><p>{escape(found.label)}</p><p><b>{escape(LABEL)}</b></p>"
    yield _table(populations(found))
    yield f'<div role="img" aria-label="Spikes on the chip over time">{chip(found)}</div>'
    yield _table(limits(found))


def _table(rows: Rows) -> str:
    head = "".join(_cell("th", word, word in rows.right) for word in rows.heads)
    body = (
        "".join(_cell("td", cell, word in rows.right) for word, cell in zip(rows.heads, row, strict=True))
        for row in rows.rows
    )
    lines = "".join(f"<tr>{cells}</tr>" for cells in body)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'


def _cell(kind: str, text: str, number: bool) -> str:
    return f"<{kind}{' class=number' if number else ''}>{escape(text)}</{kind}>"
