"""From a torch module that computes one time step to a program."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any, NamedTuple

from torch import fx, nn

from snnhw.errors import CaptureError, ProgramError, SnnhwError
from snnhw.ir import Input, Output, Params, Program, Shape, require_valid
from snnhw.nn.capture.building import Building
from snnhw.nn.capture.functions import ARITHMETIC, FUNCTIONS, METHODS
from snnhw.nn.capture.inlining import place_program
from snnhw.nn.capture.layers import MODULES, host
from snnhw.nn.capture.loops import one_step
from snnhw.nn.capture.quantised import converted, is_quantised, strange
from snnhw.nn.capture.sample import bind_sample
from snnhw.nn.capture.signals import Converted, HeldTensor, Signal, described
from snnhw.nn.capture.trace import place, rooted, trace
from snnhw.nn.capture.unrolled import Unrolled, sequences
from snnhw.nn.modules.delay import Delay
from snnhw.nn.modules.neuron import SpikingNeuron
from snnhw.nn.modules.norm_dropout import BatchNormTT
from snnhw.nn.program import ProgramStep, key_names

__all__ = ["Captured", "capture"]


OURS = "snnhw."
"""Where the forward of a neuron stands that computes its equations."""


class Captured(NamedTuple):
    """A module as a program.

    Attributes:
        names: parameter key -> the module's name of it; ``*`` in a name stands for the numbers along the
            parameter's first axis, each of which has a name of its own.
    """

    program: Program
    params: Params
    names: Mapping[str, str]


def capture(net: nn.Module, sample: Any) -> Captured:
    """Trace one time step of a module.

    Branches, functional calls and nested modules are followed; neurons and torch's layers become
    nodes named by their path. States are the neurons' own in a program: a forward may hand them from
    step to step, through arguments and what it returns or in a loop over time that it holds itself, and
    is captured as its one step where all steps are alike. What a loop stacks becomes an output.

    Args:
        net: its ``forward`` computes one time step, or all of them.
        sample: one time step of input, ``[B, ...]``; a tuple, or a mapping by argument, for several. A
            state may be left out; a number of steps may be given, or left out.

    Raises:
        CaptureError: something in ``forward`` has no counterpart in a program; names the line.
    """
    if isinstance(net, ProgramStep):
        return _known(net, sample)
    root = rooted(net)
    given = bind_sample(root, sample)
    graph = trace(root, given)
    if over_time := sequences(graph):
        graph = trace(root, given, over_time)
    _check_forwards(root, graph)
    graph = one_step(Unrolled(root, graph, given))
    building = Building(root, given.shapes)
    for node in graph.nodes:
        try:
            _HANDLERS[node.op](building, node)
        except SnnhwError as error:
            reason = error.problems[0] if isinstance(error, ProgramError) else str(error)
            raise CaptureError(f"{place(node)}: {reason}{_no_batch(given.shapes)}") from None
    program = building.program()
    require_valid(program)
    names = {key: name if root is net else name.partition(".")[2] for key, name in building.names.items()}
    return Captured(program, building.params, names)


def _no_batch(shapes: Mapping[str, Shape]) -> str:
    """A hint where a sample has one axis, which is then taken for the batch."""
    alone = [name for name, shape in shapes.items() if len(shape) == 1]
    if not alone:
        return ""
    return f" The sample for '{alone[0]}' has one axis, the batch; of a single sample, give x[None]"


def _known(net: ProgramStep, sample: Any) -> Captured:
    """The program that a module was made from, with its present parameters."""
    names = net.program.named(Input)
    several = sample if isinstance(sample, (tuple, Mapping)) else (sample,)
    given = several if isinstance(several, Mapping) else dict(zip(names, several, strict=False))
    for name in names:
        op, shape = net.program.nodes[name], tuple(getattr(given.get(name), "shape", ()))
        assert isinstance(op, Input)
        if shape[1:] != op.shape or not shape:
            accepted = f"[B{''.join(f', {size}' for size in op.shape)}]"
            raise CaptureError(
                f"the sample for '{name}' has shape {list(shape)}; its program takes {accepted}"
            )
    attributes = key_names(net.program)
    params = {key: host(net, name) for key, name in attributes.items()}
    return Captured(net.program, params, attributes)


def _check_forwards(root: nn.Module, graph: fx.Graph) -> None:
    """Refuse neurons that compute something else than their equations."""
    for node in graph.find_nodes(op="call_module"):
        module = root.get_submodule(str(node.target))
        if isinstance(module, SpikingNeuron) and not type(module).forward.__module__.startswith(OURS):
            raise CaptureError(
                f"{place(node)}: '{node.target}' is a {type(module).__name__}, whose forward is its own and "
                "runs in torch only; write its equations with snnhw.neuron, as in examples/custom_neuron.py"
            )
        if isinstance(module, SpikingNeuron) and (why := module._hw_apart()):
            raise CaptureError(f"{place(node)}: '{node.target}' is a {type(module).__name__} that {why}")


def _input(building: Building, node: fx.Node) -> None:
    name = str(node.target)
    batch, *sample = building.samples[name]
    (port,) = building.add(name, Input(tuple(sample)), {})
    building.values[node] = Signal(port, tuple(sample), batch)


def _output(building: Building, node: fx.Node) -> None:
    returned = building.resolve(node.args[0])
    for name, signal in _named(returned).items():
        if not isinstance(signal, Signal):
            raise CaptureError(
                f"forward returns {described(signal)}; return signals, alone, in one tuple or in one dict"
            )
        building.add(building.free(name), Output(), {"x": (signal.port,)})


def _named(returned: Any) -> dict[str, Any]:
    """Names of outputs -> what is returned there."""
    if isinstance(returned, Mapping):
        return {str(name): signal for name, signal in returned.items()}
    signals = _flat(returned)
    if len(signals) == 1:
        return {"output": signals[0]}
    return {f"output.{number}": signal for number, signal in enumerate(signals)}


def _flat(returned: Any) -> list[Any]:
    """What is returned in tuples, however nested, in order."""
    if not isinstance(returned, (tuple, list)):
        return [returned]
    return [signal for item in returned for signal in _flat(item)]


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
    if isinstance(module, ProgramStep):
        building.values[node] = place_program(building, path, module, positional, named)
        return
    if is_quantised(module):
        building.values[node] = building.place_module(path, module, converted(path, module, given[0]))
        return
    convert = MODULES.get(type(module))
    if convert is None:
        known = f"known: {', '.join(dict.fromkeys(kind.__name__ for kind in MODULES))} and snnhw's neurons"
        name = type(module).__name__
        instead = INSTEAD.get(name) or next((INSTEAD[each] for each in SORTS if each in name), known)
        raise CaptureError(
            strange(path, module) or f"'{path}' is a {name}, which has no counterpart in a program; {instead}"
        )
    held = next((what for kinds, what in ONCE.items() if isinstance(module, kinds)), None)
    if held and path in building.nodes:
        raise CaptureError(f"'{path}' is called twice within a step, but holds {held}; use two")
    if len(given) > 1:
        raise CaptureError(f"'{path}' takes one signal; {described(given[1])} beside it is not supported")
    building.values[node] = building.place_module(path, module, convert(module, given[0]))


ONCE: Mapping[tuple[type[nn.Module], ...], str] = {
    (Delay,): "one signal",
    (nn.BatchNorm1d, nn.BatchNorm2d, BatchNormTT): "the statistics of one place",
}
"""What may be called once within a step, and why."""


def _neuron(building: Building, path: str, module: SpikingNeuron, given: list[Any]) -> Any:
    (signal,) = given  # states are folded away
    name = building.free(path, path=path)
    layer = module._hw_composite(name, signal.shape)
    return module._hw_returned(building.place_neurons(name, path, module, layer, signal))


def _call(building: Building, node: fx.Node) -> None:
    """A function, or a method of a tensor."""
    arguments, options = building.arguments(node)
    for item in (*arguments, *options.values()):
        if isinstance(item, HeldTensor):
            raise CaptureError(f"it uses {described(item)}")
    called = getattr(node.target, "__name__", str(node.target))
    convert = _converter(called, node, arguments)
    try:
        signature(convert).bind(*arguments, **options)
    except TypeError as error:
        raise CaptureError(f"'{called}' is not supported in this form: {error}") from None
    made = convert(*arguments, **options)
    parts = made if isinstance(made, tuple) else (made,)
    placed = tuple(
        building.place(building.free(node.name), item) if isinstance(item, Converted) else item
        for item in parts
    )
    building.values[node] = placed if isinstance(made, tuple) else placed[0]


def _converter(called: str, node: fx.Node, arguments: list[Any]) -> Callable[..., Any]:
    if node.target in ARITHMETIC:
        return ARITHMETIC[node.target]
    known: Mapping[Any, Callable[..., Any]] = FUNCTIONS if node.op == "call_function" else METHODS
    convert = known.get(node.target)
    if convert is None:
        instead = INSTEAD.get(called) or f"known: {', '.join(sorted(_names(known)))}"
        raise CaptureError(f"'{called}' has no counterpart in a program; {instead}")
    if not arguments or not isinstance(arguments[0], Signal):
        raise CaptureError(
            f"'{called}' takes a signal, not {described(arguments[0]) if arguments else 'nothing'}"
        )
    return convert


INSTEAD: Mapping[str, str] = {
    "dropout": "use nn.Dropout, which knows training from evaluation",
    "batch_norm": "use nn.BatchNorm1d or nn.BatchNorm2d",
    **dict.fromkeys(
        ("Softmax", "LogSoftmax", "softmax", "log_softmax"),
        "leave it out: losses of cross entropy (ce_rate_loss, ce_count_loss, ce_membrane_loss) have it "
        "within, and what model(x) gives can be given to torch.softmax",
    ),
    **dict.fromkeys(
        ("GroupNorm", "InstanceNorm", "RMSNorm", "group_norm", "instance_norm"),
        "use nn.LayerNorm, nn.BatchNorm1d, nn.BatchNorm2d, or snnhw.BatchNormTT1d and 2d, which norm each "
        "step by itself",
    ),
    **dict.fromkeys(
        ("LSTM", "GRU", "RNN"),
        "use snnhw.SLSTM or snnhw.SConv2dLSTM, or spiking neurons with recurrence, snnhw.RLeaky",
    ),
    **dict.fromkeys(
        ("CrossEntropyLoss", "MSELoss", "cross_entropy", "mse_loss"),
        "a loss is no part of the network: give it to snnhw.compile, loss=snnhw.functional.ce_rate_loss()",
    ),
}
"""What is called, or what a layer is -> what to use in its place."""

SORTS = ("InstanceNorm", "Softmax", "LSTM", "GRU", "RNN")
"""Parts of names: InstanceNorm1d and 2d, Softmax2d, LSTMCell."""


def _names(known: Mapping[Any, Any]) -> set[str]:
    """What a table's functions are called, arithmetic aside."""
    return {key if isinstance(key, str) else key.__name__.strip("_") for key in known}


def _attribute(building: Building, node: fx.Node) -> None:
    building.values[node] = HeldTensor(str(node.target))


_HANDLERS: Mapping[str, Callable[[Building, fx.Node], None]] = {
    "placeholder": _input,
    "output": _output,
    "call_module": _module,
    "call_function": _call,
    "call_method": _call,
    "get_attr": _attribute,
}
