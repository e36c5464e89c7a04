"""The optimizer's side of a training run: gradients in, updates out, everything saved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snnhw.errors import InputError
from snnhw.ir import Optimizer
from snnhw.plugin import Train
from snnhw_torch.optimizers import OPTIMIZERS, build, settings

__all__ = ["Trainer"]

Array = np.ndarray[Any, Any]


class Trainer:
    """Updates parameters in place.

    Args:
        params: key -> the leaf to train.
    """

    def __init__(self, job: Train, params: Mapping[str, Tensor]) -> None:
        self._job = job
        self._params = dict(sorted(params.items()))
        self._value = job.optimizer
        self._optimizer = build(job.optimizer, self._params.values())
        self._pending = 0  # calls since the last update

    def learn(self, loss: Tensor) -> None:
        """Add the gradient of one loss; update when as many have come as the job says."""
        if loss.requires_grad:  # else it reads nothing that is trained
            (loss / self._job.accumulate).backward()
        self._pending += 1
        if self._pending == self._job.accumulate:
            self._update()

    def _update(self) -> None:
        for param in self._params.values():
            if param.grad is None:  # nothing reads it: torch would pass it over, and its weight decay
                param.grad = torch.zeros_like(param)
        if self._job.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self._params.values(), self._job.clip_norm)
        self._optimizer.step()
        self._optimizer.zero_grad()
        self._pending = 0

    def set(self, optimizer: Optimizer) -> None:
        """Continue with other settings of the same optimizer."""
        if type(optimizer) is not type(self._value):
            raise InputError(
                f"this program was compiled with {type(self._value).__name__}, which cannot become "
                f"{type(optimizer).__name__}; give other settings of the same optimizer, or compile again"
            )
        self._value = optimizer
        for group in self._optimizer.param_groups:
            group.update(settings(optimizer))

    # -- saving -----------------------------------------------------------------------------------

    def save(self) -> dict[str, Tensor | Array]:
        """``pending``, ``grad/KEY`` and ``optimizer/KEY/SLOT``."""
        saved: dict[str, Tensor | Array] = {"pending": np.array(self._pending)}
        for key, param in self._params.items():
            if param.grad is not None:
                saved[f"grad/{key}"] = param.grad
            for slot, value in self._optimizer.state.get(param, {}).items():
                if value is not None:
                    saved[f"optimizer/{key}/{slot}"] = value
        return saved

    def check(self, arrays: Mapping[str, Array]) -> None:
        """Raise `InputError` for what `save` cannot have written in a run like this one."""
        shapes = {"pending": torch.Size()}
        for key, param in self._params.items():
            shapes[f"grad/{key}"] = param.shape
            for slot in OPTIMIZERS[type(self._value)].slots:
                shapes[f"optimizer/{key}/{slot}"] = torch.Size() if slot == "step" else param.shape
        for name, array in arrays.items():
            if name not in shapes:
                raise InputError(
                    f"'{name}' does not belong to this run; load it where the same parameters are trained "
                    "by the same optimizer, or take the parameters alone with set_params"
                )
            if array.shape != shapes[name]:
                raise InputError(f"'{name}' has shape {list(array.shape)}; accepted: {list(shapes[name])}")

    def load(self, arrays: Mapping[str, Array]) -> None:
        """Continue from what `save` gave and `check` accepted."""
        self._pending = int(arrays.get("pending", np.array(0)))
        self._optimizer.state.clear()
        for key, param in self._params.items():
            grad = arrays.get(f"grad/{key}")
            param.grad = None if grad is None else _like(grad, param)
            slots = [
                slot for slot in OPTIMIZERS[type(self._value)].slots if f"optimizer/{key}/{slot}" in arrays
            ]
            found = {slot: arrays[f"optimizer/{key}/{slot}"] for slot in slots}
            if found:
                self._optimizer.state[param] = {
                    # a count of steps is in float32, whatever the parameter
                    slot: torch.tensor(float(array), device=param.device)
                    if slot == "step"
                    else _like(array, param)
                    for slot, array in found.items()
                }


def _like(array: Array, param: Tensor) -> Tensor:
    return torch.from_numpy(np.array(array)).to(param.device, param.dtype)
