"""What the CPU decides by measurement, size or threshold, and how each way can be forced."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from snnhw.tensors.execution.paths import ALWAYS, Path, Paths

__all__ = ["PATHS"]

PATHS: Final[Paths] = MappingProxyType(
    {
        "linear": Path(
            "measured costs, at the activity of the input; in training, of the first batch not silent; "
            "lookups are for inputs of 0 and 1 alone",
            {"dense": {"way": "dense"}, "skip": {"way": "skip"}, "lookup": {"way": "lookup"}},
        ),
        "chains": Path(
            "a product and what stands around it run as one, {block} bytes of a large signal at a time",
            {"apart": {"block": 0}, "whole": {"block": ALWAYS}, "blocks": {"block": 1}},
        ),
        "pools": Path(
            "windows inside the image, of at most 255 places, keep one byte each",
            {"torch": {"own_pools": False}, "bytes": {"own_pools": True}},
        ),
        "loops": Path(
            "neurons and linear layers with up to {fused} bytes of weights are one kernel; {held} bytes of a "
            "loop's signals are kept for the way back, the rest is computed again; autograd records a single "
            "step",
            {
                "fused": {"fused": ALWAYS, "held": ALWAYS},
                "fused-again": {"fused": ALWAYS, "held": 1},
                "kept": {"fused": 0, "held": ALWAYS, "passing": ALWAYS},
                "again": {"fused": 0, "held": 1, "passing": 1},
                "recorded": {"derived": False},
            },
        ),
        "spans": Path(
            "evaluation takes as many steps at once as {span} bytes of the largest signal hold, or {fewest}",
            {"whole": {"span": ALWAYS}, "small": {"span": 1, "fewest": 2}},
        ),
        "steps": Path(
            "calls of the same sizes are a list of what they compute, once {warm} have been made, if it "
            "holds up to {listed} bytes; other steps of training play a tape; what depends on the call, "
            "autograd records",
            {
                "autograd": {"taped": False, "listed": 0},
                "tape": {"listed": 0},
                "list": {"listed": ALWAYS, "warm": 0},
            },
        ),
        "threads": Path(
            "a further thread for every {wake} elements times steps, as far as there are tiles of them; for "
            "a while after a wait for a core that others keep busy, small work takes one",
            {"one": {"wake": ALWAYS}, "many": {"wake": 0, "tile": 8}},
        ),
        "tiles": Path(
            "a kernel takes {tile} neurons at a time, and on the way back {chunk} steps; that of a loop as "
            "many samples as have {together} together",
            {
                "whole": {"tile": ALWAYS, "chunk": ALWAYS, "together": ALWAYS},
                "small": {"tile": 8, "chunk": 2, "together": 1},
            },
        ),
        "rows": Path(
            "layers of fewer than {narrow} neurons with parameters of their own are one long row",
            {"one": {"narrow": ALWAYS}, "each": {"narrow": 0}},
        ),
        "memory": Path(
            "buffers from {reuse} bytes on are used again",
            {"fresh": {"reuse": ALWAYS}, "again": {"reuse": 0}},
        ),
    }
)
"""Name of a decision -> what decides it, and its ways. Where two decisions move one limit, the later one
does: there are many threads only as far as there are tiles of them."""
