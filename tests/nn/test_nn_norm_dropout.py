"""Layers that tell steps apart: called by hand, captured, trained, written back."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import snnhw as snn
from snnhw.errors import CaptureError, InputError
from snnhw.ir import BatchNorm1d, Dropout
from snnhw.nn.modules import norm_dropout

STEPS, BATCH = 4, 6
BACKENDS = ["reference", "cpu"]


class Net(nn.Module):
    """Two layers, normalised as told."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.fc1 = nn.Linear(5, 8)
        self.norm = norm
        self.lif1 = snn.Leaky(beta=0.8, init_hidden=True)
        self.fc2 = nn.Linear(8, 3)
        self.lif2 = snn.Leaky(beta=0.8, init_hidden=True, output=True)

    def forward(self, x: Tensor) -> Any:
        return self.lif2(self.fc2(self.lif1(self.norm(self.fc1(x)))))


def samples(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = 2 * torch.randn(STEPS, BATCH, 5, generator=generator)
    return x, torch.randint(0, 3, (BATCH,), generator=generator)


def by_hand(net: nn.Module, count: int) -> None:
    """What a person writes: a loop over time, a loss on the membrane, plain SGD."""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for turn in range(count):
        x, y = samples(turn)
        snn.utils.reset(net)
        membranes = torch.stack([net(step)[1] for step in x])
        loss = sum((nn.functional.cross_entropy(m, y) for m in membranes), start=torch.zeros(()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "norm",
    [
        nn.BatchNorm1d(8),
        nn.BatchNorm1d(8, momentum=0.5, affine=False),
        snn.BatchNormTT1d(8, STEPS),
        snn.BatchNormTT1d(8, STEPS + 2, momentum=0.3, affine=False),
    ],
    ids=["plain", "bare", "through time", "through more time"],
)
def test_training_is_what_a_loop_by_hand_does(norm: nn.Module, backend: str) -> None:
    net = Net(copy.deepcopy(norm))
    theirs = copy.deepcopy(net)
    model = snn.compile(
        net,
        samples()[0][0],
        backend=backend,
        time_steps=STEPS,
        loss=membrane_loss(),
        optimizer=snn.optim.SGD(lr=0.1),
    )
    for turn in range(3):
        model.step(*samples(turn))
    model.write_back(net)
    by_hand(theirs, 3)
    wanted = theirs.state_dict()
    for name, tensor in net.state_dict().items():
        if not name.endswith(("num_batches_tracked", "reset_mechanism_val")):
            torch.testing.assert_close(tensor, wanted[name], rtol=1e-4, atol=1e-5, msg=name)
    x, _ = samples(9)
    theirs.eval()
    snn.utils.reset(theirs)
    found = model.run(x).outputs["output.1"].float()
    torch.testing.assert_close(found, torch.stack([theirs(step)[1] for step in x]), rtol=1e-3, atol=1e-4)


def membrane_loss() -> Any:
    return snn.ir.Loss((snn.ir.Term(snn.ir.CEMembrane(over_time="sum"), of="lif2.mem"),))


def test_batch_norm_through_time_has_the_state_dict_of_snntorch() -> None:
    snntorch = pytest.importorskip("snntorch")
    for ours, theirs in (
        (snn.BatchNormTT1d(3, 4), snntorch.BatchNormTT1d(3, 4)),
        (snn.BatchNormTT2d(3, 4, 1e-3, 0.2, False), snntorch.BatchNormTT2d(3, 4, 1e-3, 0.2, False)),
    ):
        ours.load_state_dict(theirs.state_dict())
        x = torch.randn(5, 3) if isinstance(ours, snn.BatchNormTT1d) else torch.randn(5, 3, 2, 2)
        for t in range(4):
            expected = theirs[t](x)
            torch.testing.assert_close(copy.deepcopy(ours)[t](x), expected)
            torch.testing.assert_close(ours(x), expected)


def test_batch_norm_through_time_counts_its_steps() -> None:
    norm = snn.BatchNormTT1d(3, 2)
    x = torch.randn(4, 3)
    norm(x), norm(x)
    with pytest.raises(InputError, match="for 2 steps and is called once more; call"):
        norm(x)
    snn.utils.reset(nn.Sequential(norm))
    norm(x)
    with pytest.raises(InputError, match=r"BatchNormTT1d\(time_steps=0\): give a whole number"):
        snn.BatchNormTT1d(3, 0)


def test_dropout_may_hold_its_mask() -> None:
    torch.manual_seed(0)
    held = norm_dropout.Dropout(0.5)
    x = torch.ones(4, 30)
    first = held(x)
    assert set(first.unique().tolist()) == {0.0, 2.0}
    torch.testing.assert_close(held(2 * x), 2 * first)
    snn.utils.reset(nn.Sequential(held))
    assert (held(x) != first).any()
    with pytest.raises(InputError, match=r"holds a mask of shape \[4, 30\] but was given \[2, 30\]; reset"):
        held(x[:2])
    assert held.eval()(x) is x
    fresh = norm_dropout.Dropout(0.5, "per_step")
    assert (fresh(x) != fresh(x)).any()
    with pytest.raises(InputError, match=r"Dropout\(p=2\): give a number from 0 to 1"):
        norm_dropout.Dropout(2)


@pytest.mark.parametrize(
    ("layer", "op"),
    [
        (nn.Dropout(0.25), Dropout(0.25)),
        (norm_dropout.Dropout(0.25), Dropout(0.25, "held")),
        (norm_dropout.Dropout(0.25, "per_step"), Dropout(0.25)),
        (nn.BatchNorm1d(8, momentum=0.5), BatchNorm1d(8, momentum=0.5)),
        (nn.BatchNorm1d(8, affine=False), BatchNorm1d(8, weight=False, bias=False)),
        (snn.BatchNormTT1d(8, 3), BatchNorm1d(8, time_steps=3, bias=False)),
    ],
)
def test_what_is_captured(layer: nn.Module, op: Any) -> None:
    captured = snn.capture(Net(layer), samples()[0][0])
    assert captured.program.nodes["norm"] == op
    assert captured.program.statistics() == {key for key in captured.params if key.startswith("norm.running")}


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.BatchNorm1d(8, momentum=None), "momentum=None, a mean over all batches, is not supported"),
        (
            nn.BatchNorm1d(8, track_running_stats=False),
            "track_running_stats=False is not supported",
        ),
    ],
)
def test_what_is_not_captured(layer: nn.Module, message: str) -> None:
    with pytest.raises(CaptureError, match=message):
        snn.capture(Net(layer), samples()[0][0])


def test_statistics_are_of_one_place() -> None:
    class Twice(Net):
        def forward(self, x: Tensor) -> Any:
            x = self.norm(self.norm(self.fc1(x)))
            return self.lif2(self.fc2(self.lif1(x)))

    with pytest.raises(CaptureError, match="'norm' is called twice within a step, but holds the statistics"):
        snn.capture(Twice(nn.BatchNorm1d(8)), samples()[0][0])


def test_elements_left_out_are_the_same_on_every_backend_and_after_a_resume() -> None:
    found = []
    for backend in BACKENDS:
        runs = []
        for seed in (1, 1, 2):
            model = snn.compile(
                Net(nn.Sequential(nn.Dropout(0.5), norm_dropout.Dropout(0.3))),
                samples()[0][0],
                backend=backend,
                time_steps=STEPS,
                loss=membrane_loss(),
                optimizer=snn.optim.Adam(lr=0.01),
                seed=seed,
            )
            model.step(*samples())
            saved = {name: np.array(x) for name, x in model.executable.save_state().items()}
            losses = [model.step(*samples(turn))[0] for turn in range(3)]
            model.executable.load_state(saved)
            assert losses == [model.step(*samples(turn))[0] for turn in range(3)]
            runs.append(losses)
        assert runs[0] == runs[1] != runs[2]
        found.append(runs[0])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4)


def test_a_module_trains_and_evaluates() -> None:
    net = Net(nn.Sequential(nn.BatchNorm1d(8), nn.Dropout(0.5)))
    model = snn.compile(net, samples()[0][0], backend="cpu", time_steps=STEPS)
    module = model.torch_module()
    x, _ = samples()
    evaluated = module.eval()({"x": x})[0]["output.1"].detach()
    torch.testing.assert_close(evaluated, model.run(x).outputs["output.1"])
    before = model.params["norm.0.running_mean"]
    first, second = (module.train()({"x": x})[0]["output.1"].detach() for _ in range(2))
    assert (first != second).any()
    assert (model.params["norm.0.running_mean"] != before).all()
    assert int(module.get_buffer("sequence")) == 2
