"""What a compiled model gives back, and what of it a checkpoint holds."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import snnhw as snn
import snnhw.functional as SF
from snnhw.errors import InputError

T, B = 5, 2


def compiled(**training: Any) -> Any:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 3), snn.Leaky(beta=0.9, init_hidden=True))
    return snn.compile(net, torch.zeros(B, 4), backend="cpu", time_steps=T, **training)


# -- what is asked of results ------------------------------------------------------------------------


def test_results_have_no_gradient_and_say_what_trains() -> None:
    model = compiled()
    x, y = torch.rand(T, B, 4), torch.tensor([0, 2])
    for loss in (
        model(x).sum(),
        nn.CrossEntropyLoss()(model(x).sum(0), y),
        SF.ce_rate_loss()(model(x), y),
    ):
        with pytest.raises(InputError, match=r"carries no gradient: step\(x, y\) .*torch_module\(\) gives a"):
            loss.backward()


def test_results_are_tensors_like_any_other(tmp_path: Path) -> None:
    model = compiled()
    x = torch.rand(T, B, 4)
    found, plain = model(x), model.run(x).outputs["output"]
    assert torch.equal(found, plain)
    assert repr(found) == repr(plain)
    assert f"{found.mean():.3f}" == f"{plain.mean():.3f}"
    assert np.array_equal(found.numpy(), plain.numpy())
    assert type(copy.deepcopy(found)) is type(pickle.loads(pickle.dumps(found))) is torch.Tensor
    torch.save(found, tmp_path / "found.pt")
    assert type(torch.load(tmp_path / "found.pt")) is torch.Tensor
    weight: Any = torch.ones(3, requires_grad=True)
    (found * weight).sum().backward()
    assert torch.equal(weight.grad, plain.sum((0, 1)))
    assert torch.equal(compiled()(found[..., :1].expand(T, B, 4)), compiled()(plain[..., :1].expand(T, B, 4)))


def test_the_loss_of_a_step_is_a_float_that_has_been_learnt_from() -> None:
    model = compiled(loss=SF.ce_rate_loss(), optimizer=snn.optim.Adam())
    found: Any = model.step(torch.rand(T, B, 4), torch.tensor([0, 2]))[0]
    assert float in type(found).__mro__
    assert found.item() == found == json.loads(json.dumps(found))
    assert type(found + 1) is type(copy.deepcopy(found)) is float
    with pytest.raises(InputError, match=r"^step\(x, y\) has computed the gradients and updated the"):
        found.backward()


# -- what is kept, and what is shown -----------------------------------------------------------------


def test_a_checkpoint_of_torchs_holds_accuracies_and_losses(tmp_path: Path) -> None:
    """As ``torch.load`` reads by default: nothing but what is known to be harmless."""
    accuracy: Any = SF.accuracy_rate(torch.rand(T, B, 3), torch.tensor([0, 2]))
    assert accuracy.item() == accuracy
    held = {
        "best": max(0.0, accuracy),
        "percent": 100 * accuracy,
        "metrics": [SF.accuracy_rate, SF.accuracy_temporal],
        "losses": [
            SF.ce_rate_loss() + 1e-3 * SF.l1_rate_sparsity(),
            SF.mse_count_loss(0.8, 0.2, weight=[1.0, 2.0]),
            SF.mse_temporal_loss(multi_spike=True, on_target=[1, 2], off_target=[3, 4]),
            SF.ce_count_loss(reduction="none"),
        ],
    }
    torch.save(held, tmp_path / "held.pt")
    found = torch.load(tmp_path / "held.pt", weights_only=True)
    assert found == held
    assert type(found["best"]) is type(found["percent"]) is float


@pytest.mark.parametrize(
    "module",
    [
        snn.backprop,
        snn.export_nir,
        SF,
        snn.import_nir,
        snn.optim,
        snn.spikegen,
        snn.spikeplot,
        snn.surrogate,
        snn.utils,
    ],
)
def test_modules_show_what_is_theirs(module: Any) -> None:
    assert dir(module) == sorted(module.__all__)
    near = module.__all__[0][:-1] + "_"
    with pytest.raises(AttributeError, match=rf"^module '{module.__name__}' has no attribute '{near}'\. Di"):
        getattr(module, near)
