"""What the IPU backend would do with a program: recipe, operations, memory, and what PopTorch would refuse.

The unrolled program is captured as PopTorch would, on tensors without values, so that nothing runs. Memory
is an estimate from sizes alone: the compiler reuses, copies and rearranges, and only it knows the truth.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from snnhw.ir import Program
from snnhw.plugin import Explanation, Run, Train
from snnhw_ipu.chunks import CLEARS, MOVES, READS
from snnhw_ipu.forms import forms_of
from snnhw_ipu.options import IpuOptions
from snnhw_ipu.plans import FIRST, RESTING, Lowered

if TYPE_CHECKING:
    import torch

    from snnhw_ipu.worker.double.graph import Graph

__all__ = ["captured", "explain"]

TILES: Final = 1472
TILE: Final = 624 * 1024
"""Bytes of one of them, on a Mk2 IPU (Graphcore, "IPU hardware overview")."""

SLOTS: Final = {"SGD": 1, "Adam": 2, "AdamW": 2, "RMSprop": 3}
"""What an optimizer remembers of each weight, at most."""

LONG: Final = 50
"""From here on, `explain` says what chunks would make of building."""

Rows = tuple[tuple[str, ...], ...]


def explain(program: Program, job: Run | Train, options: IpuOptions) -> Explanation:
    """Tables of size, operations and refusals; the recipe as text."""
    use = "train" if isinstance(job, Train) else "run"
    lowered = forms_of(program, job, options)[use, "rest"]  # type: ignore[index]  # one of the two
    parts = options.parts(train=use == "train")
    size = lowered.recipe["batch"] if lowered.trained else job.batch // parts
    graph = captured(program, lowered, size, options.dtype, training=use == "train")
    counts = Counter(_name(node) for node in graph.nodes)
    rows = tuple((name, str(count)) for name, count in sorted(counts.items()))
    return Explanation(
        tables={
            "program": tuple(_size(job, options, lowered, graph)),
            "building (an estimate)": tuple(_building(lowered, graph)),
            "memory (an estimate, of one IPU)": tuple(_memory(job, lowered, graph)),
            "operations": (("operation", "forward"), *rows),
            "refused by PopTorch 3.4": (("operation", "why"), *_refused(graph)),
        },
        sources={f"{use}.recipe": _text(lowered)},
    )


def captured(program: Program, lowered: Lowered, batch: int, dtype: str, *, training: bool) -> Graph:
    """The operations of one micro-batch, recorded as PopTorch records them."""
    import torch

    from snnhw_ipu.worker.double.capture import capture, identity_loss
    from snnhw_ipu.worker.model import UnrolledModel, tensors_of

    params = {key: np.ones(spec.shape, np.float32) for key, spec in program.params().items()}
    params |= {key: np.ones(3, np.float32) for key, spec in program.params().items() if spec.table}
    params |= lowered.constants
    trained = sorted(lowered.trained or program.trainable) if training else []
    model = UnrolledModel(tensors_of(params, dtype), trained, identity_loss)
    model.recipes = {training: lowered.recipe}
    model.train(training)
    recipe, shapes = lowered.recipe, _argument_shapes(program, lowered, batch)
    names = [*recipe["inputs"], *recipe["targets"], *recipe["states"]]
    return capture(model, [torch.zeros(shapes[name], dtype=_kind(name, dtype)) for name in names], {})


def _kind(name: str, dtype: str) -> torch.dtype:
    """Of an argument, as `snnhw_ipu.boundary` makes it."""
    import torch

    usual: torch.dtype = getattr(torch, dtype)
    others = {"target": torch.int32, FIRST: torch.int32}
    others |= dict.fromkeys(("total", "wanted", "cotangent", READS, CLEARS, MOVES), torch.float32)
    return others.get(name.partition(":")[0], usual)


def _argument_shapes(program: Program, lowered: Lowered, batch: int) -> dict[str, tuple[int, ...]]:
    from snnhw.ir import infer_shapes
    from snnhw.ir.inputs import state_shapes

    steps, shapes = lowered.recipe["steps"], infer_shapes(program).shapes
    found = {}
    for name in lowered.recipe["inputs"]:
        if name == FIRST:
            continue
        node, noise = name.partition(":")[2], lowered.noise.get(name)
        fixed = noise.held if noise else node in program.time.static_inputs
        shape = noise.shape if noise else shapes[f"{node}.y"]
        found[name] = (batch, *(() if fixed else (steps,)), *shape)
    lines = {edge.key for edge in program.edges if edge.delay}
    for key, shape in state_shapes(program, batch).items():
        found[f"state:{key}"] = (batch, shape[0], *shape[2:]) if key in lines else shape
    found |= dict.fromkeys((*lowered.recipe["targets"], FIRST, RESTING), (batch,))
    return found | {name: (batch, *shape) for name, shape in lowered.targets.items()}


def _name(node: Any) -> str:
    from snnhw_ipu.worker.double.graph import base_name

    return base_name(node.function)


def _size(job: Run | Train, options: IpuOptions, lowered: Lowered, graph: Graph) -> Iterator[tuple[str, str]]:
    train = isinstance(job, Train)
    yield "what", "value"
    yield "IPUs", str(options.replication)
    yield "batch", f"{job.batch} in {options.parts(train=train)} parts"
    yield "time steps, unrolled", str(lowered.recipe["steps"])
    if lowered.recipe["chunks"] > 1:
        yield "chunks of so many", str(lowered.recipe["chunks"])
    stages = lowered.recipe["stages"]
    yield "walks through all steps", str(len(stages))
    yield "instructions before them", str(sum(len(stage["before"]) for stage in stages))
    yield "instructions of one step", str(sum(len(stage["each"]) for stage in stages))
    yield "operations, forward", str(len(graph.nodes))
    if train:
        yield "operations, with backward (about)", str(3 * len(graph.nodes))


def _building(lowered: Lowered, graph: Graph) -> Iterator[tuple[str, str]]:
    """PopART infers the shapes of its whole model anew for each node that is added."""
    from snnhw_ipu.worker.double.size import dead_nodes, popart_nodes

    nodes, steps, chunks = popart_nodes(graph), lowered.recipe["steps"], lowered.recipe["chunks"]
    yield "what", "value"
    yield "nodes given to PopART, forward (about)", str(nodes)
    yield "of them for nothing", str(dead_nodes(graph))
    yield "shapes inferred meanwhile, half its square (about)", f"{nodes * (nodes + 1) // 2:.2g}"
    if chunks > 1:
        yield "the same for all steps at once (at most)", f"{(nodes * chunks) ** 2 // 2:.2g}"
    elif steps > LONG:
        size = max(size for size in range(1, LONG + 1) if steps % size == 0)
        few = nodes * size // steps
        yield f"the same with chunk={size}", f"{few**2 // 2:.2g}, of {few} nodes or somewhat more"


def _memory(job: Run | Train, lowered: Lowered, graph: Graph) -> Iterator[tuple[str, str]]:
    named = set(graph.named.values())
    weights = sum(_bytes(graph, number) for number in named)
    kept = sum(_bytes(graph, number) for node in graph.nodes for number in node.results)
    yield "what", "MiB"
    yield "parameters", _mib(weights)
    total = weights
    if isinstance(job, Train):
        slots = 0 if lowered.trained else SLOTS.get(type(job.optimizer).__name__, 0)
        more = weights * (1 + slots)
        yield "gradients and optimizer", _mib(more)
        yield "values kept for the backward pass", _mib(kept)
        total += more + kept
    else:
        widest = max((_bytes(graph, n) for node in graph.nodes for n in node.results), default=0)
        yield "the largest value", _mib(widest)
        total += widest
    whole = TILES * TILE
    verdict = "fits" if total < whole else "does not fit: lower the batch, or raise gradient_accumulation"
    yield f"together, of {_mib(whole)}", f"{_mib(total)}, {verdict}"
    share = f"{total / TILES / 1024:.1f} KiB of {TILE // 1024}"
    yield f"on each of {TILES} tiles, if spread evenly", share


def _bytes(graph: Graph, number: int) -> int:
    shape, dtype = graph.shapes[number]
    return prod(shape) * dtype.itemsize


def _mib(size: int) -> str:
    return f"{size / 2**20:.2f}" if size > 2**14 else f"{size / 2**20:.2g}"


def _refused(graph: Graph) -> Rows:
    from snnhw_ipu.worker.double.graph import unsupported
    from snnhw_ipu.worker.double.restrictions import restricted

    found = [(name, "PopTorch has no handler for it") for name in unsupported(graph)]
    found += [(name, why) for name, _, why in (each.partition(" ") for each in restricted(graph))]
    return tuple(found) or (("none", ""),)


def _text(lowered: Lowered) -> str:
    """A recipe, one instruction to a line."""
    recipe = lowered.recipe
    lines = [f"arguments {', '.join([*recipe['inputs'], *recipe['targets'], *recipe['states']])}"]
    lines += [f"{slot} = {name}" for slot, name in recipe["start"].items()]
    for stage in recipe["stages"]:
        lines += ["-- before", *map(_line, stage["before"])]
        lines += [f"-- each of {recipe['steps']} steps", *map(_line, stage["each"])]
        lines += [f"carry {before} = {after}" for before, after in stage["carry"].items()]
    lines += ["-- after", *map(_line, recipe["after"])]
    lines.append(
        f"return {', '.join(recipe['returns'])}" + (f"; loss {recipe['loss']}" if recipe["loss"] else "")
    )
    return "\n".join(lines) + "\n"


def _line(instruction: Any) -> str:
    result, function, operands, options = instruction
    given = [f"{name}={json.dumps(value)}" for name, value in options.items()]
    return f"{result} = {function}({', '.join([*operands, *given])})"
