"""Recurrence between the neurons of a layer: spikes come back through a matrix or a convolution.

    NAME             the neurons; input and recurrent current add up at their port
    NAME.recurrent   the last step's spikes -> recurrent current

The delay stands before the product: at the first step it sees no spikes, and gives the bias.
"""

from __future__ import annotations

from snnhw.ir.composites.composite import Composite
from snnhw.ir.models.consistency import SPK
from snnhw.ir.ops import Op
from snnhw.ir.program import Edge

__all__ = ["recurrent"]


def recurrent(name: str, neurons: Composite, connection: Op) -> Composite:
    """The layer ``neurons`` of the same name, heard by itself through ``connection``."""
    node = f"{name}.recurrent"
    back = Edge(neurons.outputs[SPK], f"{node}.x", delay=1)
    return Composite(
        nodes=neurons.nodes | {node: connection},
        inputs=neurons.inputs,
        outputs=neurons.outputs,
        edges=(*neurons.edges, back, *(Edge(f"{node}.y", target) for target in neurons.inputs["x"])),
        states={SPK: (back.key,)} | neurons.states,
    )
