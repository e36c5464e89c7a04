"""Neurons with constructors or calls of their own: whole sequences, layers of several ops, refusals."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnhw as snn
from snnhw.errors import InputError
from snnhw.reference import execute

pytestmark = [
    pytest.mark.usefixtures("one_thread", "plain_torch"),
    pytest.mark.filterwarnings("ignore:Inhibition is an unstable feature:UserWarning"),  # snnTorch's own
]

T, B, N = 8, 3, 6

SEQUENCES: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]] = {
    "state": ("StateLeaky", (0.7, N), {}),
    "state-vector": ("StateLeaky", (torch.linspace(0.2, 0.9, N), N), {"learn_beta": True}),
    "state-truncated": ("StateLeaky", (0.7, N), {"kernel_truncation_steps": 3}),
    "state-membranes": ("StateLeaky", (0.7, N), {"output": False}),
    "linear": ("LinearLeaky", (0.7, N, 4), {}),
    "linear-truncated": ("LinearLeaky", (0.7, N, 4), {"kernel_truncation_steps": 2, "bias": False}),
    "parallel": ("LeakyParallel", (N, 4), {"beta": 0.6, "threshold": 0.5}),
    "parallel-learnt": ("LeakyParallel", (N, 4), {"learn_beta": True, "threshold": 0.2}),
    "parallel-full": ("LeakyParallel", (N, 4), {"weight_hh_enable": True, "threshold": 0.2}),
    "parallel-unbiased": ("LeakyParallel", (N, 4), {"beta": 0.5, "bias": False, "threshold": 0.2}),
    "associative": ("AssociativeLeaky", (N, 3, 3, 9), {}),
    "associative-spikes": ("AssociativeLeaky", (N, 3, 2, 6, False), {}),
}

STEPPED: dict[str, Callable[[], Any]] = {
    "RLeaky-one": lambda: snn.RLeaky(0.8, V=torch.rand(N), all_to_all=False),
    "RLeaky-linear": lambda: snn.RLeaky(0.8, linear_features=N, threshold=torch.linspace(0.3, 1, N)),
    "RSynaptic": lambda: snn.RSynaptic(0.5, 0.8, linear_features=N, reset_delay=False),
    "Lapicque": lambda: snn.Lapicque(beta=0.6, learn_beta=True, threshold=0.3),
    "Alpha": lambda: snn.Alpha(0.9, 0.6, threshold=0.1),
    "SLSTM": lambda: snn.SLSTM(N, 4, threshold=0.05, reset_mechanism="subtract"),
    "DeltaLeaky": lambda: snn.DeltaLeaky(0.5, 0.8),
    "inhibited": lambda: snn.Leaky(0.8, threshold=0.2, inhibition=True, reset_delay=False),
    "inhibited-graded": lambda: snn.Synaptic(0.5, 0.8, inhibition=True, graded_spikes_factor=2.0),
    "inhibited-recurrent": lambda: snn.RLeaky(0.8, linear_features=N, inhibition=True),
    "inhibited-SLSTM": lambda: snn.SLSTM(N, 4, threshold=0.01, inhibition=True),
}


@pytest.fixture(autouse=True)
def same_weights() -> None:
    torch.manual_seed(3)


def signal(*shape: int) -> Tensor:
    return torch.rand(T, B, *shape, generator=torch.Generator().manual_seed(1)) * 2 - 0.4


def flat(values: Any) -> tuple[Tensor, ...]:
    return (values,) if isinstance(values, Tensor) else tuple(x for value in values for x in flat(value))


# -- whole sequences --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SEQUENCES)
def test_sequences_as_in_snntorch(name: str) -> None:
    snntorch = pytest.importorskip("snntorch", reason="snntorch is the oracle: pip install snntorch==1.0.0")
    kind, arguments, options = SEQUENCES[name]
    theirs, ours = getattr(snntorch, kind)(*arguments, **options), getattr(snn, kind)(*arguments, **options)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x, other = signal(N).requires_grad_(), signal(N).requires_grad_()
    found, wanted = flat(ours(x)), flat(theirs(other))
    assert len(found) == len(wanted)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    weights = [torch.rand_like(value) for value in wanted]
    for values in (found, wanted):
        sum((w * value).sum() for w, value in zip(weights, values, strict=True)).backward()  # type: ignore[union-attr]
    # snnTorch divides by products of decays that it has padded
    rtol = 3e-3 if kind == "AssociativeLeaky" else 1e-4
    torch.testing.assert_close(x.grad, other.grad, rtol=rtol, atol=1e-5)
    wanted_grads = {key: param.grad for key, param in theirs.named_parameters()}
    for key, param in ours.named_parameters():
        wanted_grad = wanted_grads[key]
        if param.grad is None or wanted_grad is None:  # of StateLeaky, tau is learnt in place of beta
            assert key in ("beta", "rnn.weight_hh_l0")
        elif param.ndim < wanted_grad.ndim:  # kept as its diagonal
            torch.testing.assert_close(param.grad, wanted_grad.diagonal(), rtol=1e-4, atol=1e-5)
        else:
            torch.testing.assert_close(param.grad, wanted_grad, rtol=rtol, atol=1e-5)


def test_a_long_sequence_keeps_its_state() -> None:
    """snnTorch's sums lose it after about 25 steps; the limit of 0.5 U + 1 is 2."""
    layer: Any = snn.AssociativeLeaky(1, 1, 1, use_q_projection=False)
    with torch.no_grad():
        for product, bias in ((layer.to_v, 1), (layer.to_k, 1), (layer.to_alpha, 0)):
            product.weight.zero_()
            product.bias.fill_(bias)
        layer.threshold.fill_(1.99)
    assert layer(torch.zeros(100, 1, 1))[-1].item() == 1.0


def test_a_sequence_without_a_batch() -> None:
    layer = snn.LeakyParallel(N, 4, beta=0.5)
    x = signal(N)[:, 0]
    assert torch.equal(layer(x), layer(x[:, None])[:, 0])


def test_sequences_take_no_states() -> None:
    with pytest.raises(TypeError, match="starts every call from rest"):
        snn.StateLeaky(0.5, N)(signal(N), torch.zeros(B, N))


# -- layers of several ops --------------------------------------------------------------------------


@pytest.mark.parametrize("name", STEPPED)
def test_a_program_computes_what_the_module_does(name: str) -> None:
    layer = STEPPED[name]()
    layer.init_hidden = layer.output = True
    net = nn.Sequential(nn.Linear(N, N), layer)
    x = signal(N)
    captured = snn.capture(net, x[0])
    steps = [flat(net(step)) for step in x]
    wanted = [torch.stack(values) for values in zip(*steps, strict=True)]
    found = execute(captured.program, captured.params, {"input": x.numpy()}).outputs
    for values, want in zip(found.values(), wanted, strict=True):
        torch.testing.assert_close(torch.from_numpy(values).float(), want.detach(), rtol=1e-4, atol=1e-5)
    assert wanted[0].count_nonzero() > 3
    trained = {key for key, param in net.named_parameters() if param.requires_grad}
    assert {captured.names[key] for key in captured.program.trainable} == trained


@pytest.mark.parametrize("name", STEPPED)
def test_passed_states_are_the_kept_ones(name: str) -> None:
    kept = STEPPED[name]()
    passed = copy.deepcopy(kept)
    states: tuple[Any, ...] = ()
    for step in signal(N):
        found = passed(step, *states)
        states = found if "spk" in passed._hw_state_names else found[1:]
        for mine, theirs in zip(flat(kept(step)), flat(found), strict=True):
            assert torch.equal(mine, theirs)


@pytest.mark.parametrize("name", STEPPED)
def test_copies_pickles_and_state_dicts(name: str) -> None:
    layer, x = STEPPED[name](), signal(N)
    layer(x[0])
    again = pickle.loads(pickle.dumps(layer))
    assert torch.equal(flat(again(x[1]))[0], flat(copy.deepcopy(layer)(x[1]))[0])
    fresh = STEPPED[name]()
    fresh.load_state_dict(layer.state_dict(), strict=True)
    layer.reset_mem()
    assert torch.equal(flat(fresh(x[0]))[0], flat(layer(x[0]))[0])


@pytest.mark.parametrize("name", STEPPED)
def test_states_follow_dtype_and_reset(name: str) -> None:
    layer, x = STEPPED[name]().double(), signal(N).double().requires_grad_()
    first = flat(layer(x[0]))
    assert {value.dtype for value in first} == {torch.float64}
    sum(value.sum() for value in flat(layer(x[1]))).backward()  # type: ignore[union-attr]
    layer.detach_hidden()
    sum(value.sum() for value in flat(layer(x[1]))).backward()  # type: ignore[union-attr]  # no second time
    snn.utils.reset(layer)
    assert all(torch.equal(a, b) for a, b in zip(flat(layer(x[0])), first, strict=True))


def test_an_lstm_remembers_though_its_sizes_differ() -> None:
    """snnTorch 1.0 forgets at every step then."""
    layer = snn.SLSTM(N, 4)
    _, syn, _ = layer(signal(N)[0])
    _, again, _ = layer(torch.zeros(B, N))
    reference = nn.LSTMCell(N, 4)
    reference.load_state_dict(layer.lstm_cell.state_dict())
    h, c = reference(signal(N)[0])
    torch.testing.assert_close(syn, c)
    torch.testing.assert_close(again, reference(torch.zeros(B, N), (h, c))[1])


def test_only_the_most_excited_fires_and_all_are_reset() -> None:
    layer = snn.Leaky(0.5, inhibition=True)
    spk, _ = layer(torch.tensor([[2.0, 3.0, 3.0]]))
    assert spk.tolist() == [[0, 1, 0]]
    _, mem = layer(torch.zeros(1, 3))
    assert mem.tolist() == [[0, 0.5, 0.5]]


def test_a_sample_without_a_batch() -> None:
    """snnTorch's tutorial on regression feeds images one by one."""
    layer = snn.RLeaky(0.8, conv2d_channels=2, kernel_size=(5, 5), threshold=0.3)
    x = signal(2, 6, 6)
    batched = copy.deepcopy(layer)
    for step in x:
        spk, mem = layer(step[0])
        both = batched(step[:1])
        assert torch.equal(spk, both[0][0])
        assert torch.equal(mem, both[1][0])


DELTA: dict[str, dict[str, Any]] = {
    "plain": {"delta_threshold": 0.4, "beta": 0.8},
    "with Leaky's": {
        "delta_threshold": 0.4,
        "beta": 1.2,
        "threshold": 0.1,
        "learn_threshold": True,
        "reset_mechanism": "zero",
        "reset_delay": False,
        "output": True,
        "learn_beta": True,
        "validate_args": False,
    },
    "hidden": {"delta_threshold": 0.4, "beta": 0.8, "init_hidden": True},
}


@pytest.mark.parametrize("name", DELTA)
def test_a_neuron_of_movements_as_in_snntorch(name: str) -> None:
    snntorch = pytest.importorskip("snntorch", reason="snntorch is the oracle: pip install snntorch==1.0.0")
    told = DELTA[name]
    theirs = snntorch.DeltaLeaky(**{key: value for key, value in told.items() if key != "validate_args"})
    ours = snn.DeltaLeaky(**told)
    passed: dict[str, Any] = {"ours": (None, None), "theirs": (None, None)}
    total = {"ours": torch.zeros(()), "theirs": torch.zeros(())}
    for step in signal(N):
        found = {}
        for side, layer in (("ours", ours), ("theirs", theirs)):
            states = () if told.get("init_hidden") else (passed[side],)
            found[side] = layer(step, *states)
            passed[side] = found[side][1]
            total[side] = total[side] + sum(value.sum() for value in flat(found[side]))
        for mine, wanted in zip(flat(found["ours"]), flat(found["theirs"]), strict=True):
            assert torch.equal(mine, wanted)
    if told.get("learn_beta"):
        for value in total.values():
            value.backward()
        torch.testing.assert_close(ours.beta.grad, theirs.beta.grad, rtol=1e-6, atol=0)


def test_what_a_neuron_of_movements_keeps() -> None:
    layer: Any = snn.DeltaLeaky(0.4, learn_delta_threshold=True)
    assert "delta_threshold" in layer.state_dict()
    layer.load_state_dict(snn.DeltaLeaky(0.7, beta=0.3).state_dict())
    assert (layer.delta_threshold.item(), layer.beta.item()) == (pytest.approx(0.4), pytest.approx(0.3))
    layer.load_state_dict(snn.DeltaLeaky(0.7, learn_delta_threshold=True).state_dict())
    assert layer.delta_threshold.item() == pytest.approx(0.7)
    assert [state.numel() for state in layer.init_leaky()] == [0, 0]
    with pytest.raises(InputError, match="give one of subtract, zero, none; it is never reset"):
        snn.DeltaLeaky(reset_mechanism="halve")


def test_graded_spikes() -> None:
    layer = snn.GradedSpikes(N, 2.0)
    assert torch.equal(layer(signal(N)), signal(N) * 2)
    assert 0.5 <= snn.GradedSpikes(N, None).weights.min() <= snn.GradedSpikes(N).weights.max() <= 1.5
    net = nn.Sequential(snn.Leaky(0.8, init_hidden=True), layer)
    captured = snn.capture(net, signal(N)[0])
    found = execute(captured.program, captured.params, {"input": signal(N).numpy()}).outputs["output"]
    assert torch.equal(torch.from_numpy(found), torch.stack([net(x) for x in signal(N)]).double())
    assert captured.names == {"0.beta": "0.beta", "0.threshold": "0.threshold", "1.weight": "1.weights"}
    with pytest.raises(InputError, match=r"the last axis of its input has 6 features, not \(8, 3, 5\)"):
        layer(signal(5))


# -- refusals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: snn.RLeaky(0.5), "needs the size of its connection, and was given none"),
        (lambda: snn.RLeaky(0.5, conv2d_channels=2), "was given conv2d_channels: give linear_features"),
        (lambda: snn.RLeaky(0.5, all_to_all=False, linear_features=2), "leave linear_features out"),
        (lambda: snn.RLeaky(0.5, conv2d_channels=2, kernel_size=4), r"kernel_size=4\): give odd numbers"),
        (lambda: snn.Alpha(0.5, 0.9), "alpha must be greater than beta"),
        (lambda: snn.Lapicque(R=2.0), "R, C and beta are not enough"),
        (lambda: snn.Lapicque(beta=1.0), "lies between 0 and 1 and is neither"),
        (lambda: snn.Lapicque(R=1.0, C=1.0, learn_beta=True), "give beta alone, or beta and R"),
        (lambda: snn.SConv2dLSTM(1, 1, 2), r"kernel_size=2\): give odd numbers"),
        (lambda: snn.SConv2dLSTM(1, 1, 3, max_pool=2, avg_pool=2), "it pools once"),
        (
            lambda: snn.StateLeaky(torch.rand(3), 4),
            r"beta=tensor\[3\]\): give a number, or one for each of 4",
        ),
        (lambda: snn.StateLeaky(0.5, 4, kernel_truncation_steps=0), "give 1 or more, or None"),
        (lambda: snn.LeakyParallel(2, 3, dropout=0.5), "one layer has no place for it"),
        (lambda: snn.AssociativeLeaky(2, 3, 3, 8), r"num_spiking_neurons=8\): d_value \* d_key is 9"),
        (lambda: snn.AssociativeLeaky.from_num_spiking_neurons(2, 8), "give a square"),
    ],
)
def test_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()
