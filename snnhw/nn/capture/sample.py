"""What a user gives capture besides the module: one step of input, and settings of its forward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from inspect import Parameter, signature
from typing import Any

from torch import nn

from snnhw.arrays import check_array
from snnhw.errors import CaptureError
from snnhw.ir import Shape
from snnhw.nn.capture.signals import described

__all__ = ["Sample", "bind_sample"]

SETTINGS = (bool, int, float, str, type(None))
"""Types of what a forward may take besides arrays: a number of steps, a flag, a factor."""


@dataclass(frozen=True)
class Sample:
    """The arguments of a forward.

    Attributes:
        names: all that it takes, in order.
        shapes: inputs of the step -> shape of the sample, ``[B, ...]``.
        settings: arguments that hold while the module is captured, such as a number of steps.
    """

    names: tuple[str, ...]
    shapes: Mapping[str, Shape]
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def missing(self) -> tuple[str, ...]:
        """Arguments without a sample; each may turn out to be a state."""
        return tuple(name for name in self.names if name not in self.shapes and name not in self.settings)

    def refusal(self, names: list[str]) -> CaptureError:
        """Why the forward cannot do without a sample of these."""
        return CaptureError(
            f"forward takes {', '.join(self.names)}, but the sample has nothing for {', '.join(names)}; "
            "give a mapping by argument"
        )


def bind_sample(root: nn.Module, sample: Any) -> Sample:
    """The sample by argument; what it leaves out has its default, or none.

    Raises:
        CaptureError: the sample is for something that the forward does not take, or is no array.
    """
    taken = _arguments(root)
    listed = ", ".join(taken) or "nothing"
    if isinstance(sample, Mapping):
        given = dict(sample)
    else:
        items = sample if isinstance(sample, tuple) else (sample,)
        if len(items) > len(taken):
            raise CaptureError(f"forward takes {listed}, but the sample holds {len(items)} arrays")
        given = dict(zip(taken, items, strict=False))
    stray = [name for name in given if name not in taken]
    if stray:
        raise CaptureError(f"forward takes {listed}, but the sample is for {', '.join(stray)}")
    settings = {name: value for name, value in given.items() if isinstance(value, SETTINGS)}
    settings |= {
        name: param.default
        for name, param in taken.items()
        if name not in given and param.default is not Parameter.empty
    }
    shapes = {name: _shape(name, array) for name, array in given.items() if name not in settings}
    found = Sample(tuple(taken), shapes, settings)
    if not shapes:
        for name, value in given.items():
            _shape(name, value)  # what was given in the place of an array
        raise (
            found.refusal(list(found.missing))
            if found.missing
            else CaptureError(f"the sample holds no array; forward takes {listed}")
        )
    return found


def _arguments(root: nn.Module) -> dict[str, Parameter]:
    variable = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    params = signature(root.forward).parameters
    return {name: param for name, param in params.items() if param.kind not in variable}


def _told(array: Any) -> str:
    if isinstance(array, (list, tuple)):
        return f"a {type(array).__name__}; torch.tensor(...) makes one of it"
    return described(array)


def _shape(name: str, array: Any) -> Shape:
    shape = tuple(getattr(array, "shape", ()))
    if not shape:
        raise CaptureError(
            f"the sample for '{name}' is one time step of input, an array [B, ...], not {_told(array)}"
        )
    check_array("sample", name, array, values=False)
    return shape
