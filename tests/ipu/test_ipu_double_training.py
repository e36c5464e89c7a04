"""The stand-in for PopTorch around training: options, wrapping, updates, weights."""

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


def _counting_loss(net: Net, x: Tensor) -> Any:
    seen = net.get_buffer("seen").add_(1.0)
    return seen[:1] * 1.0, poptorch.identity_loss((x * net.weight).sum(), "none")


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
    accumulating = poptorch.Options().outputMode(poptorch.OutputMode.All)
    accumulating.Training.gradientAccumulation(2)
    trained = training(Net(_counting_loss), accumulating)
    assert trained(X)[0].tolist() == [1.0, 2.0]  # and from one part of a batch to the next
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
