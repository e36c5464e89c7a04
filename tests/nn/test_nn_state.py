"""The state that a model keeps belongs to its parameters, whatever interrupts a step."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from interrupts import interrupted, places
from torch import nn

import snnhw as snn
import snnhw.functional as SF
from snnhw.nn import Model
from snnhw.plugin import Arrays

pytestmark = pytest.mark.usefixtures("one_thread", "plain_torch")

X, Y = torch.rand(3, 2, 5, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1])


def compiled(backend: str) -> Model:
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(5, 3), snn.Leaky(beta=0.8, init_hidden=True))
    loss, optimizer = SF.ce_rate_loss(), snn.optim.SGD(lr=0.1)
    return snn.compile(net, X[0], backend=backend, time_steps=3, loss=loss, optimizer=optimizer)


def membrane(state: Arrays | None) -> bytes:
    assert state is not None
    return np.asarray(state["1.mem"]).tobytes()


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_parameters_and_state_change_together(backend: str) -> None:
    """At every line of the model's own."""
    with compiled(backend) as model:
        model.step(X, Y)
        saved, state = model.executable.save_state(), copy.copy(model.state)
        pairs = {"before": (model.params["0.weight"].tobytes(), membrane(state))}

        def step() -> None:
            model.step(X.flip(0), Y, state)

        def back() -> None:
            model.executable.load_state(saved)
            model.state = state

        step()
        pairs["after"] = model.params["0.weight"].tobytes(), membrane(model.state)
        assert not set(pairs["before"]) & set(pairs["after"])
        back()
        count, found = places(step, within="snnhw/nn"), set()
        for at in range(count):
            back()
            assert interrupted(step, at, within="snnhw/nn")
            found |= {(model.params["0.weight"].tobytes(), membrane(model.state))}
        assert found == set(pairs.values())


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_the_state_is_that_of_the_last_call_or_what_was_set(backend: str) -> None:
    with compiled(backend) as model:
        assert model.state is None
        model.step(X, Y)
        stepped = membrane(model.state)
        assert membrane(model.run(X.flip(0)).state) == membrane(model.state) != stepped
        kept = model.state
        model.verify(X)
        model.executable.run({"input": X})
        assert model.state is kept
        model.state = None
        assert model.state is copy.deepcopy(model).state is None
        model.step(X, Y)
        twin = copy.deepcopy(model)
        assert membrane(twin.state) == membrane(model.state)
        twin.run(X)
        twin.step(X, Y)
        assert membrane(twin.state) != membrane(model.state)
