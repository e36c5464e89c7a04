"""Neurons whose membranes something is done to before they are held against the threshold.

... -> NAME.pool -> NAME      the pooled membranes fire; states stay as they are
NAME.filter -> NAME           membranes are rounded where they are seen, and not in what is carried on
"""

from __future__ import annotations

from snnhw.ir.composites.composite import Composite
from snnhw.ir.expr import nearest, var
from snnhw.ir.frozen import FrozenMap
from snnhw.ir.models.consistency import SPK
from snnhw.ir.ops import Neuron, Op, Pointwise
from snnhw.ir.ops.neuron import GRADED, LEVELS
from snnhw.ir.params import Param
from snnhw.ir.program import Edge
from snnhw.ir.surrogates import by_equations, spike

__all__ = ["pooled", "rounded"]

MEM = "mem"


def pooled(name: str, layer: Composite, pool: Op, op: Neuron) -> Composite:
    """Spikes of the pooled membranes, in place of those of the layer's own."""
    node = f"{name}.pool"
    return Composite(
        nodes=layer.nodes | {node: pool, name: _fire(op, (SPK,))},
        inputs=layer.inputs,
        outputs=FrozenMap({SPK: f"{name}.{SPK}"} | {p: s for p, s in layer.outputs.items() if p != SPK}),
        edges=(*layer.edges, Edge(layer.outputs[MEM], f"{node}.x"), Edge(f"{node}.y", f"{name}.{MEM}")),
        states=layer.states,
    )


def rounded(name: str, layer: Composite, op: Neuron) -> Composite:
    """Spikes and membranes of a layer, rounded to the levels of ``op``, in place of its own."""
    return Composite(
        nodes=layer.nodes | {name: _fire(op, (SPK, MEM))},
        inputs=layer.inputs,
        outputs=FrozenMap({SPK: f"{name}.{SPK}", MEM: f"{name}.{MEM}"}),
        edges=(*layer.edges, Edge(layer.outputs[MEM], f"{name}.{MEM}")),
        states=layer.states,
    )


def _fire(op: Neuron, shown: tuple[str, ...]) -> Pointwise:
    """What is left of the neurons when their membranes are known; those are rounded first where ``op`` is
    quantised."""
    mem = nearest(var(MEM), LEVELS) if op.quantised else var(MEM)
    h = spike(mem - var("threshold"), by_equations(op.surrogate))
    outputs = {SPK: h * var(GRADED.name) if op.graded else h, MEM: mem}
    own = [param for param in op.model.params if param.name == "threshold"]
    params = (*own, *([GRADED] if op.graded else []), *([Param(LEVELS)] if op.quantised else []))
    names = {param.name for param in params}
    return Pointwise(
        FrozenMap({port: outputs[port] for port in shown}),
        ports=(MEM,),
        parameters=params,
        param_shapes=FrozenMap({key: shape for key, shape in op.param_shapes.items() if key in names}),
    )
