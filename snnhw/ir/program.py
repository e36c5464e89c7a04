"""Programs: nodes, edges, a time axis. Plain frozen values; the arrays live apart."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Final, NamedTuple

from snnhw.errors import ProgramError
from snnhw.ir.fixed import Fixed
from snnhw.ir.frozen import FrozenMap, freeze
from snnhw.ir.identity import LATER
from snnhw.ir.ops import Op, Output
from snnhw.ir.params import ParamSpec, key_of
from snnhw.words import brief

__all__ = ["Edge", "Endpoint", "Program", "TimeAxis", "sequential", "trainable"]

NODE_NAME: Final = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*")
PARAM_KEY: Final = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)+")
MAX_NAME: Final = 256
NO_FORMATS: Final[FrozenMap[str, Fixed]] = FrozenMap()


class Endpoint(NamedTuple):
    """A port of a node, written ``"encoder.lif1.spk"``: the last part names the port."""

    node: str
    port: str

    def __str__(self) -> str:
        return f"{self.node}.{self.port}"


def endpoint(text: str) -> Endpoint:
    """``"encoder.lif1.spk"`` taken apart."""
    node, _, port = text.rpartition(".")
    return Endpoint(node, port)


@dataclass(frozen=True)
class Edge:
    """A wire from an output port to an input port. Edges into one port add up, in listed order.

    Attributes:
        src: ``"node.port"``; dst: likewise.
        delay: how many steps later a value arrives.
        init: what arrives before the first value does: a number, or a parameter key.
    """

    src: str
    dst: str
    delay: int = 0
    init: float | str = 0.0

    @property
    def source(self) -> Endpoint:
        return endpoint(self.src)

    @property
    def target(self) -> Endpoint:
        return endpoint(self.dst)

    @property
    def key(self) -> str:
        """Its name in a run's state, where its content stands as ``[delay, B, ...]``."""
        return f"{self.src}->{self.dst}"


@dataclass(frozen=True)
class TimeAxis:
    """What a step is.

    Attributes:
        dt: length of a step in seconds, for models whose equations say ``dt``.
        static_inputs: inputs that do not change over time and are given as ``[B, ...]``.
    """

    dt: float = 1e-3
    static_inputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "static_inputs", tuple(self.static_inputs))


@dataclass(frozen=True)
class Program:
    """A network: what is computed at every step.

    Attributes:
        nodes: dotted name -> op; a torch module's path where it came from one.
        edges: wires; a cycle needs a total delay of at least 1.
        time: the time axis.
        trainable: keys of the parameters that training changes.
        formats: key of a parameter, or a port -> what its integers are. A program that has some is computed
            in integers (`snnhw.ir.whole`): a state is the port of its name, an input ``"name.y"``.

    `snnhw.ir.validate` says everything that is wrong with one.
    """

    nodes: FrozenMap[str, Op]
    edges: tuple[Edge, ...]
    time: TimeAxis = field(default_factory=TimeAxis)
    trainable: frozenset[str] = frozenset()
    formats: FrozenMap[str, Fixed] = field(default=NO_FORMATS, metadata=LATER)

    def __post_init__(self) -> None:
        freeze(self, "nodes", "formats")
        object.__setattr__(self, "edges", tuple(self.edges))
        object.__setattr__(self, "trainable", frozenset(self.trainable))
        problems = [
            f"{name}: {brief(op)} is no op; give a value such as Linear(784, 10)"
            for name, op in self.nodes.items()
            if not isinstance(op, Op)
        ]
        problems += [
            f"{brief(edge)} is no edge; give Edge('a.y', 'b.x')"
            for edge in self.edges
            if not isinstance(edge, Edge)
        ]
        problems += [
            f"{brief(form)} is no format of '{key}'; give a value such as Fixed(8)"
            for key, form in self.formats.items()
            if not isinstance(form, Fixed)
        ]
        if problems:
            raise ProgramError(problems)

    def named(self, kind: type[Op]) -> tuple[str, ...]:
        """Names of the nodes of one type, in order."""
        return tuple(name for name, op in self.nodes.items() if isinstance(op, kind))

    def into(self, node: str, port: str) -> tuple[Edge, ...]:
        """The edges that arrive at a port, in the order in which they add up."""
        return self._arriving.get((node, port), ())

    @cached_property
    def _arriving(self) -> dict[tuple[str, str], tuple[Edge, ...]]:
        found: dict[tuple[str, str], list[Edge]] = {}
        for edge in self.edges:
            found.setdefault(edge.target, []).append(edge)
        return {target: tuple(edges) for target, edges in found.items()}

    def outputs(self) -> dict[str, str]:
        """Output name -> the port it returns."""
        found = {}
        for name in self.named(Output):
            for edge in self.into(name, "x"):
                found[name] = edge.src
        return found

    def params(self) -> dict[str, ParamSpec]:
        """Parameter key -> what it must look like. Tied parameters stand once."""
        return {
            key_of(name, param, op.keys): spec
            for name, op in self.nodes.items()
            for param, spec in op.params().items()
        }

    def statistics(self) -> frozenset[str]:
        """Keys of what training measures, and so changes without a gradient."""
        return frozenset(key for key, spec in self.params().items() if spec.kind == "statistic")

    @cached_property
    def clocked(self) -> bool:
        """Whether anything in it depends on the number of the step, or on chance."""
        return any(op.clocked for op in self.nodes.values())

    def param_keys(self, node: str) -> dict[str, str]:
        """Parameter name of one node -> its key."""
        op = self.nodes[node]
        return {param: key_of(node, param, op.keys) for param in op.params()}

    @property
    def written(self) -> Program:
        """What a user wrote, where this program was made of that for a backend; else itself."""
        found: Program = self.__dict__.get("_written", self)
        return found

    def made_of(self, written: Program) -> Program:
        """The same program, which knows what was written: a saved run is of that one, however a backend runs
        it. Equal to the one without."""
        found = replace(self)
        object.__setattr__(found, "_written", written)
        return found

    def __str__(self) -> str:
        from snnhw.ir.printing import describe  # printing needs shapes, which need programs

        return describe(self)


def sequential(layers: Mapping[str, Op], *, time: TimeAxis | None = None, train: bool = True) -> Program:
    """A chain: the first output port of each node into the first input port of the next.

    Args:
        layers: node name -> op, from an `Input` on; an `Output` named ``output`` is appended.
        train: whether all weights are trainable.
    """
    nodes = {**layers, "output": Output()}
    if len(nodes) != len(layers) + 1:
        raise ProgramError("'output' is the name that sequential gives to the last node; rename yours")
    program = Program(
        FrozenMap(nodes), tuple(_link(nodes, a, b) for a, b in pairwise(nodes)), time or TimeAxis()
    )
    return trainable(program) if train else program


def _link(nodes: Mapping[str, Op], a: str, b: str) -> Edge:
    out_ports, in_ports = nodes[a].out_ports, nodes[b].in_ports
    if not out_ports or not in_ports:
        raise ProgramError(f"sequential cannot connect '{a}' to '{b}'; put an Input first, and no Output")
    return Edge(f"{a}.{out_ports[0]}", f"{b}.{in_ports[0]}")


def trainable(program: Program) -> Program:
    """The same program with every weight trainable."""
    weights = {key for key, spec in program.params().items() if spec.kind == "weight"}
    return replace(program, trainable=frozenset(weights))
