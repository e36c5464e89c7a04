"""What a case is about, for the tables of a report."""

from __future__ import annotations

from collections.abc import Iterator

from snnhw.conformance.case import Case
from snnhw.conformance.cases.making.harness import NODE
from snnhw.ir import Input, Neuron, Op, Output

__all__ = ["about"]


def about(case: Case) -> tuple[str, ...]:
    """``kind/name`` of all that a case exercises: ops, neurons, surrogates, terms of a loss, optimizers.

    Where one op is the subject, what stands around it to make it visible does not count.
    """
    nodes = case.program.nodes
    ops = [nodes[NODE]] if NODE in nodes else list(nodes.values())
    found = [word for op in ops for word in _of(op)]
    if case.loss is not None and NODE not in nodes:
        found += [f"loss/{type(term.kind).__name__}" for term in case.loss.terms]
        found.append(f"optimizer/{type(case.optimizer).__name__}")
    return tuple(dict.fromkeys(found))


def _of(op: Op) -> Iterator[str]:
    if isinstance(op, (Input, Output)):
        return
    if not isinstance(op, Neuron):
        yield f"op/{type(op).__name__}"
        return
    yield f"neuron/{op.model.name}"
    if op.surrogate is not None:
        yield f"surrogate/{type(op.surrogate).__name__}"
