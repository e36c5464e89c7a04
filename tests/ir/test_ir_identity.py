"""Digests of programs and losses: equal for equal values, in every process, and for no others."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

import snnhw.functional as SF
from snnhw.ir import (
    LOSS_TERMS,
    MODELS,
    SGD,
    Adam,
    ATan,
    Edge,
    FastSigmoid,
    Input,
    Linear,
    Loss,
    Neuron,
    Op,
    Opaque,
    Program,
    TimeAxis,
    identity,
    sequential,
)
from snnhw.ir.identity import LATER


def program(dt: float = 2.0, **settings: Any) -> Program:
    nodes: dict[str, Op] = {
        "x": Input((4,)),
        "fc": Linear(4, 3),
        "lif": Neuron(MODELS["Leaky"], **settings),
    }
    return sequential(nodes, time=TimeAxis(dt))


def test_equal_values_are_equal() -> None:
    assert identity(program()) == identity(program()) == identity(program(dt=2))
    assert identity(program(dt=np.float64(2))) == identity(program())
    assert identity(SF.ce_rate_loss()) == identity(Loss(SF.ce_rate_loss().terms))


OTHERS = {
    "constants": program(dt=math.nextafter(2.0, 3.0)),
    "reset": program(reset="zero"),
    "timing": program(timing="immediate"),
    "surrogate": program(surrogate=FastSigmoid()),
    "surrogate's constant": program(surrogate=ATan(alpha=3.0)),
    "a function of torch's": program(surrogate=Opaque(abs, "abs", "it is one")),
    "another function": program(surrogate=Opaque(abs, "max", "it is one")),
    "another neuron": sequential({"x": Input((4,)), "fc": Linear(4, 3), "lif": Neuron(MODELS["Lapicque"])}),
    "trained": replace(program(), trainable=frozenset({"fc.bias"})),
    "delay": replace(program(), edges=(*program().edges[:-1], replace(program().edges[-1], delay=1))),
    "edge": replace(program(), edges=(*program().edges, Edge("x.y", "fc.x"))),
}


def test_others_are_others() -> None:
    digests = [identity(each) for each in (program(), *OTHERS.values())]
    assert len(set(digests)) == len(digests)


@pytest.mark.parametrize(
    ("one", "other"), [(SGD(), Adam()), (1, True), ("1", 1), ((1, 2), (2, 1)), (0.0, -0.0)]
)
def test_kinds_order_and_signs_count(one: object, other: object) -> None:
    assert identity(one) != identity(other)


@pytest.mark.parametrize("seed", ["1", "2"])
def test_every_process_agrees(seed: str) -> None:
    """Hashes of strings, and with them the order of sets, differ between processes."""
    asked = (
        "from snnhw.ir import *; "
        "print(identity(sequential({'x': Input((4,)), 'fc': Linear(4, 3), 'lif': Neuron(MODELS['Leaky'])})))"
    )
    found = subprocess.run(
        [sys.executable, "-c", asked],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": seed},
    )
    here = sequential({"x": Input((4,)), "fc": Linear(4, 3), "lif": Neuron(MODELS["Leaky"])})
    assert found.stdout.strip() == identity(here)


def test_a_field_that_came_later_says_nothing_at_its_default() -> None:
    """So that what was saved before it came is still known."""
    later = [item for kind in LOSS_TERMS.values() for item in fields(kind) if item.metadata == LATER]
    assert {item.name for item in later} == {"time_var_targets", "target_is_time"}
    plain = SF.mse_membrane_loss()
    assert identity(plain) == "93ffb594d771a5ef920e5d43967e9fb08889c3847dca9d16e1ab7354bab10093"
    assert identity(SF.mse_membrane_loss(time_var_targets=True)) != identity(plain)
