"""From a torch module that computes one time step to a program."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any, NamedTuple

from torch import fx, nn

from snnhw.errors import CaptureError, ProgramError, SnnhwError
from snnhw.ir import Input, Output, Params, Program, Shape, require_valid
from snnhw.nn.building import Building
from snnhw.nn.functions import ARITHMETIC, FUNCTIONS, METHODS
from snnhw.nn.layers import MODULES
from snnhw.nn.neuron import SpikingNeuron
from snnhw.nn.signals import Converted, Held, Signal, described
from snnhw.nn.trace import place, trace

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
    root, graph = trace(net)
    building = Building(root, _samples(graph, sample))
    for node in graph.nodes:
        try:
            _HANDLERS[node.op](building, node)
        except SnnhwError as error:
            reason = error.problems[0] if isinstance(error, ProgramError) else str(error)
            raise CaptureError(f"{place(node)}: {reason}") from None
    program = building.program()
    require_valid(program)
    names = {key: name if root is net else name.partition(".")[2] for key, name in building.names.items()}
    return Captured(program, building.params, names)


def _samples(graph: fx.Graph, sample: Any) -> dict[str, Shape]:
    """Input name -> shape of its sample."""
    names = [str(node.target) for node in graph.nodes if node.op == "placeholder"]
    listed = ", ".join(names) or "nothing"
    if isinstance(sample, Mapping):
        given = dict(sample)
    else:
        items = sample if isinstance(sample, tuple) else (sample,)
        if len(items) > len(names):
            raise CaptureError(f"forward takes {listed}, but the sample holds {len(items)} arrays")
        given = dict(zip(names, items, strict=False))
    stray = [name for name in given if name not in names]
    if stray:
        raise CaptureError(f"forward takes {listed}, but the sample is for {', '.join(stray)}")
    missing = [name for name in names if name not in given]
    if missing:
        raise CaptureError(
            f"forward takes {listed}, but the sample has nothing for {', '.join(missing)}; give a "
            "mapping by argument. States are kept by neurons with init_hidden=True, not passed as arguments"
        )
    shapes = {name: tuple(getattr(array, "shape", ())) for name, array in given.items()}
    for name, shape in shapes.items():
        if not shape:
            raise CaptureError(
                f"the sample for '{name}' is one time step of input, an array [B, ...], "
                f"not {described(given[name])}"
            )
    return shapes


def _input(building: Building, node: fx.Node) -> None:
    name = str(node.target)
    batch, *sample = building.samples[name]
    (port,) = building.add(name, Input(tuple(sample)), {})
    building.values[node] = Signal(port, tuple(sample), batch)


def _output(building: Building, node: fx.Node) -> None:
    returned = building.resolve(node.args[0])
    signals = returned if isinstance(returned, (tuple, list)) else (returned,)
    for number, signal in enumerate(signals):
        if not isinstance(signal, Signal):
            raise CaptureError(f"forward returns {described(signal)}; return signals, alone or in one tuple")
        name = "output" if len(signals) == 1 else f"output.{number}"
        building.add(building.free(name), Output(), {"x": (signal.port,)})


def _module(building: Building, node: fx.Node) -> None:
    path = str(node.target)
    module = building.root.get_submodule(path)
    positional, named = building.arguments(node)
    given = [*positional, *named.values()]
    if not given or not isinstance(given[0], Signal):
        raise CaptureError(f"'{path}' takes a signal, not {described(given[0]) if given else 'nothing'}")
    if isinstance(module, SpikingNeuron):
        building.values[node] = _neuron(building, path, module, given)
        return
    convert = MODULES.get(type(module))
    if convert is None:
        raise CaptureError(
            f"'{path}' is a {type(module).__name__}, which has no counterpart in a program; "
            f"known: {', '.join(kind.__name__ for kind in MODULES)} and snnhw's neurons"
        )
    building.values[node] = building.place_module(path, module, convert(module, given[0]))


def _neuron(building: Building, path: str, module: SpikingNeuron, given: list[Any]) -> Any:
    signal, *states = given
    if any(state is not None for state in states):
        raise CaptureError(
            f"'{path}' is handed its state; construct it with init_hidden=True and leave the state out, "
            "so that the program can carry it from step to step; write the loop over time outside forward"
        )
    if path in building.called:
        raise CaptureError(f"'{path}' is called twice within a step, but has one state; use two neurons")
    building.called.add(path)
    rank = len(signal.shape)
    arriving = {module.model.ports[0]: (signal.port,)}
    ports = building.place_module(path, module, Converted(module.op(rank), arriving, module.op_params(rank)))
    signals = ports if isinstance(ports, tuple) else (ports,)
    return signals[0] if module.init_hidden and not module.output else signals


def _call(building: Building, node: fx.Node) -> None:
    """A function, or a method of a tensor."""
    arguments, options = building.arguments(node)
    for item in (*arguments, *options.values()):
        if isinstance(item, Held):
            raise CaptureError(f"it uses {described(item)}")
    called = getattr(node.target, "__name__", str(node.target))
    convert = _converter(called, node, arguments)
    try:
        signature(convert).bind(*arguments, **options)
    except TypeError as error:
        raise CaptureError(f"'{called}' is not supported in this form: {error}") from None
    made = convert(*arguments, **options)
    if isinstance(made, Converted):
        made = building.place(building.free(node.name), made)
    building.values[node] = made


def _converter(called: str, node: fx.Node, arguments: list[Any]) -> Callable[..., Any]:
    if node.target in ARITHMETIC:
        return ARITHMETIC[node.target]
    convert = (FUNCTIONS if node.op == "call_function" else METHODS).get(node.target)  # type: ignore[arg-type]  # keyed by either
    if convert is None:
        raise CaptureError(f"'{called}' has no counterpart in a program")
    if not arguments or not isinstance(arguments[0], Signal):
        raise CaptureError(
            f"'{called}' takes a signal, not {described(arguments[0]) if arguments else 'nothing'}"
        )
    return convert


def _attribute(building: Building, node: fx.Node) -> None:
    building.values[node] = Held(str(node.target))


_HANDLERS: Mapping[str, Callable[[Building, fx.Node], None]] = {
    "placeholder": _input,
    "output": _output,
    "call_module": _module,
    "call_function": _call,
    "call_method": _call,
    "get_attr": _attribute,
}
