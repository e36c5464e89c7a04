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
from snnhw.ir import LOSS_TERMS, CERate, ClassLoss, Loss, Term
from snnhw.tensors.losses import CLASS_LOSSES, OTHER_LOSSES, total_loss
from snnhw.tensors.spiketime import spike_steps

pytestmark = pytest.mark.usefixtures("one_thread")

GOLDEN = Path(__file__).parents[1] / "golden/snntorch_golden.json"
(CASE,) = (case for case in json.loads(GOLDEN.read_text())["cases"] if case["id"] == "functional_losses")
SPIKES = torch.tensor(CASE["inputs"]["spk_TxBxC"], dtype=torch.float64)
MEMBRANES = torch.tensor(CASE["inputs"]["mem_TxBxC"], dtype=torch.float64)
POPULATIONS = torch.tensor(CASE["inputs"]["pop_spk"], dtype=torch.float64)
TARGETS = torch.tensor(CASE["inputs"]["targets"])

T, B, C = 5, 4, 3
SIGNAL = torch.randn(T, B, C, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
CLASSES = torch.tensor([0, 2, 1, 2])


def test_every_kind_of_term_has_a_function() -> None:
    language = set(LOSS_TERMS.values())
    assert set(CLASS_LOSSES) == {kind for kind in language if issubclass(kind, ClassLoss)}
    assert set(OTHER_LOSSES) >= language - set(CLASS_LOSSES)


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("ce_rate_loss", SF.ce_rate_loss()),
        ("ce_count_loss", SF.ce_count_loss()),
        ("mse_count_loss(.75,.25)", SF.mse_count_loss(correct_rate=0.75, incorrect_rate=0.25)),
        ("l1_rate_sparsity(.25)", SF.l1_rate_sparsity(Lambda=0.25)),
        ("ce_temporal_loss(negate)", SF.ce_temporal_loss()),
        ("ce_temporal_loss(reciprocal)", SF.ce_temporal_loss(inverse="reciprocal")),
        ("mse_temporal_loss(on=1,off=3)", SF.mse_temporal_loss(on_target=1, off_target=3)),
        ("ce_max_membrane_loss", SF.ce_max_membrane_loss()),
        ("mse_membrane_loss(1.05,.2)", SF.mse_membrane_loss(on_target=1.05, off_target=0.2)),
        ("ce_count_loss(pop,2)", SF.ce_count_loss(population_code=True, num_classes=2)),
        ("mse_count_loss(pop,2)", SF.mse_count_loss(population_code=True, num_classes=2)),
    ],
)
def test_values_and_gradients_are_snntorchs(name: str, loss: Loss) -> None:
    expected = CASE["expected"][name]
    expected = expected if isinstance(expected, dict) else {"value": expected}
    signal, targets = golden_signal(loss, expected)
    value = loss(signal, targets)
    assert value.shape == ()
    np.testing.assert_allclose(value.item(), np.ravel(expected["value"])[0], rtol=1e-6)
    (grad,) = torch.autograd.grad(value, [signal])
    if "grad" in expected:
        np.testing.assert_allclose(grad, expected["grad"], rtol=1e-5, atol=1e-7)


def golden_signal(loss: Loss, expected: dict[str, Any]) -> tuple[Tensor, Tensor]:
    if expected.get("input") == "pop_spk":
        return POPULATIONS.clone().requires_grad_(), TARGETS[:1]
    signal = {"spk": SPIKES, "mem": MEMBRANES}[loss.terms[0].kind.reads]
    return signal.clone().requires_grad_(), TARGETS


SNNTORCH_IS_WRONG: dict[str, tuple[Loss, float, str]] = {
    "mse_temporal_loss(default)": (
        SF.mse_temporal_loss(),
        # first spikes (1, 0) and (0, 0), wanted (0, 3) and (3, 0): squares 1 9 9 0, by T^2 = 16
        19 / 4 / 16,
        "its targets become all 0: it cannot tell classes apart",
    ),
    "ce_count_loss(w=[1,3])": (
        SF.ce_count_loss(weight=[1, 3]),
        # counts (2, 2) and (1, 3): ln 2 of weight 1, ln(1 + e^-2) of weight 3
        (np.log(2) + 3 * np.log1p(np.exp(-2))) / 4,
        "divides by the number of samples, not by their weights",
    ),
    "mse_count_loss(w=[1,3])": (
        SF.mse_count_loss(weight=[1, 3]),
        # squares (4, 4) and (1, 1), by T = 4
        (1 * 4 + 3 * 1) / 4 / 4,
        "weighs the axis of classes by the samples' classes",
    ),
}


@pytest.mark.parametrize("name", SNNTORCH_IS_WRONG)
def test_recorded_values_that_are_bugs_of_snntorch(name: str) -> None:
    loss, right, _ = SNNTORCH_IS_WRONG[name]
    np.testing.assert_allclose(loss(SPIKES, TARGETS).item(), right, rtol=1e-12)
    assert not np.isclose(CASE["expected"][name]["value"], right)


def test_every_recorded_loss_is_tried() -> None:
    (mark,) = test_values_and_gradients_are_snntorchs.pytestmark  # type: ignore[attr-defined]  # of pytest
    tried = {name for name, _ in mark.args[1]}
    accuracies = {"accuracy_rate", "accuracy_temporal", "accuracy_rate(pop,2)"}
    assert tried | set(SNNTORCH_IS_WRONG) | accuracies == set(CASE["expected"])


def test_accuracy_is_snntorchs() -> None:
    wanted = CASE["expected"]
    assert SF.accuracy_rate(SPIKES, TARGETS) == wanted["accuracy_rate"]
    assert SF.accuracy_temporal(SPIKES, TARGETS) == wanted["accuracy_temporal"]
    assert (
        SF.accuracy_rate(POPULATIONS, TARGETS[:1], population_code=True, num_classes=2)
        == wanted["accuracy_rate(pop,2)"]
    )


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
    assert found == "CECount reads a signal [T, B, C]; 'signal' gives [4, 3]; flatten it first"


def test_no_targets() -> None:
    assert message(SF.ce_count_loss(), SIGNAL, None) == (
        "target 'target' is missing; given: none. CECount of 'signal' accepts [B] = [4], class numbers "
        "(an integer dtype)."
    )


@pytest.mark.parametrize(
    ("targets", "given", "advice"),
    [
        (torch.zeros(4), "shape [4] and dtype float32", " Give y.long()."),
        (torch.zeros(4, dtype=torch.bool), "shape [4] and dtype bool", " Give y.long()."),
        (torch.zeros(3, dtype=torch.long), "shape [3] and dtype int64", ""),
        (
            torch.zeros(4, 3, dtype=torch.long),
            "shape [4, 3] and dtype int64",
            (
                " For one-hot rows give y.argmax(-1); for values to come near, compile with "
                "loss=snnhw.functional.mse_membrane_loss()."
            ),
        ),
    ],
)
def test_targets_that_are_no_class_numbers(targets: Tensor, given: str, advice: str) -> None:
    assert message(SF.ce_rate_loss(), SIGNAL, targets) == (
        f"target 'target' has {given}. CERate of 'signal' accepts [B] = [4], class numbers (an integer "
        f"dtype).{advice}"
    )


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
        SF.accuracy_rate(torch.zeros(3, 4, 2), torch.zeros(5))
    assert str(caught.value) == "accuracy_rate takes spikes [T, B, C] and targets [B], not (3, 4, 2) and (5,)"


def test_accuracy_of_populations_that_do_not_fit() -> None:
    with pytest.raises(InputError, match="cannot share 2 neurons among num_classes=3; give a number that"):
        SF.accuracy_rate(SPIKES, TARGETS, population_code=True, num_classes=3)


def test_the_first_to_fire_is_right_and_the_spikes_stay_as_they_are() -> None:
    spikes = torch.zeros(4, 3, 2)
    spikes[2, 0, 1] = spikes[0, 1, :] = 1  # one fires alone; two at once: the lowest; all silent: the lowest
    given = spikes.clone()
    assert SF.accuracy_temporal(spikes, torch.tensor([1, 0, 0])) == 1.0
    assert SF.accuracy_temporal(spikes.numpy(), np.array([1, 1, 1])) == 1 / 3
    assert torch.equal(spikes, given)


# -- settings that snnTorch has ----------------------------------------------------------------------

WEIGHT = torch.tensor([0.5, 2.0, 0.25], dtype=torch.float64)
EVERY: list[Any] = [
    SF.ce_rate_loss,
    SF.ce_count_loss,
    SF.ce_membrane_loss,
    SF.ce_max_membrane_loss,
    SF.ce_temporal_loss,
    SF.mse_count_loss,
    SF.mse_membrane_loss,
    SF.mse_temporal_loss,
]


@pytest.mark.parametrize("make", EVERY)
def test_reductions_and_weights(make: Any) -> None:
    """A mean is weighted, with as many values for each sample as there are."""
    signal = (SIGNAL > 0.5).double() if "temporal" in make.__name__ else SIGNAL
    plain = make(reduction="none")(signal, CLASSES)
    assert plain.shape[0] == B
    each = make(reduction="none", weight=WEIGHT)(signal, CLASSES)
    weights = WEIGHT[CLASSES].view(-1, *[1] * (plain.ndim - 1))
    torch.testing.assert_close(each, plain * weights)
    torch.testing.assert_close(make()(signal, CLASSES), plain.mean())
    torch.testing.assert_close(make(reduction="sum")(signal, CLASSES), plain.sum())
    torch.testing.assert_close(make(reduction="sum", weight=WEIGHT)(signal, CLASSES), each.sum())
    mean = each.sum() / weights.expand_as(each).sum()
    torch.testing.assert_close(make(weight=WEIGHT)(signal, CLASSES), mean)


def test_weighted_cross_entropy_is_torchs() -> None:
    wanted = cross_entropy(SIGNAL.sum(0), CLASSES, weight=WEIGHT)
    torch.testing.assert_close(SF.ce_count_loss(weight=WEIGHT)(SIGNAL, CLASSES), wanted)


@pytest.mark.parametrize("make", [SF.ce_rate_loss, SF.ce_count_loss, SF.mse_count_loss])
def test_a_population_is_one_neuron_of_their_sum(make: Any) -> None:
    many = torch.randn(T, B, 6, generator=torch.Generator().manual_seed(1)).double()
    grouped = make(population_code=True, num_classes=3)
    few = many.view(T, B, 3, 2).sum(-1)
    counted = {"correct_rate": 2.0} if make is SF.mse_count_loss else {}
    torch.testing.assert_close(grouped(many, CLASSES), make(**counted)(few, CLASSES))


def test_targets_that_change_over_time() -> None:
    loss = SF.mse_membrane_loss(time_var_targets=True, on_target=2.0, off_target=0.5)
    wanted = torch.full((T, B, C), 0.5, dtype=torch.float64)
    classes = torch.arange(T * B).view(T, B) % C
    wanted.scatter_(2, classes[..., None], 2.0)
    torch.testing.assert_close(loss(SIGNAL, classes), (SIGNAL - wanted).square().mean())
    torch.testing.assert_close(loss(SIGNAL, wanted), (SIGNAL - wanted).square().mean())
    every = classes[:, :1].expand(T, B)
    torch.testing.assert_close(loss(SIGNAL, every[:, 0]), loss(SIGNAL, every))
    assert "accepts [T] = [5], the class number of every step (an integer dtype); or" in message(
        loss, SIGNAL, classes[0]
    )


def test_targets_that_are_times() -> None:
    loss = SF.mse_temporal_loss(target_is_time=True)
    steps = torch.tensor([[1, -1], [0, 2]])
    given = steps.clone()
    first = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    wanted = torch.tensor([[1.0, 3.0], [0.0, 2.0]])
    torch.testing.assert_close(loss(SPIKES.float(), steps), ((first - wanted) / 4).square().mean())
    assert torch.equal(steps, given), "the caller's targets stay as they are"
    assert message(loss, SPIKES, torch.zeros(2, 3)) == (
        "target 'target' has shape [2, 3] and dtype float32. MSETemporal of 'signal' accepts "
        "[B, C] = [2, 2], the step at which each neuron is to fire first."
    )


def test_targets_that_are_times_of_several_spikes() -> None:
    loss = SF.mse_temporal_loss(target_is_time=True, multi_spike=True)
    wanted = torch.tensor([[[1.0, 0.0], [0.0, 0.0]], [[-1.0, 1.0], [3.0, 1.0]]])
    torch.testing.assert_close(loss(SPIKES.float(), wanted), torch.tensor(0.0))
    assert "accepts [F, B, C] = [F, 2, 2], the steps at which each neuron is to fire, F of them." in message(
        loss, SPIKES, wanted[0]
    )


def test_the_first_spikes_of_every_neuron_are_its_own() -> None:
    """snnTorch silences all neurons of a step when it goes on to the next spike of one."""
    spikes = SPIKES.clone().requires_grad_()
    steps = spike_steps(spikes, 2)
    assert steps.tolist() == [[[1, 0], [0, 0]], [[3, 1], [3, 1]]]
    (grad,) = torch.autograd.grad(steps[1, 0].sum(), [spikes])
    assert grad.nonzero().tolist() == [[1, 0, 1], [3, 0, 0]]
    loss = SF.mse_temporal_loss(multi_spike=True, on_target=[0, 1], off_target=[-2, -1])
    wanted = torch.tensor([[[0.0, 2.0], [2.0, 0.0]], [[1.0, 3.0], [3.0, 1.0]]], dtype=torch.float64)
    torch.testing.assert_close(loss(SPIKES, TARGETS), ((steps.detach() - wanted) / 4).square().mean())


@pytest.mark.parametrize(
    ("build", "found"),
    [
        (lambda: EVERY[0](reduction="max"), "reduction='max': give 'mean', 'sum' or 'none'"),
        (lambda: SF.ce_rate_loss(population_code=True), "population_code=True needs num_classes: how many"),
        (lambda: SF.ce_count_loss(weight=3.0), "weight=3.0: give one number for each class, such as a"),
        (lambda: SF.mse_membrane_loss(True, weight=[1.0]), "time_var_targets=True has no single class for"),
        (lambda: SF.mse_temporal_loss(True, weight=[1.0]), "target_is_time=True has no single class for a"),
        (
            lambda: SF.mse_temporal_loss(multi_spike=True, on_target=[1, 2]),
            "on_target names 2 spikes, off_target 1; give as many of each",
        ),
        (lambda: SF.mse_temporal_loss(on_target=[1, 2]), r"MSETemporal\(on_target=\[1, 2\]\): give a finite"),
        (
            lambda: SF.ce_count_loss(weight=[1.0])(SIGNAL, CLASSES),
            "CECount has 1 class weights for 3 clas",
        ),
    ],
)
def test_settings_that_make_no_sense(build: Any, found: str) -> None:
    with pytest.raises(InputError, match=found):
        build()


def test_what_only_tensors_have_is_refused_by_name(reference: Any) -> None:
    from snnhw.check import reasons_against
    from snnhw.ir import SGD, FrozenMap, Program
    from snnhw.plugin import Train

    loss = SF.ce_rate_loss(reduction="none") + SF.mse_temporal_loss(multi_spike=True) + SF.mse_count_loss()
    job = Train(1, {}, 1, loss=loss, optimizer=SGD(lr=1.0))
    unreduced, several = reasons_against(Program(FrozenMap(), ()), reference.capabilities(), job)
    assert unreduced.startswith("the loss term Unreduced is not supported: with reduction='none'")
    assert several.startswith("the loss term SpikeSteps is not supported: multi_spike=True")
    for reason in (unreduced, several):
        assert "a loop of your own, over spikes of" in reason
