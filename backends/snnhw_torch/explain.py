"""What a torch backend would do with a program, as tables."""

from __future__ import annotations

from snnhw.plugin import Explanation
from snnhw.tensors.network import Network

__all__ = ["explain"]

_MEANING = {
    "once": "nothing in it changes over time",
    "folded": "all steps as one batch",
    "timed": "all steps at once, told apart",
    "scan": "one kernel over all steps",
    "stepped": "a loop over time",
    "chained": "as one; large signals a block at a time",
}


def explain(network: Network) -> Explanation:
    """The schedule, a row for each stage."""
    rows = [("stage", "nodes", "runs", "because")]
    for number, stage in enumerate(network.stages):
        rows.append((str(number), ", ".join(stage.nodes), stage.mode, _MEANING[stage.mode]))
    return Explanation(tables={"schedule": tuple(rows)})
