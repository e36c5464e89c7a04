"""Recording a module's forward with torch.fx, and finding the user's line again."""

from __future__ import annotations

import inspect
import linecache
import operator
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, fx, nn

from snnhw.errors import CaptureError
from snnhw.ir import Shape
from snnhw.nn.carrying import CARRYING, carried
from snnhw.nn.graded import GradedSpikes
from snnhw.nn.neuron import SpikingNeuron
from snnhw.nn.sample import Sample
from snnhw.nn.stepwise import BatchNormTT
from snnhw.words import brief, sentence

__all__ = ["REST", "RESTARTED", "SPOT", "STEP", "at_rest", "place", "rooted", "trace"]

OTHERS = tuple(f"{Path(package).parent}/" for package in (torch.__file__, Path(__file__).parent))
"""Folders whose files are not the user's: torch's, and snnhw's."""

PLACE = "snnhw.place"
"""Where a node keeps the user's line."""

SPOT = "snnhw.spot"
"""Where a node keeps the instruction that made it: a line may hold several."""

RETURNED = "snnhw.returned"
"""Set where a neuron is called: the names of what it returns."""

STEP = "snnhw.step"
"""Set where a layer is indexed by the step, as in ``bn[step](x)``: which one."""

RESTARTED = "snnhw.restarted"
"""Set where a neuron was put at rest since its call before."""

STEPS = 3
"""How many steps a sequence is taken to have, where a forward asks: the first has no step before it, and
the last no step after it."""


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
    try:
        with _untouched(root), _real_zeros():
            return _Tracer(shapes, sample.settings).trace(root)
    except Exception as error:  # whatever the user's forward does with a symbolic tensor
        frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(OTHERS)]
        where = (
            f"{frames[-1].filename}:{frames[-1].lineno}: `{frames[-1].line}`"
            if frames
            else type(root).__name__
        )
        raise CaptureError(
            f"{where} cannot be captured: {sentence(str(error))} The forward must compute one time step, or "
            "the same at every step of a loop, and do so without choices that depend on values"
        ) from error


def _is_leaf(module: nn.Module) -> bool:
    container = isinstance(module, (nn.Sequential, nn.ModuleList, nn.ModuleDict))
    return isinstance(module, (*CARRYING, GradedSpikes)) or (
        type(module).__module__.startswith("torch.nn") and not container
    )


class _Traced(fx.Proxy):
    """A value that knows what it is asked for while a loop over time is written out."""

    tracer: _Tracer

    def __getattr__(self, name: str) -> Any:
        if name == "device":  # for states that a forward makes itself; a program has neither
            return torch.device("cpu")
        if name == "dtype":
            return torch.get_default_dtype()
        return super().__getattr__(name)

    def __getitem__(self, index: Any) -> Any:
        parts = self.node.meta.get(RETURNED)
        if isinstance(parts, tuple) and isinstance(index, slice):
            return tuple(self[place] for place in range(*index.indices(len(parts))))
        found = super().__getitem__(index)  # type: ignore[misc]  # fx defines it
        if isinstance(parts, tuple) and isinstance(index, int) and -len(parts) <= index < len(parts):
            found.node.meta[RETURNED] = parts[index]
        return found

    def __index__(self) -> int:
        return self.tracer.number(self.node)

    def __len__(self) -> int:
        return self.tracer.length(self.node)


class _Tracer(fx.Tracer):
    def __init__(self, shapes: Mapping[str, Shape], settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.shapes, self.settings = shapes, settings
        self.states: dict[str, list[Any]] = {}

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Traced(node, self)

    def create_args_for_root(
        self, root_fn: Callable[..., Any], is_module: bool, concrete_args: Any = None
    ) -> tuple[Any, list[Any]]:
        """Settings as they are, and a symbol for everything else."""
        assert is_module
        assert concrete_args is None
        given: list[Any] = [self.root]
        named: dict[str, Any] = {}
        for param in list(inspect.signature(root_fn).parameters.values())[1:]:
            if param.kind in (param.VAR_POSITIONAL, param.VAR_KEYWORD):
                continue
            value = (
                self.settings[param.name]
                if param.name in self.settings
                else self.create_proxy("placeholder", param.name, (), {})
            )
            if param.kind is param.KEYWORD_ONLY:
                named[param.name] = value
            else:
                given.append(value)
        return partial(root_fn, **named) if named else root_fn, given

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
        return any(tensor is buffer for buffer in self.root.buffers())

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        owner, _, step = self.path_of_module(m).rpartition(".")
        if owner and isinstance(self.root.get_submodule(owner), BatchNormTT):
            found = self.create_proxy("call_module", owner, args, kwargs)
            found.node.meta[STEP] = int(step)
            return found
        found = super().call_module(m, forward, args, kwargs)
        if isinstance(m, SpikingNeuron) and isinstance(found, fx.Proxy):
            path = str(found.node.target)
            now = [getattr(m, name) for name in m.state_names]
            before = self.states.setdefault(path, now)
            if any(a is not b for a, b in zip(now, before, strict=True)):
                found.node.meta[RESTARTED] = True
            self.states[path] = now
            found.node.meta[RETURNED] = m.returned(_Names())
        return found

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:  # fx's own
        return _is_leaf(m)

    # -- what Python asks of a symbol -----------------------------------------------------------------

    def number(self, node: fx.Node) -> int:
        """The value of a size, or the number of steps that an argument without a sample stands for."""
        if node.op == "placeholder" and node.target not in self.shapes:
            return STEPS
        source, index = _size_of(node)
        shape = self.shapes.get(str(source.target)) if source is not None else None
        if shape is None or not isinstance(index, int) or not -len(shape) <= index < len(shape):
            raise TypeError(f"'{node.name}' is no number before the network runs.")
        return shape[index]

    def length(self, node: fx.Node) -> int:
        if isinstance(parts := node.meta.get(RETURNED), tuple):
            return len(parts)
        if node.op != "placeholder" or node.target not in self.shapes:
            raise TypeError(f"'{node.name}' has no length before the network runs.")
        return self.shapes[str(node.target)][0]

    def iter(self, obj: fx.Proxy) -> Iterator[Any]:
        several = isinstance(obj.node.meta.get(RETURNED), tuple)
        if not several and (obj.node.op != "placeholder" or obj.node.target not in self.shapes):
            return super().iter(obj)
        return (obj[step] for step in range(self.length(obj.node)))  # type: ignore[index]  # fx defines it


class _Names(dict[str, str]):
    """Every port, by its name."""

    def __missing__(self, name: str) -> str:
        return name


def _size_of(node: fx.Node) -> tuple[fx.Node | None, Any]:
    """The input and the axis whose size a node is."""
    if node.target == "size" and len(node.args) == 2:
        source, index = node.args
    elif node.target is operator.getitem:
        sizes, index = node.args
        whole = isinstance(sizes, fx.Node) and (
            sizes.target == "size" or (sizes.target is getattr and sizes.args[1] == "shape")
        )
        source = sizes.args[0] if whole else None  # type: ignore[union-attr]  # whole says it is a node
    else:
        return None, None
    return (source, index) if isinstance(source, fx.Node) and source.op == "placeholder" else (None, None)


@contextmanager
def _untouched(root: nn.Module) -> Iterator[None]:
    """Modules keep the states they had, whatever the forward does with them: it may put them at rest."""
    before = [
        (module, {name: getattr(module, name) for name in carried(module)}) for module in root.modules()
    ]
    try:
        yield
    finally:
        for module, states in before:
            for name, state in states.items():
                setattr(module, name, state)


@contextmanager
def _real_zeros() -> Iterator[None]:
    """``torch.zeros`` takes traced sizes: a forward makes first states by it, but fx does not see it."""
    made = torch.zeros

    def sized(*size: Any, **options: Any) -> Tensor:
        return made(*fx.node.map_aggregate(size, _known), **options)

    with patch.object(torch, "zeros", sized):
        yield


def _known(size: Any) -> Any:
    return operator.index(size) if isinstance(size, _Traced) else size


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
