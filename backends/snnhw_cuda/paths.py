"""What a GPU's kernels decide by size or threshold, and how each way can be forced."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from snnhw.tensors.execution.paths import ALWAYS, Path, Paths

__all__ = ["PATHS"]

PATHS: Final[Paths] = MappingProxyType(
    {
        "blocks": Path(
            "a program takes {block} neurons of a row, or fewer where a row has fewer",
            {"small": {"block": 32}, "large": {"block": 2048}},
        ),
        "rows": Path(
            "layers of fewer than {narrow} neurons with parameters of their own are one long row",
            {"one": {"narrow": ALWAYS}, "each": {"narrow": 0}},
        ),
        "groups": Path(
            "{group} steps are loaded at once, or fewer where a thread has no registers for them",
            {"single": {"group": 1}, "eight": {"group": 8}},
        ),
        "chunks": Path(
            "on the way back the states of {chunk} steps are kept at once",
            {"whole": {"chunk": ALWAYS}, "small": {"chunk": 3}},
        ),
        "loops": Path(
            "{held} bytes of a loop's signals are kept for the way back, the rest is computed again; "
            "autograd records a single step",
            {
                "kept": {"held": ALWAYS, "passing": ALWAYS},
                "again": {"held": 1, "passing": 1},
                "recorded": {"derived": False},
            },
        ),
        "spans": Path(
            "evaluation takes as many steps at once as {span} bytes of the largest signal hold, or {fewest}",
            {"whole": {"span": ALWAYS}, "small": {"span": 1, "fewest": 2}},
        ),
    }
)
"""Name of a decision -> what decides it, and its ways."""
