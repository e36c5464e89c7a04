"""The stand-in for PopTorch: its optimizers and its loader of data."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from double_net import Forward, Net, X, poptorch
from torch import nn


def test_settings_are_taken_over_and_change_by_set_optimizer_alone() -> None:
    net = Net(lambda net, x: poptorch.identity_loss(net.weight.sum() + 0.0 * x.sum(), "none"))
    optimizer = poptorch.optim.SGD(net.parameters(), lr=1.0)
    model = poptorch.trainingModel(net, None, optimizer)
    model(X)
    optimizer.param_groups[0]["lr"] = 0.0
    model(X)
    assert net.weight.detach().tolist() == [-1.0, 0.0]
    model.setOptimizer(optimizer)
    model(X)
    assert net.weight.detach().tolist() == [-1.0, 0.0]
    optimizer.param_groups[0]["momentum"] = 0.5  # was not given, so it is constant
    with pytest.raises(poptorch.Error, match="'momentum' is constant"):
        model.setOptimizer(optimizer)


def _drift() -> Net:
    """A loss whose slope is 1 for every weight."""
    return Net(lambda net, x: poptorch.identity_loss(net.weight.sum() + 0.0 * x.sum(), "none"))


def test_marks_say_what_may_change() -> None:
    net = _drift()
    optimizer = poptorch.optim.SGD(net.parameters(), lr=1.0, weight_decay=0.0)
    optimizer.variable_attrs.markAsVariable("momentum")
    optimizer.variable_attrs.markAsConstant("weight_decay")
    with pytest.raises(AssertionError, match="Unknown attribute nonsense"):
        optimizer.variable_attrs.markAsVariable("nonsense")
    model = poptorch.trainingModel(net, None, optimizer)
    model(X)
    optimizer.param_groups[0]["momentum"] = 0.5
    model.setOptimizer(optimizer)
    optimizer.param_groups[0]["weight_decay"] = 0.5
    with pytest.raises(poptorch.Error, match="'weight_decay' is constant"):
        model.setOptimizer(optimizer)


def test_nesterov_is_compiled_in_even_where_it_is_given() -> None:
    net = _drift()
    optimizer = poptorch.optim.SGD(net.parameters(), lr=1.0, momentum=0.5, nesterov=False)
    model = poptorch.trainingModel(net, None, optimizer)
    model(X)
    optimizer.param_groups[0]["nesterov"] = True
    with pytest.raises(poptorch.Error, match="'nesterov' is constant"):
        model.setOptimizer(optimizer)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop"])
@pytest.mark.parametrize("home", [torch.optim, poptorch.optim], ids=["torch", "poptorch"])
def test_updates_are_those_of_torch_s_optimizer_of_the_same_name(home: Any, name: str) -> None:
    net, plain = Net(), nn.Parameter(torch.tensor([1.0, 2.0]))
    optimizer: Any = getattr(torch.optim, name)([plain], lr=0.1, weight_decay=0.5)
    model = poptorch.trainingModel(net, None, getattr(home, name)(net.parameters(), lr=0.1, weight_decay=0.5))
    for _ in range(3):
        model(X)
        optimizer.zero_grad()
        loss: Any = (X * plain).square().sum()
        loss.backward()
        optimizer.step()
    assert torch.allclose(net.weight.detach(), plain.detach(), rtol=1e-6)


def test_torch_s_optimizers_are_taken_and_their_rate_may_change() -> None:
    for kind in (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop):
        net = _drift()
        optimizer = kind(net.parameters(), lr=1.0)
        model = poptorch.trainingModel(net, None, optimizer)
        model(X)
        before = net.weight.detach().clone()
        assert before[0] < 1.0
        optimizer.param_groups[0]["lr"] = 0.0
        model.setOptimizer(optimizer)
        model(X)
        assert torch.equal(net.weight.detach(), before)
        optimizer.param_groups[0]["weight_decay"] = 0.5
        with pytest.raises(poptorch.Error, match="'weight_decay' is constant"):
            model.setOptimizer(optimizer)


def test_a_state_is_read_from_the_device_and_written_back() -> None:
    net, other = Net(), Net()
    optimizer = poptorch.optim.Adam(net.parameters(), lr=0.1)
    model = poptorch.trainingModel(net, None, optimizer)
    assert optimizer.state_dict()["ipu_state"] is None  # there is none before compilation
    model.compile(X)
    assert not any(x.any() for x in optimizer.state_dict()["ipu_state"].values())
    model(X)
    state, weights = optimizer.state_dict(), {name: x.clone() for name, x in net.state_dict().items()}
    assert set(state["ipu_state"]) == {"Accl1___weight", "Accl2___weight", "Step___weight"}
    losses = [float(model(X)[1]) for _ in range(2)]
    other.load_state_dict(weights)
    again = poptorch.optim.Adam(other.parameters(), lr=0.1)
    with pytest.raises(RuntimeError, match="Only IPU optimizer states can be loaded"):
        again.load_state_dict(torch.optim.Adam(other.parameters()).state_dict())
    again.load_state_dict(state)
    resumed = poptorch.trainingModel(other, None, again)
    assert [float(resumed(X)[1]) for _ in range(2)] == losses


@pytest.mark.parametrize(
    "make",
    [
        lambda p: poptorch.optim.SGD(p, lr=0.1, momentum=0.9),
        lambda p: poptorch.optim.AdamW(p, lr=0.1),
        lambda p: poptorch.optim.RMSprop(p, lr=0.1, momentum=0.9, centered=True),
    ],
)
def test_what_is_remembered_outlives_detaching(make: Forward) -> None:
    curves = []
    for leave in (False, True):
        net = Net()
        model = poptorch.trainingModel(net, None, make(net.parameters()))
        found = []
        for _ in range(4):
            found.append(float(model(X)[1]))
            if leave:
                model.detachFromDevice()
        curves.append(found)
    assert curves[0] == curves[1]


def test_another_optimizer_brings_its_state_or_none() -> None:
    net = _drift()
    model = poptorch.trainingModel(net, None, poptorch.optim.SGD(net.parameters(), lr=1.0, momentum=0.5))
    model(X)
    model.setOptimizer(poptorch.optim.SGD(net.parameters(), lr=1.0, momentum=0.5))
    model(X)
    assert net.weight.detach().tolist() == [1.0 - 1.0 - 1.5, 2.0 - 1.0 - 1.5]  # the momentum stayed


def test_a_state_brings_no_rate() -> None:
    """It reaches the host's side of the device, after the settings were sent."""
    net = _drift()
    optimizer = poptorch.optim.SGD(net.parameters(), lr=1.0, momentum=0.0)
    model = poptorch.trainingModel(net, None, optimizer)
    model(X)
    old = optimizer.state_dict()
    optimizer.param_groups[0]["lr"] = 0.0
    model.setOptimizer(optimizer)
    optimizer.load_state_dict({**optimizer.state_dict(), "ipu_param": old["ipu_param"]})
    model(X)
    assert net.weight.detach().tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda p: poptorch.optim.Adam(p, amsgrad=True), ValueError, "amsgrad"),
        (lambda p: poptorch.optim.Adam(p, maximize=True), poptorch.Error, "ignored by the IPU"),
        (lambda p: poptorch.optim.Adam(p, accum_type=torch.float64), AssertionError, "Accumulation types"),
        (lambda p: poptorch.optim.SGD(p, 0.1, rate=3), TypeError, "unexpected keyword argument 'rate'"),
        (
            lambda p: poptorch.trainingModel(Net(), None, torch.optim.Adagrad(p)),
            AssertionError,
            "Unsupported",
        ),
        (
            lambda p: poptorch.trainingModel(Net(), None, poptorch.optim.SGD(p, 0.1)),
            KeyError,
            "not the model's",
        ),
    ],
)
def test_optimizers_that_cannot_be(make: Forward, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make([nn.Parameter(torch.ones(2))])


def test_gradients_are_clipped_by_their_joint_norm() -> None:
    net = Net(lambda net, x: poptorch.identity_loss((net.weight * torch.pi).sum() + 0.0 * x.sum(), "none"))
    optimizer = poptorch.optim.SGD(net.parameters(), lr=1.0, max_grad_norm=0.5)
    model = poptorch.trainingModel(net, None, optimizer)
    model(X)
    moved = torch.tensor([1.0, 2.0]) - net.weight.detach()
    assert float(moved.norm()) == pytest.approx(0.5)


# -- data ---------------------------------------------------------------------------------------------


def test_the_loader_combines_batches() -> None:
    data = torch.utils.data.TensorDataset(torch.arange(10.0).unsqueeze(1))
    options = poptorch.Options().deviceIterations(2)
    loader = poptorch.DataLoader(options, data, batch_size=2)
    assert loader.combinedBatchSize == 4
    assert [len(batch[0]) for batch in loader] == [4, 4]  # the rest is dropped
    with pytest.raises(AttributeError, match="frozen"):
        options.deviceIterations(3)
    with pytest.warns(UserWarning, match="last tensor"):
        assert [len(batch[0]) for batch in poptorch.DataLoader(options, data, 2, drop_last=False)][-1] == 2
    with pytest.raises(AssertionError, match=r"poptorch\.Options"):
        poptorch.DataLoader({}, data)
    assert len(list(poptorch.DataLoader(options, data, batch_size=None))) == 10
    batches = torch.utils.data.BatchSampler(torch.utils.data.SequentialSampler(data), 4, drop_last=False)
    assert [len(batch[0]) for batch in poptorch.DataLoader(options, data, batch_sampler=batches)] == [4, 4, 2]
    with pytest.raises(poptorch.Error, match="mutually exclusive"):
        poptorch.DataLoader(options, data, batch_size=2, batch_sampler=batches)
