"""Axes that are missing, too many or in another order: what is told of them, and what is not."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnhw as snn
import snnhw.functional as SF
from snnhw.errors import CaptureError, InputError
from snnhw.nn import Model

pytestmark = pytest.mark.usefixtures("one_thread")

T, B, N = 6, 4, 5
X = torch.rand(T, B, N)
Y = torch.tensor([0, 2, 1, 2])


def dense() -> nn.Module:
    return nn.Sequential(nn.Linear(N, 3), snn.Leaky(beta=0.9, init_hidden=True))


def conv() -> nn.Module:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(18, 3), snn.Leaky(beta=0.9, init_hidden=True))
    return nn.Sequential(nn.Conv2d(1, 2, 3), *flat)


def compiled(net: nn.Module | None = None, sample: Any = X[0], time_steps: int = T, **settings: Any) -> Model:
    return snn.compile(net or dense(), sample, **{"backend": "cpu", "time_steps": time_steps, **settings})


def trained(**settings: Any) -> Model:
    return compiled(loss=SF.ce_rate_loss(), optimizer=snn.optim.SGD(lr=0.1), **settings)


FIRST = r"time comes first here: give x\.transpose\(0, 1\)"


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_batch_and_time_the_other_way_round(backend: str) -> None:
    swapped = X.transpose(0, 1)
    with pytest.raises(InputError, match=rf"\[4, 6, 5\]: \[B, T, \.\.\.\] of the T=6 and B=4 .* {FIRST}"):
        compiled(backend=backend).run(swapped)
    with pytest.raises(InputError, match=FIRST):
        trained(backend=backend).step(swapped, Y)


@pytest.mark.parametrize("shape", [(B, 9, N), (3, T, N)])
def test_what_seems_to_be_the_other_way_round_is_warned_of(shape: tuple[int, ...]) -> None:
    told = rf"runs as {shape[0]} steps of {shape[1]} samples; T=6 and B=4 were compiled\. If .* {FIRST}"
    with pytest.warns(UserWarning, match=told) as seen:
        compiled().run(torch.rand(shape))
    assert seen[0].filename == __file__


@pytest.mark.parametrize("shape", [(T, 3, N), (9, B, N), (B, B, N), (9, 3, N), (T, T, N)])
def test_other_sizes_are_not(shape: tuple[int, ...]) -> None:
    compiled().run(torch.rand(shape))


def test_targets_count_the_samples() -> None:
    with pytest.raises(InputError, match=rf"\[3, 6, 5\], and the targets are of 3 samples: .* {FIRST}"):
        trained().step(torch.rand(3, T, N), Y[:3])


@pytest.mark.parametrize(
    ("sample", "told"),
    [
        (X, r"\[6, 4, 5\] seems to hold the time axis, .* \[T, B, \.\.\.\], .*: give x\[0\]"),
        (
            X.transpose(0, 1),
            r"\[4, 6, 5\] seems to hold .* \[B, T, \.\.\.\], .*: give x\[:, 0\], and to step",
        ),
    ],
)
def test_a_sample_with_the_time_axis(sample: Tensor, told: str) -> None:
    with pytest.warns(UserWarning, match=told) as seen:
        model = compiled(sample=sample)
    assert seen[0].filename == __file__
    with pytest.raises(InputError, match=f"{told}.* As it is: the loss term CERate reads"):
        trained(sample=sample)
    images = torch.rand(*sample.shape[:2], 1, 5, 5)
    with pytest.raises(
        CaptureError, match=r"seems to hold the time axis.* As it is: .*Conv2d takes \(1, height"
    ):
        compiled(conv(), images)
    with pytest.raises(InputError) as caught:
        model.run(X)
    assert "static input" not in str(caught.value)


def test_where_it_had_the_time_axis_a_run_says_so() -> None:
    with pytest.warns(UserWarning, match="seems to hold the time axis"):
        model = compiled(sample=X)
    with pytest.raises(InputError) as caught:
        model.run(X)
    assert str(caught.value).startswith(
        "input 'input' has shape [6, 4, 5]; accepted: [T, B, 4, 5]. If its axes are [T, B, ...], the sample "
        "that was compiled had the time axis, too: compile with one step of it, x[0]."
    )


def test_samples_that_happen_to_be_as_many_as_steps() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compiled(conv(), torch.rand(T, 1, 5, 5))
        compiled(sample=torch.rand(T, N))
        compiled(nn.Sequential(nn.Flatten(), dense()), torch.rand(T, 1, N))


@pytest.mark.parametrize(
    ("net", "sample", "told"),
    [
        (
            conv(),
            torch.rand(1, 5, 5),
            r"\[1, 5, 5\] has no batch, where a sample is \[B, \.\.\.\]: give x\[None\]",
        ),
        (dense(), X[0, 0], r"has one axis, the batch; of a single sample, give x\[None\]"),
        (dense(), X[0].tolist(), r"an array \[B, \.\.\.\], not a list; torch\.tensor\(\.\.\.\) makes one"),
        (dense(), X[0].to_sparse(), r"sample 'input' is a sparse .* give x\.to_dense\(\)"),
        (dense(), X[0, :0], r"shape \[0, 5\] holds no samples, since its first axis is the batch; give one"),
    ],
)
def test_what_is_no_sample(net: nn.Module, sample: Any, told: str) -> None:
    with pytest.raises((CaptureError, InputError), match=told):
        compiled(net, sample)


@pytest.mark.parametrize(
    ("x", "told"),
    [
        (
            X[:, 0],
            r"\[6, 5\]; accepted: \[T, B, 5\]\. It has T=6 steps without a batch: .* give x\[:, None\]",
        ),
        (
            X[0],
            r"\[4, 5\]; .* It has B=4 samples without the time axis: .*torch\.stack\(steps\); .*static=True",
        ),
        (X[0, :3], r"\[3, 5\]; .* Of one sample, give x\[:, None\]; .*static=True, or give x\.expand\("),
        (X[:, :0], r"\[6, 0, 5\]; .* An axis of length 0 holds nothing: leave such a batch out"),
        (X.to_sparse(), r"input 'input' is a sparse .* give x\.to_dense\(\)"),
        (X.tolist(), r"input 'input' is a list, .*; torch\.tensor\(\.\.\.\) makes one of it"),
        (
            list(X),
            r"input 'input' is a list, .*; torch\.stack\(\.\.\.\) makes one of it, along the first axis",
        ),
        (
            [X, Y],
            r"is a list, .*; it holds 2 arrays of different shapes, so that each is to be given by itself",
        ),
    ],
)
def test_what_is_no_input(x: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        compiled().run(x)


@pytest.mark.parametrize("accuracy", [SF.accuracy_rate, SF.accuracy_temporal])
def test_accuracies(accuracy: Any) -> None:
    spikes = torch.zeros(T, B, 3)
    for spk, targets, told in (
        (
            spikes.transpose(0, 1),
            Y,
            r"\(4, 6, 3\) and \(4,\); the batch stands first, .*spk\.transpose\(0, 1\)",
        ),
        (spikes[0], Y, r"\(4, 3\) and \(4,\); there is no time axis: .* give spk\[None\]"),
        (spikes, spikes[0], r"\(6, 4, 3\) and \(4, 3\); of one-hot targets give targets\.argmax\(1\)"),
        (spikes, Y[:3], r"\(6, 4, 3\) and \(3,\)$"),
        (spikes, Y.tolist(), r"'targets' is a list, .*; torch\.tensor\(\.\.\.\) makes one of it"),
        (list(spikes), Y, r"'spikes' is a list, .*; torch\.stack\(\.\.\.\) makes one of it"),
    ):
        with pytest.raises(InputError, match=rf"^{accuracy.__name__} .*{told}"):
            accuracy(spk, targets)


def test_losses() -> None:
    with pytest.raises(
        InputError, match=r"If the batch stands first in 'signal', give .* x\.transpose\(0, 1\)"
    ):
        SF.ce_rate_loss()(torch.zeros(B, T, 3), Y)
