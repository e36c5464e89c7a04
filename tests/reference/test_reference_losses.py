"""Loss terms against torch's formulas: values and gradients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from reference_nets import signal
from torch import Tensor

from snnhw.ir import (
    CECount,
    CEMaxMembrane,
    CEMembrane,
    CERate,
    CETemporal,
    L1Rate,
    Loss,
    LossKind,
    MSECount,
    MSEMembrane,
    MSETemporal,
    Term,
)
from snnhw.reference.losses import loss_value
from snnhw.reference.tape import leaf, pull

T, B, C = 10, 4, 3
CLASSES = np.array([2, 0, 1, 1])
WEIGHTS = (0.5, 2.0, 0.25)


def _over_time(x: Tensor, y: Tensor) -> Tensor:
    return torch.stack([F.cross_entropy(step, y) for step in x])


def _weighted(logits: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(logits, y, weight=torch.tensor(WEIGHTS, dtype=logits.dtype))


def _mean_of(values: Tensor, y: Tensor) -> Tensor:
    weights = torch.tensor(WEIGHTS, dtype=values.dtype)[y]
    return (values * weights).sum() / weights.sum()


def _count_error(right: float, wrong: float) -> Callable[[Tensor, Tensor], Tensor]:
    def same(x: Tensor, y: Tensor) -> Tensor:
        hit = F.one_hot(y, C).bool()
        return F.mse_loss(x.sum(0), torch.where(hit, right, wrong).to(x.dtype)) / T

    return same


SAME: list[tuple[LossKind, Callable[[Tensor, Tensor], Tensor]]] = [
    (CERate(), lambda x, y: _over_time(x, y).mean()),
    (CECount(), lambda x, y: F.cross_entropy(x.sum(0), y)),
    (CEMembrane(), lambda x, y: _over_time(x, y).sum()),
    (CEMembrane(over_time="mean"), lambda x, y: _over_time(x, y).mean()),
    (MSECount(), _count_error(10.0, 0.0)),
    (MSECount(correct_rate=0.79, incorrect_rate=0.29), _count_error(7.0, 2.0)),
    (L1Rate(), lambda x, y: x.sum()),
    (CERate(reduction="sum"), lambda x, y: _over_time(x, y).mean() * B),
    (CERate(class_weights=WEIGHTS), lambda x, y: torch.stack([_weighted(step, y) for step in x]).mean()),
    (CECount(class_weights=WEIGHTS), lambda x, y: _weighted(x.sum(0), y)),
    (CEMaxMembrane(), lambda x, y: F.cross_entropy(x.max(0).values, y)),
    (MSEMembrane(), lambda x, y: F.mse_loss(x, F.one_hot(y, C).to(x).expand_as(x))),
    (
        MSEMembrane(on_target=0.5, off_target=0.25, class_weights=WEIGHTS),
        lambda x, y: _mean_of(((x - F.one_hot(y, C) * 0.25 - 0.25) ** 2).mean((0, 2)), y),
    ),
]


@pytest.mark.parametrize(
    ("kind", "same"), SAME, ids=lambda value: repr(value) if isinstance(value, LossKind) else ""
)
def test_a_term_is_torchs_formula(kind: LossKind, same: Callable[[Tensor, Tensor], Tensor]) -> None:
    array = signal(0, T, B, C)
    x, tx = leaf(array), torch.tensor(array, requires_grad=True)
    ours = loss_value(Loss((Term(kind, of="a.spk", weight=0.25),)), {"a.spk": x}, {"target": CLASSES})
    theirs = same(tx, torch.tensor(CLASSES)) * 0.25
    theirs.backward()
    assert tx.grad is not None
    np.testing.assert_allclose(ours.value, theirs.item(), rtol=1e-12)
    (grad,) = pull([(ours, np.array(1.0))], [x])
    np.testing.assert_allclose(grad, tx.grad.numpy(), rtol=1e-9, atol=1e-15)


def test_terms_add_up_and_may_read_other_ports_and_targets() -> None:
    a, b = leaf(signal(1, T, B, C)), leaf(signal(2, T, B, C))
    first, second = Term(CECount(), of="a.spk"), Term(CERate(), of="b.spk", weight=3.0, target="other")
    signals, targets = {"a.spk": a, "b.spk": b}, {"target": CLASSES, "other": CLASSES[::-1]}
    both = loss_value(Loss((first, second)), signals, targets)
    parts = [loss_value(Loss((term,)), signals, targets) for term in (first, second)]
    assert both.value == parts[0].value + parts[1].value


def test_a_loss_without_classes_takes_a_signal_of_any_shape() -> None:
    x = leaf(np.ones((2, 3, 4, 5)))
    assert loss_value(Loss((Term(L1Rate(), of="a.spk"),)), {"a.spk": x}, {}).value == 120


def test_large_logits_overflow_nowhere() -> None:
    x = leaf(np.array([[[1e4, 0.0], [-1e4, 0.0]]]))
    value = loss_value(Loss((Term(CERate(), of="a.mem"),)), {"a.mem": x}, {"target": np.array([1, 0])})
    assert value.value == 1e4
    (grad,) = pull([(value, np.array(1.0))], [x])
    np.testing.assert_array_equal(grad, [[[0.5, -0.5], [-0.5, 0.5]]])


# -- populations, and times of first spikes: worked by hand -------------------------------------------

SPIKES = np.array([[[0.0, 1, 0, 0]], [[1, 1, 0, 0]], [[1, 0, 0, 1]], [[0, 0, 0, 1]]])
"""[T=4, B=1, C=4]: first spikes at 1, 0, 3 (silent), 2; counts 2, 2, 0, 2."""


def _worked(kind: LossKind, classes: int) -> tuple[float, list[list[float]]]:
    x = leaf(SPIKES)
    value = loss_value(Loss((Term(kind, of="a.spk"),)), {"a.spk": x}, {"target": np.array([classes])})
    (grad,) = pull([(value, np.array(1.0))], [x])
    return float(value.value), grad[:, 0].tolist()


def test_populations_count_together() -> None:
    value, grad = _worked(MSECount(0.5, 0.25, num_classes=2), 0)
    # pairs fire 4 and 2 times; wanted are 4 * 0.5 * 2 = 4 and 4 * 0.25 * 2 = 2
    assert value == 0
    assert not np.any(grad)
    value, grad = _worked(MSECount(0.25, 0.25, num_classes=2), 0)
    assert value == ((4 - 2) ** 2 + 0) / 2 / 4
    assert grad == [[0.5, 0.5, 0, 0]] * 4


def test_the_times_of_first_spikes() -> None:
    value, grad = _worked(MSETemporal(), 1)
    # wanted 3 0 3 3 of 1 0 3 2
    assert value == (4 + 0 + 0 + 1) / 4 / 16
    slope = 2 / 4 / 16  # times the miss, with its sign changed, at the first spike alone
    assert grad == [[0, 0, 0, 0], [2 * slope, 0, 0, 0], [0, 0, 0, slope], [0, 0, 0, 0]]


def test_a_time_within_the_tolerance_is_as_good_as_the_target() -> None:
    value, grad = _worked(MSETemporal(tolerance=2), 1)
    assert value == 4 / 4 / 16
    assert grad[2] == [0, 0, 0, 0]


def test_a_silent_neuron_pulls_at_the_last_step() -> None:
    _, grad = _worked(MSETemporal(on_target=0), 2)
    assert grad[3] == [0, 0, -2 / 4 / 16 * 3, 0]


def test_cross_entropy_of_times() -> None:
    first = torch.tensor([[1.0, 0, 3, 2]], dtype=torch.float64)
    for kind, logits in ((CETemporal(), -first), (CETemporal("reciprocal"), 1 / (first + 1))):
        value, grad = _worked(kind, 3)
        np.testing.assert_allclose(value, F.cross_entropy(logits, torch.tensor([3])).item(), rtol=1e-12)
        assert np.count_nonzero(grad) == 4


def test_of_equal_maxima_the_earliest_takes_the_gradient() -> None:
    x = leaf(np.array([[[1.0, 0.0]], [[1.0, 0.0]]]))
    value = loss_value(Loss((Term(CEMaxMembrane(), of="a.mem"),)), {"a.mem": x}, {"target": np.array([1])})
    (grad,) = pull([(value, np.array(1.0))], [x])
    assert np.all(grad[0] != 0)
    assert not grad[1].any()
