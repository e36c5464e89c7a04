"""Update rules against torch.optim, and clipping against torch's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from reference_nets import Array, signal

from snnhw.ir import SGD, Adam, Adamax, AdamW, Optimizer, RMSprop
from snnhw.reference import clip_by_norm, update

TORCH: dict[type[Optimizer], Callable[..., torch.optim.Optimizer]] = {
    SGD: torch.optim.SGD,
    Adam: torch.optim.Adam,
    AdamW: torch.optim.AdamW,
    Adamax: torch.optim.Adamax,
    RMSprop: torch.optim.RMSprop,
}

SETTINGS = [
    SGD(lr=0.1),
    SGD(lr=0.1, weight_decay=0.01),
    SGD(lr=0.1, momentum=0.9),
    SGD(lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=True),
    Adam(lr=0.01),
    Adam(lr=0.01, betas=(0.4, 0.7), eps=1e-3, weight_decay=0.1),
    AdamW(lr=0.01),
    AdamW(lr=0.01, weight_decay=0.3),
    Adamax(lr=0.01),
    Adamax(lr=0.01, betas=(0.4, 0.7), eps=1e-3, weight_decay=0.1),
    RMSprop(lr=0.01),
    RMSprop(lr=0.01, alpha=0.7, eps=1e-3, weight_decay=0.1),
    RMSprop(lr=0.01, momentum=0.9),
    RMSprop(lr=0.01, centered=True, momentum=0.5),
]

PARAMS = {"a": signal(0, 3, 4), "b": signal(1, 2), "c": np.array(0.5)}


def grads(step: int) -> dict[str, Array]:
    return {key: signal(10 * step + ord(key), *array.shape) for key, array in PARAMS.items()}


def as_torch(optimizer: Optimizer, tensors: Iterable[torch.Tensor]) -> torch.optim.Optimizer:
    return TORCH[type(optimizer)](tensors, **vars(optimizer))


@pytest.mark.parametrize("optimizer", SETTINGS, ids=repr)
def test_ten_updates_are_torchs(optimizer: Optimizer) -> None:
    ours: dict[str, Array] = dict(PARAMS)
    memory: dict[str, Array] = {}
    theirs = {key: torch.tensor(array, requires_grad=True) for key, array in PARAMS.items()}
    rule = as_torch(optimizer, theirs.values())
    for step in range(10):
        if step == 6:  # as a schedule would
            optimizer = replace(optimizer, lr=optimizer.lr / 2)
            rule.param_groups[0]["lr"] = optimizer.lr
        ours, memory = update(optimizer, ours, grads(step), memory)
        for key, grad in grads(step).items():
            theirs[key].grad = torch.tensor(grad)
        rule.step()
        for key, tensor in theirs.items():
            np.testing.assert_allclose(ours[key], tensor.detach().numpy(), rtol=1e-12, atol=1e-14)
    remembered = {
        f"{key}/{slot}": value
        for key, tensor in theirs.items()
        for slot, value in rule.state[tensor].items()
        if value is not None and not (slot == "step" and isinstance(optimizer, RMSprop))  # which none reads
    }
    assert set(memory) == set(remembered)
    for name, value in remembered.items():
        np.testing.assert_allclose(memory[name], value.numpy(), rtol=1e-12, atol=1e-14)


def test_momentum_that_a_schedule_turns_on_starts_from_the_gradient() -> None:
    params, memory = update(SGD(lr=1.0), {"a": np.array(0.0)}, {"a": np.array(1.0)}, {})
    assert memory == {}
    params, memory = update(SGD(lr=1.0, momentum=0.5), params, {"a": np.array(1.0)}, memory)
    params, _ = update(SGD(lr=1.0, momentum=0.5), params, {"a": np.array(1.0)}, memory)
    assert params["a"] == -(1 + 1 + 1.5)


def test_an_update_leaves_its_arguments_and_the_other_parameters_alone() -> None:
    before: dict[str, Any] = {key: array.copy() for key, array in PARAMS.items()}
    memory = update(Adam(), PARAMS, grads(0), {})[1]
    kept = {name: array.copy() for name, array in memory.items()}
    after, _ = update(Adam(), PARAMS, {"a": grads(1)["a"]}, memory)
    for key, array in before.items():
        np.testing.assert_array_equal(PARAMS[key], array)
    for name, array in kept.items():
        np.testing.assert_array_equal(memory[name], array)
    assert after["b"] is PARAMS["b"]


@pytest.mark.parametrize("limit", [0.5, 1e6])
def test_clipping_is_torchs(limit: float) -> None:
    tensors = []
    for grad in grads(0).values():
        tensors.append(torch.zeros(grad.shape, dtype=torch.float64, requires_grad=True))
        tensors[-1].grad = torch.tensor(grad)
    torch.nn.utils.clip_grad_norm_(tensors, limit)
    for ours, tensor in zip(clip_by_norm(grads(0), limit).values(), tensors, strict=True):
        assert tensor.grad is not None
        np.testing.assert_allclose(ours, tensor.grad.numpy(), rtol=1e-12)
