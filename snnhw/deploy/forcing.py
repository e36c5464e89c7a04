"""One layer of a program by itself, given the spikes that the others fired."""

from __future__ import annotations

from dataclasses import replace

from snnhw.ir import Fixed, FrozenMap, Input, Neuron, Op, Output, Program, infer_shapes

__all__ = ["forced"]


def forced(program: Program, node: str, spikes: int) -> Program:
    """The neurons ``node`` with the layers that feed them; in the place of other neurons stand inputs of
    their names, and in that of the neurons' own spikes one of theirs with ``_`` behind it.

    Args:
        spikes: bits of a spike count, for a program of integers.
    """
    shapes = infer_shapes(program).shapes
    nodes: dict[str, Op] = {node: program.nodes[node]}
    edges = []
    waiting = [node]
    while waiting:
        for edge in (e for e in program.edges if e.target.node == waiting[0]):
            source = edge.source.node
            op = program.nodes[source]
            if isinstance(op, Neuron) and edge.source.port == "spk":
                name = f"{source}_" if source == node else source
                nodes[name] = Input(shapes[edge.src])
                edges.append(replace(edge, src=f"{name}.y"))
                continue
            edges.append(edge)
            if source not in nodes:
                nodes[source] = op
                waiting.append(source)
        del waiting[0]
    nodes["forced"] = Output()
    edges = [edge for edge in program.edges if edge in edges] + [e for e in edges if e not in program.edges]
    edges.append(replace(edges[0], src=f"{node}.spk", dst="forced.x", delay=0))
    found = Program(FrozenMap(nodes), tuple(edges), program.time)
    if not program.formats:
        return found
    own = {*found.params(), *(f"{name}.{port}" for name, op in nodes.items() for port in op.out_ports)}
    kept = {key: form for key, form in program.formats.items() if key in own}
    counts = dict.fromkeys((f"{name}.y" for name in found.named(Input)), Fixed(spikes, signed=False))
    return replace(found, formats=FrozenMap({**counts, **kept}))
