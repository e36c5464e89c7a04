"""Kernels evaluated with torch, one step after the other: right on every device, fast on none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from snnhw.ir import Namespace, evaluate
from snnhw.passes import ScanKernel
from snnhw.tensors.namespace import torch_namespace
from snnhw.tensors.scans.provider import (
    UNMEASURED,
    Draw,
    Scan,
    ScanGrads,
    ScanInputs,
    ScanOutputs,
    Sizes,
    drawn_on_host,
)

__all__ = ["EagerProvider"]

Env = dict[str, Tensor]


@dataclass(frozen=True)
class EagerProvider:
    """Evaluates expressions with torch, on any device."""

    sizes: Sizes = UNMEASURED

    def computed(self, signals: torch.dtype) -> torch.dtype:
        return signals

    def compile(self, kernel: ScanKernel, dtype: torch.dtype, device: torch.device) -> Scan:
        return EagerScan(kernel, torch_namespace(dtype, device))

    def empty(self, *shape: int, like: Tensor) -> Tensor:
        return like.new_empty(shape)

    def uniform(self, draw: Draw, device: torch.device) -> Tensor:
        return drawn_on_host(draw, device)


@dataclass(frozen=True)
class EagerScan:
    kernel: ScanKernel
    namespace: Namespace

    def forward(self, given: ScanInputs, out: ScanOutputs | None = None) -> ScanOutputs:
        stacks: list[list[Tensor]] = [[] for _ in self.kernel.output_exprs]
        states, fixed = list(given.states), self._prologue(given)
        for step in range(given.steps):
            states, outputs = self._advance(given, fixed, step, states)
            for stack, value in zip(stacks, outputs, strict=True):
                stack.append(value)
        found = ScanOutputs([torch.stack(stack) for stack in stacks], states)
        if out is not None:
            _put([*found.outputs, *found.states], [*out.outputs, *out.states])
        return found if out is None else out

    def _advance(
        self, given: ScanInputs, fixed: Env, step: int, states: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Next states and outputs of one step."""
        env = fixed | self._inputs(given, step) | _named("s", states)
        roots = [*self.kernel.next_states, *self.kernel.output_exprs]
        found = [value.expand(_shape(given)) for value in evaluate(roots, env, self.namespace)]
        return found[: len(states)], found[len(states) :]

    def backward(
        self,
        given: ScanInputs,
        outputs: Sequence[Tensor],
        states: Sequence[Tensor | None],
        out: ScanGrads | None = None,
    ) -> ScanGrads:
        kernel, shape = self.kernel, _shape(given)
        history, fixed = [list(given.states)], self._prologue(given)
        for step in range(given.steps):
            history.append(self._advance(given, fixed, step, history[-1])[0])
        carried = [torch.zeros_like(s) if a is None else a for s, a in zip(history[0], states, strict=True)]
        wanted = [expr for expr in (*kernel.input_grads, *kernel.value_grads) if expr is not None]
        sums: list[list[Tensor]] = [[] for _ in wanted]
        for step in reversed(range(given.steps)):
            env = fixed | self._inputs(given, step) | _named("g", [adjoint[step] for adjoint in outputs])
            env |= _named("s", history[step]) | _named("n", history[step + 1]) | _named("a", carried)
            found = evaluate([*kernel.carried, *wanted], env, self.namespace)
            carried = [value.expand(shape) for value in found[: len(carried)]]
            for stack, value in zip(sums, found[len(carried) :], strict=True):
                stack.append(value.expand(shape))
        grads = self._collect(sums, carried)
        if out is None:
            return grads
        _put([*grads.inputs, *grads.states], [*out.inputs, *out.states])
        return ScanGrads(out.inputs, grads.values, out.states)

    def _collect(self, sums: list[list[Tensor]], carried: list[Tensor]) -> ScanGrads:
        kernel, stacks = self.kernel, iter(sums)
        inputs: list[Tensor | None] = []
        for static, expr in zip(kernel.static, kernel.input_grads, strict=True):
            if expr is None:
                inputs.append(None)
            else:
                backwards = next(stacks)
                inputs.append(_total(backwards) if static else torch.stack(backwards[::-1]))
        values: list[Tensor | None] = []
        for value in kernel.values:
            summed = _total(next(stacks)).double().sum(0) if value.grad else None
            values.append(summed.sum() if summed is not None and value.layout == "scalar" else summed)
        return ScanGrads(inputs, values, carried)

    def _prologue(self, given: ScanInputs) -> Env:
        """What all steps read alike: values and tables."""
        tables = dict(zip(self.kernel.tables, given.tables, strict=True))
        env = _named("p", given.params) | tables
        values = evaluate([value.expr for value in self.kernel.values], env, self.namespace)
        return _named("v", values) | tables

    def _inputs(self, given: ScanInputs, step: int) -> Env:
        inputs = zip(self.kernel.static, given.inputs, strict=True)
        return _named("x", [x if static else x[step] for static, x in inputs])


def _put(found: Sequence[Tensor | None], out: Sequence[Tensor | None]) -> None:
    """What was found, into the room given for it."""
    for value, place in zip(found, out, strict=True):
        if value is not None and place is not None:
            place.copy_(value.view(place.shape))


def _named(letter: str, tensors: Sequence[Tensor]) -> Env:
    return {f"{letter}{number}": tensor for number, tensor in enumerate(tensors)}


def _shape(given: ScanInputs) -> torch.Size:
    """``[B, N]``."""
    return given.inputs[0].shape[-2:]


def _total(steps: list[Tensor]) -> Tensor:
    """The sum over time, last step first, as a kernel that walks backwards adds it up."""
    total = steps[0]
    for step in steps[1:]:
        total = total + step
    return total
