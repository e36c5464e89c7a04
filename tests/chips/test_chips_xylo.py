"""Xylo's rule: every integer is xylosim's, and rules that are nearly right are not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from chips_nets import Case, float_net, ran, spikes
from xylo_nets import xylo_case

from snnhw.deploy import delayed, deploy, read_network, verdicts
from snnhw.errors import ExportError, InputError
from snnhw.ir import (
    FrozenMap,
    Linear,
    Neuron,
    NeuronModel,
    Op,
    Params,
    Program,
    SaturatingLinear,
    maximum,
    minimum,
    model,
    saturate,
    toward_zero,
    variables,
    where,
    wrap,
)
from snnhw.target import ChipTarget
from snnhw_chips.xylo import XyloAudio2, XyloAudio3, XyloIMU
from snnhw_chips.xylo_program import cells

i, v, x, left_syn, left_mem, bias, threshold, most = variables("i v x left_syn left_mem bias threshold most")

NETS = 20


def xylosim() -> XyloAudio2:
    target, ready = XyloAudio2(), XyloAudio2().probe()
    if not ready.ready:
        pytest.skip(f"{ready.reason}; to run it: {ready.install}")
    return target


def held_to_xylosim(seeds: range) -> int:
    target, cases = xylosim(), [xylo_case(seed) for seed in seeds]
    compared = 0
    for case, theirs in zip(cases, target.simulate([(c.vendor, c.inputs) for c in cases]), strict=True):
        ours = ran(case)
        for port, name in case.ports.items():
            np.testing.assert_array_equal(ours[port], theirs[name], err_msg=port)
            compared += ours[port].size
    return compared


def test_every_integer_is_xylosims() -> None:
    assert held_to_xylosim(range(20)) > 20_000


@pytest.mark.slow
@pytest.mark.parametrize("first", range(100, 600, 100))
def test_every_integer_is_xylosims_in_many_networks(first: int) -> None:
    assert held_to_xylosim(range(first, first + 100)) > 100_000


def rule(kind: str = "") -> NeuronModel:
    """The rule, but for what the argument says."""

    def decay(state: Any, divisor: Any) -> Any:
        lost = toward_zero(state, divisor) if kind == "toward zero for floor" else state // divisor
        least = 0.0 if kind == "no least decay" else where(state > 0.0, 1.0, 0.0)
        return where(abs(lost) > 0.0, lost, least)

    current = i - decay(i, left_syn) + (x - i) if kind == "input after decay" else x - decay(x, left_syn)
    change = saturate(saturate(wrap(-decay(v, left_mem), 16) + current, 16) + bias, 16)
    reached = wrap(v + change, 16) if kind == "wrap for saturation" else saturate(v + change, 16)
    over = v - 1.0 if kind == "> for >=" else v
    times = minimum(over // maximum(threshold, 1.0), most + (1.0 if kind == "32 spikes for 31" else 0.0))
    fire = where(threshold > v, 0.0, 1.0)
    return model(
        "XyloLIF",
        states="i v",
        params=cells().params,
        integrate={"i": current, "v": reached},
        fire=v - threshold if kind == "> for >=" else fire,
        count=where(threshold > 0.0, times, most),
        membrane="v",
    )


WRONG = (
    "toward zero for floor",
    "no least decay",
    "input after decay",
    "wrap for saturation",
    "32 spikes for 31",
    "> for >=",
)


def with_rule(case: Case, other: NeuronModel) -> Case:
    nodes = {
        name: replace(op, model=other) if isinstance(op, Neuron) else op
        for name, op in case.program.nodes.items()
    }
    return replace(case, program=replace(case.program, nodes=FrozenMap(nodes)))


def differs(case: Case, other: Case) -> bool:
    right, wrong = ran(case), ran(other)
    return any(not np.array_equal(right[port], wrong[port]) for port in case.ports)


def test_written_again_the_rule_is_the_same() -> None:
    case = xylo_case(0)
    assert not differs(case, with_rule(case, rule()))


@pytest.mark.parametrize("kind", WRONG)
def test_a_rule_that_is_nearly_right_is_caught(kind: str) -> None:
    """By the random networks that xylosim is held to."""
    cases = (low(xylo_case(seed)) if kind == "> for >=" else xylo_case(seed) for seed in range(NETS))
    assert any(differs(case, with_rule(case, rule(kind))) for case in cases)


def low(case: Case) -> Case:
    """The same with thresholds of 1, which membranes meet exactly."""
    ones = {key: np.ones_like(x) for key, x in case.params.items() if key.endswith("threshold")}
    return replace(case, params={**case.params, **ones})


def test_sums_that_saturate_at_the_end_alone_are_caught() -> None:
    def at_once(case: Case) -> Case:
        nodes: dict[str, Op] = {}
        edges = list(case.program.edges)
        for name, op in case.program.nodes.items():
            nodes[name] = op
            if isinstance(op, SaturatingLinear):
                nodes[name] = Linear(op.in_features, op.out_features, bias=False)
                cells = name.split("_from_")[0]
                edges = [replace(e, dst=f"{cells}.x") if e.dst == f"{name}.start" else e for e in edges]
        return replace(case, program=replace(case.program, nodes=FrozenMap(nodes), edges=tuple(edges)))

    def seen(case: Case) -> bool:
        try:
            return differs(case, at_once(case))
        except InputError as error:  # a state that is beyond its bits
            return "accepted: whole numbers from -32768" in str(error)

    assert any(seen(xylo_case(seed)) for seed in range(NETS))


def subtracting(**more: Any) -> tuple[Program, Params]:
    program, params = float_net(**more)
    nodes = {
        name: replace(op, reset="subtract") if isinstance(op, Neuron) else op
        for name, op in program.nodes.items()
    }
    exact = {key: np.array(0.9375) for key in params if key.endswith(".beta")}
    return replace(program, nodes=FrozenMap(nodes)), {**params, **exact}


@pytest.mark.parametrize("target", [XyloAudio2(), XyloAudio3(), XyloIMU()], ids=lambda t: t.name)
def test_a_network_is_quantised_timed_and_held_to_the_float_one(target: ChipTarget) -> None:
    program, params = subtracting()
    timed = delayed(read_network(program, params), target)
    assert dict(timed.late) == {"lif1": 0, "lif2": 1}
    found = deploy(program, params, target, spikes())
    assert set(found.full.values()) == {0}
    shown = verdicts(found, spikes())
    assert all(layer.differ < 0.1 and layer.fired for layer in shown.layers)
    assert all(use.fits for use in shown.uses)


def test_what_xylo_has_no_way_to_compute_is_named() -> None:
    program, params = float_net(kind="Leaky")
    with pytest.raises(ExportError) as told:
        deploy(program, params, XyloAudio2(), spikes())
    assert any("lif1: it is reset to 0; Xylo subtracts" in reason for reason in told.value.reasons)
    assert any("lif1: its current decays to 0 a step" in reason for reason in told.value.reasons)
    with pytest.raises(ExportError, match="over: inputs reach hidden neurons alone; put a layer before lif2"):
        deploy(*subtracting(skip=True), XyloAudio2(), spikes())


@pytest.mark.parametrize("target", [XyloAudio3(), XyloIMU()], ids=lambda t: t.name)
def test_ends_of_more_than_128_neurons_do_not_fit(target: ChipTarget) -> None:
    with pytest.raises(ExportError) as told:
        deploy(*subtracting(sizes=(6, 129, 3)), target, spikes())
    for what in ("neurons that inputs reach", "neurons that feed outputs"):
        assert any(f"{what} come to 129, but there are 128" in reason for reason in told.value.reasons)
    deploy(*subtracting(sizes=(6, 129, 3)), XyloAudio2(), spikes())


def test_more_outputs_than_there_are_do_not_fit() -> None:
    with pytest.raises(ExportError, match="output neurons come to 9, but there are 8"):
        deploy(*subtracting(sizes=(6, 8, 9)), XyloAudio2(), spikes())
