"""The toolbox against snnTorch 1.0 itself, on random inputs.

Where the two differ on purpose, ``docs/snntorch.md`` says so, and `ON_PURPOSE` holds its rows to differing.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
import torch
from page import rows
from torch import Tensor

import snnhw.functional as SF
from snnhw import spikegen

peer_loss: Any = pytest.importorskip("snntorch.functional")
peer_spikegen: Any = pytest.importorskip("snntorch.spikegen")

pytestmark = pytest.mark.usefixtures("one_thread")

SEEDS = range(3)
T, B, C = 6, 5, 4


def picture(seed: int) -> Tensor:
    """Values from 0 to 1, both ends and a repeated value among them."""
    values = torch.rand(3, 7, generator=torch.Generator().manual_seed(seed))
    values[0, :4] = torch.tensor([0.0, 1.0, 0.5, 0.5])
    return values


def classes(seed: int) -> Tensor:
    return torch.randint(C, (B,), generator=torch.Generator().manual_seed(seed))


def trains(seed: int) -> Tensor:
    """Spikes ``[T, B, C]``; one neuron is silent, and one fires always."""
    spikes = (torch.rand(T, B, C, generator=torch.Generator().manual_seed(seed)) > 0.7).float()
    spikes[:, 0, 0], spikes[:, 0, 1] = 0, 1
    return spikes


ENCODERS: dict[str, Callable[[Any, int], Any]] = {
    "rate": lambda s, seed: s.rate(picture(seed), num_steps=9, gain=0.8, offset=0.1, first_spike_time=2),
    "rate, over time": lambda s, seed: s.rate(picture(seed), time_var_input=True, first_spike_time=2),
    "rate_conv": lambda s, seed: s.rate_conv(picture(seed)),
    "latency": lambda s, seed: s.latency(picture(seed), 20, tau=3, threshold=0.05, bypass=True),
    "latency, normalized": lambda s, seed: s.latency(
        picture(seed), 9, tau=5, normalize=True, first_spike_time=1
    ),
    "latency, linear": lambda s, seed: s.latency(picture(seed), 9, linear=True, normalize=True, clip=True),
    "latency, no end": lambda s, seed: s.latency(picture(seed), tau=4, linear=True, bypass=True),
    "latency, ramps": lambda s, seed: s.latency(
        picture(seed), 9, linear=True, normalize=True, interpolate=True
    ),
    "latency_code": lambda s, seed: s.latency_code(picture(seed), 9, 0.1, 2, 1, normalize=True),
    "latency_code_linear": lambda s, seed: s.latency_code_linear(picture(seed), 9, 0.1, 2, 1),
    "delta": lambda s, seed: s.delta(picture(seed), 0.2, padding=True, off_spike=True),
    "delta, first": lambda s, seed: s.delta(picture(seed), 0.2),
    "targets_rate": lambda s, seed: s.targets_rate(classes(seed), C, on_target=3, off_target=1),
    "targets_rate, late": lambda s, seed: s.targets_rate(classes(seed), C, num_steps=4, first_spike_time=2),
    "targets_latency": lambda s, seed: s.targets_latency(classes(seed), C, num_steps=5, normalize=True),
    "target_rate_code": lambda s, seed: s.target_rate_code(13, seed, (0.25, 0.3, 0.7)[seed]),
    "target_rate_code, uniform": lambda s, seed: s.target_rate_code(13, seed, 0.5, "uniform"),
    "target_rate_code, poisson": lambda s, seed: s.target_rate_code(13, seed, 0.5, "poisson"),
    "rate_interpolate": lambda s, seed: s.rate_interpolate(torch.tensor([seed, 5, 6, 9]), 12, 1, 0),
    "to_one_hot": lambda s, seed: s.to_one_hot(classes(seed), C),
    "to_one_hot_inverse": lambda s, seed: s.to_one_hot_inverse(s.to_one_hot(classes(seed), C)),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ENCODERS)
def test_encodings_are_snntorchs(name: str, seed: int) -> None:
    results = []
    for side in (spikegen, peer_spikegen):
        torch.manual_seed(seed)  # both draw from torch's own generator, in the same order
        results.append(ENCODERS[name](side, seed))
    torch.testing.assert_close(*results, rtol=1e-5, atol=1e-6)


MODULES = [
    "backprop",
    "functional",
    "functional.probe",
    "functional.quant",
    "functional.stdp_learner",
    "spikegen",
    "spikeplot",
    "utils",
]

INSIDES = {"StateQuant"}
"""What snnTorch's own quantisers are made of: its arguments are others here."""


def public(module: str) -> dict[str, Any]:
    """Functions and classes that a module of snnTorch defines, or shows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # its backprop's
        theirs = import_module(f"snntorch.{module}")
    return {
        name: value
        for name, value in vars(theirs).items()
        if callable(value) and getattr(value, "__module__", "").startswith(f"snntorch.{module}")
        if not name.startswith("_") and name not in INSIDES
    }


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_of_snntorch_is_there(module: str) -> None:
    """With its arguments in their order, and their defaults."""
    found = public(module)
    assert found
    for name, value in found.items():
        ours = getattr(import_module(f"snnhw.{module}"), name)
        mine, theirs = (list(inspect.signature(each).parameters.values()) for each in (ours, value))
        assert [p.name for p in mine][: len(theirs)] == [p.name for p in theirs], name
        for a, b in zip(mine, theirs, strict=False):
            assert a.default == b.default or callable(a.default), name


LOSSES: dict[str, Callable[[Any], Any]] = {
    "ce_rate_loss": lambda s: s.ce_rate_loss(),
    "ce_rate_loss, sum": lambda s: s.ce_rate_loss(reduction="sum"),
    "ce_count_loss": lambda s: s.ce_count_loss(),
    "ce_count_loss, populations": lambda s: s.ce_count_loss(population_code=True, num_classes=2),
    "ce_count_loss, none, weighted": lambda s: s.ce_count_loss(reduction="none", weight=torch.rand(C)),
    "ce_max_membrane_loss": lambda s: s.ce_max_membrane_loss(reduction="none"),
    "mse_count_loss": lambda s: s.mse_count_loss(correct_rate=0.8, incorrect_rate=0.2),
    "mse_count_loss, none": lambda s: s.mse_count_loss(reduction="none"),
    "mse_count_loss, populations": lambda s: s.mse_count_loss(0.7, 0.1, population_code=True, num_classes=2),
    "mse_membrane_loss": lambda s: s.mse_membrane_loss(on_target=1.05, off_target=0.2),
    "mse_membrane_loss, none": lambda s: s.mse_membrane_loss(reduction="none"),
    "mse_temporal_loss": lambda s: s.mse_temporal_loss(on_target=3, off_target=1, tolerance=2),
    "mse_temporal_loss, times": lambda s: s.mse_temporal_loss(target_is_time=True, reduction="sum"),
    "ce_temporal_loss": lambda s: s.ce_temporal_loss(),
    "ce_temporal_loss, inverse": lambda s: s.ce_temporal_loss(inverse="reciprocal", reduction="none"),
}

WEIGHTS = [1.0, 2.0, 3.0, 4.0]

ON_PURPOSE: dict[str, Callable[[Any], Any]] = {
    "`mse_temporal_loss()`": lambda s: s.mse_temporal_loss(),
    "`mse_temporal_loss(on_target=1, off_target=-1)`": lambda s: s.mse_temporal_loss(
        on_target=1, off_target=-1
    ),
    "`mse_temporal_loss(multi_spike=True)`": lambda s: s.mse_temporal_loss(
        on_target=[1, 3], off_target=[2, 4], multi_spike=True
    ),
    "`ce_count_loss(weight=...)`": lambda s: s.ce_count_loss(weight=torch.tensor(WEIGHTS)),
    "`ce_max_membrane_loss(weight=...)`": lambda s: s.ce_max_membrane_loss(weight=torch.tensor(WEIGHTS)),
    "`mse_count_loss(weight=...)`": lambda s: s.mse_count_loss(weight=torch.tensor(WEIGHTS)),
    "`mse_membrane_loss(weight=...)`": lambda s: s.mse_membrane_loss(weight=torch.tensor(WEIGHTS)),
    "`ce_rate_loss(population_code=True)`": lambda s: s.ce_rate_loss(population_code=True, num_classes=2),
    "`mse_membrane_loss(time_var_targets=True)`": lambda s: s.mse_membrane_loss(time_var_targets=True),
}
"""The rows of the page -> the loss."""


def test_the_page_lists_the_losses_that_differ() -> None:
    assert rows("snntorch.md", "losses") == list(ON_PURPOSE)


def evaluated(side: Any, make: Callable[[Any], Any], name: str, seed: int) -> list[Tensor]:
    """The value and its gradient."""
    torch.manual_seed(seed)
    loss = make(side)
    spikes = "membrane" not in name
    signal = trains(seed) if spikes else torch.randn(T, B, C)
    targets = classes(seed) % (2 if "population" in name else C)
    if "times" in name:
        targets = torch.randint(T, (B, C)).float()
    signal.requires_grad_()
    value = loss(signal, targets).squeeze()
    (grad,) = torch.autograd.grad(value.sum(), [signal])
    return [value, grad]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_snntorchs(name: str, seed: int) -> None:
    ours, theirs = (evaluated(side, LOSSES[name], name, seed) for side in (SF, peer_loss))
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ON_PURPOSE)
def test_what_differs_on_purpose_still_does(name: str) -> None:
    make = ON_PURPOSE[name]
    try:
        theirs = evaluated(peer_loss, make, name, 0)
    except (IndexError, RuntimeError, TypeError, UserWarning):
        return  # it fails, or shapes do not fit, and ours is tested by itself
    ours = evaluated(SF, make, name, 0)
    assert not torch.allclose(ours[0], theirs[0], rtol=1e-3)


@pytest.mark.parametrize("seed", SEEDS)
def test_accuracies_are_snntorchs(seed: int) -> None:
    spikes, targets = trains(seed), classes(seed)
    assert SF.accuracy_rate(spikes, targets) == peer_loss.accuracy_rate(spikes, targets)
    assert SF.accuracy_temporal(spikes, targets) == peer_loss.accuracy_temporal(spikes, targets)
    named = SF.accuracy_rate(spk_out=spikes, targets=targets)
    assert named.item() == SF.accuracy_rate(spikes, targets)  # tutorial 6 calls item()
    assert SF.accuracy_temporal(spk_out=spikes, targets=targets).item() <= 1
    few = targets % 2
    populations = SF.accuracy_rate(spikes, few, population_code=True, num_classes=2)
    assert populations == peer_loss.accuracy_rate(spikes, few, population_code=True, num_classes=2)
