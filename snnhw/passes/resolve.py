"""Deciding what a loss reads when the user did not say."""

from __future__ import annotations

from dataclasses import replace

from snnhw.errors import InputError
from snnhw.ir import Loss, Neuron, Output, Program, Shape, Term, infer_shapes

__all__ = ["resolve_loss"]


def resolve_loss(program: Program, loss: Loss) -> Loss:
    """The same loss with every term's port named, and every port checked.

    A term without one reads the program's output. A kind that reads a membrane takes the first
    output that returns one, or the ``mem`` of the neuron behind the first output.

    Raises:
        InputError: a term's port does not exist, or its shape is not ``(classes,)``.
    """
    if not isinstance(loss, Loss):
        raise InputError(f"a loss is a value such as snnhw.functional.ce_rate_loss(), not {loss!r}")
    shapes = infer_shapes(program).shapes
    return Loss(tuple(_resolve(program, shapes, term) for term in loss.terms))


def _resolve(program: Program, shapes: dict[str, Shape], term: Term) -> Term:
    kind = type(term.kind).__name__
    port = term.of or _default(program, term.kind.reads)
    if port not in shapes:
        known = ", ".join(shapes)
        raise InputError(f"the loss term {kind} reads '{port}', which is no port; ports: {known}")
    if term.kind.target == "class" and len(shapes[port]) != 1:
        raise InputError(
            f"the loss term {kind} reads '{port}' of shape {shapes[port]}, but needs (classes,); "
            "flatten it first, or name another port with loss.of('node.port')"
        )
    return replace(term, of=port)


def _default(program: Program, reads: str) -> str:
    returned = [program.outputs()[name] for name in program.named(Output)]
    direct = [port for port in returned if port.rpartition(".")[2] == reads]
    if direct:
        return direct[0]
    node = returned[0].rpartition(".")[0]
    op = program.nodes[node]
    if isinstance(op, Neuron) and reads in op.out_ports:
        return f"{node}.{reads}"
    return returned[0]
