"""A traced forward in which a loop over time stands written out: which step is what, and what is the same.

Every node belongs to the step of the neurons and inputs it reads. Two nodes have the same key where they
do the same to what is the same, in whatever step.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from torch import fx, nn

from snnhw.errors import CaptureError
from snnhw.nn.capture.sample import Sample
from snnhw.nn.capture.trace import REST, SPOT, STEP, place
from snnhw.nn.modules.hooks import EQUATIONS
from snnhw.nn.modules.neuron import SpikingNeuron

__all__ = ["Called", "Unrolled", "sequences"]

SPK = "spk"

CHANGE = (
    "Change two lines: construct it as `snn.{kind}(..., init_hidden=True)` and call it as "
    "`spk = self.{path}(cur)`; then write the loop over time outside forward"
)


def sequences(graph: fx.Graph) -> frozenset[str]:
    """Inputs that the forward takes apart step by step, as in ``x[step]``."""
    return frozenset(
        str(node.target)
        for node in graph.nodes
        if node.op == "placeholder" and any(_index(user) is not None for user in node.users)
    )


def _index(node: fx.Node) -> int | None:
    """Which step of an argument a node is, if it is one: of ``x[step]`` or ``x[step, :, :]``."""
    if node.target is not operator.getitem:
        return None
    source, index = node.args
    step, *rest = index if isinstance(index, (tuple, list)) else (index,)
    of_input = isinstance(source, fx.Node) and source.op == "placeholder"
    whole = all(item in (slice(None), ...) for item in rest)
    return step if of_input and whole and isinstance(step, int) and not isinstance(step, bool) else None


@dataclass(frozen=True)
class Called:
    """A neuron, and its calls in order."""

    path: str
    module: SpikingNeuron
    calls: list[fx.Node]

    @property
    def by_hand(self) -> bool:
        """Whether it is called from several places, and so by no loop."""
        return bool(self.calls[-1].meta[SPOT] != self.calls[0].meta[SPOT])

    def refusal(self, node: fx.Node, why: str, handed: Any = None) -> CaptureError:
        """Why its calls are not one call in every step, and what to do: keep its states inside, unless the
        one that it is ``handed`` was changed on the way."""
        if self.by_hand:
            return CaptureError(
                f"{place(self.calls[1])}: '{self.path}' is called twice within a step, but has one state; "
                "use two neurons"
            )
        if axis := _taken_apart(node):
            return CaptureError(
                f"{place(node)}: '{self.path}' {why}: its input is taken apart along axis {axis}, and time "
                "comes first here, [T, B, ...]. Give x.transpose(0, 1), and take x[step]"
            )
        change = CHANGE.format(kind=type(self.module).__name__, path=self.path)
        made = isinstance(handed, fx.Node) and handed.op in ("call_function", "call_method")
        if made and handed.target not in (operator.getitem, *REST):
            change = f"What {place(handed)} makes of it is part of the neuron; {EQUATIONS}"
        return CaptureError(f"{place(node)}: '{self.path}' {why}. {change}")

    def states(self, call: fx.Node) -> dict[str, Any]:
        """The states that a call is handed."""
        names = self.module._hw_state_names
        given = dict(zip(names, call.args[1:], strict=False)) | call.kwargs
        return {name: value for name, value in given.items() if name in names and value is not None}

    def source(self, node: Any, name: str) -> fx.Node | None:
        """The call that returned a node as the state of that name."""
        if not isinstance(node, fx.Node) or node.target is not operator.getitem:
            return None
        if self.module.init_hidden and not self.module.output:
            return None
        order = [state for state in self.module._hw_state_names if state != SPK]
        if self.module._hw_model.fire is not None:
            order.insert(0, SPK)
        call, index = node.args
        taken = index in (order.index(name), order.index(name) - len(order))
        return call if taken and isinstance(call, fx.Node) and call.target == self.path else None


def _taken_apart(node: fx.Node) -> int:
    """The axis along which an input is taken apart on the way to a node, as 1 in ``x[:, step]``; 0 where that
    is the first one, or nothing is."""
    seen, left = {node}, [node]
    while left:
        found = left.pop()
        if found.target is operator.getitem:
            source, index = found.args
            if isinstance(source, fx.Node) and source.op == "placeholder":
                items = index if isinstance(index, tuple) else ()
                return next((axis for axis, item in enumerate(items) if isinstance(item, int)), 0)
        new = [each for each in found.all_input_nodes if each not in seen]
        seen.update(new)
        left += new
    return 0


def fed(call: fx.Node) -> Any:
    """What a neuron is fed with."""
    return call.args[0] if call.args else next(iter(call.kwargs.values()), None)


@dataclass
class Unrolled:
    """The analysis of one trace.

    Attributes:
        step_of: node -> its step; None for what is the same in every step.
        key_of: node -> what it does, as a number.
    """

    root: nn.Module
    graph: fx.Graph
    sample: Sample
    step_of: dict[fx.Node, int | None] = field(default_factory=dict)
    key_of: dict[fx.Node, int] = field(default_factory=dict)
    keys: dict[Any, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.over_time = sequences(self.graph)
        for node in self.graph.nodes:
            self._set(node, *self._described(node))

    @cached_property
    def neurons(self) -> dict[str, Called]:
        found: dict[str, Called] = {}
        for node in self.graph.nodes:
            if node.op == "call_module":
                path = str(node.target)
                module = self.root.get_submodule(path)
                if isinstance(module, SpikingNeuron):
                    found.setdefault(path, Called(path, module, [])).calls.append(node)
        return found

    @cached_property
    def steps(self) -> int:
        """How many steps are written out."""
        return max((len(neuron.calls) for neuron in self.neurons.values()), default=1)

    @property
    def shown(self) -> int:
        """The step that stands for all: the second, where there is one, because one comes before it."""
        return min(1, self.steps - 1)

    @cached_property
    def output(self) -> fx.Node:
        found: fx.Node = next(node for node in self.graph.nodes if node.op == "output")
        return found

    def neuron(self, node: fx.Node) -> Called | None:
        """The neuron that a node calls."""
        return self.neurons.get(str(node.target)) if node.op == "call_module" else None

    def input_of(self, node: fx.Node) -> fx.Node | None:
        """The input of which a node is one step."""
        if _index(node) is None:
            return None
        source = node.args[0]
        assert isinstance(source, fx.Node)
        return source if str(source.target) in self.sample.shapes else None

    # -- steps and keys ----------------------------------------------------------------------------------

    def _described(self, node: fx.Node) -> tuple[int | None, Any]:
        """The step of a node, and what it does; those of its arguments are known."""
        neuron, source = self.neuron(node), self.input_of(node)
        if neuron is not None:
            return neuron.calls.index(node), ("neuron", neuron.path)
        if source is not None:
            return _index(node), ("input", source.target)
        if node.target in REST:
            return None, ("rest",)
        known = [step for arg in node.all_input_nodes if (step := self.step_of[arg]) is not None]
        own = max(known, default=None)
        if self.steps > 1:
            own = node.meta.get(STEP, own)
        return own, (node.op, node.target, self._written(node.args, own), self._written(node.kwargs, own))

    def _set(self, node: fx.Node, step: int | None, what: Any) -> None:
        self.step_of[node], self.key_of[node] = step, self.keys.setdefault(what, len(self.keys))

    def _written(self, argument: Any, step: int | None) -> Any:
        """An argument as part of a key: nodes by what they do and how many steps ago."""
        if isinstance(argument, fx.Node):
            return fx.Node, self.key_of[argument], self.ago(argument, step)
        if isinstance(argument, Mapping):
            return tuple((name, self._written(item, step)) for name, item in argument.items())
        if isinstance(argument, (tuple, list)):
            return tuple(self._written(item, step) for item in argument)
        return type(argument), repr(argument)

    def ago(self, node: fx.Node, step: int | None) -> int | None:
        """How many steps before ``step`` a node belongs; None where there is no telling."""
        own = self.step_of[node]
        return None if own is None or step is None else step - own

    # -- what a step needs ---------------------------------------------------------------------------------

    def needed(self, roots: Iterable[fx.Node]) -> set[fx.Node]:
        """The roots, and what they read within their step.

        Raises:
            CaptureError: something reads another step.
        """
        found: set[fx.Node] = set()
        stack = list(roots)
        while stack:
            node = stack.pop()
            if node not in found:
                found.add(node)
                stack += self._read(node)
        return found

    def _read(self, node: fx.Node) -> list[fx.Node]:
        neuron = self.neuron(node)
        read = node.all_input_nodes if neuron is None else [x for x in [fed(node)] if isinstance(x, fx.Node)]
        for arg in read:
            if ago := self.ago(arg, self.step_of[node]):
                when = f"{ago} step{'s'[: ago - 1]} before" if ago > 0 else "a later step"
                raise CaptureError(
                    f"{place(node)}: it uses a value of {when}; only the states of neurons go from step "
                    "to step. Feed spikes back with snn.RLeaky, and add up what is returned outside forward"
                )
        return read
