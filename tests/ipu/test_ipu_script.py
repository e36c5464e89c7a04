"""One script for every backend, as a user writes it: training, states, weights back in the module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from ipu_calls import backend
from torch import Tensor, nn

import snnhw as snn
import snnhw.functional as SF
from snnhw import registry

T, B = 4, 8


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An editable install may be older than the entry point."""
    known = registry.backend

    def find(name: str, options: object = None) -> object:
        return backend() if name == "ipu" else known(name, options)  # type: ignore[arg-type]

    monkeypatch.setattr(registry, "backend", find)


def plain() -> nn.Module:
    return nn.Sequential(
        nn.Linear(6, 12),
        snn.Leaky(beta=0.9, threshold=0.3, init_hidden=True),
        nn.Linear(12, 4),
        snn.Synaptic(alpha=0.8, beta=0.7, threshold=0.3, init_hidden=True),
    )


def rich() -> nn.Module:
    """A loop in each layer, chance, statistics."""
    return nn.Sequential(
        nn.Linear(6, 12),
        nn.BatchNorm1d(12),
        snn.RLeaky(beta=0.9, linear_features=12, threshold=0.3, init_hidden=True),
        nn.Dropout(0.25),
        nn.Linear(12, 4),
        snn.RLeaky(beta=0.8, all_to_all=False, threshold=0.3, init_hidden=True),
    )


def images() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 2, 3)),
        nn.Conv2d(1, 3, 2, padding=1),
        snn.Leaky(beta=0.9, threshold=0.3, init_hidden=True),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(6, 4),
        snn.Leaky(beta=0.8, threshold=0.3, init_hidden=True, learn_threshold=True),
    )


def script(make: Callable[[], nn.Module], name: str, *, static: bool, carried: bool) -> dict[str, Any]:
    torch.manual_seed(0)
    net = make()
    torch.manual_seed(1)
    x = torch.rand((B, 6) if static else (T, B, 6))
    y = torch.randint(4, (B,))
    options = {"emulate": True} if name == "ipu" else {}
    model = snn.compile(
        net,
        torch.zeros(B, 6),
        backend=name,
        time_steps=T,
        static=static,
        loss=SF.ce_rate_loss(),
        optimizer=snn.optim.SGD(lr=0.2, momentum=0.9),  # Adam makes steps of rounding, too
        options=options,
    )
    found: dict[str, Any] = {}
    with model:
        losses, state = [], None
        for update in range(4):
            loss, spikes = model.step(x, y, state)
            losses.append(loss)
            state = model.state if carried else None
            if update == 1:
                model.set_optimizer(snn.optim.SGD(lr=0.1, momentum=0.9))
        kept = model.executable.save_state()
        again = [model.step(x, y)[0] for _ in range(2)]
        model.executable.load_state(kept)
        assert [model.step(x, y)[0] for _ in range(2)] == again
        model.executable.load_state(kept)
        found["losses"], found["spikes"] = np.array(losses), spikes
        found["outputs"] = model(x)
        model.write_back(net)
    return found | dict(net.state_dict())


WAYS = {"static": {"static": True, "carried": False}, "one long sequence": {"static": False, "carried": True}}


@pytest.mark.usefixtures("plain_torch")
@pytest.mark.parametrize("make", [plain, rich, images])
@pytest.mark.parametrize("how", WAYS)
def test_the_same_script_gives_the_same(make: Callable[[], nn.Module], how: str) -> None:
    ours, theirs = script(make, "ipu", **WAYS[how]), script(make, "cpu", **WAYS[how])
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        wanted = np.asarray(theirs[name], np.float64)
        np.testing.assert_allclose(np.asarray(value, np.float64), wanted, rtol=1e-4, atol=1e-5, err_msg=name)
    assert isinstance(ours["spikes"], Tensor)
    assert 0 < float(ours["spikes"].mean()) < 1
