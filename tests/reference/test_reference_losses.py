"""Loss terms against torch's formulas: values and gradients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from reference_nets import signal
from torch import Tensor

from snnhw.ir import CECount, CEMembrane, CERate, L1Rate, Loss, LossKind, MSECount, Term
from snnhw.reference.losses import loss_value
from snnhw.reference.tape import leaf, pull

T, B, C = 10, 4, 3
CLASSES = np.array([2, 0, 1, 1])


def _over_time(x: Tensor, y: Tensor) -> Tensor:
    return torch.stack([F.cross_entropy(step, y) for step in x])


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
]


@pytest.mark.parametrize(
    ("kind", "same"), SAME, ids=lambda value: repr(value) if isinstance(value, LossKind) else ""
)
def test_a_term_is_torchs_formula(kind: LossKind, same: Callable[[Tensor, Tensor], Tensor]) -> None:
    array = signal(0, T, B, C)
    x, tx = leaf(array), torch.tensor(array, requires_grad=True)
    ours = loss_value(Loss((Term(kind, of="a.spk", weight=0.25),)), {"a.spk": x}, {"target": CLASSES})
    theirs = same(tx, torch.tensor(CLASSES)) * 0.25
    theirs.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
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
