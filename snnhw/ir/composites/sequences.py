"""Layers that snnTorch runs over whole sequences: products in front of neurons without a reset."""

from __future__ import annotations

from snnhw.ir.composites.composite import Composite, single
from snnhw.ir.expr import sigmoid, var
from snnhw.ir.frozen import FrozenMap
from snnhw.ir.models.associative import ASSOCIATIVE
from snnhw.ir.ops import Flatten, Linear, MatMul, Neuron, Op, Pointwise, Unflatten
from snnhw.ir.program import Edge

__all__ = ["associative", "behind", "fully_connected", "truncated"]


def behind(name: str, first: Linear, neurons: Composite, *, node: str) -> Composite:
    """Neurons behind a product, which stands at ``NAME.NODE``."""
    product = f"{name}.{node}"
    return Composite(
        nodes={product: first} | neurons.nodes,
        inputs=FrozenMap({"x": (f"{product}.x",)}),
        outputs=neurons.outputs,
        edges=(*neurons.edges, *(Edge(f"{product}.y", target) for target in neurons.inputs["x"])),
        states=neurons.states,
    )


def fully_connected(name: str, neurons: Composite, connection: Linear) -> Composite:
    """Neurons that hear the last membranes of all, through a matrix at ``NAME.hidden``."""
    node = f"{name}.hidden"
    back = Edge(neurons.outputs["mem"], f"{node}.x", delay=1)
    return Composite(
        nodes=neurons.nodes | {node: connection},
        inputs=neurons.inputs,
        outputs=neurons.outputs,
        edges=(*neurons.edges, back, *(Edge(f"{node}.y", target) for target in neurons.inputs["x"])),
        states=FrozenMap({"mem": (back.key,)}),
    )


def truncated(name: str, op: Neuron, steps: int, *, owner: str = "") -> Composite:
    """`StateLeakyTruncated` under one input: what arrives is heard at once, and again ``steps`` later.

    The input passes a node of its own, since an edge of a layer begins at one of its nodes. Parameters belong
    to the layer ``owner``, if that is another.
    """
    node, whole = f"{name}.input", single(name, op, owner=owner)
    return Composite(
        nodes={node: Pointwise(FrozenMap({"y": var("x")}))} | whole.nodes,
        inputs=FrozenMap({"x": (f"{node}.x",)}),
        outputs=whole.outputs,
        edges=(Edge(f"{node}.y", f"{name}.x"), Edge(f"{node}.y", f"{name}.late", delay=steps)),
        states=whole.states,
    )


def associative(name: str, *, features: int, values: int, keys: int, op: Neuron, query: bool) -> Composite:
    """A matrix state [values, keys], written by ``v k^T``, decaying by column, read by a query.

    Nodes ``NAME.to_v``, ``.to_k``, ``.to_alpha`` and ``.to_q`` hold the products. The output is the
    matrix of spikes ``[values * keys]``, or its product with the query ``[values * values]``.
    """
    assert op.model is ASSOCIATIVE
    nodes: dict[str, Op] = {name: op}
    edges: list[Edge] = []

    def projected(node: str, shape: tuple[int, int]) -> str:
        """A product of the input in the given shape; returns the port that gives it."""
        nodes[f"{name}.{node}"] = Linear(features, shape[0] * shape[1])
        nodes[f"{name}.{node}.shaped"] = Unflatten(0, shape)
        edges.append(Edge(f"{name}.{node}.y", f"{name}.{node}.shaped.x"))
        return f"{name}.{node}.shaped.y"

    decay = f"{name}.decay"
    nodes[decay] = Pointwise(FrozenMap({"y": sigmoid(var("x"))}))
    edges += [
        Edge(projected("to_v", (values, 1)), f"{name}.v"),
        Edge(projected("to_k", (1, keys)), f"{name}.k"),
        Edge(projected("to_alpha", (1, keys)), f"{decay}.x"),
        Edge(f"{decay}.y", f"{name}.a"),
    ]
    read = f"{name}.spk"
    if query:
        product = f"{name}.read"
        nodes[product] = MatMul()
        edges += [
            Edge(read, f"{product}.a"),
            Edge(projected("to_q", (keys, values)), f"{product}.b"),
        ]
        read = f"{product}.y"
    flat = f"{name}.output"
    nodes[flat] = Flatten()
    edges.append(Edge(read, f"{flat}.x"))
    products = [
        node for node in nodes if node.startswith(f"{name}.to_") and node.count(".") == name.count(".") + 1
    ]
    return Composite(
        nodes=FrozenMap(nodes),
        inputs=FrozenMap({"x": tuple(f"{node}.x" for node in products)}),
        outputs=FrozenMap({"y": f"{flat}.y"}),
        edges=tuple(edges),
        states=FrozenMap({"mem": (f"{name}.mem",)}),
    )
