"""Kernels evaluated with torch, one step after the other: right on every device, fast on none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from snnhw.ir import Namespace, evaluate
from snnhw.passes import ScanKernel
from snnhw.tensors.namespace import torch_namespace
from snnhw.tensors.provider import Scan, ScanGrads, ScanInputs, ScanOutputs

__all__ = ["EagerProvider"]

Env = dict[str, Tensor]


class EagerProvider:
    """Evaluates expressions with torch."""

    def compile(self, kernel: ScanKernel, dtype: torch.dtype, device: torch.device) -> Scan:
        return EagerScan(kernel, torch_namespace(dtype, device))


@dataclass(frozen=True)
class EagerScan:
    kernel: ScanKernel
    namespace: Namespace

    def forward(self, given: ScanInputs, *, keep: bool) -> ScanOutputs:
        kernel, states = self.kernel, list(given.states)
        roots = [*kernel.next_states, *kernel.output_exprs]
        fixed = self._fixed(given)
        outputs: list[list[Tensor]] = [[] for _ in kernel.output_exprs]
        history = [states]
        shape = _shape(given)
        for step in range(given.steps):
            env = fixed | self._inputs(given, step) | _named("s", states)
            found = evaluate(roots, env, self.namespace)
            states = [value.expand(shape) for value in found[: len(states)]]
            for stack, value in zip(outputs, found[len(states) :], strict=True):
                stack.append(value.expand(shape))
            if keep:
                history.append(states)
        ends = [state.detach() for state in states]  # other objects than those kept in the history
        return ScanOutputs([torch.stack(stack) for stack in outputs], ends, history)

    def backward(
        self,
        given: ScanInputs,
        saved: list[list[Tensor]],
        outputs: Sequence[Tensor | None],
        states: Sequence[Tensor | None],
    ) -> ScanGrads:
        kernel, shape = self.kernel, _shape(given)
        fixed = self._fixed(given)
        carried = [torch.zeros_like(s) if a is None else a for s, a in zip(saved[0], states, strict=True)]
        wanted = [expr for expr in (*kernel.input_grads, *kernel.value_grads) if expr is not None]
        sums: list[list[Tensor]] = [[] for _ in wanted]
        for step in reversed(range(given.steps)):
            seeds = {
                f"g{n}": given.inputs[0].new_zeros(shape) if g is None else g[step]
                for n, g in enumerate(outputs)
            }
            env = fixed | self._inputs(given, step) | seeds
            env |= _named("s", saved[step]) | _named("n", saved[step + 1]) | _named("a", carried)
            found = evaluate([*kernel.carried, *wanted], env, self.namespace)
            carried = [value.expand(shape) for value in found[: len(carried)]]
            for stack, value in zip(sums, found[len(carried) :], strict=True):
                stack.append(value.expand(shape))
        return self._collect(sums, carried)

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

    def _fixed(self, given: ScanInputs) -> Env:
        """What every step reads alike: values, tables and static inputs."""
        env = _named("v", given.values)
        env |= dict(zip(self.kernel.tables, given.tables, strict=True))
        for number, (static, x) in enumerate(zip(self.kernel.static, given.inputs, strict=True)):
            if static:
                env[f"x{number}"] = x
        return env

    def _inputs(self, given: ScanInputs, step: int) -> Env:
        pairs = enumerate(zip(self.kernel.static, given.inputs, strict=True))
        return {f"x{number}": x[step] for number, (static, x) in pairs if not static}


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
