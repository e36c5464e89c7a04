"""Scans over tensors against loops in plain torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from tensors_cases import (
    EAGER,
    PROVIDERS,
    Loop,
    Tensors,
    both_providers,
    fire,
    leaky,
    leaky_loop,
    leaves,
    pulled,
    synaptic_loop,
)
from tensors_scans import B, T, number, randn
from torch import Tensor

from snnhw.ir import (
    MODELS,
    Expr,
    FrozenMap,
    Neuron,
    Param,
    Pointwise,
    State,
    StepEquations,
    expr,
    model,
    variables,
)
from snnhw.tensors.scans.provider import Provider
from snnhw.tensors.scans.scan import run_scan, run_step

pytestmark = pytest.mark.usefixtures("one_thread")


def compare(
    step: StepEquations,
    loop: Loop,
    inputs: Tensors,
    params: Tensors,
    states: Tensors,
    *,
    provider: Provider = EAGER,
    static: frozenset[str] = frozenset(),
) -> Tensors:
    """Outputs, final states and every gradient, all at once; returns the gradients."""
    given = {**inputs, **params, **states}
    results = []
    for ours in (True, False):
        own = leaves(given)
        xs, ps, ss = ({name: own[name] for name in part} for part in (inputs, params, states))
        if ours:
            settings: dict[str, Any] = {
                "outputs": tuple(step.outputs),
                "static": static,
                "provider": provider,
            }
            found = run_scan(step, xs, ps, ss, steps=T, **settings)
        else:
            found = loop(xs, ps, ss, T)
        shapes = {**found[0], **{f"end of {name}": x for name, x in found[1].items()}}
        seeds = {name: randn(*x.shape, seed=place) for place, (name, x) in enumerate(sorted(shapes.items()))}
        results.append((shapes, pulled(found, seeds, own)))
    (outputs, grads), (wanted, wanted_grads) = results
    torch.testing.assert_close(outputs, wanted, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(grads, wanted_grads, rtol=1e-8, atol=1e-8)
    assert 0 < outputs["spk"].count_nonzero() < outputs["spk"].numel(), "all or none of them fire"
    return grads


@pytest.mark.parametrize("timing", ["delayed", "retest", "immediate"])
@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
def test_leaky(reset: str, timing: str) -> None:
    params = {"beta": number(0.8), "threshold": number(0.7)}
    compare(
        leaky(reset=reset, timing=timing).equations(),
        leaky_loop(reset, timing),
        {"x": randn(T, B, 5)},
        params,
        {"mem": randn(B, 5, seed=1) + 0.5},
    )


def test_two_states() -> None:
    params = {"alpha": number(0.6), "beta": number(0.8), "threshold": number(0.7)}
    states = {"syn": randn(B, 5, seed=1), "mem": randn(B, 5, seed=2)}
    step = Neuron(MODELS["Synaptic"]).equations()
    compare(step, synaptic_loop, {"x": randn(T, B, 5)}, params, states)


@both_providers
def test_a_static_input_is_read_at_every_step_and_its_gradient_summed(provider: Provider) -> None:
    grads = compare(
        leaky().equations(),
        leaky_loop(),
        {"x": randn(B, 5)},
        {"beta": number(0.8), "threshold": number(0.7)},
        {"mem": randn(B, 5, seed=1)},
        provider=provider,
        static=frozenset({"x"}),
    )
    assert grads["x"].shape == (B, 5)


@both_providers
@pytest.mark.parametrize("shape", [(3, 1, 1), (1, 4, 1), (3, 4, 5), (1, 1, 5)], ids=str)
def test_parameters_of_a_map_that_is_not_square(shape: tuple[int, ...], provider: Provider) -> None:
    spread = torch.linspace(0.6, 0.9, torch.Size(shape).numel(), dtype=torch.float64).reshape(shape)
    grads = compare(
        leaky(reset="zero").equations(),
        leaky_loop("zero"),
        {"x": randn(T, B, 3, 4, 5)},
        {"beta": spread, "threshold": number(0.7)},
        {"mem": randn(B, 3, 4, 5, seed=1)},
        provider=provider,
    )
    assert grads["beta"].shape == shape


def test_beta_at_and_beyond_its_bounds() -> None:
    params = {"beta": torch.tensor([-0.5, 0.0, 0.5, 1.0, 1.5], dtype=torch.float64), "threshold": number(0.7)}
    grads = compare(
        leaky().equations(),
        leaky_loop(),
        {"x": randn(T, B, 5)},
        params,
        {"mem": randn(B, 5, seed=1)},
    )
    assert (grads["beta"] != 0).tolist() == [False, True, True, True, False]


def test_quantised_states() -> None:
    params = {"beta": number(0.8), "threshold": number(0.7), "levels": torch.linspace(-2, 2, 9).double()}
    compare(
        leaky(quantised=True).equations(),
        leaky_loop(quantised=True),
        {"x": randn(T, B, 5)},
        params,
        {"mem": randn(B, 5, seed=1)},
    )


def test_graded_spikes() -> None:
    params = {"beta": number(0.8), "threshold": number(0.7), "graded_spikes_factor": number(1.7)}
    step = leaky(graded=True, timing="retest").equations()
    states = {"mem": randn(B, 5, seed=1)}
    grads = compare(step, leaky_loop(timing="retest"), {"x": randn(T, B, 5)}, params, states)
    assert grads["graded_spikes_factor"] != 0


x, y, mem, b, start = variables("x y mem b start")

GATED = model(
    "Gated",
    states="mem",
    params=(Param("b"),),
    integrate={"mem": b * mem + x * y},
    fire=mem - 0.5,
    ports=("x", "y"),
    threshold="b",
)


def gated_loop(inputs: Tensors, params: Tensors, states: Tensors, steps: int) -> tuple[Tensors, Tensors]:
    mem = states["mem"]
    found: dict[str, list[Tensor]] = {"spk": [], "mem": []}
    for t in range(steps):
        gate = inputs["y"] if inputs["y"].ndim < inputs["x"].ndim else inputs["y"][t]
        mem = params["b"] * mem + inputs["x"][t] * gate
        found["spk"].append(fire(mem - 0.5))
        found["mem"].append(mem)
    return {port: torch.stack(values) for port, values in found.items()}, {"mem": mem}


@pytest.mark.parametrize("static", [False, True], ids=["varying", "static"])
def test_several_inputs(static: bool) -> None:
    inputs = {"x": randn(T, B, 4), "y": randn(B, 4, seed=3) if static else randn(T, B, 4, seed=3)}
    step = Neuron(GATED, reset="none").equations()
    states = {"mem": randn(B, 4, seed=1)}
    ports = frozenset({"y"} if static else ())
    compare(step, gated_loop, inputs, {"b": number(0.8)}, states, static=ports)


@pytest.mark.parametrize("narrow", [(4,), (1, 4), (2, 1)], ids=str)
def test_inputs_of_a_sample_broadcast_without_the_batch(narrow: tuple[int, ...]) -> None:
    """B equals an axis of the sample here, so that aligning with it would go unnoticed otherwise."""
    wide = {"x": randn(T, B, 2, 4).requires_grad_(), "y": randn(T, B, *narrow, seed=3).requires_grad_()}
    step = Pointwise(FrozenMap({"z": x * y + y}), ports=("x", "y")).equations()
    found, _ = run_scan(step, wide, {}, {}, steps=T, outputs=("z",), provider=EAGER)
    own = leaves(wide)
    gate = own["y"].reshape(T, B, *(1,) * (2 - len(narrow)), *narrow)
    product = own["x"] * gate + gate
    torch.testing.assert_close(found["z"], product)
    seed = randn(T, B, 2, 4, seed=5)
    ours = torch.autograd.grad((found["z"] * seed).sum(), list(wide.values()))
    wanted = torch.autograd.grad((product * seed).sum(), list(own.values()))
    torch.testing.assert_close(ours, wanted)


@pytest.mark.parametrize(
    ("function", "same"),
    [
        (lambda x: expr.maximum(x, 0.0), torch.relu),
        (expr.sigmoid, torch.sigmoid),
        (expr.tanh, torch.tanh),
        (lambda x: expr.where(x > 0.2, x * x, -x), lambda x: torch.where(x > 0.2, x * x, -x)),
    ],
    ids=["relu", "sigmoid", "tanh", "where"],
)
def test_a_node_without_states(function: Callable[[Expr], Expr], same: Callable[[Tensor], Tensor]) -> None:
    given, own = (randn(T, B, 5).requires_grad_() for _ in range(2))
    step = Pointwise(FrozenMap({"y": function(x)})).equations()
    found, ends = run_scan(step, {"x": given}, {}, {}, steps=T, outputs=("y",), provider=EAGER)
    assert ends == {}
    torch.testing.assert_close(found["y"], same(own))
    (ours,) = torch.autograd.grad(found["y"].square().sum(), [given])
    (wanted,) = torch.autograd.grad(same(own).square().sum(), [own])
    torch.testing.assert_close(ours, wanted)


STARTING = model(
    "Starting",
    states=(State("mem", "start"),),
    params=(Param("b"), Param("start")),
    integrate={"mem": b * mem + x},
    fire=mem - start,
    threshold="start",
)


@pytest.mark.parametrize("shape", [(), (5,)], ids=str)
def test_a_state_that_starts_from_a_parameter(shape: tuple[int, ...]) -> None:
    own, ours = (
        {"b": number(0.9).requires_grad_(), "start": torch.full(shape, 0.6).double().requires_grad_()}
        for _ in range(2)
    )
    signal = randn(T, B, 5)
    step = Neuron(STARTING, reset="none").equations()
    found, _ = run_scan(step, {"x": signal}, ours, {}, steps=T, outputs=("mem",), provider=EAGER)
    value = own["start"].expand(B, 5)
    values = []
    for t in range(T):
        value = own["b"] * value + signal[t]
        values.append(value)
    wanted = torch.stack(values)
    torch.testing.assert_close(found["mem"], wanted)
    torch.testing.assert_close(
        torch.autograd.grad(found["mem"].sum(), list(ours.values())),
        torch.autograd.grad(wanted.sum(), list(own.values())),
    )


def test_a_state_left_out_starts_at_rest() -> None:
    params, signal = {"beta": number(0.8), "threshold": number(0.7)}, {"x": randn(T, B, 5)}
    settings: dict[str, Any] = {"steps": T, "outputs": ("spk", "mem"), "provider": EAGER}
    at_rest = {"mem": torch.zeros(B, 5, dtype=torch.float64)}
    ours = run_scan(leaky().equations(), signal, params, {}, **settings)
    assert_same(ours, run_scan(leaky().equations(), signal, params, at_rest, **settings))


def test_carried_states_make_one_long_run_of_two() -> None:
    params, signal = {"beta": number(0.8), "threshold": number(0.7)}, randn(2 * T, B, 5)
    settings: dict[str, Any] = {"outputs": ("spk", "mem"), "provider": EAGER}
    whole, ends = run_scan(leaky().equations(), {"x": signal}, params, {}, steps=2 * T, **settings)
    first, between = run_scan(leaky().equations(), {"x": signal[:T]}, params, {}, steps=T, **settings)
    second, last = run_scan(leaky().equations(), {"x": signal[T:]}, params, between, steps=T, **settings)
    assert_same((whole, ends), ({port: torch.cat([first[port], second[port]]) for port in whole}, last))


@pytest.mark.parametrize("steps", [1, 63, 64, 65, 200])
def test_any_number_of_steps(steps: int) -> None:
    """Long runs recompute their states in pieces; what the gradient is does not depend on that."""
    own = leaves({"x": randn(steps, 1, 3) + 0.2, "beta": number(0.9), "threshold": number(0.7)})
    ours = leaves(own)
    run = leaky_loop()({"x": own["x"]}, own, {"mem": torch.zeros(1, 3).double()}, steps)
    found = run_scan(
        leaky().equations(), {"x": ours["x"]}, ours, {}, steps=steps, outputs=("spk", "mem"), provider=EAGER
    )
    seeds = {"spk": randn(steps, 1, 3, seed=1), "mem": randn(steps, 1, 3, seed=2)}
    torch.testing.assert_close(pulled(found, seeds, ours), pulled(run, seeds, own), rtol=1e-8, atol=1e-8)


def test_one_step_is_a_scan_without_an_axis_of_time() -> None:
    params, signal = {"beta": number(0.8), "threshold": number(0.7)}, randn(B, 5)
    state = {"mem": randn(B, 5, seed=1)}
    settings: dict[str, Any] = {"outputs": ("spk", "mem"), "provider": EAGER}
    one = run_step(leaky().equations(), {"x": signal}, params, state, **settings)
    scan, ends = run_scan(leaky().equations(), {"x": signal[None]}, params, state, steps=1, **settings)
    assert_same(one, ({port: y[0] for port, y in scan.items()}, ends))


def assert_same(a: tuple[Mapping[str, Tensor], ...], b: tuple[Mapping[str, Tensor], ...]) -> None:
    torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_both_providers_give_the_same_bits_in_float32() -> None:
    """One precision, one order of operations: nothing to tolerate."""
    signal = randn(40, 3, 70).float()
    params = {"beta": torch.rand(70), "threshold": torch.tensor(0.7)}
    found = []
    for provider in PROVIDERS.values():
        own = leaves({"x": signal, **params})
        result = run_scan(
            leaky(reset="zero").equations(),
            {"x": own["x"]},
            own,
            {},
            steps=40,
            outputs=("spk", "mem"),
            provider=provider,
        )
        seeds = {"spk": randn(40, 3, 70, seed=1).float(), "mem": randn(40, 3, 70, seed=2).float()}
        found.append((*result, pulled(result, seeds, own)))
    (spikes, ends, grads), (other_spikes, other_ends, other_grads) = found
    assert_same((spikes, ends), (other_spikes, other_ends))
    assert torch.equal(grads["x"], other_grads["x"])
    torch.testing.assert_close(grads, other_grads, rtol=1e-6, atol=1e-6)  # sums over B and N have no order


def test_gradcheck_where_the_function_is_smooth() -> None:
    step = leaky(reset="none", surrogate=None).equations()

    def membrane(signal: Tensor, beta: Tensor, state: Tensor) -> Tensor:
        params = {"beta": beta, "threshold": number(1.0)}
        found, ends = run_scan(
            step, {"x": signal}, params, {"mem": state}, steps=3, outputs=("mem",), provider=EAGER
        )
        return found["mem"].sum() + (ends["mem"] ** 2).sum()

    given = (
        randn(3, 2, 2).requires_grad_(),
        number(0.7).requires_grad_(),
        randn(2, 2, seed=1).requires_grad_(),
    )
    assert torch.autograd.gradcheck(membrane, given)
