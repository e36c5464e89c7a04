"""Traces as SVG: what a backend gave, and what it should have given."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import isfinite
from typing import Final

from snnhw.conformance.checks.evidence import Curve

__all__ = ["drawing"]

WIDTH: Final = 560
HEIGHT: Final = 120
MARGIN: Final = 14


def drawing(trace: Curve, mark: int | None = None) -> str:
    """An ``<svg>`` of both, step by step or entry by entry.

    Args:
        mark: the step at which they part, if it is to be marked.
    """
    numbers = [value for value in (*trace.got, *trace.wanted) if isfinite(value)] or [0.0]
    low, high = min(numbers), max(numbers)
    scale = _Scale(len(trace.got), low, high)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(trace.what)}">',
        f'<text x="{MARGIN}" y="11">{escape(trace.what)}: {low:.6g} to {high:.6g}</text>',
        f'<text x="{WIDTH - MARGIN}" y="11" text-anchor="end">{len(trace.got)} {trace.over}</text>',
    ]
    if mark is not None:
        x = scale.x(mark)
        parts.append(f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{MARGIN}" y2="{HEIGHT}"/>')
    parts.append(_line(trace.wanted, scale, "wanted"))
    parts.append(_line(trace.got, scale, "got"))
    return "".join([*parts, "</svg>"])


class _Scale:
    """From steps and values to places in the picture."""

    def __init__(self, steps: int, low: float, high: float) -> None:
        self.steps, self.low, self.span = steps, low, high - low

    def x(self, step: int) -> float:
        return MARGIN + (WIDTH - 2 * MARGIN) * (step / (self.steps - 1) if self.steps > 1 else 0.5)

    def y(self, value: float) -> float:
        share = (value - self.low) / self.span if self.span else 0.5
        return HEIGHT - MARGIN - (HEIGHT - 2.5 * MARGIN) * share


def _line(values: Sequence[float], scale: _Scale, name: str) -> str:
    """A line with a dot at every step; what is not finite is left out."""
    points = [(scale.x(step), scale.y(value)) for step, value in enumerate(values) if isfinite(value)]
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    radius = 3 if name == "wanted" else 1.8
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}"/>' for x, y in points)
    return f'<g class="{name}"><polyline points="{joined}"/>{dots}</g>'
