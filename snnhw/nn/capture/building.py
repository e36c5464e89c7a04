"""A program while capture puts it together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import attrgetter
from typing import Any

from torch import fx, nn

from snnhw.errors import CaptureError, ProgramError
from snnhw.ir import Edge, FrozenMap, Op, Params, Program, Shape, TimeAxis, infer_shapes
from snnhw.ir.composites import Composite
from snnhw.nn.capture.layers import copied
from snnhw.nn.capture.signals import Converted, Signal
from snnhw.nn.modules.arguments import held
from snnhw.nn.modules.neuron import SpikingNeuron

__all__ = ["Building"]


@dataclass
class Building:
    """The program so far.

    Attributes:
        root: the module that paths start from.
        names: parameter key -> its name in the root.
        values: traced node -> what it stands for.
        owners: id of a parameter's tensor -> the key it has already.
    """

    root: nn.Module
    samples: Mapping[str, Shape]
    nodes: dict[str, Op] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    params: Params = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    trainable: set[str] = field(default_factory=set)
    shapes: dict[str, Shape] = field(default_factory=dict)
    values: dict[fx.Node, Any] = field(default_factory=dict)
    owners: dict[int, str] = field(default_factory=dict)

    def add(
        self, name: str, op: Op, arriving: Mapping[str, tuple[str, ...]], *, delay: int = 0
    ) -> tuple[str, ...]:
        """Add a node under a name that is free; returns its output ports."""
        self.nodes[name] = op
        for port, sources in arriving.items():
            self.edges += [Edge(source, f"{name}.{port}", delay) for source in sources]
        found = op.infer({port: self.shapes[sources[0]] for port, sources in arriving.items()})
        self.shapes |= {f"{name}.{port}": shape for port, shape in found.items()}
        return tuple(f"{name}.{port}" for port in op.out_ports)

    def free(self, name: str, *, path: str = "") -> str:
        """The name, numbered where it is taken; a name that is a module's path is taken for all but it."""
        candidate, number = name, 0
        while candidate in self.nodes or (candidate in self._paths and candidate != path):
            number += 1
            candidate = f"{name}_{number}"
        return candidate

    @cached_property
    def _paths(self) -> frozenset[str]:
        return frozenset(path for path, _ in self.root.named_modules())

    def resolve(self, argument: Any) -> Any:
        """What an argument stands for: a signal, or a plain value."""
        return fx.node.map_arg(argument, lambda node: self.values[node])

    def arguments(self, node: fx.Node) -> tuple[list[Any], dict[str, Any]]:
        given = [self.resolve(argument) for argument in node.args]
        return given, {name: self.resolve(argument) for name, argument in node.kwargs.items()}

    def place(self, name: str, converted: Converted | Signal) -> Signal | tuple[Signal, ...]:
        """Add what a converter made, without parameters; returns what it gives."""
        if isinstance(converted, Signal):
            return converted
        batch = next(iter(self.samples.values()))[0]
        ports = self.add(name, converted.op, converted.arriving, delay=converted.delay)
        for op in converted.then:
            ports = self.add(self.free(name), op, {"x": ports})
        signals = tuple(Signal(port, self.shapes[port], batch) for port in ports)
        return signals[0] if len(signals) == 1 else signals

    def place_module(self, path: str, module: nn.Module, converted: Converted | Signal) -> Any:
        """Add what a converter made of a module; tensors that stood before are shared."""
        if isinstance(converted, Signal):
            return converted
        name, op = self.free(path, path=path), converted.op
        tied = {}
        for param, array in converted.params.items():
            source = converted.sources.get(param, param)
            tensor = attrgetter(source.replace("*", "0"))(module)
            owner = hash((id(module), param)) if converted.fixed else id(tensor)
            key = self.owners.setdefault(owner, f"{name}.{param}")
            if key in self.params:
                tied[param] = key
                if self.params[key].shape != array.shape:
                    raise CaptureError(f"'{path}.{param}' is shared with '{key}', but in another shape")
                continue
            self.params[key] = array
            if converted.fixed:  # nothing to train, nor to write back
                continue
            self.names[key] = f"{path}.{source}"
            if tensor.requires_grad:
                self.trainable.add(key)
        return self.place(name, replace(converted, op=replace(op, keys=FrozenMap(tied)) if tied else op))

    def place_neurons(
        self, layer_name: str, path: str, module: SpikingNeuron, layer: Composite, signal: Signal
    ) -> dict[str, Signal]:
        """Add the ops of a layer of neurons of that name; returns its ports by name."""
        alone = layer.program(dict.fromkeys(layer.inputs, signal.shape))
        moved = {}
        for key, spec in alone.params().items():
            name = key.removeprefix(f"{layer_name}.")
            tensor = module._hw_tensor_of(name)
            if not held(tensor).is_leaf:
                raise CaptureError(
                    f"the '{name}' of '{path}' is computed from a tensor that requires a gradient, which a "
                    "compiled model would not reach; give the constructor that tensor itself, or its value: "
                    f"{name}=....detach()"
                )
            owner = self.owners.setdefault(id(held(tensor)), key)
            if owner != key:
                moved[key] = owner
                continue
            array = copied(tensor)
            self.params[key] = array if spec.table else array.reshape(spec.shape)
            self.names[key] = f"{path}.{module._hw_renamed.get(name, name)}"
            if tensor.requires_grad:
                self.trainable.add(key)
        inferred, problems = infer_shapes(alone)
        if problems:
            raise ProgramError(problems)
        for name, op in layer.nodes.items():
            keys = {param: moved[key] for param, key in alone.param_keys(name).items() if key in moved}
            self.nodes[name] = replace(op, keys=op.keys | keys) if keys else op
            self.shapes |= {f"{name}.{port}": inferred[f"{name}.{port}"] for port in op.out_ports}
        self.edges += [Edge(signal.port, target) for targets in layer.inputs.values() for target in targets]
        self.edges += layer.edges
        return {
            port: Signal(source, self.shapes[source], signal.batch) for port, source in layer.outputs.items()
        }

    def program(self) -> Program:
        nodes = FrozenMap(self.nodes)
        return Program(nodes, tuple(self.edges), TimeAxis(), frozenset(self.trainable))
