"""Where a value that is not a number comes from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from snnhw.errors import InputError

__all__ = ["check_finite"]


@contextmanager
def check_finite(net: nn.Module) -> Iterator[None]:
    """Within it, a value that is not finite is an error, at the layer and the step where it first appears.

    A membrane that is NaN is not greater than any threshold, so that its neuron falls silent, in snnTorch as
    here, and nothing else tells. A neuron does not look at every value itself: on a GPU each look waits for
    the device. This does, for every layer of ``net`` (modules without modules inside, and neurons): first at
    what it is given, then at what it returns and keeps::

        with snnhw.utils.check_finite(net):
            spikes = net(x)

    Steps are calls of a layer, counted from 0 when the context is entered.

    Raises:
        InputError: names the layer, the step, and how many values are not finite.
    """
    with ExitStack() as hooks:
        for path, layer in net.named_modules():
            if next(layer.children(), None) is None or hasattr(layer, "state_names"):
                watch = _Watch(f"'{path}' ({type(layer).__name__})" if path else type(layer).__name__)
                hooks.enter_context(_removed(layer.register_forward_pre_hook(watch.before, with_kwargs=True)))
                hooks.enter_context(_removed(layer.register_forward_hook(watch.after)))
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
        kept = (getattr(layer, name) for name in getattr(layer, "state_names", ()))
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
