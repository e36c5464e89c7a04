"""What was recorded: a flat list of operations, what of them PopTorch can lower, and running it again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map

from .errors import Error
from .gradients import GRADIENTS

__all__ = [
    "IDENTITY_LOSS",
    "Graph",
    "Node",
    "Ref",
    "base_name",
    "call",
    "differentiated",
    "final_loss",
    "narrowed",
    "unsupported",
]

OPS: dict[str, Any] = json.loads(Path(__file__).with_name("ops.json").read_text(encoding="utf-8"))
IDENTITY_LOSS = "poptorch::identity_loss"

NARROWER = {torch.int64: torch.int32, torch.float64: torch.float32, torch.bfloat16: torch.float32}
"""What a device without 64-bit numbers makes of them."""

WIDE_INDEX = {"embedding", "gather", "index", "nll_loss2d_forward", "nll_loss_forward", "one_hot", "scatter"}
"""Operations whose indices torch wants in 64 bits."""


@dataclass(frozen=True)
class Ref:
    """A tensor of the graph, by number."""

    index: int


@dataclass(frozen=True)
class Node:
    """One recorded operation: ``aten`` overload, or a name of PopTorch's own; operands hold `Ref`."""

    function: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    results: tuple[int, ...]
    marked: bool = False

    def operands(self) -> list[int]:
        """Numbers of the tensors that it reads."""
        leaves = tree_flatten((self.args, dict(self.kwargs)))[0]
        return [leaf.index for leaf in leaves if isinstance(leaf, Ref)]


@dataclass
class Graph:
    """A recorded forward pass.

    Attributes:
        nodes: in order.
        arguments: numbers of the inputs' tensors; named: name of a parameter or buffer -> number.
        constants: number -> tensor made while capturing.
        outputs: what forward returned, with `Ref` for tensors.
        updated: buffer -> number of the value it has afterwards; mutated: input -> likewise.
        shapes: number -> shape and dtype.
    """

    nodes: list[Node] = field(default_factory=list)
    arguments: list[int] = field(default_factory=list)
    named: dict[str, int] = field(default_factory=dict)
    constants: dict[int, Tensor] = field(default_factory=dict)
    outputs: Any = None
    updated: dict[str, int] = field(default_factory=dict)
    mutated: dict[int, int] = field(default_factory=dict)
    shapes: dict[int, tuple[tuple[int, ...], torch.dtype]] = field(default_factory=dict)

    def run(self, inputs: Sequence[Tensor], weights: Mapping[str, Tensor]) -> dict[int, Tensor]:
        """Execute it on the host: number -> value. Differentiable to ``weights``, by PopART's rules."""
        values: dict[int, Tensor] = dict(self.constants)
        values.update(zip(self.arguments, inputs))
        values.update({number: weights[name] for name, number in self.named.items()})
        for node in self.nodes:
            args, kwargs = tree_map(lambda leaf: _look_up(leaf, values), (node.args, dict(node.kwargs)))
            found = _execute(node, args, kwargs)
            values.update(zip(node.results, found))
        return values


def _look_up(leaf: Any, values: Mapping[int, Tensor]) -> Any:
    return values[leaf.index] if isinstance(leaf, Ref) else leaf


def _execute(node: Node, args: Any, kwargs: dict[str, Any]) -> list[Tensor]:
    if node.function == IDENTITY_LOSS:
        return [REDUCTIONS[args[1]](args[0])]
    rule = GRADIENTS.get(base_name(node.function))
    if rule is not None and torch.is_grad_enabled():
        return [narrowed(leaf) for leaf in rule(*args, **kwargs)]
    if "device" in kwargs:
        kwargs["device"] = torch.device("cpu")
    return [leaf for leaf in tree_flatten(call(node.function, args, kwargs))[0] if isinstance(leaf, Tensor)]


REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda x: x.clone(),
    "sum": lambda x: x.sum(),
    "mean": lambda x: x.mean(),
}


def call(function: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
    """An operation as a device without 64-bit numbers does it."""
    if base_name(function) in WIDE_INDEX:
        args = tree_map(_widened, args)
    try:
        found = function(*args, **kwargs)
    except RuntimeError as error:
        if "not implemented for 'Half'" not in str(error):
            raise
        found = _by_single(function, args, kwargs)  # torch 2.0 multiplies no half numbers on the host
    return tree_map(narrowed, found)


def _by_single(function: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
    """Half numbers in, half numbers out; in between, the host's single ones."""
    wide, named = tree_map(lambda leaf: _cast(leaf, torch.half, torch.float), (args, dict(kwargs)))
    return tree_map(lambda leaf: _cast(leaf, torch.float, torch.half), function(*wide, **named))


def _cast(leaf: Any, old: torch.dtype, new: torch.dtype) -> Any:
    return leaf.to(new) if isinstance(leaf, Tensor) and leaf.dtype == old else leaf


def _widened(leaf: Any) -> Any:
    return leaf.long() if isinstance(leaf, Tensor) and leaf.dtype == torch.int32 else leaf


def narrowed(leaf: Any) -> Any:
    """A tensor without 64-bit numbers; anything else as it is."""
    if isinstance(leaf, Tensor) and leaf.dtype in NARROWER:
        return leaf.to(NARROWER[leaf.dtype])
    return leaf


# -- what PopTorch can lower ---------------------------------------------------------------------------


def base_name(function: Any) -> str:
    """``aten.add.Tensor`` -> ``add``."""
    name: str = function if isinstance(function, str) else function._schema.name  # no other way
    return name.rpartition("::")[2]


def _supported(name: str) -> bool:
    name = OPS["aliases"].get(name, name)
    if name in OPS["refused"]:
        return False
    bare = name[:-1] if name.endswith("_") and name not in OPS["only_inplace"] else name
    return bare in OPS["supported"] or name in OPS["supported"] or name in OPS["accepted"]


def unsupported(graph: Graph) -> list[str]:
    """Operations that have no handler, as PopTorch names them."""
    names = {base_name(node.function) for node in graph.nodes if node.function != IDENTITY_LOSS}
    return sorted("aten::" + name for name in names if not _supported(name))


# -- the loss -------------------------------------------------------------------------------------------


def final_loss(graph: Graph) -> int:
    """The number of the one tensor that training minimises; raises where it cannot be told."""
    marked = [node for node in graph.nodes if node.marked]
    if not marked:
        raise Error("Couldn't find a loss in graph!")
    final = [node for node in marked if not _feeds(graph, node, marked)]
    if len(final) > 1:
        raise Error(
            "Multiple independent losses found in graph. Graph must have one final loss. "
            "Wrap final graph loss in poptorch.identity_loss."
        )
    node = final[0]
    number = node.results[0]
    if torch.Size(graph.shapes[number][0]).numel() != 1:
        raise Error("Loss tensor of shape %s must be a scalar tensor" % (graph.shapes[number][0],))
    if node.function != IDENTITY_LOSS:
        raise Error(
            "the final loss is aten::%s; wrap it in poptorch.identity_loss(loss, 'none'), or what is "
            "added to it afterwards has no gradient" % base_name(node.function)
        )
    if any(number in other.operands() for other in graph.nodes):
        raise Error("something is computed from the final loss; identity_loss must come last")
    if number not in [leaf.index for leaf in tree_flatten(graph.outputs)[0] if isinstance(leaf, Ref)]:
        raise Error("the final loss is not returned; PopTorch may remove what is not connected to an output")
    return number


def _feeds(graph: Graph, node: Node, marked: Sequence[Node]) -> bool:
    """Whether another marked loss is computed from this one."""
    reached: set[int] = set(node.results)
    for other in graph.nodes:
        if other is not node and reached.intersection(other.operands()):
            if any(other is one for one in marked):
                return True
            reached.update(other.results)
    return False


STOPS = ("detach", "full_like", "zeros_like", "ones_like", "empty_like", "new_full", "new_zeros", "new_ones")
"""Operations through which no gradient passes."""


def differentiated(graph: Graph, loss: int) -> set[int]:
    """Numbers of the tensors that have a gradient: floating-point ones that lead to the loss."""
    found = {loss}
    for node in reversed(graph.nodes):
        if found.intersection(node.results) and base_name(node.function) not in STOPS:
            found.update(number for number in node.operands() if graph.shapes[number][1].is_floating_point)
    return found
