"""Why a reader may make another thing of a file than it says: what its dialect knows, applied to the file."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from snnhw.errors import LoadError
from snnhw_nir.graph import Graph, Node
from snnhw_nir.importing import Read
from snnhw_nir.targets.changes import changes
from snnhw_nir.targets.dialects import APART, DIALECTS, Dialect
from snnhw_nir.targets.draft import Draft
from snnhw_nir.targets.fitting import misfits
from snnhw_nir.wires import inlined

__all__ = ["reasons"]


def reasons(name: str, graph: Graph, found: Read) -> Iterator[str]:
    """What is known of a reader, as far as this file shows it.

    Args:
        graph: of the file; found: what it was read as here.
    """
    if name in APART:
        yield from APART[name].habits
        return
    dialect = DIALECTS[name]
    if dialect.fixed and found.dt != dialect.dt:
        yield f"it reads every file with dt={dialect.dt:g}, not {found.dt:g}"
    if found.scheme not in dialect.schemes:
        yield f"it takes steps by {', '.join(dialect.schemes)}, not by '{found.scheme}'"
    for change in changes(found.program, dialect):
        yield f"{change.node}: {change.words}"
    if any(isinstance(node, Graph) for node in graph.nodes.values()):
        yield "nobody has held it to graphs within graphs"
    try:
        flat = inlined(graph)
    except LoadError:  # what is wrong with it is said by whoever reads it
        return
    nodes = {key: node for key, node in flat.nodes.items() if isinstance(node, Node)}
    draft = Draft(nodes, flat.edges, {}, {}, found.dt)
    yield from misfits(draft, dialect)
    yield from _put_otherwise(draft, dialect)


def _put_otherwise(draft: Draft, dialect: Dialect) -> Iterator[str]:
    """What files that are written for it say in other words; see `snnhw_nir.targets.rewriting`."""
    nodes = draft.nodes
    for name in draft.of("Conv1d", "Conv2d"):
        if not dialect.groups and (np.asarray(nodes[name].fields["groups"]) != 1).any():
            yield f"{name}: it reads no convolutions in groups"
    for name in draft.of(*dialect.unpadded):
        if np.any(np.asarray(nodes[name].fields["padding"]) != 0):
            yield f"{name}: it leaves the padding of {nodes[name].type} out"
    for name in draft.of("Flatten"):
        ends = [int(np.ravel(nodes[name].fields[field])[0]) for field in ("start_dim", "end_dim")]
        if dialect.batch_counts and (ends[0] >= 0 or ends[1] >= 0):
            yield f"{name}: it counts the batch as the first axis of what it flattens"
    for layer in draft.of("Affine", "Linear"):
        heard = draft.sources(layer)
        if not dialect.pairs and heard == draft.targets(layer) and len(heard) == 1:
            yield f"{layer}: its import fails at a neuron and a product that hear each other alone"
    if dialect.ties == "fires" and draft.of("IF", "LIF", "CubaLIF"):
        yield "it fires at the threshold, too"
