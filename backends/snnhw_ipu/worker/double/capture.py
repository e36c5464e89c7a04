"""Running a module's forward once on tensors without values, and recording every operation below autograd.

What PopTorch cannot do fails here, at the line that does it: looking at a value, tensors of the host,
in-place changes of views, a `torch.autograd.Function`, ``no_grad``. The last two PopTorch passes over in
silence, and trains with other gradients than torch would; here they are errors.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import Any, Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from .errors import Error
from .graph import IDENTITY_LOSS, OPS, REDUCTIONS, Graph, Node, Ref, base_name, call, narrowed

__all__ = ["ACTIVE", "FACTORIES", "capture", "identity_loss", "isRunningOnIpu"]

META = torch.device("meta")
FACTORIES = [
    "arange",
    "empty",
    "full",
    "full_like",
    "linspace",
    "logspace",
    "ones",
    "rand",
    "randint",
    "randn",
    "randperm",
    "range",
    "tensor",
    "zeros",
    "zeros_like",
    "normal",
]
VALUES = ("_local_scalar_dense", "item", "nonzero", "is_nonzero", "equal", "masked_select")
"""Operations whose result depends on values that do not exist while capturing."""

ACTIVE: list[Recorder] = []
"""The capture that is under way, if any."""


class Recorder(TorchDispatchMode):
    """Writes a graph while forward runs."""

    def __init__(self, *, training: bool = False) -> None:
        TorchDispatchMode.__init__(self)
        self.training = training
        self.graph = Graph()
        self.numbers: dict[int, int] = {}  # id of a tensor -> its number
        self.alive: list[Tensor] = []  # so that no id is used twice

    def number(self, tensor: Tensor) -> int:
        """A new number for a tensor; its old one, if any, is forgotten."""
        number = len(self.alive)
        self.alive.append(tensor)
        self.numbers[id(tensor)] = number
        self.graph.shapes[number] = (tuple(tensor.shape), tensor.dtype)
        return number

    def ref(self, leaf: Any) -> Any:
        """A tensor as a `Ref`; anything else as it is."""
        if not isinstance(leaf, Tensor):
            return leaf
        if id(leaf) in self.numbers:
            return Ref(self.numbers[id(leaf)])
        raise Error(
            "Expected an IPU tensor but got tensor(device=%s, shape=%s, dtype=%s). Constants must be "
            "numbers, buffers, made inside forward, or moved explicitly to the IPU"
            % (leaf.device, list(leaf.shape), leaf.dtype)
        )

    def constant(self, value: Tensor) -> Tensor:
        """A tensor that is known when capturing."""
        value = narrowed(value.detach().cpu())
        shadow = torch.empty_like(value, device=META)
        self.graph.constants[self.number(shadow)] = value
        return shadow

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        name = base_name(function)
        if not torch.is_grad_enabled():
            raise Error(
                "aten::%s runs under no_grad, or within a torch.autograd.Function. PopART differentiates it "
                "all the same, and asks no backward; use detach() where no gradient should pass, and "
                "value.detach() + (x - x.detach()) * slope.detach() for a gradient of your own" % name
            )
        if name in VALUES:
            raise Error("aten::%s needs the value of a tensor, which does not exist while capturing" % name)
        device = str(kwargs.get("device") or "")
        if name == "_to_copy" and device.startswith("ipu") and id(args[0]) not in self.numbers:
            return self.constant(args[0])
        if name == "_to_copy" and device.startswith("cpu"):
            raise Error("Illegal move to CPU (via .to()) when using the dispatcher")
        if device.startswith("cpu"):
            return function(*args, **kwargs)  # made on the host, where it stays
        if function._schema.is_mutable:  # no other way
            return self._in_place(function, name, args, kwargs)
        return self._record(function, args, kwargs)

    def _record(self, function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        held_args, held_kwargs = tree_map(self.ref, (args, kwargs))
        if "device" in kwargs:
            kwargs["device"] = META
        try:
            found = call(function, args, kwargs)
        except NotImplementedError as error:
            raise Error("Type inference failed: %s" % error) from error
        leaves = [leaf for leaf in tree_flatten(found)[0] if isinstance(leaf, Tensor)]
        for leaf in leaves:
            _check_size(leaf)
        results = tuple(map(self.number, leaves))
        marked = base_name(function) in OPS["auto_losses"]
        self.graph.nodes.append(Node(function, held_args, held_kwargs, results, marked))
        return found

    def _in_place(self, function: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        """Rewritten as the operation that gives a new value, which the tensor stands for from now on."""
        target: Tensor = args[0]
        self.ref(target)
        if target._is_view():  # no other way
            raise Error(
                "aten::%s changes a view in place; that its base changes too cannot be relied on" % name
            )
        packet = getattr(
            torch.ops.aten, {"fill_": "full_like", "zero_": "zeros_like"}.get(name, name[:-1]), None
        )
        if packet is None or not name.endswith("_"):
            raise Error("aten::%s cannot be rewritten to leave its operands as they are" % name)
        functional: Callable[..., Any] = getattr(packet, function._overloadname, packet.default)
        fresh = self._record(functional, args, kwargs)
        self.numbers[id(target)] = self.numbers[id(fresh)]
        return target

    def loss(self, x: Tensor, reduction: str) -> Tensor:
        """Record an identity loss."""
        held = self.ref(x)
        shadow = torch.empty(x.shape if reduction == "none" else (), dtype=x.dtype, device=META)
        self.graph.nodes.append(Node(IDENTITY_LOSS, (held, reduction), {}, (self.number(shadow),), True))
        return shadow


@contextmanager
def _factories(recorder: Recorder) -> Iterator[None]:
    """What these functions make is put on the device, as PopTorch does: by replacing them meanwhile."""
    space: Any = torch
    known = {name: getattr(torch, name) for name in FACTORIES}
    for name, function in known.items():
        setattr(space, name, _moved(recorder, name, function))
    try:
        yield
    finally:
        for name, function in known.items():
            setattr(space, name, function)


def _moved(recorder: Recorder, name: str, function: Any) -> Callable[..., Tensor]:
    def moved(*args: Any, **kwargs: Any) -> Tensor:
        on_its_own = name != "normal" or not any(isinstance(arg, Tensor) for arg in args)
        if "device" in kwargs or not on_its_own:
            found: Tensor = function(*args, **kwargs)
            return found
        warnings.warn("No device set in torch.%s(): forcing to IPU" % name, stacklevel=2)
        if name == "tensor":
            with _paused(recorder):
                return recorder.constant(function(*args, **kwargs))
        made: Tensor = function(*args, **{**kwargs, "device": META})
        return made

    return moved


@contextmanager
def _paused(recorder: Recorder) -> Iterator[None]:
    mode: Any = recorder  # torch leaves it untyped
    mode.__exit__(None, None, None)
    try:
        yield
    finally:
        mode.__enter__()


def _check_size(tensor: Tensor) -> None:
    if tensor.numel() == 0:
        raise Error("Zero-sized tensors are unsupported (Got shape %s)" % list(tensor.shape))


def capture(
    module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], *, training: bool = False
) -> Graph:
    """The graph of one call, whose tensors have the shapes of one micro-batch. Runs forward once.

    Raises:
        Error: as PopTorch does, and where it should.
    """
    recorder = Recorder(training=training)
    graph = recorder.graph
    shadows: list[Tensor] = []

    def shadow(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        _check_size(leaf)
        shadows.append(narrowed(torch.empty_like(leaf, device=META, requires_grad=False)))
        graph.arguments.append(recorder.number(shadows[-1]))
        return shadows[-1]

    args, kwargs = tree_map(shadow, (tuple(args), dict(kwargs)))
    with _on_device(module, recorder) as named:
        ACTIVE.append(recorder)
        try:
            with torch.enable_grad(), _no_functions(), recorder, _factories(recorder):
                found = module.forward(*args, **kwargs)
        finally:
            ACTIVE.pop()
        _updates(recorder, named, shadows)
    graph.outputs = tree_map(lambda leaf: _output(recorder, leaf), found)
    return graph


def _output(recorder: Recorder, leaf: Any) -> Any:
    if isinstance(leaf, Tensor) and id(leaf) not in recorder.numbers:
        warnings.warn("Output expected to be on the IPU but is on %s" % leaf.device.type, stacklevel=4)
        return leaf
    return recorder.ref(leaf)


@contextmanager
def _on_device(module: nn.Module, recorder: Recorder) -> Iterator[dict[str, Tensor]]:
    """Parameters and buffers as tensors of the device; put back afterwards, and missed if replaced."""
    before: list[tuple[dict[str, Any], str, Any, Tensor]] = []
    named: dict[str, Tensor] = {}
    for prefix, part in module.named_modules():
        for home in (part.__dict__["_parameters"], part.__dict__["_buffers"]):
            for name, value in list(home.items()):
                if value is None:
                    continue
                place = (prefix + "." if prefix else "") + name
                named[place] = narrowed(torch.empty_like(value.detach(), device=META, requires_grad=False))
                recorder.graph.named[place] = recorder.number(named[place])
                before.append((home, name, value, named[place]))
                home[name] = named[place]
    try:
        yield named
        for home, name, _, stand_in in before:
            if home.get(name) is not stand_in:
                raise Error(
                    "Buffer or parameter %s is reassigned within the model when running on the IPU. "
                    "Consider using self.%s.copy_(src)" % (name, name)
                )
    finally:
        for home, name, value, _ in before:
            home[name] = value


def _updates(recorder: Recorder, named: Mapping[str, Tensor], shadows: Sequence[Tensor]) -> None:
    """What forward changed in place: buffers keep it, and so do the caller's inputs."""
    graph = recorder.graph
    for name, tensor in named.items():
        number = recorder.numbers[id(tensor)]
        if number != graph.named[name]:
            if not tensor.is_floating_point():
                raise Error("Buffer %s holds whole numbers, which are constants on the IPU" % name)
            graph.updated[name] = number
    for place, (first, tensor) in enumerate(zip(graph.arguments, shadows)):
        if recorder.numbers[id(tensor)] != first:
            graph.mutated[place] = recorder.numbers[id(tensor)]


@contextmanager
def _no_functions() -> Iterator[None]:
    """A custom autograd function fails, whose backward PopART would never ask."""
    home: Any = torch.autograd.Function
    known = home.__dict__.get("apply")

    def apply(cls: Any, *args: Any, **kwargs: Any) -> Any:
        raise Error(
            "%s is a torch.autograd.Function. PopART would differentiate its forward and ignore its "
            "backward; "
            "write value.detach() + (x - x.detach()) * slope.detach()" % cls.__name__
        )

    home.apply = classmethod(apply)
    try:
        yield
    finally:
        if known is None:
            del home.apply
        else:
            home.apply = known


def identity_loss(x: Tensor, reduction: str) -> Tensor:
    """``poptorch.identity_loss``: marks the loss."""
    assert reduction in ("none", "sum", "mean"), "Unsupported reduction type!"
    if ACTIVE:
        return ACTIVE[-1].loss(x, reduction)
    return REDUCTIONS[reduction](x)


def isRunningOnIpu() -> bool:  # PopTorch's name
    """Whether the module is being captured."""
    return bool(ACTIVE)
