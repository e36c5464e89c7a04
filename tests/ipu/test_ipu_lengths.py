"""Samples of several lengths, and sequences in parts, where shapes are fixed (emulated)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import snnhw as snn
import snnhw.functional as SF
from snnhw.errors import InputError
from snnhw.nn import Model

T, B, CLASSES = 6, 4, 3

LENGTHS = [6, 1, 4, 3]


def compiled(backend: str = "ipu", options: dict[str, object] | None = None, **settings: Any) -> Model:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, CLASSES), snn.Leaky(beta=0.8, init_hidden=True))
    return snn.compile(
        net,
        torch.zeros(B, 5),
        backend=backend,
        time_steps=T,
        loss=SF.mse_count_loss(correct_rate=0.8, incorrect_rate=0.2),
        optimizer=snn.optim.SGD(lr=0.5),
        options={"emulate": True, **(options or {})} if backend == "ipu" else {},
        lengths=True,
        **settings,
    )


def data() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return 2 * torch.rand(T, B, 5), torch.arange(B) % CLASSES


@pytest.mark.parametrize("options", [{}, {"chunk": 3}, {"gradient_accumulation": 2}], ids=str)
def test_a_step_is_the_references_however_it_is_divided(options: dict[str, object]) -> None:
    x, y = data()
    with compiled(options=options) as model, compiled("reference") as wanted:
        found, spikes = model.step(x, y, lengths=LENGTHS)
        loss, same = wanted.step(x, y, lengths=LENGTHS)
        assert float(found) == pytest.approx(float(loss), rel=1e-6)
        assert np.array_equal(np.asarray(spikes), np.asarray(same))
        for key, value in wanted.params.items():
            assert np.allclose(model.params[key], value, atol=1e-6), key


def test_parts_are_compiled_once_and_are_of_one_size() -> None:
    x, y = data()
    with compiled(tbptt=2) as model, compiled("reference", tbptt=2) as wanted:
        found, _ = model.step(x, y, lengths=LENGTHS)
        loss, _ = wanted.step(x, y, lengths=LENGTHS)
        assert float(found) == pytest.approx(float(loss), rel=1e-6)
        for key, value in wanted.params.items():
            assert np.allclose(model.params[key], value, atol=1e-6), key
    with (
        compiled(tbptt=4) as model,
        pytest.raises(InputError, match="T=6 steps cannot be cut into parts of tbptt=4"),
    ):
        model.step(x, y, lengths=LENGTHS)


def test_a_length_that_no_sample_has_is_refused_at_the_backend_too() -> None:
    x, y = data()
    alive = torch.ones(T, B, 1)
    with compiled() as model, pytest.raises(InputError, match="'lengths' holds 7; accepted: 0 to T=6"):
        model.executable.step(
            {"input": x, "alive": alive}, {"target": y, "lengths": torch.tensor([6, 7, 1, 1])}
        )
