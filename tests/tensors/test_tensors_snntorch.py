"""Surrogates on tensors against those of snnTorch 1.0 itself."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from page import rows
from torch import Tensor
from torch.autograd import Function

from snnhw import surrogate

pytestmark = pytest.mark.usefixtures("one_thread")

theirs = pytest.importorskip(
    "snntorch.surrogate", reason="snntorch is the oracle: pip install snntorch==1.0.0"
)

NAMES: dict[str, tuple[dict[str, float], ...]] = {
    "atan": ({}, {"alpha": 0.5}),
    "fast_sigmoid": ({}, {"slope": 4}),
    "heaviside": ({},),
    "SFS": ({}, {"slope": 4, "B": -0.5}),
    "sigmoid": ({}, {"slope": 4}),
    "spike_rate_escape": ({}, {"beta": 2, "slope": 3}),
    "straight_through_estimator": ({},),
    "triangular": ({}, {"threshold": 2}),
}
"""snnTorch's functions -> settings to compare under."""

DIFFERENT = {"sigmoid"}
"""Whose gradients are the same only where snnTorch's does not overflow."""

GRID = torch.cat([torch.linspace(-3, 3, 241), torch.tensor([-100.0, 100.0, 1e-30, -1e-30])])


def both(z: Tensor, ours: Any, other: Any) -> tuple[tuple[Tensor, Tensor], ...]:
    """Spikes and gradients of each."""
    found = []
    for function in (ours, other):
        leaf = z.clone().requires_grad_()
        spikes = function(leaf)
        spikes.backward(torch.linspace(-2, 2, z.numel(), dtype=spikes.dtype))
        assert leaf.grad is not None
        found.append((spikes.detach(), leaf.grad))
    return tuple(found)


@pytest.mark.parametrize(
    ("name", "settings"), [(name, each) for name, several in NAMES.items() for each in several], ids=str
)
def test_same_spikes_and_gradients(name: str, settings: dict[str, float]) -> None:
    z = GRID[-44 / settings.get("slope", 25) < GRID] if name in DIFFERENT else GRID
    (spikes, grad), (wanted, wanted_grad) = both(
        z, getattr(surrogate, name)(**settings), getattr(theirs, name)(**settings)
    )
    assert spikes.tolist() == wanted.tolist()
    # A handful of roundings on either side; below the smallest normal number there are no digits.
    torch.testing.assert_close(grad, wanted_grad, rtol=2e-6, atol=1e-37)


def test_a_sigmoid_far_below_threshold() -> None:
    z = torch.tensor([-4.0, -100.0])
    (_, grad), (_, wanted) = both(z, surrogate.sigmoid(), theirs.sigmoid())
    assert wanted.isnan().all(), "snnTorch has mended it: take the row out of the page"
    assert grad.abs().max() < 1e-40


def test_a_leaky_spike_operator() -> None:
    with pytest.raises(TypeError):
        theirs.LSO()(torch.zeros(1))
    z = torch.tensor([-1.0, 0.0, 1.0], requires_grad=True)
    surrogate.LSO(slope=0.25)(z).sum().backward()
    assert z.grad is not None
    assert z.grad.tolist() == [0.25, 0.25, 1.0]


def test_classes_with_their_usual_settings() -> None:
    z = torch.tensor([0.5], requires_grad=True)
    for kind in ("ATan", "FastSigmoid", "Sigmoid", "SpikeRateEscape", "Triangular"):
        with pytest.raises(TypeError):
            getattr(theirs, kind).apply(z)
        assert getattr(surrogate, kind).apply(z).tolist() == [1.0]


def test_the_page_lists_what_differs() -> None:
    assert rows("snntorch.md", "surrogates") == ["`sigmoid`", "`LSO`", "`FastSigmoid.apply(z)` and its like"]


def test_spikes_keep_the_dtype() -> None:
    z = torch.zeros(1, dtype=torch.float64)
    assert theirs.atan()(z).dtype == torch.float32
    assert surrogate.atan()(z).dtype == torch.float64


def test_every_function_of_snntorch_has_its_name_here() -> None:
    functions = {name for name in vars(theirs) if name == name.lower() or name in ("LSO", "SFS", "SSO")}
    functions -= {name for name in functions if name.startswith("_") or name in ("torch", "math")}
    assert functions <= set(surrogate.__all__)
    classes = {
        name
        for name, value in vars(theirs).items()
        if isinstance(value, type) and issubclass(value, Function)
    }
    assert len(classes) >= 10
    assert classes <= set(surrogate.__all__)
    assert functions == set(NAMES) | {"LSO", "SSO", "custom_surrogate"}


def test_the_class_of_custom_surrogates() -> None:
    def halved(input_: Tensor, grad_input: Tensor, spikes: Tensor) -> Tensor:  # noqa: ARG001  # snnTorch's form
        return grad_input * 0.5

    (spikes, grad), (wanted, wanted_grad) = both(
        GRID,
        lambda z: surrogate.CustomSurrogate.apply(z, halved),
        lambda z: theirs.CustomSurrogate.apply(z, halved),
    )
    assert torch.equal(spikes, wanted)
    assert torch.equal(grad, wanted_grad)


def test_sso_draws_what_snntorch_draws() -> None:
    torch.manual_seed(0)
    (spikes, grad), _ = both(GRID, surrogate.SSO(0.5, 2.0), surrogate.atan())
    torch.manual_seed(0)
    _, (wanted, wanted_grad) = both(GRID, surrogate.atan(), theirs.SSO(0.5, 2.0))
    torch.testing.assert_close(spikes, wanted, rtol=0, atol=0)
    torch.testing.assert_close(grad, wanted_grad)
