"""The stand-in for PopTorch does what PopTorch's sources say, and refuses what PopTorch cannot do.

Here: what it records of a forward, and what it gives back; beside it: gradients, training, optimizers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from double_net import Forward, Net, X, poptorch, training
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

from snnhw_ipu.worker.double.capture import FACTORIES, capture
from snnhw_ipu.worker.double.graph import base_name


def _reassigning(net: Net, x: Tensor) -> Tensor:
    net.seen = x
    return x


def _deleting(net: Net, x: Tensor) -> Tensor:
    del net.seen
    return x


# -- capture ------------------------------------------------------------------------------------------


def test_forward_runs_once_and_is_replayed() -> None:
    net = Net()
    model = training(net)
    losses = [float(model(X)[1]) for _ in range(3)]
    assert (len(net.calls), model.captures) == (1, 1)
    assert losses[0] > losses[1] > losses[2]


def test_the_recorded_operations_are_those_that_make_fx_records() -> None:
    def body(x: Tensor) -> Tensor:
        y = torch.where(x > 0.5, x, x.detach())
        return torch.log_softmax(torch.stack([y, 1.0 - y], 1), -1).sum((0, 1))

    traced = [base_name(node.target) for node in make_fx(body)(X).graph.nodes if node.op == "call_function"]
    graph = capture(Net(lambda net, x: body(x)), [X], {})
    detached = {"alias": "detach"}  # as torch records it from 2.14 on
    assert [base_name(node.function) for node in graph.nodes] == [detached.get(name, name) for name in traced]


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
        (lambda net, x: x * [1.0, 2.0][x.sum().int()], "needs the value of a tensor"),
        (lambda net, x: x * int(x.sum()), "needs the value of a tensor"),
        (lambda net, x: x * bool(x.any()), "needs the value of a tensor"),
        (lambda net, x: x * x.tolist()[0][0], "Illegal move to CPU|needs the value"),
        (lambda net, x: x[x > 0], "Type inference failed|needs the value"),
        (lambda net, x: torch.unique(x), "Type inference failed|needs the value"),
        (_deleting, "seen is reassigned within the model"),
        (lambda net, x: poptorch.custom_op([x], "Mine", "own", 1, [x])[0], "runs on an IPU only"),
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


def _switched_off(net: Net, x: Tensor) -> Tensor:
    with torch.set_grad_enabled(False):
        return x * net.weight


def _in_inference_mode(net: Net, x: Tensor) -> Tensor:
    with torch.inference_mode():
        return x * net.weight


class Passes(torch.autograd.Function):
    """x, said to have a slope of -1: nothing of it can be seen in the forward."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        return x

    @staticmethod
    def backward(_: Any, *grads: Tensor) -> Tensor:
        return -grads[0]


TAKEN_BEFORE: Any = Doubles.apply, Passes.apply
"""As scripts keep them: found before anything could replace `torch.autograd.Function.apply`."""


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (lambda net, x: DOUBLES.apply(x), "Doubles is a torch.autograd.Function"),
        (lambda net, x: TAKEN_BEFORE[0](x), "within a torch.autograd.Function"),
        (lambda net, x: TAKEN_BEFORE[1](x), "within a torch.autograd.Function"),
        (_without_grad, "runs under no_grad"),
        (_switched_off, "runs under no_grad"),
        (_in_inference_mode, "runs under no_grad"),
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


FACTORY_CALLS: dict[str, Callable[[Tensor], Tensor]] = {
    "arange": lambda x: torch.arange(2),
    "empty": lambda x: torch.empty(2),
    "full": lambda x: torch.full((2,), 1.0),
    "full_like": lambda x: torch.full_like(x, 1.0),
    "linspace": lambda x: torch.linspace(0.0, 1.0, 2),
    "logspace": lambda x: torch.logspace(0.0, 1.0, 2),
    "ones": lambda x: torch.ones(2),
    "rand": lambda x: torch.rand(2),
    "randint": lambda x: torch.randint(2, (2,)),
    "randn": lambda x: torch.randn(2),
    "randperm": lambda x: torch.randperm(2),
    "range": lambda x: torch.range(0, 1),
    "tensor": lambda x: torch.tensor([1.0, 2.0]),
    "zeros": lambda x: torch.zeros(2),
    "zeros_like": lambda x: torch.zeros_like(x),  # noqa: PLW0108  # looked up when called
    "normal": lambda x: torch.normal(0.0, 1.0, (2,)),
}


def test_all_that_are_moved_are_tried() -> None:
    assert set(FACTORY_CALLS) == set(FACTORIES)


@pytest.mark.parametrize("name", FACTORY_CALLS)
@pytest.mark.filterwarnings("ignore:torch.range is deprecated")
def test_factories_are_moved_to_the_device_with_a_warning(name: str) -> None:
    module = Net(lambda net, x: x + FACTORY_CALLS[name](x))
    with pytest.warns(UserWarning, match=rf"No device set in torch.{name}\(\): forcing to IPU"):
        capture(module, [X], {})
    assert torch.equal(torch.zeros(2), torch.tensor([0.0, 0.0]))  # afterwards all is as before


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


class Structured(nn.Module):
    """Takes what may be nested, or nothing."""

    def forward(self, x: Any, y: Any = None) -> Any:
        first = x["a"] if isinstance(x, dict) else x[0]
        return first * 1.0 if y is None else first + y


@pytest.mark.parametrize(
    ("first", "then", "error", "message"),
    [
        ((((X, X)),), (((X,)),), poptorch.Error, "not structured as at compilation"),
        (((X,), None), ((X,), X), poptorch.Error, "Type mismatch"),
        (({"a": X},), ({"b": X},), poptorch.Error, "not structured as at compilation"),
        (((X,),), ((X,), X, X), AssertionError, "too many"),
    ],
)
def test_later_calls_are_built_like_the_first(
    first: Any, then: Any, error: type[Exception], message: str
) -> None:
    model = poptorch.inferenceModel(Structured())
    model(*first)
    with pytest.raises(error, match=message):
        model(*then)


def test_names_of_arguments_are_as_good_as_places() -> None:
    model = poptorch.inferenceModel(Structured())
    assert torch.equal(model((X,), X), model(x=(X,), y=X))
    with pytest.raises(AssertionError, match="unexpected keyword argument 'z'"):
        model((X,), z=X)


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
