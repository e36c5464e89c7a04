"""Loihi's rule: every integer is lava's, and rules that are nearly right are not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from chips_nets import Case, loihi_case, ran

from snnhw.ir import (
    Expr,
    FrozenMap,
    Neuron,
    NeuronModel,
    maximum,
    minimum,
    model,
    shift_right,
    toward_zero,
    variables,
    where,
)
from snnhw.target import Array
from snnhw_chips.loihi2 import Loihi2
from snnhw_chips.loihi_program import HALF, cells

u, v, x, du, dv, vth, bias = variables("u v x du dv vth bias")

NETS = 12


def run(case: Case, rule: NeuronModel | None = None) -> dict[str, Array]:
    program = case.program
    if rule is None:
        return ran(case)
    nodes = {
        name: replace(op, model=rule) if isinstance(op, Neuron) else op for name, op in program.nodes.items()
    }
    return ran(replace(case, program=replace(program, nodes=FrozenMap(nodes))))


def lava() -> Loihi2:
    target, ready = Loihi2(), Loihi2().probe()
    if not ready.ready:
        pytest.skip(f"{ready.reason}; to run it: {ready.install}")
    return target


def held_to_lava(seeds: range) -> int:
    target, cases = lava(), [loihi_case(seed) for seed in seeds]
    compared = 0
    for case, theirs in zip(cases, target.simulate([(c.vendor, c.inputs) for c in cases]), strict=True):
        ours = run(case)
        for port, name in case.ports.items():
            np.testing.assert_array_equal(ours[port], theirs[name], err_msg=port)
            compared += ours[port].size
    return compared


def test_every_integer_is_lavas() -> None:
    assert held_to_lava(range(6)) > 6_000


@pytest.mark.slow
@pytest.mark.parametrize("first", range(100, 180, 10))
def test_every_integer_is_lavas_in_many_networks(first: int) -> None:
    assert held_to_lava(range(first, first + 10)) > 10_000


def rule(
    *,
    decayed: Callable[[Expr, Expr], Expr] = lambda state, keep: toward_zero(state * keep, 4096.0),
    kept: Expr = 4096.0 - (du + 1.0),
    saturated: bool = False,
    fire: Expr = v - 64.0 * vth,
    late: bool = False,
) -> NeuronModel:
    """The rule, where the arguments do not say otherwise."""
    current = decayed(u + 64.0 * x, kept) if late else decayed(u, kept) + 64.0 * x
    wrapped = where(
        current > HALF, current - 2.0 * HALF, where(current > -HALF, current, current + 2.0 * HALF)
    )
    current = minimum(maximum(current, 1.0 - HALF), HALF - 1.0) if saturated else wrapped
    sums = decayed(v, 4096.0 - dv) + current + bias
    return model(
        "LoihiLIF",
        states="u v",
        params=cells().params,
        integrate={"u": current, "v": minimum(maximum(sums, 1.0 - HALF), HALF - 1.0)},
        fire=fire,
        membrane="v",
    )


WRONG = {
    "floor for toward zero": rule(decayed=lambda state, keep: shift_right(state * keep, 12)),
    ">= for >": rule(fire=v - 64.0 * vth + 1.0),
    "saturation for wrap": rule(saturated=True),
    "du without the one": rule(kept=4096.0 - du),
    "decay after the input": rule(late=True),
}


def test_written_again_the_rule_is_the_same() -> None:
    assert rule() == cells()


@pytest.mark.parametrize("name", WRONG)
def test_a_rule_that_is_nearly_right_is_caught(name: str) -> None:
    """By the random networks that lava is held to, in integers that differ from those of the rule."""
    caught = 0
    for seed in range(NETS):
        case = edged(seed) if name in (">= for >", "saturation for wrap") else loihi_case(seed)
        right, wrong = run(case), run(case, WRONG[name])
        caught += any(not np.array_equal(right[port], wrong[port]) for port in case.ports)
        if caught:
            return
    pytest.fail(f"no network of {NETS} shows it")


def edged(seed: int) -> Case:
    """The same, where membranes meet their threshold exactly, and currents their ends."""
    case = loihi_case(seed)
    params = dict(case.params)
    for name in ("a", "b"):
        params[f"{name}.dv"] = np.zeros_like(params[f"{name}.dv"])
        params[f"{name}.du"] = np.full_like(params[f"{name}.du"], 4095 * (seed % 2))
        params[f"{name}.bias"] = np.zeros_like(params[f"{name}.bias"])
        params[f"{name}.vth"] = np.full_like(params[f"{name}.vth"], 1)
    params |= {
        key: np.full_like(x, 1 if seed % 2 else 254) for key, x in params.items() if key.endswith("weight")
    }
    return replace(case, params=params)
