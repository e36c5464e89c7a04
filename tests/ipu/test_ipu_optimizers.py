"""Optimizers that PopTorch has, and what it lacks of ours."""

from __future__ import annotations

import pytest

from snnhw.errors import InputError, Unsupported
from snnhw.ir import OPTIMIZERS, SGD, Adamax, RMSprop
from snnhw_ipu.optimizers import OPTIMIZERS as KNOWN
from snnhw_ipu.optimizers import check_compiled, settings


def test_all_but_adamax_are_there() -> None:
    assert set(OPTIMIZERS.values()) - set(KNOWN) == {Adamax}


def test_every_setting_of_rmsprop_is_named() -> None:
    assert settings(RMSprop(lr=0.5, momentum=0.25), None) == {
        "lr": 0.5,
        "alpha": 0.99,
        "eps": 1e-8,
        "weight_decay": 0.0,
        "momentum": 0.25,
        "centered": False,
    }


def test_rmsprop_takes_no_bound_on_the_gradient() -> None:
    assert settings(SGD(), 0.5)["max_grad_norm"] == 0.5
    with pytest.raises(
        Unsupported, match="clip_norm with RMSprop: PopTorch's knows no bound of gradients; leave"
    ):
        settings(RMSprop(), 0.5)


def test_centered_is_compiled_in() -> None:
    check_compiled(RMSprop(lr=0.5), RMSprop())
    with pytest.raises(InputError, match=r"RMSprop\(centered=True\): on an IPU this is compiled into"):
        check_compiled(RMSprop(centered=True), RMSprop())
