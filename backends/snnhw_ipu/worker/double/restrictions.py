"""What of an operation that has a handler goes wrong all the same, on its way to PopART and Poplar."""

from __future__ import annotations

from typing import Any, Callable

import torch

from .graph import Graph, Node, base_name

__all__ = ["RESTRICTIONS", "restricted"]


def restricted(graph: Graph) -> list[str]:
    """Operations that fail, each with the reason."""
    found = []
    for node in graph.nodes:
        name = base_name(node.function)
        reason = RESTRICTIONS[name](node, graph) if name in RESTRICTIONS else ""
        if reason:
            found.append("aten::%s %s" % (name, reason))
    return list(dict.fromkeys(found))


def _cumsum(node: Node, graph: Graph) -> str:
    """PopTorch makes it a convolution: the data in float32, a kernel of ones in the data's own dtype."""
    dtype = graph.shapes[node.operands()[0]][1]
    if dtype == torch.float32 or not dtype.is_floating_point:
        return ""
    return (
        "of %s becomes a convolution of float32 data with a kernel of %s, which Poplar refuses: "
        "Convolution/MatMul input types must match; cast to float32 first" % (dtype, dtype)
    )


def _avg_pool(node: Node, graph: Graph) -> str:
    """PopTorch hands the padding on in an order that is read as another one."""
    padding = _given(node, "padding", 3) or [0]
    if len(set(padding)) == 1:
        return ""
    return (
        "with padding %s pads other axes than it is told, unless it is the same on all of them; pad "
        "first, and pool without padding" % list(padding)
    )


def _given(node: Node, name: str, place: int) -> Any:
    return node.kwargs.get(name, node.args[place] if len(node.args) > place else None)


RESTRICTIONS: dict[str, Callable[[Node, Graph], str]] = {
    "cumsum": _cumsum,
    "avg_pool2d": _avg_pool,
    "avg_pool3d": _avg_pool,
}
"""Operation -> why one that was recorded fails; an empty text if it does not."""
