"""The stand-in for PopTorch: losses, gradients, and PopTorch's own operations."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from double_net import Forward, Net, X, poptorch, training
from torch import Tensor, nn

from snnhw_ipu.worker.double.capture import capture
from snnhw_ipu.worker.double.graph import unsupported


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
    "steps": (lambda w: torch.sign(w) + torch.floor(w) + torch.ceil(w) + torch.round(w), [0.0, 0.0]),
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
    many = poptorch.inferenceModel(
        Net(lambda net, x: (x * 1.0, constant)), poptorch.Options().deviceIterations(2)
    )
    with pytest.warns(UserWarning, match="Output expected to be on the IPU"):
        assert many(X)[1] is constant  # once, whatever the number of micro-batches


def test_results_have_the_structure_of_forward_and_no_backward() -> None:
    found = poptorch.inferenceModel(Net(lambda net, x: {"a": x + 1, "b": (x * 2, [x * 3]), "c": 7}))(X)
    assert torch.equal(found["b"][1][0], 3 * X)
    assert found["c"] == 7
    assert poptorch.inferenceModel(Net(lambda net, x: None))(X) is None
    with pytest.raises(poptorch.Error, match=r"backward\(\) cannot be called explicitly"):
        found["a"].backward()
    again = poptorch.inferenceModel(Net(lambda net, x: x + 1))
    first, second = again(X), again(X)
    first.zero_()
    assert torch.equal(second, X + 1)  # fresh tensors at each call


# -- PopTorch's own operations --------------------------------------------------------------------------


def _looped(_: Net, x: Tensor) -> Tensor:
    found: Tensor = poptorch.for_loop(3, lambda y: y * 2.0, [x])[0]
    return found


def _branched(_: Net, x: Tensor) -> Tensor:
    found: Tensor = poptorch.cond(x.sum() > 0, lambda: x + 1, [], lambda: x - 1, [])[0]
    return found


@pytest.mark.parametrize("body", [_looped, _branched])
def test_loops_and_branches_on_the_device_are_for_inference(body: Forward) -> None:
    wanted = {_looped: 8 * X, _branched: X + 1}[body]
    assert torch.equal(poptorch.inferenceModel(Net(body))(X), wanted)
    net = Net(lambda net, x: poptorch.identity_loss(body(net, x * net.weight).sum(), "none"))
    with pytest.raises(poptorch.Error, match="is only supported in inference"):
        training(net)(X)


def test_own_operations_check_what_they_are_given() -> None:
    with pytest.raises(ValueError, match="to be a list of tensors"):
        poptorch.for_loop(3, None, X)
    with pytest.raises(ValueError, match=r"list at index 0 is not torch\.tensor"):
        poptorch.for_loop(3, None, [1.0])
    with pytest.raises(ValueError, match="to be a list of tensors"):
        poptorch.cond(X, None, X, None, [])
    with pytest.raises(ValueError, match="non-ASCII"):
        poptorch.custom_op([X], "Mine", "own", 1, [X], {"mode": "\u00e9"})
    with pytest.raises(poptorch.Error, match=r"poptorch\.nop takes a torch\.tensor"):
        poptorch.nop(3.0)
    kept = poptorch.inferenceModel(
        Net(lambda net, x: poptorch.set_available_memory(poptorch.nop(x + 0), 0.3))
    )
    assert torch.equal(kept(X), X)
    assert torch.equal(poptorch.custom_op([X], "Mine", "own", 1, [X])[0], torch.zeros(2, 2))  # on the host
    assert torch.equal(poptorch.cond(X.sum() > 9, lambda: X, [], lambda: -X, [])[0], -X)
