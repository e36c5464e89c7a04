"""How a call's arguments must look: as at the first call, and cut into micro-batches."""

from __future__ import annotations

import inspect
from typing import Any, Callable, Dict, Mapping, Sequence, Tuple

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map

from .errors import Error

__all__ = ["check_same", "cut", "gathered"]

HINT = "destroy() the model, or wrap it again, to compile it for other arguments."

Call = Tuple[Tuple[Any, ...], Dict[str, Any]]


def gathered(forward: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call:
    """Arguments by forward's signature, with its defaults."""
    signature = inspect.signature(forward)
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        if "missing" in str(error):
            raise Error("Mandatory parameter missing: %s" % error) from error
        raise AssertionError(str(error)) from error
    bound.apply_defaults()
    return tuple(bound.args), dict(bound.kwargs)


def check_same(first: Call, now: Call) -> None:
    """Raise unless a call looks like the first: structure, types, dtypes, shapes, and values of the rest."""
    (old, old_tree), (new, new_tree) = tree_flatten(first), tree_flatten(now)
    if old_tree != new_tree:
        raise Error("Type mismatch: the arguments are not structured as at compilation. " + HINT)
    for a, b in zip(old, new):
        if isinstance(a, Tensor) != isinstance(b, Tensor) or (
            type(a) is not type(b) and not isinstance(a, Tensor)
        ):
            raise Error(
                "Type mismatch: expected %s but got %s. " % (type(a).__name__, type(b).__name__) + HINT
            )
        if not isinstance(a, Tensor):
            if a != b:
                raise Error("Value mismatch: expected %r but got %r. " % (a, b) + HINT)
        elif a.dtype != b.dtype:
            raise Error("Data type mismatch: expected %s but got %s. " % (a.dtype, b.dtype) + HINT)
        elif a.shape != b.shape:
            raise Error("Shape mismatch: expected %s but got %s. " % (list(a.shape), list(b.shape)) + HINT)


def cut(call: Call, parts: int) -> list[Call]:
    """The first axis of every tensor in equal parts, in order."""

    def piece(number: int) -> Call:
        def of(leaf: Any) -> Any:
            if not isinstance(leaf, Tensor):
                return leaf
            size = leaf.shape[0] if leaf.dim() else 1
            assert size % parts == 0, (
                "Invalid batch dimension: In the input tensor of shape %s the batch dimension (%d) must be a "
                "multiple of %d" % (list(leaf.shape), size, parts)
            )
            if parts == 1:
                return leaf.detach()
            share = size // parts
            return leaf.detach()[number * share : (number + 1) * share]

        found: Call = tree_map(of, call)
        return found

    return [piece(number) for number in range(parts)]


def joined(pieces: Sequence[Tensor]) -> Tensor:
    """Results of several micro-batches, one after the other; numbers as one axis."""
    if len(pieces) == 1:
        return pieces[0]
    return torch.cat([piece.reshape(1) if piece.dim() == 0 else piece for piece in pieces])
