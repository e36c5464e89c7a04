"""A model in use is held to the reference, and to one that is compiled afresh from its parameters."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import snnhw as snn
import snnhw.functional as SF
from snnhw.errors import InputError
from snnhw.plugin import Arrays, Result

T, B, INPUTS = 10, 64, 300


def net() -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(INPUTS, 200),
        snn.Leaky(beta=0.9, init_hidden=True),
        torch.nn.Linear(200, 10),
        snn.Leaky(beta=0.9, init_hidden=True),
    )


def trained(**options: object) -> tuple[snn.nn.Model, Tensor]:
    """On few events, as those at which products skip zeros."""
    model = snn.compile(
        net(),
        torch.zeros(B, INPUTS),
        backend="cpu",
        time_steps=T,
        loss=SF.ce_rate_loss(),
        optimizer=snn.optim.Adam(lr=1e-2),
        options=options,
    )
    x = (torch.rand(T, B, INPUTS, generator=torch.Generator().manual_seed(1)) < 0.02).float()
    for _ in range(3):
        model.step(x, torch.arange(B) % 10)
    return model, x


class Stale:
    """Runs with the weights that it had when it was made."""

    def __init__(self, model: snn.nn.Model) -> None:
        self.inner: Any = model.executable
        self.first = self.inner.get_params()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def run(self, inputs: Arrays, state: Arrays | None = None) -> Result:
        now = self.inner.get_params()
        self.inner.set_params(self.first)
        found: Result = self.inner.run(inputs, state)
        self.inner.set_params(now)
        return found


@pytest.mark.parametrize("options", [{}, {"paths": "linear:skip,chains:blocks"}, {"dtype": "float64"}])
def test_a_trained_model_is_that_of_its_parameters(options: dict[str, object]) -> None:
    model, x = trained(**options)
    found = model.verify(x)
    assert found.ok, str(found)
    assert (found.apart, found.parity.spikes_compared) == ("", T * B * 210)
    assert found.parity.spikes_fired
    assert str(found).startswith(
        "the model of its parameters in every bit; 134,400 spikes held to the reference"
    )


def test_verifying_changes_nothing() -> None:
    model, x = trained()
    before, state = model.params, model.state
    model.verify(x)
    assert all((before[key] == array).all() for key, array in model.params.items())
    assert model.state is state


def test_it_goes_on_from_a_state() -> None:
    model, x = trained()
    assert model.verify(x, model.run(x).state).ok


def test_a_model_with_weights_of_before_is_found() -> None:
    model, x = trained()
    stale: Any = Stale(model)
    model.executable = stale
    model.step(x, torch.arange(B) % 10)
    found = model.verify(x)
    assert not found.ok
    assert found.parity.ok  # what is compiled afresh is right
    assert found.apart.startswith("output 'output' at ")
    assert str(found) == f"not the model of its parameters: {found.apart}; please report this"


def test_random_numbers_are_those_of_the_seed() -> None:
    net = torch.nn.Sequential(
        torch.nn.Linear(20, 30), torch.nn.Dropout(0.5), snn.Leaky(0.9, init_hidden=True)
    )
    model = snn.compile(net, torch.zeros(4, 20), backend="cpu", time_steps=5, seed=7)
    assert model.verify(torch.rand(5, 4, 20)).ok


def test_inputs_that_do_not_fit_are_refused() -> None:
    model, x = trained()
    with pytest.raises(InputError, match="input"):
        model.verify(x[..., 1:])


def test_it_says_how_far_rounding_reaches() -> None:
    model, x = trained()
    found = model.verify(x)
    assert 0 < found.parity.reach < 1e-3
    assert f"differ within rounding, which reaches {found.parity.reach:.2g} from a threshold at most" in str(
        found
    )


def test_the_reference_is_not_held_to_itself() -> None:
    for options, itself in (({}, True), ({"dtype": "float32"}, False)):
        model = snn.compile(net(), torch.zeros(2, INPUTS), backend="reference", time_steps=2, options=options)
        found = model.verify(torch.rand(2, 2, INPUTS))
        assert found.ok
        assert found.is_reference is itself
        assert str(found).endswith("in every bit, and the reference itself") is itself
        assert bool(found.parity.spikes_compared) is not itself
