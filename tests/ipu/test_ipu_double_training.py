"""The stand-in for PopTorch around training: options, wrapping, updates, weights, optimizers, data."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest
import torch
from double_net import Forward, Net, X, poptorch, training
from torch import Tensor, nn

# -- options, wrapping, states ------------------------------------------------------------------------


def test_options_are_typed_and_frozen_by_whoever_takes_them() -> None:
    options = poptorch.Options()
    with pytest.raises(AssertionError, match="Unexpected type"):
        options.Training.gradientAccumulation(2.0)
    assert options.randomSeed(3).modelName("net") is options
    assert options.Training.gradientAccumulation(1) is options.Training
    with pytest.raises(AttributeError, match="options are set by calling them"):
        options.deviceIterationz = 2
    with pytest.raises(AttributeError):
        options.deviceIterationz(2)
    poptorch.inferenceModel(Net(), options)
    changes: tuple[Forward, ...] = (
        lambda: options.deviceIterations(2),
        lambda: options.Training.gradientAccumulation(2),
    )
    for change in changes:
        with pytest.raises(AttributeError, match="Can't modify frozen Options"):
            change()
    assert options.clone().deviceIterations(2).split() == 2
    with pytest.raises(poptorch.Error, match=r"must be of type poptorch\.Options"):
        poptorch.inferenceModel(Net(), {})


def test_what_is_deprecated_does_nothing_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    options = poptorch.Options()
    options.Precision.halfFloatCasting(poptorch.HalfFloatCastingBehavior.HalfUpcastToFloat)
    options.Precision.runningStatisticsAlwaysFloat(True)
    options.Jit.traceModel(False)
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 3
    with pytest.raises(ValueError, match="no longer supported"):
        options.Jit.traceModel(True)
    with pytest.raises(ValueError, match="Unsupported reduction type"):
        options.Training.accumulationAndReplicationReductionType(poptorch.ReductionType.NoReduction)
    with pytest.raises(ValueError, match="Partials are float or half"):
        options.Precision.setPartialsType(torch.int8)


def test_inference_does_not_accumulate() -> None:
    options = poptorch.Options()
    options.Training.gradientAccumulation(2)
    with pytest.raises(poptorch.Error, match=r"when running a poptorch.inferenceModel\(\)"):
        poptorch.inferenceModel(Net(), options)


def test_without_an_optimizer_it_is_sgd_at_a_hundredth() -> None:
    net = Net()
    model = poptorch.trainingModel(net)
    model(X)
    slope = 2 * (X * X).sum(0) * torch.tensor([1.0, 2.0])
    assert torch.allclose(net.weight.detach(), torch.tensor([1.0, 2.0]) - 0.01 * slope)


def test_buffers_are_plain_tensors() -> None:
    class Special(Tensor):
        pass

    net = Net()
    net.seen = torch.zeros(2).as_subclass(Special)
    with pytest.raises(poptorch.Error, match="seen is a Special; buffers must be"):
        training(net)


def test_whether_it_trains_is_decided_when_it_is_wrapped() -> None:
    def body(net: Net, x: Tensor) -> Tensor:
        return x * 2.0 if net.training else x * 1.0

    net = Net(body)
    model = poptorch.inferenceModel(net)
    net.eval()  # too late
    assert torch.equal(model(X), 2 * X)
    assert torch.equal(poptorch.inferenceModel(net)(X), X)


def test_a_module_is_wrapped_once_and_unwrapped_by_destroy() -> None:
    net = Net()
    model = training(net)
    assert (type(net).__name__, type(net.weight).__name__) == ("PoptorchNet", "PoptorchParameter")
    with pytest.raises(RuntimeError, match="already been wrapped"):
        training(net)
    model.destroy()  # never compiled: nothing happens
    assert type(net).__name__ == "PoptorchNet"
    model(X)
    model.destroy()
    assert (type(net), type(net.weight), type(net.seen)) == (Net, nn.Parameter, Tensor)
    assert not model.isCompiled()
    with pytest.raises(poptorch.Error, match="Model has not been compiled or has been destroyed"):
        model.copyWeightsToHost()


def test_the_states_of_an_executor() -> None:
    model = poptorch.inferenceModel(Net(lambda net, x: x * 1.0))
    with pytest.raises(poptorch.Error, match="has not been compiled"):
        model.detachFromDevice()
    model.compile(X)
    assert model.isAttachedToDevice()
    with pytest.warns(UserWarning, match="already compiled"):
        model.compile(X)
    with pytest.raises(poptorch.Error, match="already attached"):
        model.attachToDevice()
    model.detachFromDevice()
    with pytest.raises(poptorch.Error, match="not attached"):
        model.detachFromDevice()
    offline = poptorch.inferenceModel(Net(lambda net, x: x * 1.0), poptorch.Options().useOfflineIpuTarget())
    offline.compile(X)
    with pytest.raises(AssertionError, match=r"offline device \(ConnectionType.Never\): use model.compile"):
        offline(X)
    with pytest.raises(AssertionError, match="Trying to attach to an offline device"):
        offline.attachToDevice()
    assert torch.equal(model(X), X)  # a detached one attaches when it is called
    assert model.isAttachedToDevice()


# -- updates, weights ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "scale"), [(poptorch.ReductionType.Mean, 0.5), (poptorch.ReductionType.Sum, 1.0)]
)
def test_micro_batches_share_an_update(kind: Any, scale: float) -> None:
    options = poptorch.Options()
    options.Training.gradientAccumulation(2).accumulationAndReplicationReductionType(kind)
    net = Net(lambda net, x: poptorch.identity_loss((x * net.weight).sum(), "none"))
    model = training(net, options, lr=1.0)
    model(X)
    assert torch.allclose(net.weight.detach(), torch.tensor([1.0, 2.0]) - scale * X.sum(0))


def test_device_iterations_update_one_after_the_other() -> None:
    net = Net()
    model = training(net, poptorch.Options().deviceIterations(2), lr=0.1)
    model(X)
    weight = torch.tensor([1.0, 2.0])
    for row in X:
        weight = weight - 0.1 * 2 * row * row * weight
    assert torch.allclose(net.weight.detach(), weight)


def test_weights_come_back_when_they_are_touched() -> None:
    net = Net()
    model = training(net)
    model(X)
    assert model.dirty
    assert net.weight.detach().tolist() != [1.0, 2.0]
    assert not model.dirty
    model(X)
    inference = poptorch.inferenceModel(net)
    y, _ = inference(X)  # asks the trainer for its weights
    assert not model.dirty
    assert torch.equal(y, X * net.weight.detach())


def test_a_dropped_trainer_takes_its_weights_along() -> None:
    net = Net()
    training(net)(X)
    gc.collect()  # the optimizer's state_dict refers to the executor
    assert net.weight.detach().tolist() == [1.0, 2.0]


TOUCHES: dict[str, Callable[[Net], object]] = {
    "state_dict": lambda net: net.state_dict(),
    "parameters": lambda net: [x.sum() for x in net.parameters()],
    "named_parameters": lambda net: [x.shape for _, x in net.named_parameters()],
    "an attribute of a weight": lambda net: net.weight.data,
    "an operation on a weight": lambda net: torch.equal(net.weight, net.weight),
    "a buffer": lambda net: net.get_buffer("seen").sum(),
    "a call on the host": lambda net: net(X),
}


@pytest.mark.parametrize("how", TOUCHES)
def test_every_touch_brings_the_weights_back(how: str) -> None:
    net = Net()
    model = training(net)
    model(X)
    assert model.dirty
    TOUCHES[how](net)
    assert not model.dirty
    assert net.weight.detach().tolist() != [1.0, 2.0]


def test_detaching_and_destroying_bring_the_weights_back() -> None:
    for leave in ("detachFromDevice", "destroy", "copyWeightsToHost"):
        net = Net()
        model = training(net)
        model(X)
        getattr(model, leave)()
        assert object.__getattribute__(net, "__dict__")["_parameters"]["weight"].detach().tolist() != [1, 2]


def test_writing_weights_to_the_device_forgets_what_was_trained_there() -> None:
    net = Net()
    model = training(net)
    model(X)
    model.copyWeightsToDevice()
    assert not model.dirty
    assert net.weight.detach().tolist() == [1.0, 2.0]
    again = float(model(X)[1])
    assert again == float(training(Net())(X)[1])


def test_a_state_that_is_loaded_through_the_executor_is_uploaded() -> None:
    net = Net(lambda net, x: x * net.weight)
    model = poptorch.inferenceModel(net)
    model(X)
    model.load_state_dict({"weight": torch.tensor([3.0, 4.0]), "seen": torch.zeros(2)})
    assert torch.equal(model(X), X * torch.tensor([3.0, 4.0]))


def test_an_inference_model_follows_the_training_of_its_module() -> None:
    net = Net()
    model = training(net)
    model(X)
    inference = poptorch.inferenceModel(net)
    for _ in range(2):
        model(X)
        assert torch.equal(inference(X)[0], X * net.weight.detach())


def test_the_host_s_changes_need_copying() -> None:
    net = Net(lambda net, x: x * net.weight)
    model = poptorch.inferenceModel(net)
    model(X)
    with torch.no_grad():
        net.weight.mul_(10.0)
    assert torch.equal(model(X), X * torch.tensor([1.0, 2.0]))
    model.copyWeightsToDevice()
    assert torch.equal(model(X), X * torch.tensor([10.0, 20.0]))


class Net2(nn.Module):
    """One around another."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Any:
        return self.inner(x)


def _counting(net: Net, x: Tensor) -> Tensor:
    return x + net.get_buffer("seen").add_(1.0)


def test_buffers_that_are_updated_in_place_keep_it() -> None:
    net = Net(_counting)
    model = poptorch.inferenceModel(net)
    assert torch.equal(model(X), X + 1)
    assert torch.equal(model(X), X + 2)
    assert net.get_buffer("seen").tolist() == [0.0, 0.0]  # never by itself
    model.copyWeightsToHost()
    assert net.get_buffer("seen").tolist() == [2.0, 2.0]
    several = poptorch.inferenceModel(Net(_counting), poptorch.Options().deviceIterations(2))
    assert torch.equal(several(X), X + torch.tensor([[1.0], [2.0]]))  # from one iteration to the next
    whole = Net(_counting)
    whole.seen = torch.zeros(2, dtype=torch.int32)
    with pytest.raises(poptorch.Error, match="seen holds whole numbers"):
        poptorch.inferenceModel(Net2(whole))(X.int())
    with pytest.raises(poptorch.Error, match="broadcastBuffers"):
        poptorch.inferenceModel(Net(_counting), poptorch.Options().replicationFactor(2))(X)


def test_inputs_that_are_updated_in_place_change_at_the_caller_s() -> None:
    x = X.clone()
    poptorch.inferenceModel(Net(lambda net, x: x.add_(1.0) * 2.0))(x)
    assert torch.equal(x, X + 1)


# -- optimizers ---------------------------------------------------------------------------------------


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


def test_a_state_brings_the_rate_that_it_was_read_with() -> None:
    net = _drift()
    optimizer = poptorch.optim.SGD(net.parameters(), lr=1.0, momentum=0.0)
    model = poptorch.trainingModel(net, None, optimizer)
    model(X)
    old = optimizer.state_dict()
    optimizer.param_groups[0]["lr"] = 0.0
    model.setOptimizer(optimizer)
    optimizer.load_state_dict({**optimizer.state_dict(), "ipu_param": old["ipu_param"]})
    model(X)
    assert net.weight.detach().tolist() == [-1.0, 0.0]


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
