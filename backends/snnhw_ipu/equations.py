"""Neurons' equations as instructions.

A `graft` becomes ``stop(value) + (x - stop(x)) * stop(slope)``: forward the value, since ``x - x`` is 0
for every finite x, and backward the slope. PopART differentiates the recorded operations and asks no
`torch.autograd.Function`, so arithmetic is the only way to say a derivative. Where no gradient is asked
for, a graft is its value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from snnhw.ir import PRIMITIVES, Expr, Shape, topological
from snnhw.ir.expr import make
from snnhw_ipu.recipe import Draft, Register

__all__ = ["PRIMITIVE_RULES", "lower_equations"]


@dataclass(frozen=True)
class Writing:
    """Equations of one node being written."""

    draft: Draft
    env: Mapping[str, Register]
    train: bool

    def call(self, function: str, *operands: Register) -> Register:
        """A function that works element by element."""
        shape: Shape = ()
        for register in operands:
            shape = _wider(shape, register.shape)
        return self.draft.emit(function, *operands, shape=shape)


def lower_equations(
    draft: Draft, roots: Sequence[Expr], env: Mapping[str, Register], *, train: bool
) -> list[Register]:
    """Registers with the values of the roots.

    Args:
        env: variable or table -> its register; batched ones are of one rank.
        train: whether derivatives matter.
    """
    writing = Writing(draft, env, train)
    values: dict[Expr, Register] = {}
    wanted = roots if train else _values(roots)
    for node in topological(wanted):
        values[node] = PRIMITIVE_RULES[node.op](writing, node, [values[arg] for arg in node.args])
    return [values[root] for root in wanted]


def _values(roots: Sequence[Expr]) -> list[Expr]:
    """The roots without derivatives, which nobody reads."""
    done: dict[Expr, Expr] = {}
    for node in topological(roots):
        if node.op == "graft":
            done[node] = done[node.args[0]]
        elif all(done[arg] is arg for arg in node.args):
            done[node] = node
        else:
            done[node] = make(node.op, *(done[arg] for arg in node.args), data=node.data)
    return [done[root] for root in roots]


def _wider(a: Shape, b: Shape) -> Shape:
    rank = max(len(a), len(b))
    a, b = (1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b
    return tuple(max(m, n) for m, n in zip(a, b, strict=True))


Rule = Callable[[Writing, Expr, list[Register]], Register]


def _direct(writing: Writing, node: Expr, args: list[Register]) -> Register:
    return writing.call(node.op, *args)


def _const(writing: Writing, node: Expr, _: list[Register]) -> Register:
    assert isinstance(node.data, float)
    return writing.draft.const(node.data)


def _minimum(writing: Writing, _: Expr, args: list[Register]) -> Register:
    """By comparison: at a tie PopART's own would pass the gradient to both."""
    a, b = args
    return writing.call("where", writing.call("greater", b, a), a, b)


def _maximum(writing: Writing, _: Expr, args: list[Register]) -> Register:
    a, b = args
    return writing.call("where", writing.call("greater", a, b), a, b)


def _nearest(writing: Writing, node: Expr, args: list[Register]) -> Register:
    (x,) = args
    value = writing.draft.emit("nearest", x, writing.env[str(node.data)], shape=x.shape, batched=x.batched)
    return _grafted(writing, value, [(x, writing.draft.const(1.0))]) if writing.train else value


def _graft(writing: Writing, _: Expr, args: list[Register]) -> Register:
    value, *pairs = args
    return _grafted(writing, value, list(zip(pairs[::2], pairs[1::2], strict=True)))


def _grafted(writing: Writing, value: Register, pairs: list[tuple[Register, Register]]) -> Register:
    found = writing.call("detach", value)
    for x, slope in pairs:
        zero = writing.call("sub", x, writing.call("detach", x))
        found = writing.call("add", found, writing.call("mul", zero, writing.call("detach", slope)))
    return found


PRIMITIVE_RULES: Final[Mapping[str, Rule]] = {
    **dict.fromkeys(PRIMITIVES, _direct),
    "const": _const,
    "var": lambda writing, node, args: writing.env[str(node.data)],
    "minimum": _minimum,
    "maximum": _maximum,
    "nearest": _nearest,
    "graft": _graft,
}
"""Primitive -> how it is written; one that is not named here is a function of the same name."""
