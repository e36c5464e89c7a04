"""Surrogates from functions of the user's own."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnhw as snn
from snnhw import ir, surrogate
from snnhw.errors import InputError, ProgramError, Unsupported
from snnhw.ir import ATan, Custom, FastSigmoid, Opaque
from snnhw.tensors.custom import of_callable

pytestmark = pytest.mark.usefixtures("one_thread", "plain_torch")

theirs = pytest.importorskip("snntorch.surrogate", reason="the oracle: pip install snntorch==1.0.0")

GRID = torch.linspace(-3, 3, 61, dtype=torch.float64)
SLOPE = 5
FACTOR = torch.tensor(0.5)


def example(input_: Any, grad_input: Any, spikes: Any) -> Any:  # noqa: ARG001  # snnTorch's own example
    slope = 25
    return grad_input / (slope * torch.abs(input_) + 1.0) ** 2


def clipped(input_: Any, grad_input: Any, spikes: Any) -> Any:  # noqa: ARG001
    grad = grad_input / (torch.abs(input_) + 1.0)
    return grad.clamp(-0.5, 0.5)


def written(input_: Any, grad_input: Any, spikes: Any) -> Any:  # noqa: ARG001
    grad = grad_input.clone()
    grad[input_ >= 0] = -grad[input_ >= 0]
    return grad


def normed(input_: Any, grad_input: Any, spikes: Any) -> Any:  # noqa: ARG001
    return grad_input / input_.abs().max()


def chosen(input_: Any, grad_input: Any, spikes: Any) -> Any:  # noqa: ARG001
    return grad_input if (input_ > 0).any() else 0 * grad_input


def inplace(input_: Any, grad_input: Any, spikes: Any) -> Any:  # noqa: ARG001
    return grad_input.mul_(2)


def noisy(input_: Any, grad_input: Any, spikes: Any) -> Any:  # noqa: ARG001
    return grad_input * torch.rand_like(input_)


TRACED = {
    "example": example,
    "leaky": lambda x, g, s: g * s + g * (1 - s) * 0.25,
    "masked": lambda x, g, s: torch.where((x > -1) & (x <= 1), g, torch.zeros_like(g)),
    "boxed": lambda x, g, s: g * (x.abs() < 0.5).to(g.dtype),
    "sigmoid": lambda x, g, s: g * torch.sigmoid(SLOPE * x) * (1 - torch.sigmoid(SLOPE * x)),
    "tensor": lambda x, g, s: FACTOR * g.clone() * torch.exp(-(x**2)),
    "triangle": lambda x, g, s: g * nn.functional.relu(1 - x.abs()),
    "reversed": lambda x, g, s: -2 * g / (1 + x.pow(2)) - g * 3,
}
OPAQUE = {
    clipped: r"line \d+, 'return grad.clamp\(-0.5, 0.5\)': it is not linear in the gradient",
    written: r"line \d+, 'grad\[input_ >= 0\] = .*': indexing is not among the pointwise operations",
    normed: r"line \d+, 'return grad_input / .*': 'max' of a tensor is not among the pointwise",
    chosen: r"line \d+, 'return grad_input if .*': 'any' of a tensor is not among the pointwise",
    inplace: r"line \d+, 'return grad_input.mul_\(2\)': 'mul_' of a tensor is not among",
    noisy: r"line \d+, .*'rand_like' is not among",
}


def slopes(function: Any, z: Tensor = GRID) -> Tensor:
    leaf = z.clone().requires_grad_()
    spikes = function(leaf)
    assert spikes.tolist() == (z > 0).double().tolist()
    spikes.backward(torch.linspace(1, 2, z.numel(), dtype=spikes.dtype))
    assert leaf.grad is not None
    return leaf.grad


@pytest.mark.parametrize("function", TRACED.values(), ids=TRACED)
def test_multiples_of_the_gradient_become_expressions(function: Any) -> None:
    found = surrogate.custom_surrogate(function)
    assert isinstance(found, Custom), getattr(found, "why", "")
    torch.testing.assert_close(
        slopes(found), slopes(theirs.custom_surrogate(function)), rtol=1e-6, atol=1e-12
    )
    assert pickle.loads(pickle.dumps(found)) == copy.deepcopy(found) == found


@pytest.mark.parametrize("function", OPAQUE, ids=lambda function: function.__name__)
def test_others_run_as_they_are_and_say_why(function: Any) -> None:
    found = surrogate.custom_surrogate(function)
    assert isinstance(found, Opaque)
    with pytest.raises(AssertionError, match=OPAQUE[function]):
        raise AssertionError(found.why)
    assert repr(found).startswith(f"Opaque({function.__name__} (test_tensors_custom.py, line ")
    assert pickle.loads(pickle.dumps(found)) == copy.deepcopy(found) == found
    if function is not noisy:
        # snnTorch's spikes are float32 whatever the network is, and so is what flows through them
        torch.testing.assert_close(
            slopes(found), slopes(theirs.custom_surrogate(function)), rtol=1e-6, atol=0
        )


def test_a_trace_is_held_against_the_function() -> None:
    def other(input_: Any, grad_input: Any, spikes: Any) -> Any:  # noqa: ARG001
        return grad_input * (2.0 if isinstance(input_, Tensor) else 1.0)

    assert surrogate.custom_surrogate(other).why.startswith("called on tensors it gives other numbers")  # type: ignore[attr-defined]  # opaque


def test_what_returns_no_gradient() -> None:
    found = surrogate.custom_surrogate(lambda x, g, s: x)
    assert isinstance(found, Opaque)
    assert found.why == "what it returns, z, is not a multiple of the gradient"


def test_tensors_that_learn_are_refused() -> None:
    slope = torch.tensor(2.0, requires_grad=True)
    with pytest.raises(InputError, match=r"reads 'slope', a tensor that requires a gradient.*slope.item\(\)"):
        surrogate.custom_surrogate(lambda x, g, s: g * slope)
    with pytest.raises(InputError, match=r"a function \(input_, grad_input, spikes\) -> gradient, not 25"):
        surrogate.custom_surrogate(25)  # type: ignore[arg-type]  # that this is an error is the point


# -- In neurons -----------------------------------------------------------------------------------


class Mine(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        ctx.save_for_backward(z)
        return (z > 0).float()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        found: Tensor = grad / (1 + 25 * ctx.saved_tensors[0].abs()) ** 2
        return found


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (FastSigmoid, FastSigmoid()),
        (ATan.apply, ATan()),
        (surrogate.ATan.apply, ATan()),
        (lambda z: FastSigmoid.apply(z, 4), Custom(FastSigmoid(4).derivative(ir.var("z")))),
    ],
    ids=["class", "apply", "alias", "lambda"],
)
def test_forms_of_our_own_surrogates(given: Any, meant: Any) -> None:
    assert snn.Leaky(0.9, spike_grad=given)._hw_surrogate == meant


def gradients(layer: Any, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    x = (torch.rand(6, 3, 2, 4, generator=torch.Generator().manual_seed(0)) * 2).to(dtype).requires_grad_()
    mem, total = layer.reset_mem(), torch.zeros((), dtype=dtype)
    for step, value in enumerate(x):
        spk, mem = layer(value, mem)
        total = total + (step + 1) * spk.sum() + (mem * mem).sum()
    total.backward()
    assert x.grad is not None
    return [total.detach(), x.grad, *(p.grad for p in layer.parameters())]


@pytest.mark.parametrize("reset", ["subtract", "zero"])
@pytest.mark.parametrize("delay", [True, False])
@pytest.mark.parametrize("given", [Mine.apply, theirs.fast_sigmoid()], ids=["autograd", "snntorch"])
def test_a_function_of_tensors_in_a_neuron(given: Any, reset: str, delay: bool) -> None:
    told: dict[str, Any] = {"learn_beta": True, "learn_threshold": True, "reset_mechanism": reset}
    told |= {"reset_delay": delay, "graded_spikes_factor": 2.0, "learn_graded_spikes_factor": True}
    found = gradients(snn.Leaky(0.8, spike_grad=given, **told))
    wanted = gradients(snn.Leaky(0.8, spike_grad=surrogate.fast_sigmoid(), **told))
    assert torch.equal(found[0], wanted[0])
    for ours, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, other, rtol=1e-5, atol=1e-6)


def test_quantised_states_and_a_clamped_beta() -> None:
    told: dict[str, Any] = {"learn_beta": True, "state_quant": torch.linspace(-1, 2, 7)}
    for ours, other in zip(
        gradients(snn.Leaky(1.0, spike_grad=Mine.apply, **told)),
        gradients(snn.Leaky(1.0, spike_grad=FastSigmoid(), **told)),
        strict=True,
    ):
        torch.testing.assert_close(ours, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda z: z.sum(), r"<lambda>.* returns \(\) for an input of shape \(1,\)"),
        (lambda z: 1.0, r"<lambda>.* returns float for an input of shape \(1,\)"),
    ],
)
def test_functions_that_give_no_spikes(given: Any, message: str) -> None:
    layer = snn.Leaky(0.9, spike_grad=given)
    with pytest.raises(InputError, match=message):
        layer(torch.tensor([0.8], requires_grad=True))


def test_in_a_program_a_function_that_fires_otherwise_is_refused_at_the_step_that_shows_it() -> None:
    surrogate: Any = of_callable(lambda z: (z >= -0.5).float())
    with pytest.raises(InputError, match=r"<lambda>.* gives other spikes than 1 where z > 0"):
        surrogate(torch.tensor([-0.2]))


# -- In programs ----------------------------------------------------------------------------------


def network(given: Any) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), snn.Leaky(0.8, spike_grad=given, init_hidden=True))


def step_of(given: Any, backend: str) -> Tensor:
    net = network(given)
    model = snn.compile(
        net,
        torch.zeros(2, 3),
        backend=backend,
        time_steps=4,
        loss=snn.functional.ce_count_loss(),
        optimizer=snn.optim.SGD(lr=1.0),
    )
    numbers = torch.Generator().manual_seed(1)
    model.step(torch.rand(4, 2, 3, generator=numbers) * 3, torch.tensor([1, 4]))
    model.write_back(net)
    return next(net.parameters()).detach().clone()


def test_the_cpu_trains_through_functions() -> None:
    before = next(network(None).parameters())
    found, wanted = step_of(Mine.apply, "cpu"), step_of(surrogate.fast_sigmoid(), "cpu")
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)
    assert not torch.equal(found, before)


def test_a_traced_function_trains_anywhere() -> None:
    own = surrogate.custom_surrogate(example)
    torch.testing.assert_close(step_of(own, "reference"), step_of(own, "cpu"), rtol=1e-5, atol=1e-6)


def test_others_refuse_to_train_through_it_and_run_it() -> None:
    given = surrogate.custom_surrogate(clipped)
    with pytest.raises(Unsupported, match=r"1 \(Neuron\): the surrogate clipped .*grad.clamp.*not linear"):
        step_of(given, "reference")
    snn.compile(network(given), torch.zeros(2, 3), backend="reference", time_steps=4)


def test_files_hold_expressions_and_refuse_functions(tmp_path: Path) -> None:
    program, params, *_ = snn.capture(network(surrogate.custom_surrogate(example)), torch.zeros(2, 3))
    ir.save(tmp_path / "net.safetensors", program, params)
    assert ir.load(tmp_path / "net.safetensors")[0] == program
    program, params, *_ = snn.capture(network(surrogate.custom_surrogate(clipped)), torch.zeros(2, 3))
    with pytest.raises(ProgramError, match="no file can hold a function: the surrogate clipped"):
        ir.save(tmp_path / "other.safetensors", program, params)
