"""Saving a training run and going on exactly; the differentiable module."""

from __future__ import annotations

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
    params_of,
    recurrent,
    recurrent_by_hand,
    signal,
)
from torch import nn

import snnhw.functional as SF
from snnhw.errors import InputError, ProgramError
from snnhw.ir import SGD, Adam, Adamax, AdamW, Optimizer, Program, RMSprop
from snnhw.passes import resolve_loss
from snnhw.plugin import Train
from snnhw_reference.plugin import ReferenceBackend

pytestmark = pytest.mark.usefixtures("one_thread")

X = [signal(T, B, 5, seed=seed) for seed in range(6)]
Y = torch.tensor([0, 2, 1, 2])
KINDS = [SGD(lr=0.5), SGD(lr=0.2, momentum=0.9), Adam(lr=0.05), AdamW(lr=0.05)]
KINDS += [Adamax(lr=0.05), RMSprop(lr=0.05), RMSprop(lr=0.05, momentum=0.5, centered=True)]


def training(program: Program | None = None, **settings: Any) -> Any:
    told: dict[str, Any] = {"loss": SF.ce_rate_loss(), "optimizer": SGD(lr=0.5)}
    return executable(feedforward() if program is None else program, **{**told, **settings})


# -- saving -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [0, 1, 2, 3])
@pytest.mark.parametrize("optimizer", KINDS, ids=repr)
def test_a_resumed_run_is_the_same_in_every_bit(optimizer: Optimizer, after: int) -> None:
    """Also in the middle of an accumulation, and while others go on."""
    whole = training(optimizer=optimizer, accumulate=2)
    saved: Any = None
    losses = []
    for number, x in enumerate(X):
        if number == after:
            saved = whole.save_state()
        losses.append(whole.step({"x": x}, {"target": Y}).loss)
    resumed = training(optimizer=optimizer, accumulate=2, params=params_of(feedforward(), seed=9))
    for x in X[:3]:  # an update and a half, which are forgotten
        resumed.step({"x": x}, {"target": Y})
    resumed.load_state(saved)
    assert [resumed.step({"x": x}, {"target": Y}).loss for x in X[after:]] == losses[after:]
    for key, array in whole.get_params().items():
        np.testing.assert_array_equal(resumed.get_params()[key], array)


def test_what_is_saved_is_a_copy() -> None:
    ready = training(optimizer=Adam())
    ready.step({"x": X[0]}, {"target": Y})
    saved = ready.save_state()
    before = {name: array.copy() for name, array in saved.items()}
    ready.step({"x": X[1]}, {"target": Y})
    for name, array in saved.items():
        assert isinstance(array, np.ndarray)
        np.testing.assert_array_equal(array, before[name])


def test_names_are_those_of_every_backend() -> None:
    program = feedforward()
    loss = resolve_loss(program, SF.ce_rate_loss())
    for optimizer in KINDS[1:]:
        job = Train(T, {"x": (5,)}, B, loss=loss, optimizer=optimizer, accumulate=2)
        theirs = ReferenceBackend().compile(program, params_of(program), job)
        ours = training(optimizer=optimizer, accumulate=2)
        for x in X[:3]:
            theirs.step({"x": x}, {"target": Y})
            ours.step({"x": x}, {"target": Y})
        assert set(ours.save_state()) == set(theirs.save_state())
        ours.load_state(theirs.save_state())
        theirs.load_state(ours.save_state())
        assert ours.step({"x": X[3]}, {"target": Y}).loss == pytest.approx(
            theirs.step({"x": X[3]}, {"target": Y}).loss, rel=1e-5
        )


def test_a_training_run_can_be_evaluated() -> None:
    trained, plain = training(), executable(feedforward(), params_of(feedforward(), seed=9))
    trained.step({"x": X[0]}, {"target": Y})
    plain.load_state(trained.save_state())
    wanted, found = trained.run({"x": X[1]}).outputs["output"], plain.run({"x": X[1]}).outputs["output"]
    assert torch.equal(found, wanted)


def test_a_run_that_diverged_can_be_loaded() -> None:
    ready = training()
    saved = ready.save_state() | {"param/fc1.bias": np.full(7, np.nan)}
    ready.load_state(saved)
    assert np.isnan(ready.get_params()["fc1.bias"]).all()


def test_tensors_are_taken_as_arrays_are() -> None:
    ready = training(optimizer=Adam())
    ready.step({"x": X[0]}, {"target": Y})
    saved = ready.save_state()
    tensors = {name: torch.from_numpy(array.copy()) for name, array in saved.items()}
    tensors["param/fc1.bias"].requires_grad_()
    ready.step({"x": X[1]}, {"target": Y})
    ready.load_state(tensors)
    assert all(np.array_equal(array, saved[name]) for name, array in ready.save_state().items())
    with pytest.raises(InputError, match=r"saved state 'grad/fc1.bias' is a sparse or packed tensor"):
        ready.load_state({**saved, "grad/fc1.bias": torch.zeros(7).to_sparse()})


def test_parameters_that_are_missing() -> None:
    ready = training()
    saved = dict(ready.save_state())
    del saved["param/fc1.bias"]
    with pytest.raises(ProgramError, match=r"parameter 'fc1.bias' is missing"):
        ready.load_state(saved)


# -- the differentiable module ----------------------------------------------------------------------


def test_a_module_is_differentiable_to_parameters_and_inputs() -> None:
    program = feedforward()
    module, w = executable(program).torch_module(), leaves(params_of(program))
    ours, theirs = (X[0].clone().requires_grad_() for _ in range(2))
    outputs, _ = module(ours)
    spikes = feedforward_by_hand(theirs, w)
    weights = signal(T, B, 3, seed=7)
    grads = torch.autograd.grad((outputs["output"] * weights).sum(), [ours, *module.parameters()])
    names = [name.replace("/", ".") for name, _ in module.named_parameters()]
    wanted = torch.autograd.grad((spikes * weights).sum(), [theirs, *(w[name] for name in names)])
    assert set(names) == set(w)
    for grad, other in zip(grads, wanted, strict=True):
        torch.testing.assert_close(grad, other, rtol=1e-4, atol=1e-5)


def test_a_module_carries_states_and_their_gradients() -> None:
    program = recurrent()
    module = executable(program, record=("lif.mem",)).torch_module()
    first, state = module({"x": X[0]})
    second, _ = module(X[1], state)
    assert set(first) == {"spk", "read", "lif.mem"}
    whole, _ = recurrent_by_hand(torch.cat([X[0], X[1]]), leaves(params_of(program)), torch.zeros(1, B, 7))
    assert torch.equal(torch.cat([first["spk"], second["spk"]]), whole)
    assert state["lif.mem"].requires_grad, "whether to cut the graph is the caller's business"


def test_what_trains_in_the_module_is_seen_outside() -> None:
    ready = executable(feedforward())
    module = ready.torch_module()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.5)
    module(X[0])[0]["output"].sum().backward()
    optimizer.step()
    for name, param in module.named_parameters():
        np.testing.assert_array_equal(ready.get_params()[name.replace("/", ".")], param.detach().numpy())
    ready.set_params({"fc1.bias": np.full(7, 0.25)})
    assert dict(module.named_parameters())["fc1/bias"].tolist() == [0.25] * 7


def test_a_module_trains_while_its_executable_does_too() -> None:
    ready = training()
    module = ready.torch_module()
    loss = SF.ce_rate_loss()(module(X[0])[0]["output"], Y)
    loss.backward()
    ready.step({"x": X[0]}, {"target": Y})
    assert all(param.grad is not None for param in module.parameters()), "gradients are apart"


def test_what_is_not_trained_is_a_buffer() -> None:
    program = feedforward()
    half = Program(program.nodes, program.edges, program.time, frozenset({"fc1.weight"}))
    module = executable(half).torch_module()
    assert [name for name, _ in module.named_parameters()] == ["fc1/weight"]
    assert isinstance(module, nn.Module)
    assert "Leaky subtract delayed" in repr(module)


def test_a_module_says_what_does_not_fit() -> None:
    module = executable(feedforward()).torch_module()
    with pytest.raises(InputError, match=r"input 'x' has shape \[4, 5\]; accepted: \[T, B, 5\]"):
        module(X[0][0])
    with pytest.raises(InputError, match=r"state 'lif2.mem' is missing"):
        module(X[0], {"lif1.mem": torch.zeros(B, 7)})
