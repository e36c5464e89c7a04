"""Networks of neurons under ``torch.compile``: the numbers of the same network uncompiled."""

from __future__ import annotations

import copy
import gc
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from test_nn_neurons import SEQUENCES, STEPPED, B, N, flat, signal
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter

import snnhw as snn
from snnhw.errors import InputError
from snnhw.nn.modules import graphs
from snnhw.tensors.scans import compiled

pytestmark = pytest.mark.usefixtures("one_thread")

LAYERS: dict[str, Any] = {
    "Leaky": lambda: snn.Leaky(0.8, learn_beta=True, threshold=torch.linspace(0.2, 0.6, N)),
    "Synaptic": lambda: snn.Synaptic(0.5, 0.8, learn_alpha=True, reset_mechanism="zero", reset_delay=False),
    "graded": lambda: snn.Leaky(
        0.8, graded_spikes_factor=2.0, learn_graded_spikes_factor=True, threshold=0.3
    ),
    **STEPPED,
}


@pytest.fixture(autouse=True)
def nothing_compiled() -> Iterator[None]:
    torch.manual_seed(3)
    yield
    torch.compiler.reset()


class Hidden(nn.Module):
    """Two steps; the states stay inside."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.fc, self.layer = nn.Linear(N, N), layer

    def forward(self, xs: Tensor) -> tuple[Tensor, ...]:
        return tuple(value for x in xs[:2] for value in flat(self.layer(self.fc(x))))


class Passed(Hidden):
    """Two steps; the states go from call to call."""

    def forward(self, xs: Tensor) -> tuple[Tensor, ...]:
        states: Any = ()
        found: tuple[Tensor, ...] = ()
        for x in xs[:2]:
            found = self.layer(self.fc(x), *states)
            states = found[1:]
        return found


def trained(net: nn.Module, run: Any, *, calls: int) -> list[Tensor]:
    """What calls return, the states after them, and the gradients."""
    found: list[Tensor] = []
    for xs in torch.split(signal(N), 2)[:calls]:
        values = run(xs)
        sum(value.sum() for value in values).backward()
        found += [value.detach() for value in values]
        for module in net.modules():
            if isinstance(module, snn.nn.SpikingNeuron):
                module.detach_hidden()
                found += [getattr(module, name) for name in module._hw_state_names]
    return [*found, *(param.grad for param in net.parameters() if param.grad is not None)]


def same(net: nn.Module, *, backend: str = "aot_eager", calls: int = 2, **options: Any) -> None:
    other = copy.deepcopy(net)
    run = torch.compile(net, fullgraph=True, backend=backend, **options)
    found, wanted = trained(net, run, calls=calls), trained(other, other, calls=calls)
    assert len(found) == len(wanted)
    for mine, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-7)
    assert all(value.count_nonzero() for value in wanted[-2:])


@pytest.mark.usefixtures("plain_torch")
@pytest.mark.parametrize("name", LAYERS)
def test_training_with_states_kept_inside(name: str) -> None:
    same(Hidden(LAYERS[name]()))


@pytest.mark.usefixtures("plain_torch")
@pytest.mark.parametrize("name", ["Leaky", "Synaptic", "inhibited"])
def test_training_with_states_passed_on(name: str) -> None:
    same(Passed(LAYERS[name]()), backend="eager", calls=1)


@pytest.mark.usefixtures("plain_torch")
@pytest.mark.parametrize("name", ["state", "linear-truncated", "parallel-full"])
def test_whole_sequences(name: str) -> None:
    kind, arguments, options = SEQUENCES[name]
    layer = getattr(snn, kind)(*arguments, **options)
    other, xs = copy.deepcopy(layer), signal(N).requires_grad_()
    run = torch.compile(layer, fullgraph=True, backend="aot_eager")
    grads = []
    for call in (run, other):
        found = flat(call(xs))
        grads.append([found[0], *torch.autograd.grad([value.sum() for value in found], [xs])])
    torch.testing.assert_close(grads[0], grads[1], rtol=1e-6, atol=1e-7)


@pytest.mark.usefixtures("plain_torch")
@pytest.mark.parametrize("name", ["Leaky", "RLeaky-linear"])
def test_evaluation(name: str) -> None:
    net = nn.Sequential(nn.Linear(N, N), LAYERS[name]())
    other, run = copy.deepcopy(net), torch.compile(net, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        for x in signal(N)[:4]:
            for mine, theirs in zip(run(x), other(x), strict=True):
                assert torch.equal(mine, theirs)
                assert not mine.requires_grad


@pytest.mark.usefixtures("plain_torch")
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # read by torch.compile
@pytest.mark.parametrize(("within", "graphs"), [(False, 1), pytest.param(True, 2, marks=pytest.mark.slow)])
def test_a_whole_step_is_compiled_once_if_it_is_given_a_net_at_rest(*, within: bool, graphs: int) -> None:
    """As docs/snntorch.md says: else what the last step left goes into it, which has a gradient."""
    net = nn.Sequential(nn.Linear(N, N), snn.Leaky(0.8, init_hidden=True, output=True))
    other = copy.deepcopy(net)

    def step(net: nn.Module, xs: Tensor) -> Tensor:
        if within:
            snn.utils.reset(net)
        return sum((net(x)[1].sum() for x in xs), torch.zeros(()))

    seen = CompileCounter()
    run: Any = torch.compile(step, fullgraph=True, backend=seen)
    for xs in torch.split(signal(N), 2)[:3]:
        for each in () if within else (net, other):
            snn.utils.reset(each)
        found, wanted = run(net, xs), step(other, xs)
        found.backward()
        assert found.item() == pytest.approx(wanted.item(), rel=1e-6)
    assert seen.frame_count == graphs


def test_the_kernels_of_the_device_run() -> None:
    same(Hidden(snn.Leaky(0.8, learn_beta=True, threshold=0.3)))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # inductor's own, when it is loaded
def test_inductor() -> None:
    same(Hidden(snn.RLeaky(0.8, linear_features=N, threshold=0.3)), backend="inductor")


@pytest.mark.usefixtures("plain_torch")
@pytest.mark.parametrize("name", ["Leaky", "RLeaky-linear"])
def test_any_batch(name: str) -> None:
    layer = LAYERS[name]()
    run: Any = torch.compile(layer, fullgraph=True, backend="aot_eager", dynamic=True)
    other = copy.deepcopy(layer)
    for batch in (3, 5, 7):
        x = torch.rand(batch, N)
        for mine, theirs in zip(run(x), other(x), strict=True):
            assert torch.equal(mine, theirs)
        snn.utils.reset(layer)
        snn.utils.reset(other)


@pytest.mark.usefixtures("plain_torch")
def test_options_changed_after_compiling_count() -> None:
    layer = snn.Leaky(0.5, init_hidden=True, output=True, threshold=1.0)
    run = torch.compile(layer, fullgraph=True, backend="aot_eager")
    x = torch.full((1, 1), 2.0)
    membranes = []
    for kind in ("none", "subtract_beta"):
        layer.reset_mem()
        layer.reset_mechanism = kind
        run(x)
        membranes.append(run(x)[1].item())
    assert membranes == [3.0, 2.5]
    layer.reset_mem()
    layer._hw_surrogate = snn.surrogate.fast_sigmoid(slope=3.0)
    leaf = torch.full((1, 1), 2.0, requires_grad=True)
    run(leaf)[0].sum().backward()
    assert leaf.grad is not None
    torch.testing.assert_close(leaf.grad.item(), 1 / 16)  # 1 / (1 + 3)^2, where ATan has 2 / 21.7


@pytest.mark.usefixtures("plain_torch")
def test_each_of_two_alike_is_itself() -> None:
    """One after the other at the same place, with other equations."""
    found = []
    for kind in ("none", "zero"):
        net = nn.Sequential(
            nn.Identity(), snn.Leaky(0.5, reset_mechanism=kind, init_hidden=True, output=True)
        )
        run = torch.compile(net, fullgraph=True, backend="aot_eager")
        run(torch.full((1, 1), 2.0))
        found.append(run(torch.full((1, 1), 2.0))[1].item())
        del net, run
    assert found == [3.0, 2.0]


@pytest.mark.usefixtures("plain_torch")
def test_a_function_of_ones_own_as_the_surrogate() -> None:
    def slope(z: Tensor, grad: Tensor, spikes: Tensor) -> Tensor:
        return torch.mul(grad * torch.special.i0(z), 1 + spikes)

    same(Hidden(snn.Leaky(0.8, threshold=0.3, spike_grad=snn.surrogate.custom_surrogate(slope))), calls=1)


@pytest.mark.usefixtures("plain_torch")
def test_noise_is_drawn_at_every_call() -> None:
    layer = snn.Leaky(0.8, spike_grad=snn.surrogate.SSO(mean=0.0, variance=0.2))
    run = torch.compile(layer, fullgraph=True, backend="aot_eager")
    x = torch.full((4, N), 0.5, requires_grad=True)
    grads = []
    for _ in range(2):
        layer.reset_mem()
        grads.append(torch.autograd.grad(run(x)[0].sum(), x)[0])
    assert not torch.equal(*grads)


@pytest.mark.usefixtures("plain_torch")
def test_noise_within_a_layer_of_several_ops_is_refused() -> None:
    layer = snn.RLeaky(0.8, linear_features=N, spike_grad=snn.surrogate.SSO())
    with pytest.raises(Exception, match="cannot stand in a graph") as caught:
        torch.compile(layer, fullgraph=True, backend="aot_eager")(torch.zeros(B, N))
    cause: BaseException | None = caught.value
    while cause is not None and not isinstance(cause, InputError):
        cause = cause.__cause__ or cause.__context__
    assert "RLeaky" in str(caught.value)


def test_the_ops_tell_the_truth_about_their_results() -> None:
    """Shapes, strides and memory are those that a graph is traced with."""
    layer = snn.DeltaLeaky(0.5, 0.8)  # its second state is the first as it was
    run = torch.compile(layer, fullgraph=True, backend="aot_eager")
    x = torch.rand(B, N, requires_grad=True)
    states = torch.rand(B, N, requires_grad=True), torch.rand(B, N, requires_grad=True)
    run(x, *states)[0].sum().backward()
    number = len(compiled._USES) - 1
    tensors = [x, *(layer._hw_tensor_of(name) for name in compiled._USES[number].step.params), *states]
    plain = [tensor.detach() for tensor in tensors]
    checks = ("test_schema", "test_faketensor")
    torch.library.opcheck(compiled._forward, (number, 1, (B, N), plain), test_utils=checks)
    adjoints = [torch.rand(B, N), None, torch.rand(B, N)]
    needs = [tensor.requires_grad for tensor in tensors]
    torch.library.opcheck(compiled._backward, (number, 1, (B, N), plain, adjoints, needs), test_utils=checks)


@pytest.mark.usefixtures("plain_torch")
def test_graphs_keep_no_layer_alive() -> None:
    layer = snn.Leaky(0.8)
    number = layer._hw_number
    torch.compile(layer, fullgraph=True, backend="aot_eager")(torch.zeros(B, N))
    assert number in graphs._LAYERS
    torch.compiler.reset()
    del layer
    gc.collect()
    assert number not in graphs._LAYERS
    one = snn.Leaky(0.8)
    assert copy.deepcopy(one)._hw_number != one._hw_number
