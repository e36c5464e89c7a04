"""Deciding what a loss reads when the user did not say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from snnhw.errors import InputError
from snnhw.ir import ClassLoss, Loss, Neuron, Output, Program, Shape, Term, infer_shapes
from snnhw.words import brief, did_you_mean

__all__ = ["resolve_loss"]


def resolve_loss(program: Program, loss: Loss) -> Loss:
    """The same loss with every term's port named, and every port checked.

    A term without one reads the first output that returns what its kind reads, spikes or a membrane;
    else the port of that name of the neuron behind the first output; else the first output.

    Raises:
        InputError: the loss is none or has no terms; a term's port does not exist, its shape is not
            ``(classes,)``, or its neurons are not as many as the term's classes ask for.
    """
    if not isinstance(loss, Loss):
        raise InputError(f"a loss is a value such as snnhw.functional.ce_rate_loss(), not {_named(loss)}")
    if not loss.terms:
        raise InputError("this loss has no terms; add some, such as snnhw.functional.ce_rate_loss()")
    shapes = infer_shapes(program).shapes
    return Loss(tuple(_resolve(program, shapes, term) for term in loss.terms))


def _named(given: object) -> str:
    """Something in the place of a loss, and what to do about it."""
    name = getattr(given, "__name__", type(given).__name__)
    package = getattr(given, "__module__", "").partition(".")[0]
    if package == __name__.partition(".")[0]:
        return f"the function {name}; call it: {name}()"
    if package == "snntorch":
        return f"snntorch's {name}; snnhw.functional has losses of the same names"
    if package == "torch":
        return (
            f"torch's {name}; snnhw.functional has ce_count_loss() and ce_rate_loss() for classes by spikes, "
            "ce_membrane_loss() by membranes, and mse_membrane_loss() for values"
        )
    return brief(given)


def _resolve(program: Program, shapes: Mapping[str, Shape], term: Term) -> Term:
    kind = type(term.kind).__name__
    port = term.of or _default(program, term.kind.reads)
    if port not in shapes:
        raise InputError(
            f"the loss term {kind} reads '{port}', but there is no such port.{did_you_mean(port, shapes)} "
            f"Ports: {', '.join(shapes)}."
        )
    takes = term.kind.takes
    if takes and all(form.whole for form in takes) and len(shapes[port]) != 1:
        raise InputError(
            f"the loss term {kind} reads '{port}' of shape {shapes[port]}, but needs (classes,); "
            "flatten it first, or name another port with loss.of('node.port')"
        )
    if isinstance(term.kind, ClassLoss) and len(shapes[port]) == 1:
        term.kind.classes(shapes[port][0])
    return replace(term, of=port)


def _default(program: Program, reads: str) -> str:
    outputs = program.outputs()
    returned = [outputs[name] for name in program.named(Output)]
    direct = [port for port in returned if port.rpartition(".")[2] == reads]
    if direct:
        return direct[0]
    node = returned[0].rpartition(".")[0]
    op = program.nodes[node]
    if isinstance(op, Neuron) and reads in op.out_ports:
        return f"{node}.{reads}"
    return returned[0]
