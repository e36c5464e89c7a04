"""A copy of a compiled model is a model of its own, whose every part reads the same parameters."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import snnhw as snn
import snnhw.functional as SF
from snnhw.nn import Model

pytestmark = pytest.mark.usefixtures("one_thread", "plain_torch")

T, B = 10, 64


def saved_by_torch(model: Model) -> Model:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    found: Model = torch.load(file, weights_only=False)
    return found


COPIES: dict[str, Callable[[Model], Model]] = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "torch.save": saved_by_torch,
}


def compiled(backend: str) -> Model:
    """Large enough, on events, for zeros to be skipped."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(300, 200), snn.Leaky(beta=0.9, init_hidden=True, learn_beta=True))
    loss, optimizer = SF.ce_rate_loss(), snn.optim.Adam(lr=0.01)
    return snn.compile(
        net, torch.zeros(B, 300), backend=backend, time_steps=T, loss=loss, optimizer=optimizer
    )


def events() -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(1)
    x = (torch.rand(T, B, 300, generator=rng) < 0.02).float()
    return x, torch.randint(0, 10, (B,), generator=rng)


def outputs(model: Model, x: Tensor) -> Tensor:
    found = model(x)
    assert isinstance(found, Tensor)
    return found


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("how", COPIES)
def test_a_copy_goes_on_as_the_model_does_and_moves_nothing_of_it(backend: str, how: str) -> None:
    x, y = events()
    with compiled(backend) as model:
        model.step(x, y)
        model.run(x)
        before = model.params
        twin = COPIES[how](model)
        losses = [twin.step(x, y, twin.state)[0] for _ in range(3)]
        assert all(np.array_equal(array, before[key]) for key, array in model.params.items())
        assert losses == [model.step(x, y, model.state)[0] for _ in range(3)]
        for key, array in model.params.items():
            assert np.array_equal(array, twin.params[key]), key
            assert not key.endswith("weight") or not np.array_equal(array, before[key])
        assert twin.verify(x).ok
        assert torch.equal(outputs(twin, x), outputs(model, x))
