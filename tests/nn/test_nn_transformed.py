"""What is left when a transformation of torch is over, and surrogates that are transformed by themselves."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import grad, jacrev, jvp, vmap
from torch.fx.experimental.proxy_tensor import make_fx

import snnhw as snn
from snnhw.errors import InputError
from snnhw.functional.quant import state_quant
from snnhw.tensors.spiketime import spike_steps

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.*is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.*is not supported:DeprecationWarning"),
]

X = torch.rand(3, 8, generator=torch.Generator().manual_seed(0))


def batched(lif: nn.Module) -> None:
    vmap(lif)(torch.stack([X, X]))


def sampled(lif: nn.Module) -> None:
    vmap(grad(lambda x: lif(x[None]).sum()))(X)


def faked(lif: nn.Module) -> None:
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        lif(mode.from_tensor(X))


def sloped(lif: nn.Module) -> None:
    grad(lambda x: lif(x).sum())(X)


def pushed(lif: nn.Module) -> None:
    jvp(lif, (X,), (X,))


@pytest.mark.parametrize("over", [batched, sampled, faked])
def test_a_state_without_values_is_told_and_may_be_reset(over: Callable[[nn.Module], None]) -> None:
    lif = snn.Leaky(beta=0.9, init_hidden=True)
    wanted = lif(X)
    snn.utils.reset(lif)
    over(lif)
    with pytest.raises(
        InputError, match=r"Leaky: its state 'mem' was computed within .* call snnhw.utils.reset"
    ):
        lif(X)
    snn.utils.reset(lif)
    assert torch.equal(lif(X), wanted)


@pytest.mark.parametrize("over", [batched, sampled, faked])
def test_what_has_no_values_is_copied_and_moved_as_at_rest(over: Callable[[nn.Module], None]) -> None:
    wanted = snn.Leaky(beta=0.9)(X)[0]
    changes: list[Callable[[Any], Any]] = [copy.deepcopy, lambda lif: lif.to("cpu")]
    for change in changes:
        lif = snn.Leaky(beta=0.9, init_hidden=True)
        over(lif)
        assert torch.equal(change(lif)(X), wanted)


@pytest.mark.parametrize("over", [sloped, pushed])
def test_a_state_goes_on_after_a_gradient(over: Callable[[nn.Module], None]) -> None:
    lif, other = (snn.Leaky(beta=0.9, init_hidden=True, output=True) for _ in range(2))
    other(X)
    over(_Spikes(lif))
    wanted = other(X)
    for layer in (copy.deepcopy(lif), lif):
        assert torch.equal(layer(X)[1], wanted[1])


class _Spikes(nn.Module):
    def __init__(self, lif: nn.Module) -> None:
        super().__init__()
        self.lif = lif

    def forward(self, x: Tensor) -> Any:
        return self.lif(x)[0]


WAYS: dict[str, Callable[[Any, Tensor], Callable[[Tensor], Any]]] = {
    "jit.trace": lambda net, x: torch.jit.trace(net, (x,), check_trace=False),  # a check calls the net again
    "export": lambda net, x: torch.export.export(net, (x,)).module(),
    "make_fx": lambda net, x: make_fx(net)(x),
}


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_a_graph_begins_with_the_states_that_it_found_at_every_call(way: str, deep: bool) -> None:
    """They are its constants: of a net that was called they are what that call left, until a reset."""
    net: Any = snn.Leaky(beta=0.9, init_hidden=True)
    net = nn.Sequential(nn.Flatten(), net) if deep else net
    lif = net[1] if deep else net
    with torch.no_grad():
        rested = net(1.3 * X)
        mem = lif.mem.clone()
        after = net(1.3 * X)
        assert not torch.equal(after, rested)
        lif.mem = mem
        called = WAYS[way](net, X)
        snn.utils.reset(net)
        fresh = WAYS[way](net, X)
        for _ in range(2):
            assert torch.equal(called(1.3 * X), after)
            assert torch.equal(fresh(1.3 * X), rested)


def own(z: Tensor, given: Tensor, _: Tensor) -> Tensor:
    return given / (1 + z.abs()) ** 2


def blind(z: Tensor, given: Tensor, _: Tensor) -> Tensor:
    return given * torch.where(z.abs() < 0.3, torch.ones_like(z), 0.1)


CALLED: dict[str, Callable[[Tensor], Tensor]] = {
    "atan": snn.surrogate.atan(),
    "triangle": snn.surrogate.triangle(),
    "LSO": snn.surrogate.LSO(),
    "a function": snn.surrogate.custom_surrogate(own),
    "an opaque one": snn.surrogate.custom_surrogate(blind),
    "state_quant": state_quant(4),
    "spike_steps": lambda z: spike_steps((z > 0).to(z.dtype) * z, 2),
}


@pytest.mark.parametrize("name", CALLED)
def test_what_is_called_on_tensors_may_be_transformed(name: str) -> None:
    call, z = CALLED[name], torch.randn(4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    leaf = z.clone().requires_grad_()
    call(leaf).square().sum().backward()

    def total(z: Tensor) -> Tensor:
        return call(z).square().sum()

    assert leaf.grad is not None
    torch.testing.assert_close(grad(total)(z), leaf.grad)
    torch.testing.assert_close(jacrev(total)(z), leaf.grad)
    both = torch.stack([z, -z])
    assert torch.equal(vmap(call)(both), torch.stack([call(z), call(-z)]))
    torch.testing.assert_close(vmap(grad(total))(both)[0], leaf.grad)
    assert torch.equal(torch.jit.trace(lambda z: call(z), (z,), check_trace=False)(-z), call(-z))  # noqa: PLW0108
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        assert type(call(mode.from_tensor(z))).__name__ == "FakeTensor"


@pytest.mark.parametrize("full", [False, True])
def test_the_weights_of_leaky_parallel_are_called_where_somebody_listens(full: bool) -> None:
    torch.manual_seed(0)
    layer, x = snn.LeakyParallel(8, 6, weight_hh_enable=full), 2 * torch.randn(5, 3, 8)
    wanted, heard = layer(x), []
    layer.rnn.register_forward_hook(lambda _, __, found: heard.append([y.shape for y in found]))
    assert torch.equal(layer(x), wanted)
    assert heard == [[(5, 3, 6), (1, 3, 6)]]
