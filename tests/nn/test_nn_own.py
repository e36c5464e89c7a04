"""A neuron of one's own: as a module, compiled, in a file, in the conformance suite."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnhw as snn
from snnhw import conformance
from snnhw.errors import CaptureError, InputError, ProgramError
from snnhw.ir import MODELS, Neuron, register

pytestmark = pytest.mark.usefixtures("one_thread", "plain_torch")

T, B = 8, 4

Adaptive = snn.neuron(
    "Adaptive",
    states="mem adapt",
    params={"beta": 0.9, "rho": 0.8, "jump": 0.5, "threshold": 1.0},
    equations={"mem": "beta * mem + x", "adapt": "rho * adapt"},
    fire="mem > threshold + adapt",
    reset={"mem": "mem - threshold", "adapt": "adapt + jump"},
)

Timed = snn.neuron(
    "Timed", states="v", params={"tau": 0.02}, equations={"v": "v + dt / tau * (x - v)"}, fire=None
)


def signal(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0)) * 2


@pytest.mark.parametrize("delay", [True, False], ids=["delayed", "at once"])
def test_a_step_is_what_the_equations_say(delay: bool) -> None:
    neuron, x = Adaptive(reset_delay=delay), signal(T, B, 3)
    mem, adapt, fired = torch.zeros(B, 3), torch.zeros(B, 3), 0.0
    for now in x:
        spk, shown, level = neuron(now)
        mem, adapt = 0.9 * mem + now, 0.8 * adapt
        wanted = (mem > 1.0 + adapt).float()
        at_spike = (mem, adapt)
        mem, adapt = mem - wanted, adapt + 0.5 * wanted
        assert torch.equal(spk, wanted)
        torch.testing.assert_close((shown, level), at_spike if delay else (mem, adapt))
        fired += spk.mean().item()
    assert 0.1 < fired / T < 0.9


def test_it_is_used_as_any_other_neuron() -> None:
    neuron: Any = Adaptive(beta=0.5, learn_jump=True, init_hidden=True)
    assert "jump=0.5, threshold=1, learn_jump=True" in repr(neuron)
    assert "reset_mechanism='own'" in repr(neuron)
    sum(neuron(now).sum() for now in signal(T, B, 3)).backward()
    assert neuron.jump.grad.abs() > 0
    assert neuron.init_adaptive is not None
    again = pickle.loads(pickle.dumps(neuron))
    assert type(again) is Adaptive


def test_its_reset_travels_in_a_state_dict() -> None:
    own, none = Adaptive(), Adaptive(reset_mechanism="none")
    assert int(own.get_buffer("reset_mechanism_val")) == 3
    none.load_state_dict(own.state_dict())
    assert none.reset_mechanism == "own"
    with pytest.raises(InputError, match=r"Adaptive\(reset_mechanism='zero'\): give one of none, own"):
        Adaptive(reset_mechanism="zero")


def test_it_is_compiled_and_saved(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 6), Adaptive(init_hidden=True, learn_rho=True))
    x = signal(T, B, 5) * 4 - 2
    snn.save(tmp_path / "own.snn", net, x[0])
    program, params = snn.load(tmp_path / "own.snn")
    op = program.nodes["1"]
    assert isinstance(op, Neuron)
    assert (op.model, op.reset) == (Adaptive.model, "own")
    wanted = torch.stack([net(now) for now in x])
    for backend in ("cpu", "reference"):
        found = snn.compile((program, params), x[0], backend=backend, time_steps=T)(x)
        assert torch.equal(torch.as_tensor(found).float(), wanted)
    assert 0 < wanted.mean() < 1


def test_the_length_of_a_step() -> None:
    net, x = nn.Sequential(Timed(init_hidden=True)), signal(T, B, 3)
    assert snn.capture(net, x[0]).program.time.dt == 1e-3
    v = torch.zeros(B, 3)
    wanted = []
    for now in x:
        v = v + 0.01 / 0.02 * (now - v)
        wanted.append(v)
    model = snn.compile(net, x[0], backend="cpu", time_steps=T, dt=0.01)
    assert model.program.time.dt == 0.01
    torch.testing.assert_close(model(x), torch.stack(wanted))
    with pytest.raises(ProgramError, match="dt is a number of seconds greater than 0, not 0"):
        snn.compile(net, x[0], backend="cpu", time_steps=T, dt=0)


Raised = snn.neuron(
    "Raised",
    states={"v": -1.0, "w": 0.0},
    equations={"v": "v", "w": "x + v"},
    fire="w > 0.5",
    reset="none",
)


def test_states_that_do_not_start_from_zero() -> None:
    class Net(nn.Module):
        def __init__(self, first: Tensor | None) -> None:
            super().__init__()
            self.own, self.first = Raised(), first

        def forward(self, x: Tensor) -> Tensor:
            v, w = self.own.reset_mem()
            v = v if self.first is None else self.first
            spikes = []
            for now in x:
                spk, v, w = self.own(now, v, w)
                spikes.append(spk)
            return torch.stack(spikes)

    x = signal(T, B, 3)
    found = snn.compile(Net(None), x[0], backend="cpu", time_steps=T)(x)
    assert torch.equal(torch.as_tensor(found), (x > 1.5).float())
    with pytest.raises(CaptureError, match=r"'own' starts from zeros, but its 'v' is -1.0 at rest; start"):
        snn.capture(Net(torch.zeros(B, 3)), x[0])


def test_a_name_that_means_something_to_a_module() -> None:
    with pytest.raises(InputError, match="model Bad: 'train' already means something to a torch module"):
        snn.neuron("Bad", states="train", equations={"train": "train + x"}, fire=None)


@pytest.fixture
def registered() -> Iterator[str]:
    """The model in the registry, for as long as a test runs."""
    register(Adaptive.model)
    yield Adaptive.model.name
    del MODELS[Adaptive.model.name]


def test_the_margin_cases_of_a_registered_model(registered: str) -> None:
    found = conformance.run("cpu", select=registered, classes=("margin",))
    assert found.passed == len(found.cases) >= 2


@pytest.mark.slow
def test_all_conformance_cases_of_a_registered_model(registered: str) -> None:
    found = conformance.run("cpu", select=registered)
    assert found.passed == len(found.cases) >= 10
    assert {case.cls for case in found.cases} >= {"exact", "margin", "gradient"}


def test_cases_go_with_the_model() -> None:
    assert not any("Adaptive" in lazy.id for lazy in conformance.suite.all_cases())
