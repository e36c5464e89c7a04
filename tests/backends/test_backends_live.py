"""A model that has been trained is the model of its parameters: nothing of earlier weights stays in it.

At sizes and activities at which products skip zeros, which small networks never do.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import snnhw as snn
import snnhw.functional as SF
from snnhw.errors import InputError
from snnhw.plugin import Result

T, B, INPUTS, HIDDEN = 10, 64, 300, 200


def net() -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(INPUTS, HIDDEN),
        snn.Leaky(beta=0.9, init_hidden=True),
        torch.nn.Linear(HIDDEN, 10),
        snn.Leaky(beta=0.9, init_hidden=True),
    )


def events(density: float, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(T, B, INPUTS, generator=generator) < density).float()


def labels() -> Tensor:
    return torch.arange(B) % 10


def compiled(optimizer: Any = None, **options: object) -> snn.nn.Model:
    train = {"loss": SF.ce_rate_loss(), "optimizer": optimizer} if optimizer else {}
    record = ("0.y", "1.mem", "3.mem")
    return snn.compile(
        net(), torch.zeros(B, INPUTS), backend="cpu", time_steps=T, record=record, options=options, **train
    )


def same(one: Result, other: Result) -> bool:
    pairs = [(one.outputs, other.outputs), (one.recordings, other.recordings)]
    return all(torch.equal(a[name], b[name]) for a, b in pairs for name in a)


OPTIMIZERS = [snn.optim.SGD(lr=0.5), snn.optim.Adam(lr=1e-2), snn.optim.AdamW(lr=1e-2)]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("density", [0.02, 0.5])
def test_after_updates_a_model_is_one_compiled_from_its_parameters(density: float, optimizer: Any) -> None:
    model, fresh = compiled(optimizer), compiled()
    x = events(density)
    for _ in range(5):
        model.run(x)
        model.step(x, labels())
        fresh.executable.set_params(model.params)
        for given in (x, events(0.6, seed=1)):  # activity decides which product runs, and nothing from before
            assert same(model.run(given), fresh.run(given))


def test_training_on_few_events_learns_as_dense_products_do() -> None:
    x, losses = events(0.02), []
    for deterministic in (False, True):
        model = compiled(snn.optim.Adam(lr=1e-2), deterministic=deterministic)
        losses.append([model.step(x, labels())[0] for _ in range(30)])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3)
    assert losses[0][-1] < 0.8 * losses[0][0]


def fused(module: torch.nn.Module) -> None:
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-2, fused=True)
    for param in module.parameters():
        param.grad = torch.ones_like(param)
    optimizer.step()


def by_data(module: torch.nn.Module) -> None:
    for param in module.parameters():
        param.data.mul_(0.5)


def by_numpy(module: torch.nn.Module) -> None:
    for param in module.parameters():
        param.detach().numpy()[...] += 0.25


def averaged(module: torch.nn.Module) -> None:
    """Weights changed for their moving average, as for an evaluation."""
    for param, other in zip(module.parameters(), deepcopy(module).parameters(), strict=True):
        param.data = 0.75 * other.data


@pytest.mark.parametrize("write", [fused, by_data, by_numpy, averaged])
def test_a_module_hears_whoever_writes_to_its_weights(write: Callable[[torch.nn.Module], None]) -> None:
    model, fresh, x = compiled(), compiled(), events(0.02)
    made: Any = model.executable
    module = made.torch_module()
    model.run(x)
    for _ in range(2):
        module(x)
        write(module)
        named = {name.replace("/", "."): value.detach().numpy() for name, value in module.named_parameters()}
        fresh.executable.set_params(named)
        found, _ = module(x)
        wanted = fresh.run(x)
        for name, spikes in wanted.outputs.items():
            assert torch.equal(found[name], spikes)
        if write is not averaged:  # which gives the module other memory than the model's
            assert same(model.run(x), fresh.run(x))


def _assigned(module: torch.nn.Module) -> None:
    module.load_state_dict({key: 0.5 * x for key, x in module.state_dict().items()}, assign=True)


def _swapped(module: torch.nn.Module) -> None:
    for param in module.parameters():
        param.data = 0.5 * param.data


@pytest.mark.parametrize("part", [_assigned, _swapped, torch.nn.Module.double])
def test_a_module_whose_weights_are_other_tensors_is_not_silently_another_model(
    part: Callable[[torch.nn.Module], object],
) -> None:
    x = events(0.02)
    model = compiled(snn.optim.SGD(lr=0.5))
    module = model.torch_module()
    before = model.run(x)
    part(module)
    calls = (lambda: model.run(x), lambda: model.step(x, labels()), lambda: model.params)
    for call in (*calls, model.executable.save_state):
        with pytest.raises(InputError, match=r"of a module that torch_module\(\) gave is another tensor"):
            call()
    values = {key.replace("/", "."): x.detach().numpy() for key, x in module.named_parameters()}
    model.executable.set_params(values)
    del module
    fresh = compiled()
    fresh.executable.set_params(model.params)
    assert same(model.run(x), fresh.run(x))
    assert not same(model.run(x), before) or part is torch.nn.Module.double


def test_weights_that_are_swapped_and_given_back_are_shared_as_before() -> None:
    """As who evaluates averaged weights does."""
    x = events(0.02)
    model = compiled()
    module, before = model.torch_module(), model.run(x)
    own = {key: tensor.data for key, tensor in module.state_dict(keep_vars=True).items()}
    _assigned(module)
    module.load_state_dict(own, assign=True)
    assert same(model.run(x), before)
