"""Training on torch against plain torch loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from backends_nets import (
    B,
    T,
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
from torch.nn import functional as F

import snnhw.functional as SF
from snnhw.errors import InputError, ProgramError
from snnhw.ir import (
    SGD,
    Adam,
    Adamax,
    AdamW,
    Edge,
    FrozenMap,
    Input,
    Linear,
    Op,
    Optimizer,
    Output,
    Program,
    RMSprop,
    trainable,
)
from snnhw.plugin import Executable

pytestmark = pytest.mark.usefixtures("one_thread")

X = [signal(T, B, 5, seed=seed) for seed in range(6)]
Y = torch.tensor([0, 2, 1, 2])
Made = Callable[[list[Tensor]], torch.optim.Optimizer]

OPTIMIZERS: dict[str, tuple[Optimizer, Made]] = {
    "SGD": (SGD(lr=0.5), lambda p: torch.optim.SGD(p, lr=0.5)),
    "momentum": (
        SGD(lr=0.2, momentum=0.9, weight_decay=0.1),
        lambda p: torch.optim.SGD(p, lr=0.2, momentum=0.9, weight_decay=0.1),
    ),
    "nesterov": (
        SGD(lr=0.2, momentum=0.9, nesterov=True),
        lambda p: torch.optim.SGD(p, lr=0.2, momentum=0.9, nesterov=True),
    ),
    "Adam": (
        Adam(lr=0.05, betas=(0.8, 0.99), weight_decay=0.1),
        lambda p: torch.optim.Adam(p, lr=0.05, betas=(0.8, 0.99), weight_decay=0.1),
    ),
    "Adamax": (
        Adamax(lr=0.05, betas=(0.8, 0.99), weight_decay=0.1),
        lambda p: torch.optim.Adamax(p, lr=0.05, betas=(0.8, 0.99), weight_decay=0.1),
    ),
    "RMSprop": (
        RMSprop(lr=0.02, alpha=0.9, weight_decay=0.1),
        lambda p: torch.optim.RMSprop(p, lr=0.02, alpha=0.9, weight_decay=0.1),
    ),
    "centered RMSprop": (
        RMSprop(lr=0.02, alpha=0.9, momentum=0.5, centered=True, eps=1e-3),
        lambda p: torch.optim.RMSprop(p, lr=0.02, alpha=0.9, momentum=0.5, centered=True, eps=1e-3),
    ),
    "AdamW": (AdamW(lr=0.05), lambda p: torch.optim.AdamW(p, lr=0.05, weight_decay=0.01)),
}


def rate_loss(spikes: Tensor, y: Tensor) -> Tensor:
    return torch.stack([F.cross_entropy(step, y) for step in spikes]).mean()


def same_params(found: Executable, wanted: dict[str, Tensor], rtol: float = 1e-4) -> None:
    ours = found.get_params()
    assert ours.keys() == wanted.keys()
    for key, tensor in wanted.items():
        np.testing.assert_allclose(
            np.asarray(ours[key], float), tensor.detach(), rtol=rtol, atol=1e-6, err_msg=key
        )


def training(program: Program | None = None, **settings: Any) -> Any:
    told: dict[str, Any] = {"loss": SF.ce_rate_loss(), "optimizer": SGD(lr=0.5)}
    return executable(feedforward() if program is None else program, **{**told, **settings})


# -- against a loop ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "made"), OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_optimizers(value: Optimizer, made: Made) -> None:
    ready, w = training(optimizer=value), leaves(params_of(feedforward()))
    optimizer = made(list(w.values()))
    for x in X:
        spikes = feedforward_by_hand(x, w)
        loss = rate_loss(spikes, Y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found = ready.step({"x": x}, {"target": Y})
        assert found.loss == pytest.approx(loss.item(), rel=1e-5)
        assert torch.equal(found.outputs["output"], spikes.detach())
    same_params(ready, w)


@pytest.mark.parametrize("clip_norm", [None, 0.05, 1e6])
@pytest.mark.parametrize("accumulate", [1, 3])
def test_accumulation_and_clipping(accumulate: int, clip_norm: float | None) -> None:
    ready = training(accumulate=accumulate, clip_norm=clip_norm)
    w = leaves(params_of(feedforward()))
    optimizer = torch.optim.SGD(w.values(), lr=0.5)
    for number, x in enumerate(X):
        rate_loss(feedforward_by_hand(x, w), Y).div(accumulate).backward()
        if (number + 1) % accumulate == 0:
            if clip_norm is not None:
                torch.nn.utils.clip_grad_norm_(w.values(), clip_norm)
            optimizer.step()
            optimizer.zero_grad()
        ready.step({"x": x}, {"target": Y})
    same_params(ready, w)


def test_between_updates_parameters_stay() -> None:
    ready = training(accumulate=2)
    ready.step({"x": X[0]}, {"target": Y})
    same_params(ready, leaves(params_of(feedforward())), rtol=0)


@pytest.mark.parametrize("init", [0.0, 0.5])
def test_gradients_through_recurrence(init: float) -> None:
    program = recurrent(init=init)
    loss = SF.ce_rate_loss().of("out.y") + SF.l1_rate_sparsity(0.01).of("lif.spk")
    ready, w = training(program, loss=loss), leaves(params_of(program))
    spikes, readout = recurrent_by_hand(X[0], w, torch.full((1, B, 7), init))
    (rate_loss(readout, Y) + 0.01 * spikes.sum()).backward()
    torch.optim.SGD(w.values(), lr=0.5).step()
    assert all(x.grad is not None and x.grad.count_nonzero() > 0 for x in w.values())
    ready.step({"x": X[0]}, {"target": Y})
    same_params(ready, w)


def test_gradients_of_a_static_input_are_summed_over_time() -> None:
    ready, other = training(feedforward(static=True)), training()
    ready.step({"x": X[0][0]}, {"target": Y})
    other.step({"x": X[0][:1].expand(T, B, 5)}, {"target": Y})
    same_params(ready, {key: torch.from_numpy(array) for key, array in other.get_params().items()})


def tied() -> Program:
    """One weight at two places; one bias for itself."""
    nodes: dict[str, Op] = {
        "x": Input((5,)),
        "one": Linear(5, 5),
        "two": Linear(5, 5, keys=FrozenMap({"weight": "one.weight"})),
        "output": Output(),
    }
    return network(nodes, [Edge("x.y", "one.x"), Edge("one.y", "two.x"), Edge("two.y", "output.x")])


def test_gradients_of_shared_parameters_add_up() -> None:
    program = tied()
    ready, w = training(program), leaves(params_of(program))
    hidden = F.linear(X[0], w["one.weight"], w["one.bias"])
    rate_loss(F.linear(hidden, w["one.weight"], w["two.bias"]), Y).backward()
    torch.optim.SGD(w.values(), lr=0.5).step()
    ready.step({"x": X[0]}, {"target": Y})
    same_params(ready, w)


def test_states_that_are_carried_cut_the_gradient() -> None:
    """Truncated backpropagation: the second step knows nothing of the first one's parameters."""
    ready, w = training(recurrent(), optimizer=SGD(lr=0.0)), leaves(params_of(recurrent()))
    first = ready.step({"x": X[0]}, {"target": Y})
    assert not any(x.requires_grad for x in first.state.values())
    whole, _ = recurrent_by_hand(torch.cat([X[0], X[1]]), w, torch.zeros(1, B, 7))
    second = ready.step({"x": X[1]}, {"target": Y}, first.state)
    assert torch.equal(second.outputs["spk"], whole[T:].detach())


# -- what is and is not trained ---------------------------------------------------------------------


def test_parameters_that_are_not_trainable_stay() -> None:
    program = feedforward()
    half = Program(program.nodes, program.edges, program.time, frozenset({"fc2.weight"}))
    ready, before = training(half), params_of(half)
    ready.step({"x": X[0]}, {"target": Y})
    changed = {key for key, array in ready.get_params().items() if not np.array_equal(array, before[key])}
    assert changed == {"fc2.weight"}


def test_a_parameter_that_nothing_reads_has_gradient_zero() -> None:
    """And so it decays, as it does on every backend."""
    nodes: dict[str, Op] = {
        "x": Input((5,)), "fc": Linear(5, 3), "aside": Linear(5, 2), "output": Output(), "other": Output()
    }  # fmt: skip
    wires = [
        Edge("x.y", "fc.x"),
        Edge("x.y", "aside.x"),
        Edge("fc.y", "output.x"),
        Edge("aside.y", "other.x"),
    ]
    ready = training(network(nodes, wires), optimizer=SGD(lr=0.5, weight_decay=0.2))
    before = ready.get_params()["aside.weight"]
    ready.step({"x": X[0]}, {"target": Y})
    np.testing.assert_allclose(ready.get_params()["aside.weight"], 0.9 * before, rtol=1e-6)


def test_a_loss_that_reads_nothing_trained_changes_nothing() -> None:
    ready = training(loss=SF.l1_rate_sparsity(1.0).of("x.y"))
    found = ready.step({"x": X[0]}, {})
    assert found.loss == pytest.approx(X[0].sum().item(), rel=1e-5)
    same_params(ready, leaves(params_of(feedforward())), rtol=0)


def test_other_targets_by_name() -> None:
    loss = SF.ce_rate_loss()
    named = type(loss)(tuple(type(term)(term.kind, target="digit") for term in loss.terms))
    found = training(loss=named).step({"x": X[0]}, {"digit": Y.numpy()})
    assert found.loss == training().step({"x": X[0]}, {"target": Y}).loss


# -- settings and parameters ------------------------------------------------------------------------


def test_a_schedule() -> None:
    ready, w = training(optimizer=SGD(lr=0.5, momentum=0.9)), leaves(params_of(feedforward()))
    optimizer = torch.optim.SGD(w.values(), lr=0.5, momentum=0.9)
    for x, rate in zip(X, (0.5, 0.1, 0.02), strict=False):
        ready.set_optimizer(SGD(lr=rate, momentum=0.9))
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        rate_loss(feedforward_by_hand(x, w), Y).backward()
        optimizer.step()
        ready.step({"x": x}, {"target": Y})
    same_params(ready, w)


def test_another_kind_of_optimizer() -> None:
    with pytest.raises(InputError) as caught:
        training().set_optimizer(Adam())
    assert str(caught.value) == (
        "this program was compiled with SGD, which cannot become Adam; "
        "give other settings of the same optimizer, or compile again"
    )


def test_parameters_can_be_set_in_part() -> None:
    ready = training()
    ready.set_params({"fc1.bias": np.ones(7)})
    assert ready.get_params()["fc1.bias"].tolist() == [1.0] * 7
    ready.step({"x": X[0]}, {"target": Y})
    assert ready.get_params()["fc1.bias"].tolist() != [1.0] * 7, "what is set is what is trained"


def test_parameters_given_and_got_are_the_callers() -> None:
    params = params_of(feedforward())
    before = {key: array.copy() for key, array in params.items()}
    ready = training(params=params)
    ready.get_params()["fc1.weight"].fill(9.0)
    ready.step({"x": X[0]}, {"target": Y})
    for key, array in params.items():
        np.testing.assert_array_equal(array, before[key])


def test_parameters_that_do_not_fit() -> None:
    for given in ({"fc9.bias": np.ones(7)}, {"fc1.bias": np.ones(8)}, {"fc1.bias": np.full(7, np.nan)}):
        with pytest.raises(ProgramError, match=r"fc9.bias|fc1.bias"):
            training().set_params(given)


def test_a_run_cannot_step() -> None:
    with pytest.raises(InputError, match="this program was compiled to run only"):
        executable(feedforward()).step({"x": X[0]}, {"target": Y})
    with pytest.raises(InputError, match="this program was compiled to run only"):
        executable(feedforward()).set_optimizer(SGD())


def test_every_weight_of_these_programs_is_trained() -> None:
    assert feedforward() == trainable(feedforward())
