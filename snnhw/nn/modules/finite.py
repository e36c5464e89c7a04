"""Where a value that is not a number comes from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from math import inf, isfinite, isnan
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snnhw.errors import InputError

__all__ = ["check_finite", "counted", "is_finite", "refuse_nonfinite", "refuse_silence"]


@contextmanager
def check_finite(net: nn.Module) -> Iterator[None]:
    """Within it, a value that is not finite is an error, at the layer and the step where it first appears.

    A membrane that is NaN is not greater than any threshold, so that its neuron falls silent. A neuron on a
    CPU refuses such a membrane itself; on a GPU each look waits for the device, and infinite values pass
    everywhere. This looks at every layer of ``net`` (modules without modules inside, and neurons): first
    at what it is given, then at what it returns and keeps::

        with snnhw.utils.check_finite(net):
            spikes = net(x)

    Steps are calls of a layer, counted from 0 when the context is entered.

    Raises:
        InputError: names the layer, the step, and how many values are not finite.
    """
    with ExitStack() as hooks:
        neurons = [path for path, layer in net.named_modules() if hasattr(layer, "_hw_state_names")]
        inside = tuple(f"{path}." if path else "" for path in neurons)
        for path, layer in net.named_modules():
            if path and path.startswith(inside):  # part of a neuron, which is looked at as a whole
                continue
            if next(layer.children(), None) is None or hasattr(layer, "_hw_state_names"):
                watch = _Watch(f"'{path}' ({type(layer).__name__})" if path else type(layer).__name__)
                hooks.enter_context(_removed(layer.register_forward_pre_hook(watch.before, with_kwargs=True)))
                hooks.enter_context(_removed(layer.register_forward_hook(watch.after)))
            if hasattr(layer, "_hw_validate_args"):  # what a neuron itself says is less
                hooks.callback(setattr, layer, "_hw_validate_args", layer._hw_validate_args)
                layer._hw_validate_args = False
        yield


@contextmanager
def _removed(handle: Any) -> Iterator[None]:
    try:
        yield
    finally:
        handle.remove()


class _Watch:
    """The calls of one layer."""

    def __init__(self, name: str) -> None:
        self.name, self.step = name, 0

    def before(self, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._look("is given", (*args, *kwargs.values()))
        self._look("holds", layer.parameters(recurse=False))

    def after(self, layer: nn.Module, _: Any, result: Any) -> None:
        kept = (getattr(layer, name) for name in getattr(layer, "_hw_state_names", ()))
        self._look("returns", (result, *kept))
        self.step += 1

    def _look(self, what: str, values: Iterable[Any]) -> None:
        for value in _tensors(values):
            bad = value.detach()[~torch.isfinite(value.detach())]
            if bad.numel():
                kinds = Counter(str(item) for item in bad.flatten().tolist())
                shown = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
                raise InputError(
                    f"{self.name} {what} values that are not finite at step {self.step}: {shown} of "
                    f"{value.numel()}, in a tensor of shape {tuple(value.shape)}; look at what stands before "
                    "it, or at the learning rate where parameters are not finite"
                )


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            if value.is_floating_point():
                yield value
        elif isinstance(value, (tuple, list)):
            yield from _tensors(value)


def is_finite(value: Any) -> bool:
    """Whether an array in main memory holds finite numbers alone; of any other array nobody asks.

    Their sum does then, which takes a few hundredths of a step.
    """
    if isinstance(value, np.ndarray):
        with np.errstate(all="ignore"):
            return value.dtype.kind != "f" or isfinite(value.sum()) or bool(np.isfinite(value).all())
    if not isinstance(value, Tensor) or not value.is_cpu or not value.is_floating_point():
        return True
    value = value.detach() if value.requires_grad else value
    value = value.float() if value.itemsize == 1 else value  # torch sums no floats of a byte
    # Finite values, too, may overflow, and to both sides.
    return isfinite(value.sum().item()) or bool(value.isfinite().all())


def refuse_nonfinite(what: str, value: Any) -> None:
    """Refuse an array in main memory that holds NaN or infinite values.

    Raises:
        InputError: says how many.
    """
    if value is None or is_finite(value):
        return
    found = counted(value)
    why = (
        "a neuron that is given NaN never fires again"
        if "NaN" in found
        else "what is infinite leaves no neuron a membrane to compute with"
    )
    raise InputError(f"{what} holds {found}; {why}. Look at where the data comes from")


def counted(value: Any) -> str:
    """How many values of an array are not finite, by kind."""
    array = torch.as_tensor(np.array(value) if isinstance(value, np.ndarray) else value).detach()
    array = array.float() if array.itemsize == 1 else array
    kinds = {"NaN": array.isnan(), "inf": array == inf, "-inf": array == -inf}
    counts = {name: int(which.sum()) for name, which in kinds.items()}
    shown = " and ".join(f"{count} {name}" for name, count in counts.items() if count)
    return f"{shown or '0'} of {array.numel()}"


def refuse_silence(layer: Any, x: Tensor, before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> None:
    """Refuse membranes that are NaN after a step, on a CPU.

    Args:
        layer: the neurons; x: what they were given; before, after: their states.

    Raises:
        InputError: says where the NaN comes from.
    """
    seen = [after["mem"]] if "mem" in after else [*after.values()] or [x]
    if not any(map(_has_nan, seen)):
        return
    given = {"its input": x, **{f"its state '{name}'": state for name, state in before.items()}}
    given |= {f"its parameter '{name}'": param for name, param in layer.named_parameters()}
    found = [f"{int(value.isnan().sum())} of {value.numel()} in {name}" for name, value in given.items()]
    found = [text for text in found if not text.startswith("0 ")]
    raise InputError(
        f"{type(layer).__name__}: a membrane is NaN, and its neuron would never fire again; NaN: "
        f"{', '.join(found) or 'none given, so that it comes from infinite values'}. Find its origin within "
        "snnhw.utils.check_finite(net), or construct with validate_args=False to go on all the same"
    )


def _has_nan(value: Any) -> bool:
    """Whether a tensor on a CPU holds NaN: its sum does then, which takes a few hundredths of a step."""
    if not isinstance(value, Tensor) or not value.is_cpu or not value.is_floating_point():
        return False
    # Finite values, too, may overflow to both sides, and their sum be NaN.
    return isnan(value.detach().sum().item()) and bool(value.isnan().any())
