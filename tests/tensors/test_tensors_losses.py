"""Losses on tensors against their formulas, snnTorch's values, and every message."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

import snnhw.functional as SF
from snnhw.errors import InputError
from snnhw.ir import LOSS_TERMS, CERate, Loss, Term
from snnhw.tensors.losses import LOSSES, total_loss

pytestmark = pytest.mark.usefixtures("one_thread")

GOLDEN = Path(__file__).parents[1] / "golden/snntorch_golden.json"
(CASE,) = (case for case in json.loads(GOLDEN.read_text())["cases"] if case["id"] == "functional_losses")
SPIKES = torch.tensor(CASE["inputs"]["spk_TxBxC"], dtype=torch.float64)
TARGETS = torch.tensor(CASE["inputs"]["targets"])

T, B, C = 5, 4, 3
SIGNAL = torch.randn(T, B, C, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
CLASSES = torch.tensor([0, 2, 1, 2])


def test_every_kind_of_term_has_a_function() -> None:
    assert set(LOSSES) == set(LOSS_TERMS.values())


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("ce_rate_loss", SF.ce_rate_loss()),
        ("ce_count_loss", SF.ce_count_loss()),
        ("mse_count_loss(.75,.25)", SF.mse_count_loss(correct_rate=0.75, incorrect_rate=0.25)),
        ("l1_rate_sparsity(.25)", SF.l1_rate_sparsity(Lambda=0.25)),
    ],
)
def test_values_and_gradients_are_snntorchs(name: str, loss: Loss) -> None:
    expected = CASE["expected"][name]
    expected = expected if isinstance(expected, dict) else {"value": expected}
    spikes = SPIKES.clone().requires_grad_()
    value = loss(spikes, TARGETS)
    assert value.shape == ()
    np.testing.assert_allclose(value.item(), np.ravel(expected["value"])[0], rtol=1e-6)
    (grad,) = torch.autograd.grad(value, [spikes])
    if "grad" in expected:
        np.testing.assert_allclose(grad, expected["grad"], rtol=1e-5, atol=1e-7)


def test_accuracy_is_snntorchs() -> None:
    assert SF.accuracy_rate(SPIKES, TARGETS) == CASE["expected"]["accuracy_rate"]


def steps(signal: Tensor) -> Tensor:
    return torch.stack([cross_entropy(step, CLASSES) for step in signal])


def squared_count(correct: int, incorrect: int) -> Tensor:
    wanted = torch.full((B, C), float(incorrect), dtype=torch.float64)
    wanted[range(B), CLASSES] = correct
    return ((SIGNAL.sum(0) - wanted) ** 2).mean() / T


@pytest.mark.parametrize(
    ("loss", "formula"),
    [
        (SF.ce_rate_loss(), steps(SIGNAL).mean()),
        (SF.ce_count_loss(), cross_entropy(SIGNAL.sum(0), CLASSES)),
        (SF.ce_membrane_loss(), steps(SIGNAL).sum()),
        (SF.ce_membrane_loss(over_time="mean"), steps(SIGNAL).mean()),
        (SF.mse_count_loss(), squared_count(5, 0)),
        (SF.mse_count_loss(correct_rate=0.9, incorrect_rate=0.5), squared_count(4, 2)),
        (SF.l1_rate_sparsity(1e-3), 1e-3 * SIGNAL.sum()),
        (2.0 * SF.ce_rate_loss() + SF.l1_rate_sparsity(0.5), 2 * steps(SIGNAL).mean() + 0.5 * SIGNAL.sum()),
    ],
)
def test_formulas(loss: Loss, formula: Tensor) -> None:
    torch.testing.assert_close(loss(SIGNAL, CLASSES), formula)


def test_targets_may_be_any_whole_numbers_of_any_library() -> None:
    wanted = SF.ce_rate_loss()(SIGNAL, CLASSES)
    for targets in (CLASSES.to(torch.uint8), CLASSES.to(torch.int32), CLASSES.numpy()):
        assert SF.ce_rate_loss()(SIGNAL, targets) == wanted


def test_terms_may_read_signals_and_targets_of_their_own() -> None:
    loss = SF.ce_rate_loss().of("a.spk") + Loss((Term(CERate(), of="b.spk", target="other"),))
    value = total_loss(loss, {"a.spk": SIGNAL, "b.spk": -SIGNAL}, {"target": CLASSES, "other": CLASSES})
    torch.testing.assert_close(value, steps(SIGNAL).mean() + steps(-SIGNAL).mean())


def test_a_term_without_a_target_takes_a_signal_of_any_shape() -> None:
    assert SF.l1_rate_sparsity(1.0)(torch.ones(2, 3, 4, 5)) == 120


def message(loss: Loss, signal: Any, targets: Any) -> str:
    with pytest.raises(InputError) as caught:
        loss(signal, targets)
    return str(caught.value)


def test_no_tensor() -> None:
    assert "a loss takes a torch tensor [T, B, C], not list" in message(SF.ce_rate_loss(), [1.0], CLASSES)


def test_no_terms() -> None:
    assert message(Loss(()), SIGNAL, CLASSES).startswith("this loss has no terms; add some")


def test_a_signal_of_another_rank() -> None:
    found = message(SF.ce_count_loss(), SIGNAL[0], CLASSES)
    assert found == "CECount takes a signal [T, B, C], not one of shape [4, 3]"


def test_no_targets() -> None:
    assert message(SF.ce_count_loss(), SIGNAL, None) == "CECount needs targets: class numbers [B]"


@pytest.mark.parametrize(
    ("targets", "given"),
    [
        (torch.zeros(4), "torch.float32 of shape [4]"),
        (torch.zeros(4, dtype=torch.bool), "torch.bool of shape [4]"),
        (torch.zeros(3, dtype=torch.long), "torch.int64 of shape [3]"),
        (torch.zeros(4, 3, dtype=torch.long), "torch.int64 of shape [4, 3]"),
    ],
)
def test_targets_that_are_no_class_numbers(targets: Tensor, given: str) -> None:
    found = message(SF.ce_rate_loss(), SIGNAL, targets)
    assert found == f"CERate takes class numbers [B=4] of an integer dtype, not {given}"


@pytest.mark.parametrize(("wrong", "loss"), [(3, SF.ce_rate_loss()), (-100, SF.mse_count_loss())])
def test_class_numbers_out_of_range(wrong: int, loss: Loss) -> None:
    """-100 is one that torch would pass over in silence."""
    found = message(loss, SIGNAL, torch.tensor([0, wrong, 1, 2]))
    assert (
        found == f"{type(loss.terms[0].kind).__name__} takes class numbers 0 to 2; the targets hold {wrong}"
    )


def test_targets_that_are_no_array() -> None:
    assert message(SF.ce_rate_loss(), SIGNAL, [0, 1, 2, 0]).startswith("target 'targets' is a list")


# -- accuracy ---------------------------------------------------------------------------------------


def test_accuracy_counts_the_most_active() -> None:
    spikes = torch.zeros(3, 4, 2)
    spikes[:, :2, 1] = 1  # the first two samples say class 1, the others are silent, which is class 0
    assert SF.accuracy_rate(spikes, torch.tensor([1, 0, 0, 1])) == 0.5
    assert SF.accuracy_rate(spikes.numpy(), np.array([1, 0, 0, 1])) == 0.5


def test_accuracy_of_another_shape() -> None:
    with pytest.raises(InputError) as caught:
        SF.accuracy_rate(torch.zeros(3, 4, 2), torch.zeros(3))
    assert str(caught.value) == "accuracy_rate takes spikes [T, B, C] and targets [B], not (3, 4, 2) and (3,)"
