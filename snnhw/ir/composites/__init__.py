"""Layers made of several ops: neurons that hear each other, gates, inhibition.

Each function takes the layer's dotted name and gives a `Composite`, which a front end runs, capture
writes into a program, and files and foreign formats know as the plain nodes and edges it is.
"""

from __future__ import annotations

from snnhw.ir.composites.composite import Composite, single, tied
from snnhw.ir.composites.fired import pooled, rounded
from snnhw.ir.composites.inhibited import inhibited
from snnhw.ir.composites.lstm import convolutional_lstm, dense_lstm
from snnhw.ir.composites.recurrent import recurrent
from snnhw.ir.composites.sequences import associative, behind, fully_connected, truncated

__all__ = [
    "Composite",
    "associative",
    "behind",
    "convolutional_lstm",
    "dense_lstm",
    "fully_connected",
    "inhibited",
    "pooled",
    "recurrent",
    "rounded",
    "single",
    "tied",
    "truncated",
]
