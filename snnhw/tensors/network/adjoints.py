"""Adjoints of stateless ops by hand, for what runs outside of autograd's graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol, runtime_checkable

import torch
from torch import Tensor

from snnhw.ir import Conv1d, Conv2d, Conv3d, Linear, Op, RoundedLinear
from snnhw.tensors.network.ops import OPERATIONS, Operation, on_grid

__all__ = [
    "ADJOINTS",
    "Adjoint",
    "Differentiated",
    "Keeping",
    "Packing",
    "adjoint_of",
    "packed",
    "written_adjoint",
]

Tensors = Mapping[str, Tensor]


class Adjoint(Protocol):
    """The adjoint of an op with parameters, or of any other."""

    def __call__(
        self,
        op: Any,
        xs: Tensors,
        params: Tensors,
        grad: Tensor,
        wanted: frozenset[str],
        *,
        out: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """From that of y, those of the ports and parameters that are wanted; what is missing is zero.

        Args:
            xs: port -> ``[M, ...]``.
            out: where the adjoint of port x goes; may be the memory of x itself.
        """
        ...


@runtime_checkable
class Differentiated(Protocol):
    """A layer that knows its own adjoint."""

    @property
    def adjoint(self) -> Adjoint: ...


@runtime_checkable
class Keeping(Protocol):
    """A layer without parameters whose adjoint needs neither its input nor its output, but what it keeps."""

    def keep(self, op: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        """``[M, ...]`` -> y, and what to keep."""
        ...

    def back(self, op: Any, kept: Tensor, grad: Tensor, shape: tuple[int, ...]) -> Tensor:
        """The adjoint of an input of ``shape``, from that of y."""
        ...


@runtime_checkable
class Packing(Protocol):
    """A product that reads its input in a short form of its own, forward and on the way back."""

    def pack(self, op: Any, x: Tensor) -> Any:
        """What it, and its adjoint, take as port x in place of ``[M, ...]``; None where that is x itself."""
        ...


def packed(operation: Operation, op: Any, x: Tensor) -> Any:
    """Port x as an operation reads it: packed, if it does that, or as it is."""
    short = operation.pack(op, x) if isinstance(operation, Packing) else None
    return x if short is None else short


def adjoint_of(op: Op, operation: Operation) -> Adjoint:
    """The adjoint of an op that runs as ``operation``; where nobody has written it down, autograd's, for
    which the op is computed once more."""
    return written_adjoint(op, operation) or _recorded(operation)


def written_adjoint(op: Op, operation: Operation) -> Adjoint | None:
    """The adjoint of an op that runs as ``operation``, if somebody has written it down."""
    if isinstance(operation, Differentiated):
        return operation.adjoint
    return ADJOINTS.get(type(op)) if operation is OPERATIONS.get(type(op)) else None


def _recorded(operation: Operation) -> Adjoint:
    def adjoint(
        op: Op,
        xs: Tensors,
        params: Tensors,
        grad: Tensor,
        wanted: frozenset[str],
        *,
        out: Tensor | None = None,
    ) -> dict[str, Tensor]:
        leaves = {name: x.detach().requires_grad_(name in wanted) for name, x in {**xs, **params}.items()}
        with torch.enable_grad():
            y = operation(op, {port: leaves[port] for port in xs}, {name: leaves[name] for name in params})
        if not y.requires_grad:  # there is no way back through it, such as through who wins
            return {}
        names = sorted(wanted)
        found = torch.autograd.grad(y, [leaves[name] for name in names], grad, materialize_grads=True)
        return _placed(dict(zip(names, found, strict=True)), out)

    return adjoint


def _placed(found: dict[str, Tensor], out: Tensor | None) -> dict[str, Tensor]:
    """The adjoint of x where it is to go."""
    if out is not None and "x" in found:
        found["x"] = out.copy_(found["x"])
    return found


def _linear(
    op: Linear,
    xs: Tensors,
    params: Tensors,
    grad: Tensor,
    wanted: frozenset[str],
    *,
    out: Tensor | None = None,
) -> dict[str, Tensor]:
    rows, sums = xs["x"].reshape(-1, op.in_features), grad.reshape(-1, op.out_features)
    found = {}
    if "weight" in wanted:
        found["weight"] = sums.t() @ rows
    if "bias" in wanted:
        found["bias"] = sums.sum(0)
    if "x" in wanted:  # last, as it may go where x is
        to = torch.empty_like(rows) if out is None else out.view(rows.shape)
        found["x"] = torch.mm(sums, params["weight"], out=to).view(xs["x"].shape)
    return found


def _rounded(
    op: RoundedLinear,
    xs: Tensors,
    params: Tensors,
    grad: Tensor,
    wanted: frozenset[str],
    *,
    out: Tensor | None = None,
) -> dict[str, Tensor]:
    """As of the rounded weight; it goes straight through."""
    weight, slope = on_grid(op, params)
    plain = Linear(op.in_features, op.out_features, bias=False)
    found = _linear(plain, xs, {"weight": weight}, grad, wanted - {"scale"}, out=out)
    return {name: x * slope if name == "weight" else x for name, x in found.items()}


def _convolution(
    op: Any,
    xs: Tensors,
    params: Tensors,
    grad: Tensor,
    wanted: frozenset[str],
    *,
    out: Tensor | None = None,
) -> dict[str, Tensor]:
    weight = params["weight"]
    names = ("x", "weight", "bias")
    found = torch.ops.aten.convolution_backward(
        grad,
        xs["x"],
        weight,
        [len(weight)] if "bias" in wanted else None,
        op.stride,
        op.padding,
        op.dilation,
        False,  # not transposed
        [0] * len(op.stride),
        op.groups,
        [name in wanted for name in names],
    )
    return _placed({name: value for name, value in zip(names, found, strict=True) if name in wanted}, out)


ADJOINTS: Final[Mapping[type[Op], Adjoint]] = {
    Linear: _linear,
    RoundedLinear: _rounded,
    Conv1d: _convolution,
    Conv2d: _convolution,
    Conv3d: _convolution,
}
"""Products, whose adjoints need not compute them once more."""
