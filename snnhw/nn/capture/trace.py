"""Recording a module's forward as a graph of torch.fx, and finding the user's line again.

The values are torch.fx's; its tracing is not used, since it replaces methods of every module in the process.
See `snnhw.nn.capture.standing`.
"""

from __future__ import annotations

import inspect
import linecache
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn

from snnhw.errors import CaptureError
from snnhw.ir import Shape
from snnhw.nn.capture.carrying import CARRYING
from snnhw.nn.capture.quantised import is_quantised, strange
from snnhw.nn.capture.sample import Sample
from snnhw.nn.capture.standing import StandIns, is_stand_in
from snnhw.nn.capture.symbols import RETURNED, STEPS, Names, Symbols
from snnhw.nn.modules.graded import GradedSpikes
from snnhw.nn.modules.neuron import SpikingNeuron
from snnhw.nn.modules.norm_dropout import BatchNormTT
from snnhw.words import brief, sentence

__all__ = ["REST", "RESTARTED", "SPOT", "STEP", "at_rest", "place", "rooted", "trace"]

_OURS = Path(__file__).parents[2]
OTHERS = (f"{Path(torch.__file__).parent}/", f"{_OURS / 'nn'}/", *map(str, _OURS.glob("*.py")))
"""Beginnings of files that are not the user's: torch's folder, and snnhw's where they lead to capture."""

PLACE = "snnhw.place"
"""Where a node keeps the user's line."""

SPOT = "snnhw.spot"
"""Where a node keeps the instruction that made it: a line may hold several."""

STEP = "snnhw.step"
"""Set where a layer is indexed by the step, as in ``bn[step](x)``: which one."""

RESTARTED = "snnhw.restarted"
"""Set where a neuron was put at rest since its call before."""

STRAY = (
    "it calls a {kind} that no attribute of the network leads to. Assign it in the constructor, "
    "self.NAME = ..., and call it as self.NAME(x)"
)
"""What is said of a module that is found in another way."""


STRANGE: Mapping[str, str] = {
    "snntorch": "{kind} is a layer of snntorch, which only torch computes. snnhw has those of the same names "
    "and arguments, which take the same state dicts: import snnhw as snn",
}
"""Package -> what is said of a layer of its."""


def at_rest() -> None:
    """What a node calls that stands for the state a neuron gives when it is put at rest."""


def zeros() -> None:
    """What a node calls that stands for zeros."""


REST = (at_rest, zeros, torch.zeros_like, "new_zeros")
"""Targets of nodes that give a state before the first step: `at_rest`, or zeros."""


def rooted(net: nn.Module) -> nn.Module:
    """The module whose paths a graph names: ``net``, or one that holds it alone."""
    if not isinstance(net, nn.Module):
        raise CaptureError(f"a torch module is captured, not {brief(net)}")
    return _Alone(net) if _is_leaf(net) else net


def trace(root: nn.Module, sample: Sample, sequences: frozenset[str] = frozenset()) -> fx.Graph:
    """The graph of a forward, with every loop over time written out.

    Args:
        sequences: inputs that the forward takes with a time axis.

    Raises:
        CaptureError: what the forward does cannot be recorded; names the line.
    """
    shapes = {name: (STEPS, *shape) if name in sequences else shape for name, shape in sample.shapes.items()}
    tracer = _Tracer(shapes, sample.settings, sequences)
    try:
        return tracer.record(root)
    except Exception as error:  # whatever the user's forward does with a symbolic tensor
        frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(OTHERS)]
        where = (
            f"{frames[-1].filename}:{frames[-1].lineno}: `{frames[-1].line}`"
            if frames
            else type(root).__name__
        )
        raise CaptureError(f"{where} cannot be captured: {_reason(error, tracer.in_vain)}") from error


def _reason(error: Exception, in_vain: str) -> str:
    """Why a forward cannot be recorded."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        module = frame.f_locals.get("self")
        if isinstance(module, nn.Module) and not is_stand_in(module):
            return STRAY.format(kind=type(module).__name__)
    if isinstance(error, CaptureError):
        return str(error)
    if said := _strangers(error):
        return said
    return (
        f"{sentence(in_vain or str(error))} The forward must compute one time step, or the same at every "
        "step of a loop, and do so without choices that depend on values"
    )


def _strangers(error: Exception) -> str:
    """What is said of a layer of somebody else's in which it failed; nothing of others."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        kind = type(frame.f_locals.get("self"))
        for each in kind.__mro__ if issubclass(kind, nn.Module) else ():
            package = each.__module__.partition(".")[0]
            if package in STRANGE:
                return STRANGE[package].format(kind=each.__name__)
    return ""


def _is_leaf(module: nn.Module) -> bool:
    container = isinstance(module, (nn.Sequential, nn.ModuleList, nn.ModuleDict))
    if isinstance(module, (*CARRYING, GradedSpikes)) or is_quantised(module) or strange("", module):
        return True
    return type(module).__module__.startswith(("torch.nn", "torch.jit")) and not container


class _Tracer(Symbols):
    """Records one forward. A `snnhw.nn.capture.standing.Recorder`."""

    def __init__(
        self, shapes: Mapping[str, Shape], settings: Mapping[str, Any], sequences: frozenset[str]
    ) -> None:
        super().__init__(shapes, sequences)
        self.settings = settings
        self.states: dict[str, list[Any]] = {}
        self.asked: dict[str, fx.Proxy] = {}

    def record(self, net: nn.Module) -> fx.Graph:
        """The graph of its forward."""
        self.copies = StandIns(net, self)
        self.root, self.graph = self.copies.root, fx.Graph()
        self.names = {id(param): name for name, param in net.named_parameters()}
        self.tensor_attrs = {
            value: f"{path}.{name}".lstrip(".")
            for path, module in self.root.named_modules()
            for name, value in (*vars(module).items(), *_states(module))
            if isinstance(value, Tensor)
        }
        args, named = self._arguments(self.root.forward)
        returned = self.root.forward(*args, **named)
        self.create_node("output", "output", (self.create_arg(returned),), {})
        return self.graph

    def _arguments(self, forward: Callable[..., Any]) -> tuple[list[Any], dict[str, Any]]:
        """Settings as they are, and a symbol for everything else."""
        given: list[Any] = []
        named: dict[str, Any] = {}
        for param in inspect.signature(forward).parameters.values():
            if param.kind in (param.VAR_POSITIONAL, param.VAR_KEYWORD):
                continue
            value = (
                self.copies.of(self.settings[param.name])
                if param.name in self.settings
                else self.create_proxy("placeholder", param.name, (), {})
            )
            if param.kind is param.KEYWORD_ONLY:
                named[param.name] = value
            else:
                given.append(value)
        return given, named

    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        # Not by fx's own record_stack_traces: it imports torch's compiler, which takes seconds.
        node = super().create_node(*args, **kwargs)
        node.meta[PLACE], node.meta[SPOT] = _users_line()
        return node

    def create_arg(self, a: Any) -> Any:
        if isinstance(a, Tensor) and not isinstance(a, nn.Parameter) and not self._is_buffer(a):
            if not a.count_nonzero():
                return self.create_node("call_function", zeros if a.numel() else at_rest, (), {})
            # fx would leave it in the user's module
            name = self.tensor_attrs.get(a, f"of shape {list(a.shape)}")
            return self.create_node("get_attr", name, (), {})
        return super().create_arg(a)

    def _is_buffer(self, tensor: Tensor) -> bool:
        states = {id(state) for module in self.root.modules() for _, state in _states(module)}
        return id(tensor) not in states and any(tensor is buffer for buffer in self.root.buffers())

    def module_called(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        if not self.is_leaf(m):
            return forward(*args, **kwargs)
        path = self.copies.paths.get(id(m))
        if path is None:  # a copy that forward itself made
            raise CaptureError(STRAY.format(kind=type(m).__name__))
        owner, _, step = path.rpartition(".")
        if owner and isinstance(self.root.get_submodule(owner), BatchNormTT):
            found = self.create_proxy("call_module", owner, args, kwargs)
            found.node.meta[STEP] = int(step)
            return found
        found = self.create_proxy("call_module", path, args, kwargs)
        if isinstance(m, SpikingNeuron):
            now = [getattr(m, name) for name in m._hw_state_names]
            before = self.states.setdefault(path, now)
            if any(a is not b for a, b in zip(now, before, strict=True)):
                found.node.meta[RESTARTED] = True
            self.states[path] = now
            found.node.meta[RETURNED] = m._hw_returned(Names())
        return found

    def module_asked(self, value: Any) -> Any:
        name = self.names.get(id(value))
        if name is None:
            return value
        if name not in self.asked:
            self.asked[name] = self.create_proxy("get_attr", name, (), {})
        return self.asked[name]

    def is_leaf(self, module: nn.Module) -> bool:
        return _is_leaf(module)


def _states(module: nn.Module) -> list[tuple[str, Tensor | None]]:
    """The states of a neuron, which are buffers that no graph reads: it hands them on itself."""
    names = module._hw_state_names if isinstance(module, SpikingNeuron) else ()
    return [(name, module._buffers.get(name)) for name in names]


class _Alone(nn.Module):
    """One layer as a network."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.name = type(layer).__name__.lower()
        self.add_module(self.name, layer)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # as nn.Sequential has it
        result: Tensor = self.get_submodule(self.name)(input)
        return result


def place(node: fx.Node) -> str:
    """The user's line that made a node."""
    return node.meta[PLACE] or f"'{node.name}'"


def _users_line() -> tuple[str, tuple[object, int] | None]:
    """The innermost line on the stack that is the user's, with where it stands, and the instruction there;
    empty when none is."""
    for frame, number in traceback.walk_stack(None):
        file = frame.f_code.co_filename
        if not file.startswith(OTHERS):
            line = f"{file}:{number}: `{linecache.getline(file, number).strip()}`"
            return line, (frame.f_code, frame.f_lasti)
    return "", None
