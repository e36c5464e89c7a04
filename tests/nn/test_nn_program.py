"""Programs as torch modules: step by step, at once, copied, saved, captured again."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import snnhw as snn
from snnhw.errors import CaptureError, InputError, ProgramError
from snnhw.ir import MODELS, Edge, FrozenMap, Input, Linear, Output, Program, TimeAxis, init_params
from snnhw.ir import Neuron as NeuronOp
from snnhw.nn import capture

pytestmark = pytest.mark.usefixtures("one_thread", "plain_torch")

T, B = 6, 3


def signal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0)) * 2


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(5, 6),
        snn.Leaky(beta=0.8, init_hidden=True, threshold=0.5, learn_beta=True),
        nn.Linear(6, 4, bias=False),
        snn.Synaptic(alpha=0.5, beta=0.8, init_hidden=True, output=True, threshold=0.5),
    )


def module() -> tuple[Any, nn.Sequential]:
    net = network()
    captured = capture(net, torch.zeros(B, 5))
    return snn.from_program(captured.program, captured.params), net


def steps(net: Any, x: Tensor) -> tuple[Tensor, ...]:
    snn.utils.reset(net)
    return tuple(torch.stack(values) for values in zip(*(net(now) for now in x), strict=True))


def test_steps_are_those_of_the_network_it_came_from() -> None:
    made, net = module()
    x = signal(T, B, 5)
    torch.testing.assert_close(steps(made, x), steps(net, x))
    assert 0 < steps(made, x)[0].mean() < 1
    assert set(made.state) == {"1.mem", "3.syn", "3.mem"}
    torch.testing.assert_close(made.sequence(x), steps(net, x))


def test_gradients_pass_through_the_steps() -> None:
    made, net = module()
    x = signal(T, B, 5)
    for one in (made, net):
        sum(y.sum() for y in steps(one, x)).backward()  # type: ignore[union-attr]  # tensors
    ours = {name.replace("/", "."): param.grad for name, param in made.named_parameters()}
    theirs = {name: param.grad for name, param in net.named_parameters()}
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    assert all(grad.count_nonzero() for grad in theirs.values() if grad is not None)
    made.detach_hidden()
    assert not any(value.requires_grad for value in made.state.values())


def test_the_states_go_on_until_reset() -> None:
    made, _ = module()
    x = signal(T, B, 5)
    first, again = made(x[0])[2], made(x[0])[2]
    assert not torch.equal(first, again)
    made.sequence(x)
    before = made.state
    assert before is not None
    made.reset_mem()
    assert torch.equal(made(x[0])[2], first)
    with pytest.raises(InputError, match=r"state '1.mem' has shape \[3, 6\]"):
        made(torch.zeros(2, 5))


@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("grad", [False, True])
def test_parameters_of_several_dtypes(loop: bool, grad: bool) -> None:
    """As files have them: a kernel would take the halves of doubles for singles."""
    leaky = NeuronOp(MODELS["Leaky"], param_shapes=FrozenMap({"beta": (4,)}), quantised=True)
    nodes = {"x": Input((3,)), "fc": Linear(3, 4), "lif": leaky, "rec": Linear(4, 4), "out": Output()}
    edges = [Edge("x.y", "fc.x"), Edge("fc.y", "lif.x"), Edge("rec.y", "lif.x"), Edge("lif.spk", "out.x")]
    back = [Edge("lif.spk", "rec.x", delay=1)] if loop else [Edge("fc.y", "rec.x")]
    program = Program(FrozenMap(nodes), (*edges, *back), trainable=frozenset({"lif.beta", "fc.weight"}))
    single = init_params(program, seed=1, given={"lif.beta": 0.75, "lif.levels": np.arange(-8, 9) / 4})
    double = {key: x.astype(np.float64) if key.startswith("lif") else x for key, x in single.items()}
    x = signal(T, B, 3)
    spikes, gradients = [], []
    for params in (single, double):
        made = snn.from_program(program, params)
        with torch.set_grad_enabled(grad):
            at_once, in_steps = made.sequence(x), torch.stack([made(now) for now in x])
        torch.testing.assert_close(at_once, in_steps, rtol=0, atol=0)
        spikes.append(at_once)
        if grad:
            at_once.sum().backward()
            gradients.append([p.grad for p in made.parameters() if p.grad is not None])
    assert 0 < spikes[0].sum() < spikes[0].numel()
    torch.testing.assert_close(*spikes, rtol=0, atol=0)
    for one, other in zip(*gradients, strict=True) if grad else ():
        torch.testing.assert_close(one, other, check_dtype=False)


def test_a_state_dict_goes_round() -> None:
    made, _ = module()
    names = set(made.state_dict())
    assert names == {key.replace(".", "/") for key in made.program.params()}
    other = snn.from_program(
        made.program, init_params(made.program, given={"1.beta": 0.1, "3.alpha": 0.1, "3.beta": 0.1})
    )
    other.load_state_dict(made.state_dict())
    x = signal(T, B, 5)
    torch.testing.assert_close(other.sequence(x), made.sequence(x), rtol=0, atol=0)


@pytest.mark.parametrize(
    "twin", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))], ids=["copy", "pickle"]
)
def test_copies_go_on_from_the_same_state(twin: Any) -> None:
    made, _ = module()
    x = signal(T, B, 5)
    made(x[0])
    other = twin(made)
    torch.testing.assert_close(other(x[1]), made(x[1]), rtol=0, atol=0)


def test_captured_again_it_is_the_same_program() -> None:
    made, net = module()
    with torch.no_grad():
        made.get_parameter("0/bias").fill_(0.5)
    program, params, names = capture(made, torch.zeros(B, 5))
    assert program == capture(net, torch.zeros(B, 5)).program
    assert params["0.bias"].tolist() == [0.5] * 6
    assert names["0.bias"] == "0/bias"
    with snn.compile(made, torch.zeros(B, 5), backend="cpu", time_steps=T) as model:
        model.write_back(made)
        x = signal(T, B, 5)
        torch.testing.assert_close(model(x), made.sequence(x))
    with pytest.raises(
        CaptureError, match=r"the sample for 'input' has shape \[3, 4\]; its program takes \[B, 5\]"
    ):
        capture(made, torch.zeros(B, 4))


def recurrent() -> Any:
    """Two inputs, one of them static, and spikes fed back through a delay."""
    nodes = {
        "x": Input((4,)),
        "bias": Input((4,)),
        "own": NeuronOp(snn.Leaky.model),
        "back": Linear(4, 4),
        "out": Output(),
    }
    edges = (
        Edge("x.y", "own.x"),
        Edge("bias.y", "own.x"),
        Edge("back.y", "own.x"),
        Edge("own.spk", "back.x", delay=1),
        Edge("own.spk", "out.x"),
    )
    weights = frozenset({"back.weight", "back.bias"})
    program = Program(FrozenMap(nodes), edges, TimeAxis(static_inputs=("bias",)), weights)
    return snn.from_program(program, init_params(program, given={"own.beta": 0.5}))


def test_delays_and_static_inputs() -> None:
    made = recurrent()
    x, bias = signal(T, B, 4), signal(B, 4) / 4
    stepped = torch.stack([made(now, bias=bias) for now in x])
    assert torch.equal(stepped, made.sequence(x, bias))
    assert 0 < stepped.mean() < 1
    with pytest.raises(InputError, match="this network takes, once each, x, bias"):
        made(x[0])


class Outer(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.fc, self.inner, self.lif = nn.Linear(4, 4), inner, snn.Leaky(beta=0.5, init_hidden=True)

    def forward(self, x: Tensor, y: Tensor) -> Any:
        return self.lif(self.inner(self.fc(x), bias=y) + x)


def test_inside_another_network() -> None:
    torch.manual_seed(1)
    net = Outer(recurrent())
    x, y = signal(T, B, 4), signal(T, B, 4) / 4
    captured = capture(net, (x[0], y[0]))
    assert list(captured.program.nodes) == ["x", "y", "fc", "inner.own", "inner.back", "add", "lif", "output"]
    assert captured.names["inner.back.weight"] == "inner.back/weight"
    assert "inner.back.weight" in captured.program.trainable
    with snn.compile(net, (x[0], y[0]), backend="cpu", time_steps=T) as model:
        found = model((x, y))
    wanted = torch.stack([net(*now) for now in zip(x, y, strict=True)])
    assert torch.equal(torch.as_tensor(found), wanted)


class Twice(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Any:
        return self.inner(self.inner(x, bias=x), bias=x)


class Less(Twice):
    def forward(self, x: Tensor) -> Any:
        return self.inner(x)


def test_what_cannot_be_inlined() -> None:
    sample = torch.zeros(B, 4)
    with pytest.raises(
        CaptureError, match="'inner' is called twice within a step, but has one state; use two"
    ):
        capture(Twice(recurrent()), sample)
    with pytest.raises(CaptureError, match="'inner' takes x, bias, but is given x"):
        capture(Less(recurrent()), sample)
    with pytest.raises(CaptureError, match=r"'inner' takes samples of shape \[4\] as 'x', not \[5\]"):
        capture(Twice(recurrent()), torch.zeros(B, 5))


def test_parameters_that_do_not_fit() -> None:
    made, _ = module()
    with pytest.raises(ProgramError, match="weight"):
        snn.from_program(made.program, {})
