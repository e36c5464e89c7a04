"""From a torch module that computes one time step to a program."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, fx, nn

from snnhw.errors import CaptureError, ProgramError
from snnhw.ir import Edge, Input, Op, Output, Params, Program, Shape, TimeAxis, require_valid
from snnhw.nn.convert import FUNCTIONS, METHODS, MODULES, Converted, Signal
from snnhw.nn.neuron import SpikingNeuron

__all__ = ["Captured", "capture"]


class Captured(NamedTuple):
    """A module as a program.

    Attributes:
        names: parameter key -> the module's name of it.
    """

    program: Program
    params: Params
    names: Mapping[str, str]


def capture(net: nn.Module, sample: Any) -> Captured:
    """Trace one time step of a module.

    Branches, functional calls and nested modules are followed; neurons and torch's layers become
    nodes named by their path.

    Args:
        net: its ``forward`` computes one time step.
        sample: one time step of input, ``[B, ...]``; a tuple, or a mapping by argument, for several.

    Raises:
        CaptureError: something in ``forward`` has no counterpart in a program; names the line.
    """
    graph = _trace(net)
    building = _Building(net, _samples(graph, sample))
    for node in graph.nodes:
        try:
            _HANDLERS[node.op](building, node)
        except (CaptureError, ProgramError) as error:
            reason = error.problems[0] if isinstance(error, ProgramError) else str(error)
            raise CaptureError(f"{_place(node)}: {reason}") from None
    program = building.program()
    require_valid(program)
    return Captured(program, building.params, building.names)


class _Tracer(fx.Tracer):
    record_stack_traces = True

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        container = isinstance(m, (nn.Sequential, nn.ModuleList, nn.ModuleDict))
        return isinstance(m, SpikingNeuron) or (type(m).__module__.startswith("torch.nn") and not container)


def _trace(net: nn.Module) -> fx.Graph:
    if isinstance(net, SpikingNeuron) or type(net) in MODULES:
        net = nn.Sequential(net)
    try:
        return _Tracer().trace(net)
    except Exception as error:  # whatever the user's forward does with a symbolic tensor
        frames = [f for f in traceback.extract_tb(error.__traceback__) if "/torch/" not in f.filename]
        last = frames[-1]
        raise CaptureError(
            f"{last.filename}:{last.lineno}: `{last.line}` cannot be captured: {error} "
            "The forward must compute one time step without a choice that depends on values; "
            "write the loop over time outside it"
        ) from error


def _samples(graph: fx.Graph, sample: Any) -> dict[str, Tensor]:
    names = [str(node.target) for node in graph.nodes if node.op == "placeholder"]
    if isinstance(sample, Mapping):
        given = dict(sample)
    else:
        given = dict(zip(names, sample if isinstance(sample, tuple) else (sample,), strict=False))
    missing = [name for name in names if name not in given]
    if missing:
        raise CaptureError(
            f"forward takes {', '.join(names)}, but the sample has nothing for {', '.join(missing)}; give a "
            "mapping by argument. States are kept by neurons with init_hidden=True, not passed as arguments"
        )
    return {name: given[name] for name in names}


@dataclass
class _Building:
    """The program so far."""

    net: nn.Module
    samples: Mapping[str, Tensor]
    nodes: dict[str, Op] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    params: Params = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    trainable: set[str] = field(default_factory=set)
    shapes: dict[str, Shape] = field(default_factory=dict)
    values: dict[fx.Node, Any] = field(default_factory=dict)
    uses: dict[str, str] = field(default_factory=dict)  # module path -> its first node

    def add(self, name: str, op: Op, arriving: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
        """Add a node; returns its output ports."""
        while name in self.nodes:
            stem, _, number = name.rpartition("_")
            name = f"{stem}_{int(number) + 1}" if stem and number.isdigit() else f"{name}_1"
        self.nodes[name] = op
        for port, sources in arriving.items():
            self.edges += [Edge(source, f"{name}.{port}") for source in sources]
        found = op.infer({port: self.shapes[sources[0]] for port, sources in arriving.items()})
        self.shapes |= {f"{name}.{port}": shape for port, shape in found.items()}
        return tuple(f"{name}.{port}" for port in op.out_ports)

    def resolve(self, argument: Any) -> Any:
        """What a node's argument stands for: a signal, or a plain value."""
        return fx.node.map_arg(argument, lambda node: self.values[node])

    def program(self) -> Program:
        return Program(self.nodes, tuple(self.edges), TimeAxis(), frozenset(self.trainable))  # type: ignore[arg-type]  # frozen by Program


def _input(building: _Building, node: fx.Node) -> None:
    name = str(node.target)
    shape = tuple(building.samples[name].shape)
    if not shape:
        raise CaptureError(f"the sample for '{name}' is one time step, [B, ...], not a single number")
    (port,) = building.add(name, Input(shape[1:]), {})
    building.values[node] = Signal(port, shape[1:])


def _output(building: _Building, node: fx.Node) -> None:
    returned = building.resolve(node.args[0])
    several = isinstance(returned, (tuple, list)) and not isinstance(returned, Signal)  # itself a tuple
    signals = returned if several else (returned,)
    for number, signal in enumerate(signals):
        if not isinstance(signal, Signal):
            raise CaptureError(f"forward returns {signal!r}; return signals, alone or in one tuple")
        name = "output" if len(signals) == 1 else f"output.{number}"
        building.add(name, Output(), {"x": (signal.port,)})


def _module(building: _Building, node: fx.Node) -> None:
    path = str(node.target)
    module = building.net.get_submodule(path) if path in dict(building.net.named_modules()) else building.net
    arguments = [building.resolve(argument) for argument in node.args]
    if not arguments or not isinstance(arguments[0], Signal):
        raise CaptureError(f"'{path}' is called without a signal")
    if isinstance(module, SpikingNeuron):
        building.values[node] = _neuron(building, node, path, module, arguments)
        return
    convert = MODULES.get(type(module))
    if convert is None:
        raise CaptureError(
            f"'{path}' is a {type(module).__name__}, which has no counterpart; "
            f"known: {', '.join(kind.__name__ for kind in MODULES)} and snnhw's neurons"
        )
    building.values[node] = _place_op(building, path, convert(module, arguments[0]), module)


def _neuron(
    building: _Building, node: fx.Node, path: str, module: SpikingNeuron, arguments: list[Any]
) -> Any:
    if len(arguments) > 1 or node.kwargs:
        raise CaptureError(
            f"'{path}' is handed its state; construct it with init_hidden=True and leave the state out, "
            "so that the program can carry it from step to step"
        )
    if path in building.uses:
        raise CaptureError(f"'{path}' is called twice within a step, but has one state; use two neurons")
    signal = arguments[0]
    op = module.op(len(signal.shape))
    converted = Converted(op, {"x": (signal.port,)}, module.op_params(len(signal.shape)))
    ports = _place_op(building, path, converted, module)
    signals = (ports,) if isinstance(ports, Signal) else ports
    if module.init_hidden and not module.output:
        return signals[0]
    return signals


def _place_op(building: _Building, path: str, converted: Converted | Signal, module: nn.Module | None) -> Any:
    """Add what a converter made; a second use of a module shares the first one's parameters."""
    if isinstance(converted, Signal):
        return converted
    op, first = converted.op, building.uses.get(path)
    if first is not None:
        op = _tied(op, {name: f"{first}.{name}" for name in op.params()})
    ports = building.add(path, op, converted.arriving)
    name = ports[0].rpartition(".")[0]
    if first is None and module is not None:
        building.uses[path] = name
        for param, array in converted.params.items():
            key = f"{name}.{param}"
            building.params[key] = array
            building.names[key] = f"{path}.{param}"
            if getattr(getattr(module, param), "requires_grad", False):
                building.trainable.add(key)
    signals = tuple(Signal(port, building.shapes[port]) for port in ports)
    return signals[0] if len(signals) == 1 else signals


def _tied(op: Op, keys: Mapping[str, str]) -> Op:
    from dataclasses import replace

    from snnhw.ir import FrozenMap

    return replace(op, keys=FrozenMap(keys))


def _call(building: _Building, node: fx.Node) -> None:
    """A function or a method on a signal."""
    table: Mapping[Any, Any] = FUNCTIONS if node.op == "call_function" else METHODS
    arguments = [building.resolve(argument) for argument in node.args]
    options = {name: building.resolve(argument) for name, argument in node.kwargs.items()}
    convert = table.get(node.target)
    if convert is None:
        called = getattr(node.target, "__name__", str(node.target))
        raise CaptureError(f"'{called}' has no counterpart in a program")
    made = convert(*arguments, **options)
    building.values[node] = (
        _place_op(building, node.name, made, None) if isinstance(made, Converted) else made
    )


def _attribute(building: _Building, node: fx.Node) -> None:
    raise CaptureError(
        f"the tensor '{node.target}' is used directly; only layers and neurons may hold parameters"
    )


_HANDLERS = {
    "placeholder": _input,
    "output": _output,
    "call_module": _module,
    "call_function": _call,
    "call_method": _call,
    "get_attr": _attribute,
}


def _place(node: fx.Node) -> str:
    """The user's line that made a node."""
    trace = [line.strip() for line in (node.stack_trace or "").splitlines() if line.strip()]
    files = [place for place, line in enumerate(trace) if line.startswith("File ") and "/torch/" not in line]
    if not files:
        return f"'{node.name}'"
    file, line, *_ = trace[files[-1]].removeprefix("File ").split(", ")
    code = trace[files[-1] + 1] if files[-1] + 1 < len(trace) else ""
    return f"{file.strip(chr(34))}:{line.removeprefix('line ')}: `{code}`"
