"""Scans inside the graphs of ``torch.compile``.

A graph is traced with tensors that have a shape and no values, which no kernel can read. There the two
passes of a scan are custom ops, whose results' shapes are known beforehand; the compiled graph calls them
with real tensors, and they run the kernels that run everywhere else. An op takes tensors and numbers alone,
and one number names a `TracedScan`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from threading import RLock
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from snnhw.ir import StepEquations
from snnhw.tensors.scans.passes import computed, differentiated
from snnhw.tensors.scans.provider import Provider
from snnhw.tensors.scans.site import ScanSite, site_of

__all__ = ["backward", "forward"]


class TracedScan(NamedTuple):
    """What is computed, but for sizes."""

    step: StepEquations
    outputs: tuple[str, ...]
    static: tuple[bool, ...]
    dt: float
    single: bool
    provider: Provider


_NUMBERS: Final[dict[TracedScan, int]] = {}
_USES: Final[list[TracedScan]] = []
"""Every use that was ever traced: about as many as there are kernels, and none holds a tensor."""

_LOCK: Final = RLock()  # two threads that add one each would both have the later number


def forward(layer: ScanSite, provider: Provider, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Outputs and final states, as a node of the graph that is being traced."""
    return tuple(_forward(_number(layer, provider), layer.steps, layer.shape, list(tensors)))


def backward(
    layer: ScanSite,
    provider: Provider,
    tensors: Sequence[Tensor],
    adjoints: Sequence[Tensor | None],
    needs: Sequence[bool],
) -> tuple[Tensor | None, ...]:
    """Adjoints of the tensors, as a node of the graph that is being traced; None where not needed."""
    number = _number(layer, provider)
    found = iter(_backward(number, layer.steps, layer.shape, list(tensors), list(adjoints), list(needs)))
    return tuple(next(found) if need else None for need in needs)


def _number(layer: ScanSite, provider: Provider) -> int:
    use = TracedScan(layer.step, layer.outputs, layer.static, layer.dt, layer.single, provider)
    with _LOCK:
        if use not in _NUMBERS:
            _USES.append(use)
            _NUMBERS[use] = len(_USES) - 1
        return _NUMBERS[use]


def _found(number: int, steps: int, shape: Sequence[int]) -> tuple[ScanSite, Provider]:
    use = _USES[number]
    how = {"static": use.static, "dt": use.dt, "single": use.single}
    return site_of(use.step, tuple(shape), steps, use.outputs, **how), use.provider


@torch.library.custom_op(
    "snnhw::scan",
    mutates_args=(),
    schema="(int use, SymInt steps, SymInt[] shape, Tensor[] tensors) -> Tensor[]",
)
def _forward(use: int, steps: int, shape: Sequence[int], tensors: list[Tensor]) -> list[Tensor]:
    return _own(computed(*_found(use, steps, shape), tensors), tensors)


@_forward.register_fake
def _(use: int, steps: int, shape: Sequence[int], tensors: list[Tensor]) -> list[Tensor]:
    known, like = _USES[use], tensors[0]
    output = shape if known.single else (steps, *shape)
    states = tensors[len(tensors) - len(known.step.states) :]
    return [*(like.new_empty(output) for _ in known.outputs), *(state.new_empty(shape) for state in states)]


@torch.library.custom_op(
    "snnhw::scan_backward",
    mutates_args=(),
    schema=(
        "(int use, SymInt steps, SymInt[] shape, Tensor[] tensors, Tensor?[] adjoints, bool[] needs)"
        " -> Tensor[]"
    ),
)
def _backward(  # noqa: PLR0917  # torch passes what the schema lists
    use: int,
    steps: int,
    shape: Sequence[int],
    tensors: list[Tensor],
    adjoints: list[Tensor | None],
    needs: list[bool],
) -> list[Tensor]:
    layer, provider = _found(use, steps, shape)
    found = differentiated(layer, provider, tensors, adjoints, tuple(needs))
    grads = [torch.zeros_like(x) if g is None else g for g, x in zip(found, tensors, strict=True)]
    return _own((g for g, need in zip(grads, needs, strict=True) if need), (*tensors, *adjoints))


@_backward.register_fake
def _(*given: Any) -> list[Tensor]:
    _, _, _, tensors, _, needs = given
    return [x.new_empty(x.shape) for x, need in zip(tensors, needs, strict=True) if need]


def _own(found: Iterable[Tensor], given: Iterable[Tensor | None]) -> list[Tensor]:
    """Results as a graph expects them: contiguous, each in memory of its own."""
    taken = {x.untyped_storage()._cdata for x in given if x is not None}
    results = []
    for value in found:
        result = value.contiguous()
        if result.untyped_storage()._cdata in taken:
            result = result.clone()
        taken.add(result.untyped_storage()._cdata)
        results.append(result)
    return results
