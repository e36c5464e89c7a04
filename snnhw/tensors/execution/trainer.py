"""The optimizer's side of a training run: gradients in, and out comes what a step would change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snnhw.plugin import Train
from snnhw.session import Progress
from snnhw.tensors.execution.calls import Calls
from snnhw.tensors.execution.commit import Change
from snnhw.tensors.execution.optimizers import OPTIMIZERS, Memory

__all__ = ["Trainer"]

Array = np.ndarray[Any, Any]


class Trainer:
    """Holds nothing that changes: how far training has come is a `Progress`, in tensors.

    Args:
        params: key -> the leaf to train.
    """

    def __init__(self, job: Train, params: Mapping[str, Tensor]) -> None:
        self._job = job
        self._leaves = dict(sorted(params.items()))

    def _params(self) -> dict[str, Tensor]:
        """The leaves, to be written to. Made when asked for: pickled beside the leaves, they would come back
        as a memory of their own."""
        return {key: leaf.detach() for key, leaf in self._leaves.items()}

    def learn(
        self, now: Progress, sequence: int, grads: Mapping[str, Tensor], calls: Calls
    ) -> tuple[Progress, list[Change]]:
        """How far training has come with one more gradient, which it does not keep, and what that changes in
        place: it updates when as many have come as the job says."""
        total = {key: now.grads[key] + grad if now.grads else grad for key, grad in grads.items()}
        if now.pending + 1 < self._job.accumulate:
            return now.waiting(sequence, total if now.grads else _copied(total)), []
        memory, changes = self._update(now, list(total.values()), calls)
        return now.updated(sequence, memory), changes

    def _update(self, now: Progress, grads: list[Tensor], calls: Calls) -> tuple[Memory, list[Change]]:
        """What is remembered from now on, and the changes that make an update."""
        assert now.optimizer is not None
        rule, params = OPTIMIZERS[type(now.optimizer)], self._params()
        memory, _ = rule(now.optimizer, params, grads, now.memory)
        if memory.keys() != now.memory.keys():  # what is new is written another way the first time
            return rule(now.optimizer, params, self._clipped(grads), now.memory)

        def made() -> list[Change]:
            return rule(now.optimizer, params, self._clipped(grads), memory)[1]

        tensors = [*params.values(), *grads, *memory.values()]
        return memory, calls.changes("update", made, now.optimizer, tensors)

    def _clipped(self, grads: list[Tensor]) -> list[Tensor]:
        """As torch's ``clip_grad_norm_`` has it; others, as two of these may share their memory."""
        limit = self._job.clip_norm
        if limit is None:
            return grads
        norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(grad) for grad in grads]))
        factor = (limit / (norm + 1e-6)).clamp(max=1.0)
        return [grad * factor for grad in grads]

    def in_tensors(self, saved: Progress) -> Progress:
        """A loaded state's, on the device."""
        grads = {key: self._like(array, key) for key, array in saved.grads.items()}
        memory = {}
        for name, array in saved.memory.items():
            key, _, slot = name.rpartition("/")
            # a count of steps is in float32, whatever the parameter
            count = slot == "step"
            memory[name] = torch.tensor(float(array)) if count else self._like(array, key)
            memory[name] = memory[name].to(self._leaves[key].device)
        return replace(saved, grads=grads, memory=memory)

    def _like(self, array: Array, key: str) -> Tensor:
        param = self._leaves[key]
        return torch.from_numpy(array).to(param.device, param.dtype)


def _copied(grads: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: grad.clone() for key, grad in grads.items()}
