"""A loop over time, written out by tracing, folded to its one step.

A forward may hold the loop itself, as snnTorch's tutorials write it, and hand states from step to step.
The loop is regular where all steps are the same and every neuron goes on from the state it left; then
one step says it all, and the states are the neurons' own.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import fx

from snnhw.errors import CaptureError
from snnhw.nn.capture.trace import REST, RESTARTED, STEP, at_rest, place
from snnhw.nn.capture.unrolled import Called, Unrolled, fed

__all__ = ["one_step"]


def one_step(loop: Unrolled) -> fx.Graph:
    """The graph of one step, without states.

    Raises:
        CaptureError: steps differ, a state is not handed on as it was returned, or what is returned is
            not something of every step; names the line.
    """
    for neuron in loop.neurons.values():
        _check_count(loop, neuron)
    handed = {node for neuron in loop.neurons.values() for node in _first_states(loop, neuron)}
    for neuron in loop.neurons.values():
        _check_fed(loop, neuron)
    returned = _returned(loop, loop.output.args[0])
    return _copy(loop, returned, handed)


# -- is it regular ---------------------------------------------------------------------------------------


def _check_count(loop: Unrolled, neuron: Called) -> None:
    if len(neuron.calls) != loop.steps:
        most = next(other for other in loop.neurons.values() if len(other.calls) == loop.steps)
        raise neuron.refusal(
            neuron.calls[-1],
            f"is called {_times(neuron)}, but '{most.path}' {_times(most)}; a loop over time calls every "
            "neuron once in every step",
        )


def _times(neuron: Called) -> str:
    return "once" if len(neuron.calls) == 1 else f"{len(neuron.calls)} times"


def _first_states(loop: Unrolled, neuron: Called) -> Iterator[fx.Node]:
    """Check that every call goes on from the one before; gives the arguments the first one starts from."""
    for step, call in enumerate(neuron.calls):
        if RESTARTED in call.meta:
            raise neuron.refusal(call, "is put at rest between two steps")
        for name, state in neuron.states(call).items():
            if step > 0:
                if neuron.source(state, name) is not neuron.calls[step - 1]:
                    why = f"is handed a '{name}' that is not the one it returned in the step before"
                    raise neuron.refusal(call, why, handed=state)
                continue
            origin = _origin(state)
            if origin is not None and origin.target in REST and origin.target is not at_rest:
                _check_zero(neuron, call, name)
            if origin is None:
                why = f"starts from a '{name}' that is neither zeros nor an argument of forward"
                raise neuron.refusal(call, why)
            if origin.op == "placeholder":
                _check_returned(loop, neuron, name)
                yield origin


def _origin(state: Any) -> fx.Node | None:
    """The node of zeros, or the argument, that a first state is or is taken from."""
    if isinstance(state, fx.Node) and state.target is operator.getitem:
        state = state.args[0]
    known = isinstance(state, fx.Node) and (state.target in REST or state.op == "placeholder")
    return state if known else None


def _check_zero(neuron: Called, call: fx.Node, name: str) -> None:
    starts = {state.name: state.init for state in neuron.module._hw_model.states}
    if starts.get(name, 0.0) != 0.0:
        rest = f"its '{name}' is {starts[name]} at rest"
        why = f"starts from zeros, but {rest}; start from what reset_mem() gives"
        raise neuron.refusal(call, why)


def _check_returned(loop: Unrolled, neuron: Called, name: str) -> None:
    last = neuron.calls[-1]
    returned = loop.output.all_input_nodes
    if last not in returned and not any(neuron.source(node, name) is last for node in returned):
        why = f"is handed the '{name}' that forward takes, but forward does not return the next one"
        raise neuron.refusal(neuron.calls[0], why)


def _check_fed(loop: Unrolled, neuron: Called) -> None:
    """Every call is fed by the same nodes of its own step."""
    shown = neuron.calls[loop.shown]
    for step, call in enumerate(neuron.calls):
        if not _same(loop, fed(call), fed(shown), step):
            where = _difference(loop, fed(call), fed(shown), step) or call
            if not neuron.by_hand:
                loop.needed([shown])  # what reads an earlier step is told so
            raise neuron.refusal(
                where, f"is fed otherwise in step {step} of this loop over time than in step {loop.shown}"
            )


def _same(loop: Unrolled, a: Any, b: Any, step: int) -> bool:
    if not (isinstance(a, fx.Node) and isinstance(b, fx.Node)):
        return bool(a == b)
    return loop.key_of[a] == loop.key_of[b] and loop.ago(a, step) == loop.ago(b, loop.shown)


def _difference(loop: Unrolled, a: fx.Node, b: fx.Node, step: int) -> fx.Node | None:
    """The node where two steps part, walking back from the neuron; none where the user wrote no line."""
    if a.op == "placeholder" or a.target in REST:
        return None
    pairs = list(zip(a.all_input_nodes, b.all_input_nodes, strict=False))
    if a.target == b.target and len(a.all_input_nodes) == len(b.all_input_nodes):
        for x, y in pairs:
            if not _same(loop, x, y, step):
                return _difference(loop, x, y, step) or a
    return a


# -- what is returned ------------------------------------------------------------------------------------


def _returned(loop: Unrolled, value: Any) -> Any:
    """What forward returns, each stack over time as one of its steps."""
    if isinstance(value, Mapping):
        return {name: _returned(loop, item) for name, item in value.items()}
    if isinstance(value, (tuple, list)):
        if loop.steps > 1 and [_step(loop, item) for item in value] == list(range(loop.steps)):
            return _record(loop, list(value), loop.output)
        return tuple(_returned(loop, item) for item in value)
    if not isinstance(value, fx.Node):
        return value
    if value.target in REST:
        raise CaptureError(
            "forward returns a tensor that nothing was computed into; to return a neuron's state, construct "
            "the neuron with output=True, and take what its call gives"
        )
    if value.target is torch.stack:
        return _stacked(loop, value)
    summary = any(arg.target is torch.stack for arg in value.all_input_nodes)
    if summary or loop.steps > 1:
        what = "a summary of all steps" if summary else "what the loop over time left at its last step"
        raise CaptureError(
            f"{place(value)}: forward returns {what}; return the values of every step, torch.stack(list), "
            "and compute with them outside forward"
        )
    return value


def _step(loop: Unrolled, item: Any) -> int | None:
    return loop.step_of[item] if isinstance(item, fx.Node) else None


def _stacked(loop: Unrolled, node: fx.Node) -> fx.Node:
    listed, *rest = node.args
    if (rest[0] if rest else node.kwargs.get("dim", 0)) != 0:
        raise CaptureError(f"{place(node)}: what is returned is [T, B, ...], time first; stack with dim=0")
    if not isinstance(listed, (tuple, list)):
        raise CaptureError(f"{place(node)}: stack a list that holds one value for every step")
    return _record(loop, list(listed), node)


def _record(loop: Unrolled, values: list[Any], node: fx.Node) -> fx.Node:
    """The step that stands for all in a list of one value for every step."""
    nodes = [value for value in values if isinstance(value, fx.Node)]
    if len(nodes) != loop.steps:
        raise CaptureError(
            f"{place(node)}: it stacks {len(values)} values, but the loop over time has {loop.steps} steps; "
            "append one value in every step"
        )
    shown = nodes[loop.shown]
    for step, item in enumerate(nodes):
        if loop.step_of[item] not in (None, step) or loop.key_of[item] != loop.key_of[shown]:
            raise CaptureError(
                f"{place(node)}: what it holds for step {step} is not what it holds for step {loop.shown}; "
                "append the same thing in every step"
            )
    return shown


# -- one step as a graph -----------------------------------------------------------------------------------


def _copy(loop: Unrolled, returned: Any, handed: set[fx.Node]) -> fx.Graph:
    roots = [neuron.calls[loop.shown] for neuron in loop.neurons.values()]
    fx.node.map_arg(returned, roots.append)
    needed = loop.needed(roots)
    _check_inputs(loop, needed, handed)
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in loop.graph.nodes:
        if node in needed:
            copies[node] = _copied(loop, graph, node, copies)
    whole = fx.node.map_arg(returned, copies.__getitem__)
    graph.create_node("output", "output", (whole,)).meta.update(loop.output.meta)
    return graph


def _check_inputs(loop: Unrolled, needed: set[fx.Node], handed: set[fx.Node]) -> None:
    """Refuse inputs that nobody gave, and states that forward computes with."""
    names = {str(node.target) for node in needed if node.op == "placeholder"}
    missing = [name for name in loop.sample.missing if name in names]
    if missing:
        raise loop.sample.refusal(missing)
    for node in handed & needed:
        raise CaptureError(
            f"'{node.target}' is the state of a neuron, but forward also computes with it; compute with what "
            "the neuron returns"
        )


def _copied(loop: Unrolled, graph: fx.Graph, node: fx.Node, copies: Mapping[fx.Node, fx.Node]) -> fx.Node:
    source, neuron = loop.input_of(node), loop.neuron(node)
    if source is not None:
        return copies[source]
    if neuron is not None:
        x = fx.node.map_arg(fed(node), copies.__getitem__)
        made = graph.create_node("call_module", node.target, (x,), name=node.name)
        made.meta.update(node.meta)
        return made
    args = fx.node.map_arg(node.args, copies.__getitem__)
    kwargs = fx.node.map_arg(node.kwargs, copies.__getitem__)
    target = f"{node.target}.{node.meta[STEP]}" if STEP in node.meta and loop.steps == 1 else node.target
    made = graph.create_node(node.op, target, args, kwargs)  # named as in a forward without a loop
    made.meta.update(node.meta)
    axis = _axis(loop, node)
    if axis == 0:
        raise CaptureError(
            f"{place(node)}: it computes with the number of time steps, which a program does not know"
        )
    if axis is not None and axis > 0:
        made.args = (made.args[0], axis - 1)  # without the axis of time
    return made


def _axis(loop: Unrolled, node: fx.Node) -> int | None:
    """The axis whose size a node is, of an input that has an axis of time."""
    if len(node.args) != 2 or type(node.args[1]) is not int:
        return None
    source = node.args[0]
    if node.target is operator.getitem and isinstance(source, fx.Node):
        source = source.args[0] if source.target in ("size", getattr) else None
    elif node.target != "size":
        return None
    timed = (
        isinstance(source, fx.Node) and source.op == "placeholder" and str(source.target) in loop.over_time
    )
    return node.args[1] if timed else None
