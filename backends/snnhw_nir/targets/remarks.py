"""What a person has to know who reads a file without our metadata."""

from __future__ import annotations

from collections.abc import Iterator

from snnhw.ir import Dropout, Neuron, Params, Program
from snnhw.ir.models.textbook import TEXTBOOK
from snnhw_nir.files.metadata import Settings
from snnhw_nir.graph import Graph
from snnhw_nir.targets.dialects import Dialect
from snnhw_nir.writing.folding import folded

__all__ = ["remarks"]


def remarks(
    program: Program, params: Params, graph: Graph, dialect: Dialect, settings: Settings
) -> Iterator[str]:
    """Everything that NIR has no word for, and what was left out, each in a sentence.

    Args:
        graph: what the program became, flat.
    """
    types = {getattr(node, "type", "") for node in graph.nodes.values()}
    if types & {*TEXTBOOK, "Delay"}:
        run = f"run the file with dt={settings.dt:g} s, '{settings.scheme}'"
        yield f"NIR says neither dt nor how a step is taken: {run}"
    if program.time.static_inputs:
        inputs = ", ".join(program.time.static_inputs)
        yield f"NIR has no inputs that stand still: give {inputs} anew at every step"
    yield from (note for kind, note in dialect.notes if kind in types | {""})
    if kept := list(_kept(program)):
        yield f"in the metadata alone, which only snnhw reads: {'; '.join(kept)}"
    for name, layer in folded(program, params).into.items():
        yield f"{name}: batch norm, as it is in evaluation, is part of the weights and the bias of {layer}"
    for name in program.named(Dropout):
        yield f"{name}: Dropout, which does nothing in evaluation, is left out"


def _kept(program: Program) -> Iterator[str]:
    neurons = [op for op in program.nodes.values() if isinstance(op, Neuron) and op.model.fire is not None]
    if surrogates := sorted({repr(op.surrogate) for op in neurons if op.surrogate}):
        yield f"surrogates ({', '.join(surrogates)})"
    if timings := sorted({op.timing for op in neurons if op.reset != "none"} - {"immediate"}):
        yield f"when a reset takes effect ({', '.join(timings)})"
    if program.trainable:
        yield f"which {len(program.trainable)} parameters are trained"
