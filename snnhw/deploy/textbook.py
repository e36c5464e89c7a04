"""A chip's parameters as a network of textbook neurons, for files of other tools: what they load is what the
chip computes, but for its rounding of states."""

from __future__ import annotations

from typing import Final

import numpy as np

from snnhw.errors import ExportError
from snnhw.ir import Edge, FrozenMap, Input, Linear, Neuron, Op, Output, Params, Program, Shape, TimeAxis
from snnhw.ir.models.textbook import textbook
from snnhw.target import Quantised

__all__ = ["STEP", "textbook_program"]

STEP: Final = 1e-4
"""Seconds of a step there, as readers of such files take for granted; chips have none, and any will do."""


def textbook_program(made: Quantised) -> tuple[Program, Params]:
    """Current-based neurons whose gains are 1 a step, in the network's units; the chip's delays left out.

    Raises:
        ExportError: a membrane without a leak behind a current, or a reset that textbook neurons do not have.
    """
    network = made.network
    problems = [
        f"{name}: no textbook neuron of current and membrane resets by subtraction, or is without a leak"
        for name, cells in network.populations.items()
        if cells.reset != "zero" or np.any(cells.beta >= 1)
    ]
    problems += [
        f"{p.name}: it leads back, which takes a delay" for p in network.projections if p.source == p.target
    ]
    if problems:
        raise ExportError(problems)
    nodes: dict[str, Op] = {name: Input((int(np.prod(shape)),)) for name, shape in network.inputs.items()}
    edges: list[Edge] = []
    params: Params = {}
    for name, cells in network.populations.items():
        tau_syn, tau_mem = STEP / (1 - cells.alpha), STEP / (1 - cells.beta)
        values = {
            "tau_syn": tau_syn,
            "tau_mem": tau_mem,
            "w_in": tau_syn / STEP,
            "r": tau_mem / STEP,
            "v_leak": cells.bias * tau_mem / STEP,
            "v_threshold": cells.threshold,
            "v_reset": np.zeros(cells.size),
        }
        shapes: FrozenMap[str, Shape] = FrozenMap(dict.fromkeys(values, (cells.size,)))
        model = textbook("CubaLIF", "euler")
        nodes[name] = Neuron(model, reset="to_value", timing="immediate", param_shapes=shapes)
        params |= {f"{name}.{key}": x for key, x in values.items()}
    for each in network.projections:
        nodes[each.name] = Linear(network.width(each.source), network.width(each.target), bias=False)
        params[f"{each.name}.weight"] = np.asarray(each.weight)
        port = f"{each.source}.y" if each.source in network.inputs else f"{each.source}.spk"
        edges += [Edge(port, f"{each.name}.x"), Edge(f"{each.name}.y", f"{each.target}.x")]
    for name, source in network.outputs.items():
        nodes[name] = Output()
        edges.append(Edge(f"{source}.spk", f"{name}.x"))
    return Program(FrozenMap(nodes), tuple(edges), TimeAxis(STEP)), params
