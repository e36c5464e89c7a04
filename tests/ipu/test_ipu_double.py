"""The stand-in for PopTorch does what PopTorch's sources say, and refuses what PopTorch cannot do."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

from snnhw_ipu.worker import double
from snnhw_ipu.worker.double.capture import capture
from snnhw_ipu.worker.double.graph import base_name, unsupported

poptorch: Any = double
"""Users of the real module have no types for it either."""

Forward = Callable[..., Any]


class Net(nn.Module):
    """A weight of two, a buffer of two, and any forward."""

    def __init__(self, forward: Forward | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, 2.0]))
        self.register_buffer("seen", torch.zeros(2))
        self.body = forward
        self.calls = 0

    def forward(self, x: Tensor) -> Any:
        self.calls += 1
        if self.body is not None:
            return self.body(self, x)
        y = x * self.weight
        return y, poptorch.identity_loss((y * y).sum(), "none")


def training(net: nn.Module, options: Any = None, lr: float = 0.1) -> Any:
    return poptorch.trainingModel(net, options, poptorch.optim.SGD(net.parameters(), lr=lr))


X = torch.tensor([[1.0, -1.0], [2.0, 0.5]])


def _reassigning(net: Net, x: Tensor) -> Tensor:
    net.seen = x
    return x


# -- capture ------------------------------------------------------------------------------------------


def test_forward_runs_once_and_is_replayed() -> None:
    net = Net()
    model = training(net)
    losses = [float(model(X)[1]) for _ in range(3)]
    assert (net.calls, model.captures) == (1, 1)
    assert losses[0] > losses[1] > losses[2]


def test_the_recorded_operations_are_those_that_make_fx_records() -> None:
    def body(x: Tensor) -> Tensor:
        y = torch.where(x > 0.5, x, x.detach())
        return torch.log_softmax(torch.stack([y, 1.0 - y], 1), -1).sum((0, 1))

    traced = [node.target for node in make_fx(body)(X).graph.nodes if node.op == "call_function"]
    graph = capture(Net(lambda net, x: body(x)), [X], {})
    assert [base_name(node.function) for node in graph.nodes] == [base_name(target) for target in traced]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (lambda net, x: x + torch.ones(2, device="cpu"), "Expected an IPU tensor but got tensor"),
        (lambda net, x: x * float(x.sum().item()), "needs the value of a tensor"),
        (lambda net, x: x if x.sum() > 0 else -x, "needs the value of a tensor"),
        (lambda net, x: x.nonzero(), "needs the value of a tensor"),
        (lambda net, x: x.cpu(), "Illegal move to CPU"),
        (lambda net, x: x[:, :0], "Zero-sized tensors are unsupported"),
        (
            lambda net, x: torch.heaviside(x, x),
            r"Unsupported ops found in compiled model: \[aten::heaviside\]",
        ),
        (lambda net, x: torch.lerp(x, x, x), r"\[aten::lerp\]"),
        (lambda net, x: x[:, 0].add_(1.0), "changes a view in place"),
        (_reassigning, "seen is reassigned within the model"),
        (lambda net, x: poptorch.for_loop(3, None, []), "only supported in inference"),
    ],
)
@pytest.mark.filterwarnings("ignore:No device set")
def test_what_cannot_be_captured(body: Forward, message: str) -> None:
    with pytest.raises(poptorch.Error, match=message):
        poptorch.inferenceModel(Net(body))(X)


class Doubles(torch.autograd.Function):
    """Twice x, said to have a slope of 7."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        return 2.0 * x

    @staticmethod
    def backward(_: Any, *grads: Tensor) -> Tensor:
        return 7.0 * grads[0]


DOUBLES: Any = Doubles


def _without_grad(net: Net, x: Tensor) -> Tensor:
    with torch.no_grad():
        return x * net.weight


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (lambda net, x: DOUBLES.apply(x), "Doubles is a torch.autograd.Function"),
        (_without_grad, "runs under no_grad"),
    ],
)
def test_what_poptorch_would_pass_over_in_silence_fails(body: Forward, message: str) -> None:
    with pytest.raises(poptorch.Error, match=message):
        poptorch.inferenceModel(Net(body))(X)
    assert DOUBLES.apply(torch.ones(1)) == 2  # everything is as before


def test_there_are_no_64_bit_numbers() -> None:
    def body(_: Net, x: Tensor) -> Any:
        return x.argmax(-1), x.double(), x.long()

    found = poptorch.inferenceModel(Net(body))(X)
    assert [y.dtype for y in found] == [torch.int32, torch.float32, torch.int32]


def test_it_says_that_it_is_running() -> None:
    seen = []

    def body(_: Net, x: Tensor) -> Tensor:
        seen.append(poptorch.isRunningOnIpu())
        return x + 0

    poptorch.inferenceModel(Net(body))(X)
    assert seen == [True]
    assert not poptorch.isRunningOnIpu()


def test_factories_are_moved_to_the_device_with_a_warning() -> None:
    with pytest.warns(UserWarning, match=r"No device set in torch.zeros\(\): forcing to IPU"):
        assert torch.equal(poptorch.inferenceModel(Net(lambda net, x: x + torch.zeros(2)))(X), X)


# -- arguments, batches, outputs ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ((X[:1],), r"Shape mismatch: expected \[2, 2\] but got \[1, 2\]"),
        ((X.double(),), "Data type mismatch: expected torch.float32 but got torch.float64"),
        ((3.0,), "Type mismatch"),
        ((), "Mandatory parameter missing"),
    ],
)
def test_later_calls_must_look_like_the_first(other: tuple[Any, ...], message: str) -> None:
    model = poptorch.inferenceModel(Net(lambda net, x: x * 1.0))
    model(X)
    with pytest.raises(poptorch.Error, match=message):
        model(*other)


def test_numbers_are_baked_in() -> None:
    class Scaled(nn.Module):
        def forward(self, x: Tensor, factor: float) -> Tensor:
            return x * factor

    model = poptorch.inferenceModel(Scaled())
    assert torch.equal(model(X, 2.0), 2 * X)
    with pytest.raises(poptorch.Error, match=r"Value mismatch: expected 2.0 but got 3.0"):
        model(X, 3.0)


def test_the_first_axis_is_cut_and_joined() -> None:
    options = poptorch.Options().deviceIterations(2).replicationFactor(2)
    model = poptorch.inferenceModel(Net(lambda net, x: (x * 2.0, x.sum())), options)
    x = torch.arange(16.0).reshape(8, 2)
    y, total = model(x)
    assert torch.equal(y, 2 * x)
    assert torch.equal(total, x.reshape(4, 4).sum(1))  # a number of each micro-batch
    with pytest.raises(AssertionError, match=r"Invalid batch dimension.*must be a multiple of 4"):
        poptorch.inferenceModel(Net(lambda net, x: x), options)(x[:6])


MODES = {
    poptorch.OutputMode.All: [1.0, 5.0, 9.0, 13.0],
    poptorch.OutputMode.Final: [13.0],
    poptorch.OutputMode.Sum: [28.0],
}


@pytest.mark.parametrize("mode", MODES)
def test_output_modes(mode: Any) -> None:
    options = poptorch.Options().deviceIterations(4).outputMode(mode)
    found = poptorch.inferenceModel(Net(lambda net, x: x.sum()), options)(torch.arange(8.0).reshape(4, 2))
    assert found.reshape(-1).tolist() == MODES[mode]


def test_every_nth() -> None:
    with pytest.raises(AssertionError, match="EveryN requires"):
        poptorch.Options().outputMode(poptorch.OutputMode.EveryN)
    options = poptorch.Options().deviceIterations(4).outputMode(poptorch.OutputMode.EveryN, 2)
    found = poptorch.inferenceModel(Net(lambda net, x: x.sum()), options)(torch.arange(8.0).reshape(4, 2))
    assert found.tolist() == [5.0, 13.0]


# -- options, wrapping, states ------------------------------------------------------------------------


def test_options_are_typed_and_frozen_by_whoever_takes_them() -> None:
    options = poptorch.Options()
    with pytest.raises(AssertionError, match="Unexpected type"):
        options.Training.gradientAccumulation(2.0)
    assert options.Training.gradientAccumulation(1).randomSeed(3) is options
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


def test_inference_does_not_accumulate() -> None:
    options = poptorch.Options()
    options.Training.gradientAccumulation(2)
    with pytest.raises(poptorch.Error, match="gradientAccumulation to 1 for inference"):
        poptorch.inferenceModel(Net(), options)


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
    with pytest.raises(AssertionError, match="not attached"):
        offline(X)


# -- losses, gradients --------------------------------------------------------------------------------


def _mse(net: Net, x: Tensor) -> Tensor:
    return nn.functional.mse_loss(x * net.weight, x)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (lambda net, x: (x * net.weight).sum(), "Couldn't find a loss in graph!"),
        (lambda net, x: poptorch.identity_loss(x * net.weight, "none"), "must be a scalar tensor"),
        (
            lambda net, x: (_mse(net, x), poptorch.identity_loss(net.weight.sum(), "none")),
            "Multiple independent",
        ),
        (lambda net, x: _mse(net, x) + net.weight.sum(), "wrap it in poptorch.identity_loss"),
        (lambda net, x: poptorch.identity_loss(net.weight.sum(), "none") * 2.0, "must come last"),
        (lambda net, x: (poptorch.identity_loss(net.weight.sum(), "none"), x)[1], "not returned"),
    ],
)
def test_there_is_one_final_loss(body: Forward, message: str) -> None:
    with pytest.raises(poptorch.Error, match=message):
        training(Net(body))(X)


def test_losses_within_the_final_one_are_plain() -> None:
    net = Net(lambda net, x: poptorch.identity_loss(_mse(net, x) + net.weight.sum(), "none"))
    model = training(net, lr=1.0)
    model(X)
    plain: Any = torch.tensor([1.0, 2.0], requires_grad=True)
    (nn.functional.mse_loss(X * plain, X) + plain.sum()).backward()
    assert torch.allclose(net.weight.detach(), torch.tensor([1.0, 2.0]) - plain.grad)


def test_reductions() -> None:
    with pytest.raises(AssertionError, match="Unsupported reduction"):
        poptorch.identity_loss(X, "all")
    assert poptorch.identity_loss(X, "mean") == X.mean()
    assert training(Net(lambda net, x: poptorch.identity_loss(x * net.weight, "sum")))(X).shape == ()


GRADIENTS: dict[str, tuple[Forward, list[float]]] = {
    # at a tie, both operands
    "maximum": (lambda w: torch.maximum(w, torch.ones_like(w) * w.detach()), [1.0, 1.0]),
    "both": (lambda w: torch.maximum(w, w * 1.0), [2.0, 2.0]),
    "amax": (lambda w: torch.stack([w, w], 1).amax(1), [2.0, 2.0]),
    "clamp": (lambda w: w.clamp(1.0, 1.5), [1.0, 0.0]),
    "detach": (lambda w: w * w.detach(), [1.0, 2.0]),
    "sign": (lambda w: torch.sign(w) + torch.floor(w), [0.0, 0.0]),
    "cast": (lambda w: (w > 1.5).to(w.dtype) + 0.0 * w, [0.0, 0.0]),
    "graft": (lambda w: w.detach() * 5 + (w - w.detach()) * 3, [3.0, 3.0]),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_are_popart_s(name: str) -> None:
    function, slope = GRADIENTS[name]
    net = Net(lambda net, x: poptorch.identity_loss(function(net.weight).sum() + 0.0 * x.sum(), "none"))
    model = training(net, lr=1.0)
    model(X)
    assert (torch.tensor([1.0, 2.0]) - net.weight.detach()).tolist() == slope


def test_pooling_shares_the_gradient_among_the_largest() -> None:
    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.image = nn.Parameter(torch.tensor([[[[1.0, 1.0], [0.0, 1.0]]]]))

        def forward(self, x: Tensor) -> Any:
            y = nn.functional.max_pool2d(self.image + 0.0 * x.sum(), 2)
            return poptorch.identity_loss(y.sum(), "none")

    net = Pooled()
    model = training(net, lr=1.0)
    model(X)
    assert net.image.detach().flatten().tolist() == [0.0, 0.0, 0.0, 0.0]


# -- updates, weights ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "scale"), [(poptorch.ReductionType.Mean, 0.5), (poptorch.ReductionType.Sum, 1.0)]
)
def test_micro_batches_share_an_update(kind: Any, scale: float) -> None:
    options = poptorch.Options()
    options.Training.gradientAccumulation(2).Training.accumulationAndReplicationReductionType(kind)
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
    assert net.weight.detach().tolist() == [1.0, 2.0]


def test_the_host_s_changes_need_copying() -> None:
    net = Net(lambda net, x: x * net.weight)
    model = poptorch.inferenceModel(net)
    model(X)
    with torch.no_grad():
        net.weight.mul_(10.0)
    assert torch.equal(model(X), X * torch.tensor([1.0, 2.0]))
    model.copyWeightsToDevice()
    assert torch.equal(model(X), X * torch.tensor([10.0, 20.0]))


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
    with pytest.raises(AssertionError, match="'momentum' is constant"):
        model.setOptimizer(optimizer)


def test_a_state_is_read_from_the_device_and_written_back() -> None:
    net, other = Net(), Net()
    losses = []
    optimizer = poptorch.optim.Adam(net.parameters(), lr=0.1)
    model = poptorch.trainingModel(net, None, optimizer)
    model(X)
    state, weights = optimizer.state_dict(), {name: x.clone() for name, x in net.state_dict().items()}
    assert set(state["ipu_state"]) == {"Accl1___weight", "Accl2___weight", "Step___weight"}
    losses = [float(model(X)[1]) for _ in range(2)]
    other.load_state_dict(weights)
    again = poptorch.optim.Adam(other.parameters(), lr=0.1)
    with pytest.raises(RuntimeError, match="Only IPU optimizer states can be loaded"):
        again.load_state_dict({"state": {}})
    again.load_state_dict(state)
    resumed = poptorch.trainingModel(other, None, again)
    assert [float(resumed(X)[1]) for _ in range(2)] == losses


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda p: poptorch.optim.Adam(p, amsgrad=True), ValueError, "amsgrad"),
        (lambda p: poptorch.optim.Adam(p, accum_type=torch.float64), AssertionError, "float16 or float32"),
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


def test_what_has_a_handler() -> None:
    graph = capture(Net(lambda net, x: torch.tanh(x).cumsum(-1)), [X], {})
    assert unsupported(graph) == []


def test_a_tensor_of_the_host_among_the_results_is_a_constant() -> None:
    constant = torch.ones(3)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        _, result = poptorch.inferenceModel(Net(lambda net, x: (x * 1.0, constant)))(X)
    assert "Output expected to be on the IPU but is on cpu" in str(found[0].message)
    assert result is constant
