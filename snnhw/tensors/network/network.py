"""A program, how it is scheduled, and who runs its nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod

import torch

from snnhw.ir import Edge, Input, Neuron, Output, Pointwise, Program, StepEquations, infer_shapes
from snnhw.plugin import Ranks
from snnhw.tensors.network.chains import Chain, chained, chains
from snnhw.tensors.network.memo import Remembering
from snnhw.tensors.network.ops import Operation
from snnhw.tensors.network.schedule import Mode, Schedule, Stage, plan
from snnhw.tensors.scans.provider import UNMEASURED, Provider, Sizes

__all__ = ["Network"]

Run = tuple[Stage, frozenset[str]]
"""A stage, and the ports that no later one reads."""


@dataclass(frozen=True)
class Network:
    """A program, how it is scheduled, and who runs its nodes.

    Attributes:
        provider: runs the neurons; None: whoever is installed for the device.
        sizes: how its work is divided.
        runners: node -> who runs it, where that is not the provider.
        layers: stateless node -> how it is run, where that is not as `OPERATIONS` says for its type.
        training: whether its passes are those of training; the schedule is then for that.
        ranks: those by whose samples batch norm normalises, where not by this process's alone.
        signals: the dtype in which all that passes between nodes lies in memory, where that is narrower than
            what is computed in: inputs, currents, spikes and their adjoints. States stay as wide, as do
            random numbers; nodes compute as wide and round once, but for products, whose operands are as
            narrow and whose sums are not.
    """

    program: Program
    schedule: Schedule
    provider: Provider | None = None
    sizes: Sizes = UNMEASURED
    layers: Mapping[str, Operation | Remembering] = field(default_factory=dict)
    runners: Mapping[str, Provider] = field(default_factory=dict)
    training: bool = False
    signals: torch.dtype | None = None
    ranks: Ranks | None = None

    def trained(self, ranks: Ranks | None = None) -> Network:
        """The same network in training; with ``ranks``, where batch norm is of all their samples."""
        joint = ranks if ranks and ranks.joint and ranks.size > 1 else None
        # All ranks meet equally often, however many samples each has: nothing is computed twice.
        sizes = replace(self.sizes, block=0, held=1 << 62) if joint else self.sizes
        schedule = plan(self.program, training=True)
        return replace(self, schedule=schedule, training=True, ranks=joint, sizes=sizes)

    @cached_property
    def chains(self) -> Mapping[str, Chain]:
        """First node -> chain."""
        found: tuple[Chain, ...] = ()
        if self.sizes.block:
            found = chains(
                self.program, self.schedule, self.layers, training=self.training, alone=self.sizes.alone
            )
        return {chain.nodes[0]: chain for chain in found}

    @cached_property
    def modes(self) -> Mapping[str, Mode]:
        """How each node runs where it runs by itself."""
        return {name: stage.mode for stage in self.schedule.stages for name in stage.nodes}

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """The schedule's, chains among them."""
        return chained(self.schedule, tuple(self.chains.values()))

    @cached_property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Port -> shape of one sample at one step."""
        return infer_shapes(self.program).shapes

    @cached_property
    def keys(self) -> Mapping[str, Mapping[str, str]]:
        """Node -> parameter -> key."""
        return {name: self.program.param_keys(name) for name in self.program.nodes}

    @cached_property
    def equations(self) -> Mapping[str, StepEquations]:
        """Pointwise node -> its equations for one step."""
        nodes = self.program.nodes.items()
        return {name: op.equations() for name, op in nodes if isinstance(op, (Neuron, Pointwise))}

    @cached_property
    def remembering(self) -> frozenset[str]:
        """Nodes whose layer is a `Remembering` one; to ask a protocol takes as long as a small layer."""
        return frozenset(name for name, layer in self.layers.items() if isinstance(layer, Remembering))

    @cached_property
    def read(self) -> frozenset[str]:
        """Ports that some node reads."""
        return frozenset(edge.src for edge in self.program.edges)

    @cached_property
    def widest(self) -> int:
        """Numbers of the largest signal that changes over time, of one sample at one step. An input is there
        before."""
        inputs = {f"{name}.y" for name in self.program.named(Input)}
        moving = self.shapes.keys() - self.schedule.static - inputs
        return max((prod(self.shapes[port]) for port in moving), default=0)

    @cached_property
    def fixed(self) -> tuple[Run, ...]:
        """What is computed once for all steps."""
        return tuple(run for run in self._runs if self._still(run[0]))

    @cached_property
    def moving(self) -> tuple[Run, ...]:
        """What is computed for every step."""
        return tuple(run for run in self._runs if not self._still(run[0]))

    @cached_property
    def _runs(self) -> tuple[Run, ...]:
        """All but inputs and outputs, in the order in which they run: what is computed once comes first."""
        seen: set[str] = set()
        found = []
        order = sorted(self.stages, key=lambda stage: not self._still(stage))
        for stage in reversed(order):
            sources = {edge.src for name in stage.nodes for edge in self._into(name)}
            if not isinstance(self.program.nodes[stage.nodes[0]], (Input, Output)):
                found.append((stage, frozenset(sources - seen)))
            seen |= sources
        return tuple(found[::-1])

    def _still(self, stage: Stage) -> bool:
        ports = {f"{name}.{port}" for name in stage.nodes for port in self.program.nodes[name].out_ports}
        return ports <= self.schedule.static

    def _into(self, name: str) -> Iterator[Edge]:
        for port in self.program.nodes[name].in_ports:
            yield from self.program.into(name, port)
