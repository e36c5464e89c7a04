"""Samples of several lengths: the same program, in which each sample ends at a step of its own.

A sample's states stay as they are behind its end, so that the final ones are those of its last step; outputs
are zero there. Nothing else changes: what is computed behind a sample's end reaches none of its own steps,
and no other sample, unless training measures them together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from snnhw.errors import InputError
from snnhw.ir import (
    ALIVE,
    BatchNorm,
    Edge,
    Expr,
    FrozenMap,
    Input,
    Neuron,
    NeuronModel,
    Op,
    Output,
    Param,
    ParamSpec,
    Pointwise,
    Program,
    Reshape,
    Shape,
    State,
    infer_shapes,
    model,
    var,
    where,
)

__all__ = ["Ending", "ending"]

Arrays = Mapping[str, Any]

INIT: Final = "init"


@dataclass(frozen=True)
class Ending:
    """A program whose samples end, and how its states are those of the one that it was made from.

    Attributes:
        program: with one input more.
        alive: the name of that, ``[T, B, 1]``: 1 at the steps that a sample has, 0 behind them.
        lines: key of a delayed edge -> key of the edge in its place, and of the states that hold its content,
            newest first.
    """

    program: Program
    alive: str
    lines: Mapping[str, tuple[str, tuple[str, ...]]]

    def given(self, state: Arrays) -> dict[str, Any]:
        """A state of the program that it was made from, as one of its own."""
        found = {key: x for key, x in state.items() if key not in self.lines}
        for key, (edge, states) in self.lines.items():
            if key in state:
                found |= {edge: state[key][:1], **dict(zip(states[::-1], state[key], strict=False))}
        return found

    def taken(self, state: Arrays, stack: Callable[[list[Any]], Any]) -> dict[str, Any]:
        """A state of its own, as one of the program that it was made from.

        Args:
            stack: puts arrays along a new first axis.
        """
        own = {key for edge, states in self.lines.values() for key in (edge, *states)}
        lines = {
            key: stack([state[each] for each in states[::-1]]) for key, (_, states) in self.lines.items()
        }
        return {key: x for key, x in state.items() if key not in own} | lines


def ending(program: Program, *, training: bool = False) -> Ending:
    """The program whose samples may end before the last step.

    Args:
        training: whether it is to be trained.

    Raises:
        InputError: samples of several lengths have no meaning in it; says why, and what to do.
    """
    if problems := [*_problems(program, training)]:
        raise InputError(f"samples of several lengths: {'; '.join(problems)}")
    shapes, specs = infer_shapes(program).shapes, program.params()
    free = _Free({*program.nodes})
    alive = free(ALIVE)
    nodes: dict[str, Op] = {**program.nodes, alive: Input((1,))}
    edges: list[Edge] = []
    reading: dict[str, Shape] = {}  # node -> its shape, of those that ask whether a sample is alive
    lines: dict[str, tuple[str, tuple[str, ...]]] = {}
    for name, op in program.nodes.items():
        if isinstance(op, Neuron):
            nodes[name], reading[name] = replace(op, ends=True), shapes[f"{name}.{op.out_ports[0]}"]
    masks = {name: free(f"{name}.{ALIVE}") for name in program.named(Output)}
    for name, mask in masks.items():
        nodes[mask], reading[mask] = MASK, shapes[program.into(name, "x")[0].src]
        edges.append(Edge(f"{mask}.y", f"{name}.x"))
    for edge in program.edges:
        target = f"{masks[edge.target.node]}.x" if edge.target.node in masks else edge.dst
        source = edge.src
        if edge.delay:
            hold = free(f"{edge.src}_held")
            nodes[hold], reading[hold] = _hold(edge, specs), shapes[edge.src]
            edges.append(Edge(edge.src, f"{hold}.x"))
            states = tuple(f"{hold}.{held}" for held in _held(edge.delay))
            source = states[-1]
            lines[edge.key] = f"{source}->{target}", states
        edges.append(Edge(source, target, min(edge.delay, 1), edge.init))
    ranks = {1: f"{alive}.y"}
    for name, shape in reading.items():
        if len(shape) not in ranks:
            reshape = free(f"{alive}_{len(shape)}")
            nodes[reshape] = Reshape((1,) * len(shape))
            edges.append(Edge(f"{alive}.y", f"{reshape}.x"))
            ranks[len(shape)] = f"{reshape}.y"
        edges.append(Edge(ranks[len(shape)], f"{name}.{ALIVE}"))
    return Ending(replace(program, nodes=FrozenMap(nodes), edges=tuple(edges)), alive, FrozenMap(lines))


def _problems(program: Program, training: bool) -> Iterator[str]:
    if program.formats:
        yield "a program of integers runs whole batches; give each length a call of its own"
    for name, op in program.nodes.items():
        if training and isinstance(op, BatchNorm):
            yield (
                f"{name} ({type(op).__name__}) measures all samples of a step together, also those that have "
                "ended; normalise each sample by itself, as LayerNorm and GroupNorm do, or train on "
                "batches of one length each"
            )
        if isinstance(op, Neuron) and ALIVE in _names(op.model):
            yield f"{name} ({op.model.name}) has a name '{ALIVE}' of its own; call it otherwise"


def _names(entry: NeuronModel) -> set[str]:
    own = {*(param.name for param in entry.params), *(state.name for state in entry.states)}
    return {*entry.ports, *entry.noise, *own}


class _Free(set[str]):
    """Names that are taken; called, it gives one that is not."""

    def __call__(self, name: str) -> str:
        while name in self:
            name += "_"
        self.add(name)
        return name


_IF_ALIVE: Final[Expr] = where(var(ALIVE) > 0.5, var("x"), 0.0)

MASK: Final = Pointwise(FrozenMap({"y": _IF_ALIVE}), ports=("x", ALIVE))


def _held(delay: int) -> list[str]:
    return [f"x{age}" for age in range(1, delay + 1)]


def _hold(edge: Edge, specs: Mapping[str, ParamSpec]) -> Neuron:
    """What remembers as many values of a delayed edge as are under way: the newest, the one before it, ...

    The last of them takes one more step to arrive, as any cycle needs.
    """
    names = _held(edge.delay)
    by_key = isinstance(edge.init, str)
    line = model(
        f"Held{edge.delay}",
        states=tuple(State(name, INIT if by_key else edge.init) for name in names),
        params=(Param(INIT, 0.0),) * by_key,
        integrate=dict(zip(names, map(var, ["x", *names]), strict=False)),
        fire=None,
    )
    if not isinstance(edge.init, str):
        return Neuron(line, ends=True)
    shape = specs[edge.init].shape
    return Neuron(
        line,
        ends=True,
        param_shapes=FrozenMap({INIT: shape} if shape else {}),
        keys=FrozenMap({INIT: edge.init}),
    )
