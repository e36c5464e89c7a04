"""What a compiled model gives back, for people who ask torch's gradient of it."""

from __future__ import annotations

from typing import Any, NoReturn

from torch import Tensor

from snnhw.errors import InputError
from snnhw.tensors.number import Number

__all__ = ["Evaluated", "StepLoss"]

UPDATED = (
    "step(x, y) has computed the gradients and updated the parameters already: there is nothing to call "
    "backward() on; for a loop of your own, torch_module() gives a torch module with the model's parameters"
)
NO_GRADIENT = (
    "what a compiled model gives carries no gradient: step(x, y) of a model that was compiled with loss= and "
    "optimizer= trains it, and torch_module() gives a torch module with its parameters for a loop of your own"
)


class StepLoss(Number):
    """The loss of a step: a float, which says what to do where it is asked for a gradient."""

    __slots__ = ()

    def backward(self, *_: Any, **__: Any) -> NoReturn:
        """Nothing is left to do: says so, by `InputError`."""
        raise InputError(UPDATED)


class Evaluated(Tensor):
    """What `Model.__call__` gives, and what is computed of it: a tensor like any other.

    Who calls ``backward()`` on it is told what trains a compiled model. Saved or copied, it is a
    plain tensor.
    """

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        try:
            return super().__torch_function__(func, types, args, kwargs or {})  # type: ignore[no-untyped-call]  # torch's
        except RuntimeError as error:
            if func is Tensor.backward and "does not require grad" in str(error):
                raise InputError(NO_GRADIENT) from error
            raise

    def plain(self) -> Tensor:
        """The same memory, without this class."""
        return self.as_subclass(Tensor)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.plain().__reduce_ex__(protocol)

    def __deepcopy__(self, memo: Any) -> Tensor:
        found: Tensor = self.plain().__deepcopy__(memo)
        return found

    def __format__(self, form: str) -> str:
        return format(self.plain(), form)

    def __repr__(self, **options: Any) -> str:  # type: ignore[override]  # torch's own stubs rename it
        return str(self.plain().__repr__(**options))
