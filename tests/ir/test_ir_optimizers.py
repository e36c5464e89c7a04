"""Optimizers as values."""

from __future__ import annotations

import copy
import math
import pickle
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest
import torch
from ir_calls import call

from snnhw.errors import InputError
from snnhw.ir import OPTIMIZERS, SGD, Adam, Adamax, AdamW, Optimizer, RMSprop


def test_every_optimizer_is_in_the_table() -> None:
    kinds = (SGD, Adam, AdamW, Adamax, RMSprop)
    assert {kind.__name__: kind for kind in kinds} == OPTIMIZERS


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_defaults_are_torchs(name: str) -> None:
    theirs = getattr(torch.optim, name)([torch.zeros(1, requires_grad=True)]).defaults
    ours = {field.name: getattr(OPTIMIZERS[name](), field.name) for field in fields(OPTIMIZERS[name])}
    assert ours == {key: theirs[key] for key in ours}


def test_values() -> None:
    assert Adam(5e-4) == Adam(lr=5e-4)
    assert Adam() != AdamW(weight_decay=0.0)
    assert len({Adam(), Adam(1e-3), SGD(), SGD(0.1), AdamW()}) == 4
    assert repr(SGD(0.1)) == "SGD(lr=0.1, momentum=0.0, weight_decay=0.0, nesterov=False)"
    assert pickle.loads(pickle.dumps(AdamW(0.1))) == copy.deepcopy(AdamW(0.1)) == AdamW(0.1)
    with pytest.raises(FrozenInstanceError):
        SGD().lr = 1.0  # type: ignore[misc]  # that this is an error is the point


def test_sensible_settings_are_accepted() -> None:
    assert SGD(lr=0, momentum=0.9, nesterov=True).nesterov
    assert Adam(1, betas=(0, 0.5), eps=0).betas == (0, 0.5)


NUMBER = "give a finite number, 0 or more"


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (call(SGD, lr=-1.0), rf"SGD\(lr=-1.0\): {NUMBER}"),
        (call(SGD, lr=math.nan), rf"SGD\(lr=nan\): {NUMBER}"),
        (call(Adam, lr=math.inf), rf"Adam\(lr=inf\): {NUMBER}"),
        (call(Adam, lr="1e-3"), rf"Adam\(lr='1e-3'\): {NUMBER}"),
        (call(SGD, lr=True), rf"SGD\(lr=True\): {NUMBER}"),
        (call(SGD, lr=(0.1,)), rf"SGD\(lr=\(0.1,\)\): {NUMBER}"),
        (call(SGD, momentum=-0.1), rf"SGD\(momentum=-0.1\): {NUMBER}"),
        (call(AdamW, weight_decay=10**400), rf"AdamW\(weight_decay=10.*\): {NUMBER}"),
        (call(Adam, eps=-1e-8), rf"Adam\(eps=-1e-08\): {NUMBER}"),
        (call(SGD, nesterov=1, momentum=0.9), r"SGD\(nesterov=1\): give True or False"),
        (call(SGD, nesterov=True), r"SGD\(nesterov=True, momentum=0\): give a momentum greater than 0"),
        (call(Adam, betas=0.9), r"Adam\(betas=0.9\): give a tuple of 2 finite numbers"),
        (call(Adam, betas=[0.9, 0.99]), r"Adam\(betas=\[0.9, 0.99\]\): give a tuple of 2 finite numbers"),
        (call(Adam, betas=(0.9,)), r"Adam\(betas=\(0.9,\)\): give a tuple of 2"),
        (call(AdamW, betas=(0.9, 1.0)), r"AdamW\(betas=\(0.9, 1.0\)\): give a pair .* each below 1"),
        (call(Adamax, betas=(1.0, 0.9)), r"Adamax\(betas=\(1.0, 0.9\)\): give a pair .* each below 1"),
        (call(RMSprop, alpha=1.0), r"RMSprop\(alpha=1.0\): give a number below 1, such as 0.99"),
        (call(RMSprop, centered=1), r"RMSprop\(centered=1\): give True or False"),
        (call(Adam, betas=(-0.1, 0.9)), r"Adam\(betas=\(-0.1, 0.9\)\): give a tuple of 2 finite numbers"),
    ],
)
def test_messages(build: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build()


def test_the_base_is_in_no_table() -> None:
    assert Optimizer not in OPTIMIZERS.values()
