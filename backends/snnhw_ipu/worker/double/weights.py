"""Weights live on the device. Touching the host's brings them back first, as PopTorch arranges it.

Wrapping changes the class of the user's module and of its parameters and buffers in place, so that any
use of theirs is noticed.
"""

from __future__ import annotations

import weakref
from typing import Any, Callable, Iterator

import torch
from torch import Tensor, nn

from .errors import Error

__all__ = ["named_tensors", "trainer_of", "unwrap", "wrap"]

TOUCHING = ("_parameters", "_buffers", "forward")
"""Attributes of a module whose use brings the weights back."""

QUIET = ("__class__", "__dict__", "_poptorch_owner")


def named_tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers, without touching them in a way that is noticed."""
    for prefix, part in nn.Module.named_modules(module):
        inside = object.__getattribute__(part, "__dict__")
        for home in (inside["_parameters"], inside["_buffers"]):
            for name, value in home.items():
                if value is not None:
                    yield (prefix + "." if prefix else "") + name, value


def _synchronise(owner: Callable[[], Any]) -> None:
    executor = owner()
    if executor is not None:
        executor.copyWeightsToHostIfNeeded()


def _noticed(kind: Any, name: str) -> Any:
    """A class of tensors any use of which brings the weights back."""

    def __getattribute__(self: Any, attribute: str) -> Any:  # noqa: N807
        if attribute not in QUIET:
            _synchronise(object.__getattribute__(self, "__dict__").get("_poptorch_owner", lambda: None))
        return kind.__getattribute__(self, attribute)

    def __torch_function__(cls: Any, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: N807
        for leaf in args:
            if isinstance(leaf, cls):
                _synchronise(object.__getattribute__(leaf, "__dict__").get("_poptorch_owner", lambda: None))
        with torch._C.DisableTorchFunction():  # torch's own way
            return function(*args, **(kwargs or {}))

    members = {"__getattribute__": __getattribute__, "__torch_function__": classmethod(__torch_function__)}
    return type(name, (kind,), members)


PARAMETER = _noticed(nn.Parameter, "PoptorchParameter")
BUFFER = _noticed(Tensor, "PoptorchBuffer")


def wrap(module: nn.Module, executor: Any) -> None:
    """Tie a module to the executor that trains it."""
    owner = weakref.ref(executor)
    plain = type(module)
    for name, tensor in named_tensors(module):
        if type(tensor) not in (nn.Parameter, Tensor):
            raise Error("%s is a %s; buffers must be torch.Tensor" % (name, type(tensor).__name__))
    for _, tensor in named_tensors(module):
        tensor.__class__ = PARAMETER if isinstance(tensor, nn.Parameter) else BUFFER
        tensor.__dict__["_poptorch_owner"] = owner

    def __getattribute__(self: Any, attribute: str) -> Any:  # noqa: N807
        if attribute in TOUCHING:
            _synchronise(owner)
        return plain.__getattribute__(self, attribute)

    members = {"__getattribute__": __getattribute__, "_poptorch_trainer": owner}
    module.__class__ = type("Poptorch" + plain.__name__, (plain,), members)


def trainer_of(module: nn.Module) -> Callable[[], Any] | None:
    """A weak reference to the executor that trains a module, by the module's class: a copy that was taken
    before it was wrapped has none, and one that was taken afterwards keeps it when it is dead."""
    found: Callable[[], Any] | None = getattr(type(module), "_poptorch_trainer", None)
    return found


def unwrap(module: nn.Module) -> None:
    """Undo `wrap`."""
    module.__class__ = type(module).__mro__[1]
    kinds: list[tuple[Any, Any]] = [(PARAMETER, nn.Parameter), (BUFFER, Tensor)]
    homes: dict[Any, Any] = dict(kinds)
    for _, tensor in named_tensors(module):
        object.__getattribute__(tensor, "__dict__").pop("_poptorch_owner", None)
        tensor.__class__ = homes.get(object.__getattribute__(tensor, "__class__"), type(tensor))
