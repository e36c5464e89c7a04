"""Neurons in torch's machinery: in place, twice, traced, faked, exported, transformed, at lower precision."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call, grad, jacrev, jvp, vmap
from torch.fx.experimental.proxy_tensor import make_fx

import snnhw as snn
from snnhw.errors import InputError

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.*is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.*is not supported:DeprecationWarning"),
]

FLAT, SEQUENCE, IMAGE = (3, 8), (5, 3, 8), (3, 2, 6, 6)


class Delta(snn.DeltaLeaky):
    """With its states apart, as others have them."""

    def forward(self, x: Tensor, *states: Any) -> Any:  # type: ignore[override]
        given: Any = [states] if states else []
        spk, after = super().forward(x, *given)
        return spk, *after


LAYERS: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "Leaky": (lambda: snn.Leaky(beta=0.9), FLAT),
    "Leaky inhibition": (lambda: snn.Leaky(beta=0.9, inhibition=True), FLAT),
    "Synaptic": (lambda: snn.Synaptic(alpha=0.8, beta=0.9, reset_mechanism="zero"), FLAT),
    "Alpha": (lambda: snn.Alpha(alpha=0.9, beta=0.8), FLAT),
    "Lapicque": (lambda: snn.Lapicque(beta=0.9), FLAT),
    "DeltaLeaky": (lambda: Delta(0.5, beta=0.9), FLAT),
    "RLeaky": (lambda: snn.RLeaky(beta=0.9, linear_features=8), FLAT),
    "RSynaptic": (lambda: snn.RSynaptic(alpha=0.8, beta=0.9, linear_features=8), FLAT),
    "SLSTM": (lambda: snn.SLSTM(8, 8), FLAT),
    "SConv2dLSTM": (lambda: snn.SConv2dLSTM(2, 3, 3), IMAGE),
    "StateLeaky": (lambda: snn.StateLeaky(beta=0.9, channels=8), SEQUENCE),
    "LinearLeaky": (lambda: snn.LinearLeaky(beta=0.9, in_features=8, out_features=8), SEQUENCE),
    "LeakyParallel": (lambda: snn.LeakyParallel(8, 8), SEQUENCE),
    "AssociativeLeaky": (lambda: snn.AssociativeLeaky(8, 3, 3, 9), SEQUENCE),
}
every = pytest.mark.parametrize("name", LAYERS)


def many(out: Any) -> tuple[Tensor, ...]:
    return tuple(out) if isinstance(out, tuple) else (out,)


def made(name: str) -> tuple[Any, Tensor, tuple[Tensor, ...]]:
    """A layer, an input, and states to go on from."""
    make, shape = LAYERS[name]
    torch.manual_seed(0)
    layer, x = make(), 2 * torch.randn(shape)
    with torch.no_grad():
        found = many(layer(x)) if shape != SEQUENCE else ()
    states = found if name[0] == "R" else found[1:]
    return layer, x, tuple(torch.rand_like(state) for state in states)


def close(ours: Any, wanted: Any) -> None:
    for a, b in zip(many(ours), many(wanted), strict=True):
        torch.testing.assert_close(a.detach(), b.detach(), rtol=1e-5, atol=1e-5)


class Net(nn.Module):
    """A layer of one op and one of several, states handed from call to call."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.fc = nn.Linear(8, 8)
        self.lif = snn.Synaptic(alpha=0.8, beta=0.9)
        self.rec = snn.RLeaky(beta=0.9, linear_features=8)

    def forward(self, x: Tensor, syn: Tensor, mem: Tensor, spk: Tensor, last: Tensor) -> tuple[Tensor, ...]:
        fired, syn, mem = self.lif(self.fc(x), syn, mem)
        spk, last = self.rec(fired, spk, last)
        return spk, syn, mem, last


def arguments() -> tuple[Tensor, ...]:
    torch.manual_seed(1)
    return 2 * torch.randn(FLAT), *(torch.rand(FLAT) for _ in range(4))


# -- In place ---------------------------------------------------------------------------------------


@every
def test_what_a_layer_gives_may_be_changed_in_place(name: str) -> None:
    layer, x, states = made(name)
    found = []
    changes: list[Callable[[Tensor], Tensor]] = [lambda y: y.mul_(2.0).add_(1.0), lambda y: 2.0 * y + 1.0]
    for change in changes:
        leaf = x.clone().requires_grad_()
        out = many(layer(1.0 * leaf, *states))
        changed = [change(y) for y in out]
        torch.stack([y.square().sum() for y in changed]).sum().backward()
        found.append((*(y.detach() for y in changed), leaf.grad))
    for ours, wanted in zip(*found, strict=True):
        assert torch.equal(ours, wanted)


def test_a_membrane_that_was_changed_is_not_taken_for_what_it_was() -> None:
    lif, x = snn.Leaky(beta=0.9), torch.rand(FLAT, requires_grad=True)
    _, mem = lif(x)
    spk, _ = lif(x, mem)
    mem.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        spk.sum().backward()


# -- No gradient, and gradients of gradients --------------------------------------------------------


def test_a_parameter_that_nothing_reaches_has_no_gradient() -> None:
    lif = snn.Leaky(beta=0.9, learn_beta=True, learn_threshold=True, reset_mechanism="none")
    mem = torch.zeros(FLAT)
    for _ in range(3):
        _, mem = lif(torch.ones(FLAT), mem)
    mem.square().mean().backward()
    assert lif.threshold.grad is None
    assert lif.beta.grad is not None
    spk, _ = lif(torch.ones(FLAT), mem.detach())
    spk.sum().backward()
    assert lif.threshold.grad is not None


@pytest.mark.parametrize(
    "name", [name for name in LAYERS if name not in ("Leaky inhibition", "AssociativeLeaky")]
)
def test_derivatives_have_derivatives(name: str) -> None:
    """Numerically: of the gradients that a layer gives, by differences."""
    layer, x, states = made(name)
    layer = layer.double()
    given = tuple(y.double().requires_grad_() for y in (x, *states))
    ones = [torch.ones_like(y) for y in many(layer(*given))]

    def penalty(x: Tensor) -> Tensor:
        values = (x, *given[1:])
        total = torch.stack([y.mul(w).sum() for y, w in zip(many(layer(*values)), ones, strict=True)]).sum()
        slopes = torch.autograd.grad(total, values, create_graph=True, materialize_grads=True)
        return torch.stack([slope.square().sum() for slope in slopes]).sum()

    (second,) = torch.autograd.grad(penalty(given[0]), given[:1])
    step = 1e-6
    direction = torch.randn_like(given[0])
    near = [penalty((given[0] + sign * step * direction).detach().requires_grad_()) for sign in (1, -1)]
    wanted = (near[0] - near[1]) / (2 * step)
    torch.testing.assert_close((second * direction).sum(), wanted.detach(), rtol=1e-4, atol=1e-6)


@every
def test_gradients_with_a_graph_are_those_without(name: str) -> None:
    """Over several steps, where a state is made of the parameters that the next step reads besides it."""
    layer, x, states = made(name)
    for key in ("alpha", "beta", "threshold"):
        if key in layer._buffers:
            setattr(layer, key, nn.Parameter(layer._buffers.pop(key)))
    values = [x.requires_grad_(), *(param for param in layer.parameters() if param.requires_grad)]
    found = []
    for graph in (False, True):
        given, total = states, torch.zeros(())
        for _ in range(1 if LAYERS[name][1] == SEQUENCE else 3):
            out = many(layer(x, *given))
            given = out if name[0] == "R" else out[1:]
            total = total + torch.stack([(y * (1.0 + torch.arange(y.shape[-1]))).sum() for y in out]).sum()
        found.append(torch.autograd.grad(total, values, create_graph=graph, allow_unused=True))
    for once, again in zip(*found, strict=True):
        if once is not None:
            close(again / once.abs().max().clamp_min(1), once / once.abs().max().clamp_min(1))
    assert sum(gradient is not None for gradient in found[0]) > 1


def test_a_parameter_shared_by_a_layer_and_what_it_is_given_has_one_gradient() -> None:
    found: list[Any] = []
    for graph in (False, True):
        rate = torch.tensor(0.8, requires_grad=True)
        layer = snn.Leaky(rate, threshold=rate)
        spk, mem = layer(rate * torch.ones(FLAT))
        spk, mem = layer(spk + rate, mem)
        found += torch.autograd.grad(spk.sum() + 2 * mem.sum(), rate, create_graph=graph)
    assert found[0].item() == pytest.approx(found[1].item(), rel=1e-6)


def test_a_hessian_is_not_zero() -> None:
    net, (x, *states) = Net(), arguments()
    _, found = torch.autograd.functional.hvp(
        lambda x: net(x, *states)[2].square().sum() + net(x, *states)[0].sum(), x, torch.ones(FLAT)
    )
    assert found.abs().max() > 0.1


@pytest.mark.parametrize(
    ("layers", "paths", "words"),
    [
        (
            [nn.Linear(8, 8), snn.Leaky(beta=0.9, init_hidden=True), nn.Linear(8, 4)],
            "chains:apart",
            "1, 2 run as",
        ),
        (
            [nn.Linear(8, 8), snn.RLeaky(beta=0.9, linear_features=8, init_hidden=True)],
            "loops:recorded",
            r"1\..* feed each other through time",
        ),
    ],
    ids=["chain", "loop"],
)
def test_what_is_differentiated_once_says_who_and_what_to_do(
    layers: list[Any], paths: str, words: str
) -> None:
    net, x = nn.Sequential(*layers), 2 * torch.rand(4, 3, 8)

    def penalty(**options: object) -> Tensor:
        with snn.compile(net, x[0], backend="cpu", time_steps=4, options=options) as model:
            leaf = x.clone().requires_grad_()
            outputs, _ = model.torch_module()(leaf)
            (slope,) = torch.autograd.grad(outputs["output"].sum(), leaf, create_graph=True)
            slope.square().sum().backward()
            assert leaf.grad is not None
            return leaf.grad

    with pytest.raises(RuntimeError, match=rf"{words}.*option paths={paths}"):
        penalty()
    found = penalty(paths=paths)
    assert found.abs().max() > 0
    assert torch.isfinite(found).all()


# -- Traced, faked, exported ------------------------------------------------------------------------


@every
@pytest.mark.parametrize("learning", [False, True])
def test_a_trace_computes_what_the_layer_computes(name: str, learning: bool) -> None:
    layer, x, states = made(name)
    with torch.set_grad_enabled(learning):
        traced = torch.jit.trace(layer, (x, *states))  # its own check is on
        close(traced(1.3 * x, *states), layer(1.3 * x, *states))


def run(script: str, *files: Path) -> str:
    """In a new process that cannot import this package."""
    blocked = "import sys; sys.modules['snnhw'] = None\n"
    done = subprocess.run(
        [sys.executable, "-I", "-W", "ignore", "-c", blocked + script, *map(str, files)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


SAME = (
    "import torch\n"
    "given, wanted = torch.load(sys.argv[2])\n"
    "print(all(torch.allclose(a, b, atol=1e-5) for a, b in zip(net(*given), wanted, strict=True)))"
)


def test_a_saved_trace_runs_without_this_package(tmp_path: Path) -> None:
    net, given = Net(), arguments()
    with torch.no_grad():
        torch.jit.trace(net, given).save(tmp_path / "net.pt")
        other = tuple(1.3 * x for x in given)
        torch.save((other, net(*other)), tmp_path / "numbers.pt")
    script = f"import torch\nnet = torch.jit.load(sys.argv[1])\n{SAME}"
    assert run(script, tmp_path / "net.pt", tmp_path / "numbers.pt") == "True"


def test_a_saved_export_runs_without_this_package(tmp_path: Path) -> None:
    """It holds what a neuron computes, and no number of this process."""
    net, given = Net(), arguments()
    snn.Leaky(beta=0.1)(torch.rand(FLAT))  # another neuron, lest there be only one to take
    with torch.no_grad():
        torch.export.save(torch.export.export(net, given), tmp_path / "net.pt2")
        other = tuple(1.3 * x for x in given)
        torch.save((other, net(*other)), tmp_path / "numbers.pt")
    script = f"import torch\nnet = torch.export.load(sys.argv[1]).module()\n{SAME}"
    assert run(script, tmp_path / "net.pt2", tmp_path / "numbers.pt") == "True"


def test_a_strict_export_says_what_to_do() -> None:
    with pytest.raises(Exception, match=r"export with strict=False") as caught:
        torch.export.export(Net(), arguments(), strict=True)
    assert "Net" in str(caught.value) or InputError.__name__ in str(caught.value)


def test_fake_tensors_stay_fake_and_real_ones_come_after() -> None:
    net, given = Net(), arguments()
    wanted = net(*given)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        found = net(*(mode.from_tensor(x) for x in given))
    assert [type(y).__name__ for y in found] == ["FakeTensor"] * 4
    assert [y.shape for y in found] == [y.shape for y in wanted]
    close(net(*given), wanted)


def test_a_graph_of_make_fx_computes_the_same_for_other_numbers() -> None:
    net, given = Net(), arguments()
    other = tuple(1.3 * x for x in given)
    with torch.no_grad():
        graph = make_fx(lambda *xs: net(*xs))(*given)  # noqa: PLW0108  # a module is traced as one
        close(graph(*other), net(*other))

    def slope(x: Tensor) -> Tensor:
        leaf = x.detach().requires_grad_()
        spk, _, mem, _ = net(leaf, *given[1:])
        return torch.autograd.grad(spk.sum() + mem.sum(), leaf)[0]

    close(make_fx(slope)(given[0])(other[0]), slope(other[0]))


# -- Transformed ------------------------------------------------------------------------------------


@every
def test_vmap_is_a_loop(name: str) -> None:
    layer, x, states = made(name)
    xs = torch.stack([x, 0.5 * x, -x])
    with torch.no_grad():
        wanted = [many(layer(x, *states)) for x in xs]
        found = many(vmap(lambda x: layer(x, *states))(xs))
    close(found, tuple(torch.stack(parts) for parts in zip(*wanted, strict=True)))


def test_forward_and_backward_derivatives_agree() -> None:
    net, (x, *states) = Net(), arguments()

    def of(x: Tensor) -> Tensor:
        mem: Tensor = net(x, *states)[2]
        return mem

    wanted = torch.autograd.functional.jacobian(of, x)
    close(jacrev(of)(x), wanted)
    direction = torch.randn(FLAT)
    close(jvp(of, (x,), (direction,))[1], torch.einsum("abcd,cd->ab", wanted, direction))


def test_gradients_of_every_sample_are_those_of_one_alone() -> None:
    net, (x, *states) = Net(), arguments()
    params: dict[str, Tensor] = dict(net.named_parameters())

    def loss(params: dict[str, Tensor], x: Tensor) -> Tensor:
        spk, _, mem, _ = functional_call(net, params, (x[None], *(state[:1] for state in states)))
        total: Tensor = spk.sum() + mem.square().sum()
        return total

    found = vmap(grad(loss), in_dims=(None, 0))(params, x)["fc.weight"]
    alone = [torch.autograd.grad(loss(params, row), params["fc.weight"])[0] for row in x]
    close(found, torch.stack(alone))


# -- At lower precision -----------------------------------------------------------------------------


@every
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_layers_run_under_autocast_and_keep_states_in_float32(name: str, dtype: torch.dtype) -> None:
    layer, x, states = made(name)
    wanted = many(layer(x, *states))
    leaf = x.clone().requires_grad_()
    with torch.autocast("cpu", dtype=dtype):
        found = many(layer(leaf, *states))
    assert {y.dtype for y in found} == {torch.float32}
    torch.testing.assert_close(found[-1], wanted[-1], rtol=0.05, atol=0.2)  # products have 8 bits in bfloat16
    torch.stack([y.square().sum() for y in found]).sum().backward()
    assert leaf.grad is not None
    assert torch.isfinite(leaf.grad).all()


@pytest.mark.parametrize("name", ["Leaky", "Leaky inhibition", "RLeaky", "RSynaptic", "SLSTM", "SConv2dLSTM"])
def test_half_precision_rounds_spikes_and_no_state(name: str) -> None:
    layer, x, states = made(name)
    out = many(layer.bfloat16()(x.bfloat16(), *states))
    count = len(out) - len(layer._hw_state_names) if name[0] != "R" else 1
    assert {y.dtype for y in out[:count]} == {torch.bfloat16}
    assert {y.dtype for y in out[max(1, count) :]} == {torch.float32}
