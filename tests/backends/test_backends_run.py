"""Running programs on torch: state, delays, recurrence, several inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from backends_nets import (
    B,
    T,
    delayed,
    executable,
    feedforward,
    feedforward_by_hand,
    leaves,
    network,
    params_of,
    recurrent,
    recurrent_by_hand,
    signal,
)
from torch import Tensor

import snnhw.functional as SF
from snnhw.errors import InputError
from snnhw.ir import SGD, Add, Edge, FrozenMap, Input, Linear, Op, Output, Param, Pointwise, Program, var
from snnhw.lowering import lower, make_job
from snnhw.plugin import Arrays
from snnhw.registry import backend
from snnhw.tensors.network import Walk

pytestmark = pytest.mark.usefixtures("one_thread")

X = signal(T, B, 5)


def close(found: Any, wanted: Any) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


def pieces(program: Program, xs: Tensor, cut: int, **settings: Any) -> tuple[Arrays, Arrays, Arrays, Arrays]:
    """Outputs and states of a run at one go, and of two that share a state."""
    run = executable(program, **settings).run
    whole, first = run({"x": xs}), run({"x": xs[:cut]})
    second = run({"x": xs[cut:]}, first.state)
    joined = {name: torch.cat([first.outputs[name], second.outputs[name]]) for name in whole.outputs}
    return whole.outputs, joined, whole.state, second.state


# -- plain runs -------------------------------------------------------------------------------------


def test_a_feedforward_network() -> None:
    program = feedforward()
    found = executable(program, record=("lif1.spk",)).run({"x": X})
    assert torch.equal(found.outputs["output"], feedforward_by_hand(X, leaves(params_of(program))).detach())
    assert found.outputs["output"].count_nonzero() > 0
    assert found.recordings["lif1.spk"].shape == (T, B, 7)
    assert {key: tuple(x.shape) for key, x in found.state.items()} == {"lif1.mem": (B, 7), "lif2.mem": (B, 3)}


def test_static_inputs_are_seen_at_every_step() -> None:
    program = feedforward(static=True)
    found = executable(program).run({"x": X[0]}).outputs["output"]
    close(found, executable(feedforward()).run({"x": X[:1].expand(T, B, 5)}).outputs["output"])


def test_time_comes_from_the_job_when_every_input_is_static() -> None:
    assert executable(feedforward(static=True)).run({"x": X[0]}).outputs["output"].shape[0] == T


def test_a_run_leaves_no_graph_and_a_step_makes_its_own() -> None:
    ready = executable(feedforward(), loss=SF.ce_rate_loss(), optimizer=SGD(lr=0.1))
    assert not ready.run({"x": X}).outputs["output"].requires_grad
    with torch.no_grad():
        found = ready.step({"x": X}, {"target": torch.zeros(B, dtype=torch.long)})
    assert not found.outputs["output"].requires_grad
    assert not np.array_equal(ready.get_params()["fc1.weight"], params_of(feedforward())["fc1.weight"])


@pytest.mark.parametrize("cut", [1, 3, 5])
def test_states_carry_on(cut: int) -> None:
    whole, joined, end, other = pieces(feedforward(), X, cut)
    close(joined, whole)
    close(other, end)


# -- recurrence and delays --------------------------------------------------------------------------


@pytest.mark.parametrize("delay", [1, 2, T + 2])
@pytest.mark.parametrize("init", [0.0, 0.5])
def test_a_recurrent_layer(init: float, delay: int) -> None:
    program = recurrent(init=init, delay=delay)
    first = torch.full((delay, B, 7), init)
    spikes, readout = recurrent_by_hand(X, leaves(params_of(program)), first)
    found = executable(program).run({"x": X})
    assert torch.equal(found.outputs["spk"], spikes.detach())
    close(found.outputs["read"], readout.detach())
    line = torch.cat([first, spikes.detach()])
    assert torch.equal(found.state["lif.spk->back.x"], line[T:])
    assert set(found.state) == {"lif.mem", "lif.spk->back.x"}


def test_a_recurrent_layer_with_a_static_input() -> None:
    program = recurrent(static=True)
    spikes, _ = recurrent_by_hand(X[:1].expand(T, B, 5), leaves(params_of(program)), torch.zeros(1, B, 7))
    assert torch.equal(executable(program).run({"x": X[0]}).outputs["spk"], spikes.detach())


@pytest.mark.parametrize("delay", [1, 4])
@pytest.mark.parametrize("cut", [1, 3])
def test_what_is_under_way_in_a_cycle_carries_on(cut: int, delay: int) -> None:
    whole, joined, end, other = pieces(recurrent(delay=delay, init=0.5), X, cut)
    close(joined, whole)
    close(other, end)


@pytest.mark.parametrize("delay", [1, 2, T, T + 3])
@pytest.mark.parametrize("init", [0.0, 1.5])
def test_a_delay_without_a_cycle(init: float, delay: int) -> None:
    program = delayed(delay=delay, init=init)
    w = {key: torch.from_numpy(array) for key, array in params_of(program).items()}
    line = torch.cat([torch.full((delay, B, 5), init), X])
    currents = torch.nn.functional.linear(X, w["fc.weight"], w["fc.bias"]) + line[:T]
    mem, membranes = torch.zeros(B, 5), []
    for current in currents:
        mem = w["lif.beta"] * mem + current - (mem > w["lif.threshold"]).float() * w["lif.threshold"]
        membranes.append(mem)
    found = executable(program).run({"x": X})
    close(found.outputs["output"], torch.stack(membranes))
    assert torch.equal(found.state["x.y->sum.x"], line[T:])


@pytest.mark.parametrize("cut", [1, 3])
def test_what_is_under_way_carries_on(cut: int) -> None:
    whole, joined, end, other = pieces(delayed(delay=4, init=0.5), X, cut)
    close(joined, whole)
    close(other, end)


def test_a_delayed_edge_keeps_only_what_is_under_way() -> None:
    found = executable(delayed(delay=1)).run({"x": X}).state["x.y->sum.x"]
    assert found.untyped_storage().nbytes() == found.numel() * 4


def starting(shape: tuple[int, ...]) -> Program:
    """A delayed edge that starts from a parameter, which a Pointwise node holds."""
    nodes: dict[str, Op] = {
        "x": Input((5,)),
        "bias": Pointwise(
            FrozenMap({"y": var("x") + var("start")}),
            parameters=(Param("start", 0.7),),
            param_shapes=FrozenMap({"start": shape} if shape else {}),
        ),
        "late": Add(),
        "output": Output(),
    }
    wires = [
        Edge("x.y", "bias.x"),
        Edge("bias.y", "late.x", delay=2, init="bias.start"),
        Edge("late.y", "output.x"),
    ]
    return network(nodes, wires)


@pytest.mark.parametrize("shape", [(), (5,)], ids=str)
def test_a_delay_that_starts_from_a_parameter(shape: tuple[int, ...]) -> None:
    program = starting(shape)
    found = executable(program).run({"x": X}).outputs["output"]
    close(found, torch.cat([torch.full((2, B, 5), 0.7), X[:-2] + 0.7]))


def test_edges_into_one_port_add_up_in_listed_order() -> None:
    """2**24 swallows a 1 that is added to it, and not a 2."""
    nodes: dict[str, Op] = {name: Input((1,)) for name in "abc"} | {"sum": Add(), "output": Output()}
    big, one = torch.full((1, 1, 1), 2.0**24), torch.ones(1, 1, 1)
    for order, expected in (("abc", 2.0**24), ("bca", 2.0**24 + 2)):
        wires = [*(Edge(f"{name}.y", "sum.x") for name in order), Edge("sum.y", "output.x")]
        found = executable(network(nodes, wires)).run({"a": big, "b": one, "c": one})
        assert found.outputs["output"].item() == expected


# -- nodes of other kinds ---------------------------------------------------------------------------


def gates(static: tuple[str, ...] = ()) -> Program:
    nodes: dict[str, Op] = {
        "a": Input((2, 4)),
        "b": Input((4,)),
        "gate": Pointwise(
            FrozenMap({"both": var("x") * var("y"), "more": var("x") + var("y")}), ports=("x", "y")
        ),
        "one": Output(),
        "two": Output(),
    }
    wires = [
        Edge("a.y", "gate.x"), Edge("b.y", "gate.y"), Edge("gate.both", "one.x"), Edge("gate.more", "two.x")
    ]  # fmt: skip
    return network(nodes, wires, static=static)


@pytest.mark.parametrize("static", [(), ("a",), ("b",), ("a", "b")], ids=str)
def test_several_inputs_of_which_some_are_static(static: tuple[str, ...]) -> None:
    """The batch is as long as an axis of the sample here, and inputs come in any order."""
    a, b = signal(T, 2, 2, 4), signal(T, 2, 4, seed=1)
    given = {name: x[0] if name in static else x for name, x in (("b", b), ("a", a))}
    found = executable(gates(static)).run(given).outputs
    a, b = (x[:1].expand_as(x) if name in static else x for name, x in (("a", a), ("b", b)))
    close(found["one"], a * b.unsqueeze(2))
    close(found["two"], a + b.unsqueeze(2))


def test_a_recurrent_node_without_parameters() -> None:
    nodes: dict[str, Op] = {"x": Input((3,)), "sum": Add(), "output": Output()}
    wires = [Edge("x.y", "sum.x"), Edge("sum.y", "sum.x", delay=1), Edge("sum.y", "output.x")]
    program = network(nodes, wires)
    found = executable(program).run({"x": X[..., :3]}).outputs["output"]
    close(found, X[..., :3].cumsum(0))


def test_results_belong_to_the_caller() -> None:
    nodes: dict[str, Op] = {"x": Input((5,)), "fc": Linear(5, 5), "same": Output(), "other": Output()}
    wires = [Edge("x.y", "fc.x"), Edge("x.y", "same.x"), Edge("fc.y", "other.x")]
    x = X[0].clone()
    found = executable(network(nodes, wires, static=("x",))).run({"x": x}).outputs
    found["same"][0].fill_(9.0)
    found["other"][0].fill_(9.0)
    assert torch.equal(x, X[0])
    assert not found["same"][1].eq(9.0).any()
    assert not found["other"][1].eq(9.0).any()
    varying = executable(feedforward(), record=("x.y",)).run({"x": (given := X.clone())})
    varying.recordings["x.y"].fill_(9.0)
    assert torch.equal(given, X)


def test_signals_are_let_go_once_nothing_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []

    def forget(walk: Walk, ports: frozenset[str]) -> None:
        original(walk, ports)
        held.append(len(walk.ports))

    original = Walk.forget
    monkeypatch.setattr(Walk, "forget", forget)
    executable(feedforward()).run({"x": X})
    assert max(held) == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_everything_is_computed_in_one_dtype(dtype: torch.dtype) -> None:
    ready = executable(recurrent(), dtype=dtype, record=("lif.mem",))
    found = ready.run({"x": X.double()})
    for x in (*found.outputs.values(), *found.recordings.values(), *found.state.values()):
        assert x.dtype == dtype
    assert all(torch.from_numpy(array).dtype == dtype for array in ready.get_params().values())


def test_the_option_for_float64() -> None:
    program = feedforward()
    plugin = backend("cpu")
    job = make_job(plugin, program, time_steps=T, batch=B, options={"dtype": "float64"})
    with lower(plugin, program, params_of(program), job) as ready:
        found = ready.run({"x": X}).outputs["output"]
    assert found.dtype == torch.float64
    assert torch.equal(found, executable(program, dtype=torch.float64).run({"x": X}).outputs["output"])


# -- messages ---------------------------------------------------------------------------------------


def test_a_state_of_another_batch() -> None:
    ready = executable(feedforward())
    state = ready.run({"x": X}).state
    with pytest.raises(
        InputError, match=r"state 'lif1.mem' has shape \[4, 7\]; accepted for a batch of 2: \[2, 7\]"
    ):
        ready.run({"x": X[:, :2]}, state)


def test_a_state_that_is_not_whole() -> None:
    ready = executable(feedforward())
    state = ready.run({"x": X}).state
    with pytest.raises(InputError, match=r"state 'lif2.mem' is missing; given: lif1.mem"):
        ready.run({"x": X}, {"lif1.mem": state["lif1.mem"]})


def test_a_closed_executable() -> None:
    ready = executable(feedforward())
    with ready:
        pass
    uses = (
        lambda: ready.run({"x": X}),
        ready.get_params,
        ready.save_state,
        ready.torch_module,
        lambda: ready.load_state({}),
        lambda: ready.set_params({}),
    )
    for use in uses:
        with pytest.raises(InputError, match="this executable is closed; compile the program again"):
            use()
