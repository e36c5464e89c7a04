"""What every tutorial may be told, and how its figures look.

``python examples/tutorials/training.py --backend reference --small``
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import NamedTuple

import matplotlib.pyplot as plt

__all__ = ["Settings", "settings"]

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's: told apart by people who see two of three colours only."""

INK = "#7d8791"
"""Read on a light and on a dark page."""

LOOK = {
    "figure.figsize": (7, 2.6),
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": plt.cycler(color=COLOURS),
    "legend.frameon": False,
    **dict.fromkeys(("axes.edgecolor", "axes.labelcolor", "axes.titlecolor", "text.color"), INK),
    **dict.fromkeys(("xtick.color", "ytick.color"), INK),
}


class Settings(NamedTuple):
    """As given on the command line; in a notebook the defaults."""

    backend: str
    small: bool


def settings() -> Settings:
    """Read the command line, and set how figures look."""
    plt.rcParams.update(LOOK)
    parser = ArgumentParser(allow_abbrev=False)
    parser.add_argument("--backend", default="cpu", help="one that `snnhw backends` lists")
    parser.add_argument("--small", action="store_true", help="less training: shows that all runs, no more")
    told, _ = parser.parse_known_args()  # a notebook's kernel has arguments of its own
    return Settings(told.backend, told.small)
