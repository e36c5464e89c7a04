"""`fit` and `evaluate` on samples of several lengths, and on sequences in parts."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

import snnhw as snn
import snnhw.functional as SF
from snnhw.errors import InputError
from snnhw.ir import Loss
from snnhw.nn import Model
from snnhw.training import evaluate, fit

T, B, CLASSES = 6, 7, 3

Batch = tuple[Tensor, Tensor, Tensor]


def compiled(loss: Loss | None = None, **settings: Any) -> Model:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, CLASSES), snn.Leaky(beta=0.8, init_hidden=True, output=True))
    job: dict[str, Any] = {"backend": "cpu", "lengths": True, **settings}
    return snn.compile(
        net,
        torch.zeros(B, 5),
        time_steps=T,
        loss=loss or SF.ce_count_loss(),
        optimizer=snn.optim.Adam(lr=0.05),
        **job,
    )


def batches(size: int = B) -> list[Batch]:
    """Padded with what must not count."""
    generator = torch.Generator().manual_seed(3)
    found = []
    for _ in range(3):
        lengths = torch.randint(1, T + 1, (size,), generator=generator)
        x = 2 * torch.rand(T, size, 5, generator=generator)
        x[torch.arange(T)[:, None] >= lengths] = 9.0
        found.append((x, torch.randint(0, CLASSES, (size,), generator=generator), lengths))
    return found


def test_batches_of_a_loader_have_lengths_of_their_own() -> None:
    samples = [(torch.rand(steps, 5), steps % CLASSES) for steps in (2, 6, 3, 4, 5, 1)]

    def collate(some: list[tuple[Tensor, int]]) -> Batch:
        x = nn.utils.rnn.pad_sequence([x for x, _ in some])  # [T, B, ...]
        return x, torch.tensor([y for _, y in some]), torch.tensor([len(x) for x, _ in some])

    loader: Any = DataLoader(samples, batch_size=3, collate_fn=collate)  # type: ignore[arg-type]  # a list will do
    with compiled() as model:
        history = fit(model, loader, epochs=2, validate=loader, progress=False)
        assert history.epochs[-1].samples == 6


def test_training_and_scores_go_by_each_samples_own_steps(tmp_path: Path) -> None:
    data = batches()
    with compiled() as model, compiled() as hand:
        history = fit(model, data, epochs=2, validate=data, checkpoint=tmp_path, progress=False)
        for _ in range(2):
            losses = [float(hand.step(x, y, lengths=lengths)[0]) for x, y, lengths in data]
        assert history.epochs[-1].loss == pytest.approx(np.mean(losses))
        assert all(np.array_equal(hand.params[key], x) for key, x in model.params.items())
        scores = evaluate(hand, data)
        assert history.epochs[-1].validation == scores
        params = hand.params
    right, spikes = 0, 0.0
    with compiled() as alone:
        alone.executable.set_params(params)
        for x, y, lengths in data:
            for sample, steps in enumerate(lengths.tolist()):
                found = alone(x[:steps, sample : sample + 1])[0]
                right += int(found.sum(0).argmax(1)) == int(y[sample])
                spikes += float(found.sum())
    assert scores.accuracy == right / (3 * B)
    assert scores.spikes == pytest.approx(spikes / (3 * B))


@pytest.mark.parametrize(
    "loss",
    [SF.ce_max_membrane_loss(), SF.ce_membrane_loss(), SF.ce_temporal_loss()],
    ids=["max", "sum", "first"],
)
def test_what_stands_behind_an_end_decides_nothing(loss: Loss) -> None:
    data = batches()
    other = [(torch.where(torch.arange(T)[:, None, None] >= n[:, None], 0.0, x), y, n) for x, y, n in data]
    with compiled(loss) as model:
        assert evaluate(model, data) == evaluate(model, other)


def test_a_run_in_parts_is_one_of_parts(tmp_path: Path) -> None:
    data = batches()
    with compiled(tbptt=2) as model, compiled(tbptt=2) as hand:
        fit(model, data, epochs=1, checkpoint=tmp_path, progress=False)
        for x, y, lengths in data:
            hand.step(x, y, lengths=lengths)
        assert all(np.array_equal(hand.params[key], x) for key, x in model.params.items())


def test_data_that_streams_through_is_kept_by_nobody() -> None:
    seen: list[weakref.ref[Tensor]] = []

    class Stream:
        def __iter__(self) -> Iterator[Batch]:
            for batch in batches():
                fresh = batch[0].clone()
                seen.append(weakref.ref(fresh))
                yield fresh, batch[1], batch[2]
                del fresh
                gc.collect()
                assert sum(each() is not None for each in seen) <= 2

    with compiled() as model:
        fit(model, Stream(), epochs=2, progress=False)
    assert len(seen) == 6


def test_batches_of_another_form_are_refused() -> None:
    x, y, lengths = batches()[0]
    with compiled() as model:
        with pytest.raises(
            InputError, match=r"batch 1 of epoch 1 is 4 things; accepted: .*\(x, y, lengths\)"
        ):
            fit(model, [(x, y, lengths, y)], epochs=1, progress=False)
        with pytest.raises(InputError, match=r"batch 1 of epoch 1: lengths holds 9; accepted: \[B=7\]"):
            fit(model, [(x, y, torch.full((B,), 9))], epochs=1, progress=False)
    with compiled(lengths=False) as model, pytest.raises(InputError, match="compile it with lengths=True"):
        fit(model, [(x, y, lengths)], epochs=1, progress=False)
