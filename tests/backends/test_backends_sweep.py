"""Loops over time and their way back: the same as autograd's own graph, however much of a loop is kept."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from backends_nets import EAGER, leaky, network, recurrent, signal
from torch import Tensor, nn

import snnhw as snn
from snnhw.ir import (
    MODELS,
    Add,
    Edge,
    Input,
    Linear,
    Neuron,
    Op,
    Output,
    Program,
    init_params,
    trainable,
)
from snnhw.tensors.execution.paths import ALWAYS
from snnhw.tensors.network import OPERATIONS, Memo, Network, Operation, ProgramModule, plan, refusal
from snnhw.tensors.scans.provider import Provider, Sizes
from snnhw_cpu.limits import Limits
from snnhw_cpu.provider import NumbaProvider

T, B = 9, 3


def two_delays() -> Program:
    """A neuron that hears itself after one step and after three, and a second one in the same loop."""
    nodes: dict[str, Op] = {
        "x": Input((5,)), "a": leaky(), "near": Linear(5, 5), "far": Linear(5, 5, bias=False),
        "b": Neuron(MODELS["Synaptic"]), "sum": Add(), "spk": Output(), "mem": Output(),
    }  # fmt: skip
    wires = [
        Edge("x.y", "a.x"), Edge("b.spk", "near.x", delay=1, init=1.0), Edge("near.y", "a.x"),
        Edge("a.spk", "far.x", delay=3), Edge("far.y", "sum.x"), Edge("a.mem", "sum.x"),
        Edge("sum.y", "b.x"), Edge("b.spk", "spk.x"), Edge("a.mem", "mem.x"),
    ]  # fmt: skip
    return network(nodes, wires)


def side_by_side() -> Program:
    """Edges that join the same two ports, one of them late, into a loop and within it; one is there twice."""
    nodes: dict[str, Op] = {
        "x": Input((5,)), "fc": Linear(5, 5), "a": leaky(), "back": Linear(5, 5),
        "spk": Output(), "y": Output(),
    }  # fmt: skip
    wires = [
        Edge("x.y", "fc.x"), Edge("fc.y", "a.x"), Edge("fc.y", "a.x", delay=2), Edge("fc.y", "a.x"),
        Edge("a.mem", "back.x"), Edge("a.mem", "back.x", delay=3), Edge("back.y", "a.x", delay=1),
        Edge("a.spk", "spk.x"), Edge("back.y", "y.x"),
    ]  # fmt: skip
    return network(nodes, wires)


def captured(module: nn.Module, shape: tuple[int, ...]) -> Program:
    return trainable(snn.capture(nn.Sequential(module), torch.zeros(B, *shape)).program)


PROGRAMS = {
    "recurrent": recurrent(),
    "static": recurrent(static=True),
    "delayed by two": recurrent(delay=2, init=0.5),
    "two delays": two_delays(),
    "side by side": side_by_side(),
    "RLeaky": captured(snn.RLeaky(beta=torch.rand(5), linear_features=5, learn_beta=True), (5,)),
    "RSynaptic": captured(snn.RSynaptic(alpha=0.9, beta=0.8, linear_features=5), (5,)),
    "RLeaky, convolution": captured(
        snn.RLeaky(beta=0.9, conv2d_channels=2, kernel_size=3, learn_threshold=True), (2, 4, 5)
    ),
    "inhibition": captured(snn.RLeaky(beta=0.9, linear_features=5, inhibition=True), (5,)),
    "SLSTM": captured(snn.SLSTM(5, 4), (5,)),
    "noise in derivatives": captured(
        snn.RLeaky(beta=0.9, linear_features=5, spike_grad=snn.surrogate.SSO()), (5,)
    ),
}


FUSED = NumbaProvider(Limits(fused=ALWAYS))


def module(
    program: Program, held: int = 64 << 20, *, derived: bool = True, provider: Provider = EAGER
) -> ProgramModule:
    values = {"beta": 0.8, "alpha": 0.7, "threshold": 0.3}
    given = {key: values[last] for key in program.params() if (last := key.rpartition(".")[2]) in values}
    host = init_params(program, 1, given=given)
    params = {key: torch.from_numpy(np.array(array, np.float64)) for key, array in host.items()}
    sizes = replace(provider.sizes, held=held, derived=derived)
    return ProgramModule(Network(program, plan(program), provider, sizes), params, time_steps=T)


def everything(program: Program, held: int = 64 << 20, **how: Any) -> dict[str, Tensor]:
    """Outputs, states, and the gradients of all that can have one; of two calls, the second from a state."""
    made = module(program, held, **how)
    (name,) = program.named(Input)
    shape = program.nodes[name].infer({})["y"]
    lead = (B,) if name in program.time.static_inputs else (T, B)
    x = signal(*lead, *shape).double().requires_grad_()
    outputs, state = made(x)
    outputs2, state2 = made(x, state)
    found = {**outputs, **{f"then {name}": y for name, y in outputs2.items()}, **state2}
    seeds = torch.Generator().manual_seed(3)
    parts = [(y * torch.randn(y.shape, generator=seeds).double()).sum() for _, y in sorted(found.items())]
    torch.stack(parts).sum().backward()
    grads = {name: param.grad for name, param in made.named_parameters()}
    assert x.grad is not None
    assert any(grad is not None and bool(grad.any()) for grad in grads.values())
    return {"x": x.grad, **found, **{name: grad for name, grad in grads.items() if grad is not None}}


@pytest.mark.parametrize("name", PROGRAMS)
def test_autograd_finds_the_same(name: str) -> None:
    ours, plain = everything(PROGRAMS[name]), everything(PROGRAMS[name], derived=False)
    assert ours.keys() == plain.keys()
    for key, value in plain.items():
        torch.testing.assert_close(ours[key], value, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "name",
    [
        "two delays",
        *(pytest.param(name, marks=pytest.mark.slow) for name in PROGRAMS if name != "two delays"),
    ],
)
def test_one_kernel_gives_the_same(name: str) -> None:
    """In chunks or as a whole, as step by step."""
    plain = everything(PROGRAMS[name], derived=False)
    whole = everything(PROGRAMS[name], provider=FUSED)
    for held in (1, 2000):
        for key, value in everything(PROGRAMS[name], held, provider=FUSED).items():
            torch.testing.assert_close(value, plain[key], rtol=1e-9, atol=1e-9)
            if "then" in key or "->" in key:
                assert torch.equal(value, whole[key])


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("recurrent", None),
        ("SLSTM", None),
        ("RLeaky, convolution", "0.recurrent is a Conv2d"),
        ("inhibition", "0.winner is a WinnerTakeAll"),
        ("noise in derivatives", "0 draws random numbers"),
    ],
)
def test_what_keeps_a_loop_from_being_one_kernel(name: str, why: str | None) -> None:
    program = PROGRAMS[name]
    network = Network(program, plan(program), FUSED, FUSED.sizes)
    (nodes,) = (stage.nodes for stage in network.stages if stage.mode == "stepped")
    assert refusal(network, FUSED, nodes) == why
    few = replace(network, sizes=replace(FUSED.sizes, fused=4))
    assert refusal(few, FUSED, nodes) == (why or "weights are large")
    assert refusal(replace(network, sizes=Sizes()), EAGER, nodes) == "no kernel takes all steps"


def test_a_sample_does_not_depend_on_the_batch() -> None:
    """Nor on how many samples a task has: rows that are alone are multiplied in another way than four."""
    program = PROGRAMS["two delays"]
    x = signal(T, 11, 5).double()
    made = module(program, provider=FUSED)
    alone = module(program, provider=NumbaProvider(Limits(fused=ALWAYS, together=1)))
    for whole, few in ((made(x)[0], alone(x)[0]),):
        for port, y in whole.items():
            assert torch.equal(y, few[port])
            for sample in (0, 10):
                assert torch.equal(made(x[:, sample : sample + 1])[0][port], y[:, sample : sample + 1])


def rows_are_apart() -> bool:
    """Whether rows that are copied and multiplied by themselves are those of a product of many: on some
    processors the last bits depend on where a row begins in memory."""
    x, weight, bias = (signal(*shape).double() for shape in ((T * B, 5), (5, 5), (5,)))
    whole = nn.functional.linear(x, weight, bias)
    spans = [(first, last) for last in range(T + 1) for first in range(last)]
    return all(
        torch.equal(nn.functional.linear(x[a * B : b * B].clone(), weight, bias), whole[a * B : b * B])
        for a, b in spans
    )


@pytest.mark.parametrize("held", [1, 2000])
@pytest.mark.parametrize("name", PROGRAMS)
def test_what_is_not_kept_is_computed_again(name: str, held: int) -> None:
    """One step at a time; a few. Signals and states do not change by a bit, where a product's rows do not."""
    whole, chunks = everything(PROGRAMS[name]), everything(PROGRAMS[name], held=held)
    for key, value in whole.items():
        torch.testing.assert_close(chunks[key], value, rtol=1e-9, atol=1e-9)
        if rows_are_apart() and ("then" in key or "->" in key):
            assert torch.equal(chunks[key], value)


def test_without_gradients_too() -> None:
    program = PROGRAMS["two delays"]
    params = {
        key: torch.from_numpy(array)
        for key, array in init_params(
            program, 1, given={"a.beta": 0.8, "b.beta": 0.8, "b.alpha": 0.7}
        ).items()
    }
    made = ProgramModule(Network(program, plan(program), EAGER), params)
    x = signal(40, B, 5)  # more steps than there is room for at once
    trained, after = made(x)
    with torch.no_grad():
        plain, state = made(x)
    assert all(torch.equal(plain[key], y) for key, y in trained.items())
    assert all(torch.equal(state[key], y) for key, y in after.items())


def test_what_is_made_of_a_weight_lasts_for_all_steps() -> None:
    seen: list[bool] = []

    class Product:
        ways = ()

        def at(self, node: str, memo: Memo) -> Operation:
            seen.append(memo.lasting)
            return OPERATIONS[Linear]

    program = recurrent()
    params = {
        key: torch.from_numpy(array)
        for key, array in init_params(program, 1, given={"lif.beta": 0.8}).items()
    }
    made = ProgramModule(Network(program, plan(program), EAGER, layers={"back": Product()}), params)
    for steps in (1, T):
        made(signal(steps, B, 5))
    assert seen[0] is False
    assert set(seen[1:]) == {True}


def test_a_signal_that_is_changed_in_place_is_missed() -> None:
    made = module(recurrent())
    outputs, _ = made(signal(T, B, 5).double())
    loss = outputs["spk"].sum()
    with torch.no_grad():
        outputs["spk"].mul_(2.0)
    with pytest.raises(RuntimeError, match="changed in place before its backward pass"):
        loss.backward()


def test_nothing_outlives_the_graph() -> None:
    """Without the collector's help: a signal that waits for it is memory that is not used again."""
    made = module(recurrent())
    gc.collect()
    gc.disable()
    try:
        outputs, state = made(signal(T, B, 5).double())
        seen = weakref.ref(outputs["spk"])
        outputs["spk"].sum().backward()
        del outputs, state
        assert seen() is None
    finally:
        gc.enable()
