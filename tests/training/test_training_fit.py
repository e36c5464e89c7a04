"""The loop: the steps that it makes, what it says of them, and how it ends."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from training_runs import B, T, compiled, curve, loader, same, samples

import snnhw as snn
import snnhw.functional as SF
from snnhw.errors import InputError
from snnhw.ir import SGD, Adam, Optimizer
from snnhw.training import Batch, Cosine, Epoch, Scores, StepDown, WarmUp, evaluate, fit

pytestmark = pytest.mark.usefixtures("plain_torch", "one_thread")


def test_it_is_a_loop_over_steps() -> None:
    losses, weights = [], []
    with compiled() as model, compiled() as other:
        torch.manual_seed(1)
        history = fit(model, loader(), epochs=2)
        torch.manual_seed(1)
        for _ in range(2):
            for x, y in loader():
                losses.append(float(other.step(x, y)[0]))
                weights.append(len(y))
        assert same(model, other)
    half = len(losses) // 2
    wanted = [np.average(losses[part], weights=weights[part]) for part in (slice(half), slice(half, None))]
    assert [epoch.loss for epoch in history.epochs] == pytest.approx(wanted, rel=1e-12)
    assert [(e.number, e.steps, e.samples, e.lr) for e in history.epochs] == [
        (1, 5, 18, 0.02),
        (2, 10, 18, 0.02),
    ]
    assert history.ended == "2 epochs are done"
    assert history.last is history.epochs[-1]
    assert history.last.samples_per_second > 0


def test_training_learns_and_scores() -> None:
    with compiled() as model:
        history = fit(model, loader(), epochs=15, validate=loader(shuffle=False), monitor="accuracy")
        held = history.last.validation
        assert held == evaluate(model, loader(shuffle=False))
        assert held is not None
        assert held.accuracy is not None
        assert history.best.validation is not None
        assert history.best.validation.accuracy == max(e.validation.accuracy for e in history.epochs)  # type: ignore[type-var,union-attr]
        assert held.loss < history.epochs[0].loss


def test_scores_are_those_of_all_samples_at_once() -> None:
    x, y = samples()
    with compiled(record=["1.spk"]) as model:
        found = evaluate(model, [(x[:7], y[:7]), (x[7:], y[7:])])
        run = model.run(x)
        spikes = run.outputs["output"], run.recordings["1.spk"]
    assert found.samples == 18
    assert found.loss == pytest.approx(float(SF.ce_count_loss()(spikes[0], y)))
    assert found.accuracy == SF.accuracy_rate(spikes[0], y)
    assert found.spikes == pytest.approx(sum(float(each.sum()) for each in spikes) / 18)


@pytest.mark.parametrize(
    "loss",
    [
        SF.mse_count_loss(),
        SF.ce_rate_loss(),
        SF.ce_temporal_loss(),
        SF.mse_temporal_loss(),
        SF.ce_membrane_loss(),
    ],
)
def test_accuracy_goes_with_the_loss(loss: Any) -> None:
    x, y = samples()
    with compiled(loss=loss, record=["3.mem"]) as model:
        found = evaluate(model, [(x, y)])
        run = model.run(x)
    spikes, membrane = run.outputs["output"], run.recordings["3.mem"]
    temporal, rate = SF.accuracy_temporal(spikes, y), SF.accuracy_rate(spikes, y)
    by_membrane = float((membrane.sum(0).argmax(1) == y).float().mean())
    wanted = {"CETemporal": temporal, "MSETemporal": temporal, "CEMembrane": by_membrane}
    assert found.accuracy == pytest.approx(wanted.get(type(loss.terms[0].kind).__name__, rate))


def test_values_have_no_accuracy() -> None:
    x, _ = samples()
    with compiled(loss=SF.mse_membrane_loss(), record=["3.mem"]) as model:
        assert evaluate(model, [(x, torch.rand(T, 18, 3))]).accuracy is None


def test_an_accuracy_that_there_is_not_is_not_monitored() -> None:
    data = [(samples()[0], torch.rand(T, 18, 3))]
    words = "needs accuracies, which there are of class numbers alone"
    membrane = compiled(loss=SF.mse_membrane_loss(), record=["3.mem"])
    with membrane as model, pytest.raises(InputError, match=words):
        fit(model, data, epochs=1, validate=data, monitor="accuracy")


def test_what_the_loss_reads_has_to_be_recorded() -> None:
    x, y = samples()
    with (
        compiled(loss=SF.ce_membrane_loss()) as model,
        pytest.raises(InputError, match=r"the loss reads '3.mem', which .* record=\['3.mem'\], or leave val"),
    ):
        fit(model, [(x, y)], epochs=1, validate=[(x, y)])


@pytest.mark.parametrize("backend", ["reference", pytest.param("ipu", marks=pytest.mark.slow)])
def test_other_backends_have_the_same_curve(backend: str) -> None:
    """An IPU takes batches of one size: to score it, others are filled up."""
    options = {"emulate": True} if backend == "ipu" else {}
    x, y = samples()
    data, held = [(x[:B], y[:B]), (x[B : 2 * B], y[B : 2 * B])], [(x[:3], y[:3])]
    with compiled() as model, compiled(backend=backend, options=options) as other:
        wanted, found = (fit(each, data, epochs=1, validate=held) for each in (model, other))
    for a, b in zip(wanted.epochs, found.epochs, strict=True):
        assert a.loss == pytest.approx(b.loss, rel=1e-5)
        assert isinstance(a.validation, Scores)
        assert isinstance(b.validation, Scores)
        assert replace(a.validation, loss=0.0) == replace(b.validation, loss=0.0)


def test_batches_are_filled_up_where_shapes_are_fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = samples()
    given: list[Any] = []
    with compiled() as model:
        wanted = evaluate(model, [(x[:4], y[:4]), (x[4:7], y[4:7])])
        can = replace(model.plugin.capabilities(), fixed_shapes=True)
        monkeypatch.setattr(type(model.plugin), "capabilities", lambda _: can)
        plain = snn.nn.Model.run

        def noted(model: snn.nn.Model, x: Any, lengths: Any) -> Any:
            given.append(x)
            return plain(model, x, lengths=lengths)

        monkeypatch.setattr(snn.nn.Model, "run", noted)
        assert evaluate(model, [(x[:4], y[:4]), (x[4:7], y[4:7])]) == wanted
    assert torch.equal(given[1]["input"], x[[4, 5, 6, 4]])


def test_a_schedule_sets_the_rate_of_every_update(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []
    plain = snn.nn.Model.set_optimizer

    def noted(model: snn.nn.Model, to: Optimizer) -> None:
        rates.append(to.lr)
        plain(model, to)

    monkeypatch.setattr(snn.nn.Model, "set_optimizer", noted)
    schedule = WarmUp(4).then(Cosine())
    with compiled(SGD(lr=0.5)) as model:
        history = fit(model, loader(), epochs=2, schedule=schedule)
    assert rates[:5] == pytest.approx([0.125, 0.25, 0.375, 0.5, 0.25 * (1 + math.cos(math.pi / 6))])
    assert len(rates) == 9, "one for each change: the cosine begins where the other has ended"
    assert all(a > b for a, b in pairwise(rates[3:]))
    assert history.last.lr == rates[-1]


def test_updates_count_where_steps_are_accumulated() -> None:
    with compiled(SGD(lr=1.0), accumulate=5) as model:
        history = fit(model, loader(), epochs=2, schedule=WarmUp(2))
    assert [epoch.lr for epoch in history.epochs] == [0.5, 1.0]


def test_epochs_count_for_steps_down() -> None:
    with compiled(SGD(lr=1.0)) as model:
        history = fit(model, loader(), epochs=3, schedule=StepDown(1, 0.5))
    assert [epoch.lr for epoch in history.epochs] == [1.0, 0.5, 0.25]


def test_it_ends_where_nothing_becomes_better() -> None:
    with compiled(SGD(lr=0.0)) as model:
        history = fit(model, loader(shuffle=False), epochs=50, patience=3)
    assert len(history.epochs) == 4
    assert history.ended == "loss has not become better for 3 epochs"
    assert history.best.number == 1


def test_every_batch_and_every_epoch_is_told() -> None:
    seen: list[Batch] = []
    told: list[Epoch] = []
    with compiled() as model:
        history = fit(model, loader(), epochs=2, progress=seen.append, log=told.append)
    assert tuple(told) == history.epochs
    assert [(batch.epoch, batch.number, batch.batches, batch.samples) for batch in seen][4:6] == [
        (1, 5, 5, 2),
        (2, 1, 5, B),
    ]
    assert seen[4].trained == 18
    assert seen[0].outputs.shape == (T, B, 3)


def test_data_may_be_any_iterable() -> None:
    x, y = samples(8)
    batches = [(x[:4], y[:4]), [x[4:], y[4:]]]

    class Streamed:
        def __iter__(self) -> Any:
            return iter(batches)

    with compiled() as model, compiled() as other:
        assert curve(fit(model, batches, epochs=2)) == curve(fit(other, Streamed(), epochs=2))


def test_a_sampler_is_told_which_epoch_begins() -> None:
    class Sampler(torch.utils.data.SequentialSampler):
        heard: ClassVar[list[int]] = []

        def set_epoch(self, number: int) -> None:
            self.heard.append(number)

    data = torch.utils.data.TensorDataset(*samples())
    sampler = Sampler(data)
    with compiled() as model:
        fit(model, loader(data, shuffle=False, sampler=sampler), epochs=2)
    assert sampler.heard == [0, 1]


# -- What is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"epochs": 0}, "epochs=0; accepted: a whole number above 0"),
        ({"epochs": 1.0}, r"epochs=1\.0; accepted"),
        ({"patience": 0}, "patience=0; accepted: a whole number above 0"),
        (
            {"schedule": "cosine"},
            r"schedule is 'cosine'; accepted: a value such as snnhw\.training\.Cosine\(\)",
        ),
        ({"monitor": "loos"}, "monitor='loos'; accepted: loss, accuracy"),
        ({"monitor": "accuracy"}, "monitor='accuracy' needs validate=, data to find it on"),
        ({"resume": True}, "resume=True needs a folder to go on from; give checkpoint="),
        ({"validate": 3}, r"validate is 3; accepted: an iterable of batches \(x, y\)"),
        ({"validate": []}, "validate gives no batch"),
    ],
)
def test_arguments_that_do_not_fit(arguments: dict[str, Any], words: str) -> None:
    with compiled() as model, pytest.raises(InputError, match=words):
        fit(model, loader(), **{"epochs": 1, **arguments})


def test_data_that_does_not_fit() -> None:
    x, y = samples()
    with compiled() as model:
        for data, words in (
            ([], r"data gives no batch; a DataLoader with drop_last=True gives none where"),
            (
                iter([(x, y)]),
                r"data is an iterator \(list_iterator\), which can be gone through once; give what",
            ),
            (7, "data is 7; accepted: an iterable of batches"),
            ([(x, y), {"x": x}], r"batch 2 of epoch 1 is dict; accepted: \(x, y\)"),
            ([(x, y, y, y)], r"batch 1 of epoch 1 is 4 things; accepted: \(x, y\), \(x, y, lengths\)"),
            (
                [(x, y), (x[:, :5], y)],
                r"batch 2 of epoch 1: input 'input' has shape \[18, 5\]; accepted: \[B, 6\]",
            ),
            ([(x, y), (x, y + 1)], r"batch 2 of epoch 1: .* class numbers 0 to 2; the targets hold 3"),
            ([(x / 0, y)], r"batch 1 of epoch 1: input 'input' holds"),
        ):
            with pytest.raises(InputError, match=words):
                fit(model, data, epochs=2)  # type: ignore[arg-type]  # some are none


def test_a_loss_that_is_lost_says_where(tmp_path: Any) -> None:
    with compiled(SGD(lr=1e30), loss=SF.mse_membrane_loss()) as model:
        x = samples()[0]
        data = [(x, 1e4 * torch.rand(T, 18, 3))] * 3
        words = (
            r"batch \d of epoch 1: after this step .*; the last checkpoint is '.*step-00000000\.safetensors'"
        )
        with pytest.raises(InputError, match=words):
            fit(model, data, epochs=3, checkpoint=tmp_path)
    with compiled(SGD(lr=1e30), loss=SF.mse_membrane_loss()) as model:
        fit(
            model, [(x, torch.rand(T, 18, 3))], epochs=1, schedule=Nothing(), checkpoint=tmp_path, resume=True
        )


class Nothing(WarmUp):
    """A rate of nothing: what was saved before is sound."""

    def factor(self, when: Any) -> float:
        return 0.0


def test_a_model_that_only_evaluates_is_refused() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(6, 3), snn.Leaky(beta=0.9, init_hidden=True))
    words = r"compiled to run only; give snnhw\.compile a loss= and an optimizer="
    only = snn.compile(net, torch.zeros(B, 6), backend="cpu", time_steps=T)
    with only as model, pytest.raises(InputError, match=words):
        fit(model, loader(), epochs=1)


def test_adam_is_what_a_run_is_compiled_with() -> None:
    with compiled(Adam(lr=0.01, betas=(0.8, 0.9))) as model:
        fit(model, loader(), epochs=1, schedule=StepDown())
        saved = model.executable.save_state()
    assert saved["setting/betas"].tolist() == [0.8, 0.9]
