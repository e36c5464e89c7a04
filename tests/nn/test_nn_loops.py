"""Forwards that hold the loop over time themselves, or hand states on: captured as their one step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from nn_loop_nets import B, Inside, Net, T, signal
from torch import Tensor, nn

import snnhw as snn
from snnhw.errors import CaptureError
from snnhw.ir import Add, BatchNorm1d, Linear, Neuron, Output
from snnhw.nn import Captured, capture

pytestmark = pytest.mark.usefixtures("one_thread", "plain_torch")


class Static(Net):
    """The tutorial's own."""

    def forward(self, x: Tensor) -> Any:
        mem1 = self.lif1.init_leaky()
        mem2 = self.lif2.init_leaky()
        spk2_rec, mem2_rec = [], []
        for _ in range(self.num_steps):
            cur1 = self.fc1(x)
            spk1, mem1 = self.lif1(cur1, mem1)
            cur2 = self.fc2(spk1)
            spk2, mem2 = self.lif2(cur2, mem2)
            spk2_rec.append(spk2)
            mem2_rec.append(mem2)
        return torch.stack(spk2_rec, dim=0), torch.stack(mem2_rec, dim=0)


class Varying(Net):
    """Several states, an input that changes, sizes asked for."""

    def forward(self, x: Tensor) -> Any:
        syn, mem = self.syn.init_synaptic()
        mem2 = torch.zeros(x.size(1), 4, device=x.device)
        record = []
        for step in range(x.size(0)):
            flat = x[step].view(x.shape[1], -1)
            spk, syn, mem = self.syn(self.fc1(flat), syn, mem)
            spk2, mem2 = self.lif2(self.fc2(spk), mem2)
            record += [(spk2, syn)]
        spikes, currents = zip(*record, strict=True)
        return {"spikes": torch.stack(spikes), "current": torch.stack(currents)}


class Iterated(Net):
    def forward(self, x: Tensor) -> Any:
        mem = self.lif1.reset_mem()
        spikes = []
        for now in x:
            spk, mem = self.lif1(self.fc1(now), mem=mem)
            spikes.append(spk)
        return spikes


class Dropped(Net):
    """States that nobody takes along: the neuron goes on by itself."""

    def forward(self, x: Tensor, num_steps: int) -> Any:
        out = []
        for _ in range(num_steps):
            spk, _ = self.lif1(self.fc1(x))
            out.append(spk + spk)
        return torch.stack(out)


def run(net: nn.Module, sample: Any, x: Tensor, *, static: bool, steps: int = T) -> tuple[Captured, Any]:
    """What the program makes of it, on a backend."""
    captured = capture(net, sample)
    model = snn.compile(
        (captured.program, captured.params),
        x if static else x[0],
        backend="cpu",
        time_steps=steps,
        static=static,
    )
    return captured, model.run(x).outputs


def test_the_loop_of_the_tutorials() -> None:
    x, net = signal(B, 6), Static()
    captured, found = run(net, x, x, static=True)
    spikes, membranes = net(x)
    assert list(captured.program.nodes) == ["x", "fc1", "lif1", "fc2", "lif2", "output.0", "output.1"]
    assert captured.program.outputs() == {"output.0": "lif2.spk", "output.1": "lif2.mem"}
    assert set(captured.names) == set(captured.names.values())
    assert 0 < spikes.mean() < 1
    assert torch.equal(found["output.0"], spikes)
    torch.testing.assert_close(found["output.1"], membranes)


def test_training_it_equals_training_in_torch() -> None:
    x, y, net, other = signal(B, 6), torch.tensor([0, 3, 1]), Static(), Static()
    loss, optimizer = snn.functional.ce_rate_loss(), snn.optim.SGD(lr=0.5)
    with snn.compile(
        net, x, backend="cpu", time_steps=T, static=True, loss=loss, optimizer=optimizer
    ) as model:
        found, _ = model.step(x, y)
        model.write_back(net)
    theirs = torch.stack([nn.functional.cross_entropy(step, y) for step in other(x)[0]]).mean()
    theirs.backward()
    assert found == pytest.approx(theirs.item(), rel=1e-6)
    assert other.fc1.weight.grad is not None
    torch.testing.assert_close(net.fc1.weight, other.fc1.weight - 0.5 * other.fc1.weight.grad)
    assert other.fc1.weight.grad.count_nonzero()


def test_inputs_over_time_and_several_states() -> None:
    x, net = signal(T, B, 2, 3), Varying()
    captured, found = run(net, x[0], x, static=False)
    wanted = net(x)
    assert captured.program.named(Output) == ("spikes", "current")
    assert captured.program.outputs() == {"spikes": "lif2.spk", "current": "syn.syn"}
    assert torch.equal(found["spikes"], wanted["spikes"])
    torch.testing.assert_close(found["current"], wanted["current"])


def test_an_iterated_input_and_a_list_returned() -> None:
    x, net = signal(T, B, 6), Iterated()
    _, found = run(net, x[0], x, static=False)
    assert torch.equal(found["output"], torch.stack(net(x)))


def test_neurons_that_keep_their_states() -> None:
    x, net = signal(B, 6), Inside()
    captured, found = run(net, x, x, static=True)
    torch.testing.assert_close(found["output"], net(x))
    kinds = [type(op) for op in captured.program.nodes.values()]
    assert (kinds.count(Neuron), kinds.count(Linear), kinds.count(Add)) == (1, 3, 1)


class Together(Net):
    """Steps taken by an index for every axis; states handed on as they came, all at once."""

    def forward(self, x: Tensor) -> Any:
        states = self.syn.init_synaptic()
        spikes: list[Any] = []
        for step in range(x.size(0)):
            spk, *states = self.syn(self.fc1(x[step, :, :]), *states)
            found = self.lif2(self.fc2(spk), *(spikes[-1][1:] if spikes else ()))
            assert len(found) == 2
            spikes.append((*found[:1], found[-1]))
        return torch.stack([spk for spk, _ in spikes])


def test_states_handed_on_all_at_once() -> None:
    x, net = signal(T, B, 6), Together()
    captured, found = run(net, x[0], x, static=False)
    assert list(captured.program.nodes) == ["x", "fc1", "syn", "fc2", "lif2", "output"]
    assert torch.equal(found["output"], net(x))
    assert 0 < net(x).mean() < 1


class Indexed(Net):
    """Batch normalisation through time as in snnTorch: a layer for every step, taken by its number."""

    def __init__(self) -> None:
        super().__init__()
        self.bn = snn.BatchNormTT1d(8, T)

    def forward(self, x: Tensor) -> Any:
        mem = self.lif1.init_leaky()
        spikes = []
        for step in range(T):
            spk, mem = self.lif1(self.bn[step](self.fc1(x)), mem)
            spikes.append(spk)
        return torch.stack(spikes)


class FirstAlone(Indexed):
    def forward(self, x: Tensor) -> Any:
        return self.hidden(self.bn[1](self.fc1(x)))


class OneTooEarly(Indexed):
    def forward(self, x: Tensor) -> Any:
        return torch.stack([self.hidden(self.bn[max(step - 1, 0)](self.fc1(x))) for step in range(T)])


def test_a_layer_for_every_step() -> None:
    x, net = signal(B, 6), Indexed()
    for number, layer in enumerate(net.bn):
        nn.init.constant_(layer.get_parameter("weight"), 0.5 + number / 4)
    captured, found = run(net.eval(), x, x, static=True)
    op = captured.program.nodes["bn"]
    assert isinstance(op, BatchNorm1d)
    assert op.time_steps == T
    assert torch.equal(found["output"], net(x))
    assert 0 < net(x).mean() < 1
    alone = capture(FirstAlone(), x).program.nodes["bn.1"]
    assert isinstance(alone, BatchNorm1d)
    assert alone.time_steps is None
    with pytest.raises(CaptureError, match="it uses a value of 1 step before; only the states of neurons go"):
        capture(OneTooEarly(), x)


@pytest.mark.parametrize("sample", [signal(B, 6), (signal(B, 6), 7)], ids=["left out", "given"])
def test_the_number_of_steps_as_an_argument(sample: Any) -> None:
    x, net = signal(B, 6), Dropped()
    captured, found = run(net, sample, x, static=True)
    assert captured.program.named(Neuron) == ("lif1",)
    snn.utils.reset(net)
    assert torch.equal(found["output"], net(x, T))


def test_a_loop_of_any_length_is_the_same_program() -> None:
    short, long = Static(), Static()
    short.num_steps, long.num_steps = 1, 400
    a, b = (capture(net, signal(B, 6)).program for net in (short, long))
    assert a == b
    a, b = (capture(Inside(), (signal(B, 6), steps)).program for steps in (1, 7))
    assert a == b
    assert "add" in a.nodes


class Convolutional(Net):
    """Pools and views in the loop, and layers that count steps or hold signals back."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.pool, self.fc = nn.Conv2d(1, 3, 3), nn.MaxPool2d(2), nn.Linear(27, 4)
        self.norm, self.delay = snn.nn.BatchNormTT1d(4, T), snn.nn.Delay(1)

    def forward(self, x: Tensor) -> Any:
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        spikes, membranes = [], []
        for step in range(x.shape[0]):
            spk1, mem1 = self.lif1(self.pool(self.conv(x[step])), mem1)
            late = self.delay(spk1.view(x.shape[1], -1))
            spk2, mem2 = self.lif2(self.norm(self.fc(late)), mem2)
            spikes.append(spk2)
            membranes.append(mem2)
        return torch.stack(spikes), torch.stack(membranes)


def test_other_layers_that_carry_something() -> None:
    x, net = signal(T, B, 1, 8, 8), Convolutional().eval()
    captured, found = run(net, x[0], x, static=False)
    spikes, membranes = net(x)
    assert torch.equal(found["output.0"], spikes)
    torch.testing.assert_close(found["output.1"], membranes)
    assert 0 < spikes.mean() < 1
    assert "view" in captured.program.nodes


class Handed(Net):
    """One step, states in and out."""

    def forward(self, x: Tensor, mem1: Tensor, states: Any) -> Any:
        syn, mem = states
        spk1, mem1 = self.lif1(self.fc1(x), mem1)
        spk2, syn, mem = self.syn(spk1, syn, mem)
        return spk2, mem1, (syn, mem)


class Optional(Net):
    def forward(self, x: Tensor, mem: Tensor | None = None) -> Any:
        if mem is None:
            mem = self.lif1.init_leaky()
        return self.lif1(self.fc1(x), mem)


def test_states_handed_through_arguments() -> None:
    x, net = signal(T, B, 6), Handed()
    captured, found = run(net, x[0], x, static=False)
    mem1: Any = torch.zeros(B, 8)
    states: Any = (torch.zeros(B, 8), torch.zeros(B, 8))
    for step in range(T):
        spk, mem1, states = net(x[step], mem1, states)
        assert torch.equal(found["output.0"][step], spk)
        torch.testing.assert_close(found["output.3"][step], states[1])
    assert captured.program.outputs() == {
        "output.0": "syn.spk",
        "output.1": "lif1.mem",
        "output.2": "syn.syn",
        "output.3": "syn.mem",
    }


@pytest.mark.parametrize("sample", [signal(B, 6), (signal(B, 6), torch.zeros(B, 8))], ids=["x", "x and mem"])
def test_a_state_that_may_be_left_out(sample: Any) -> None:
    x, net = signal(T, B, 6), Optional()
    captured, found = run(net, sample, x, static=False)
    mem = None
    for step in range(T):
        spk, mem = net(x[step], mem)
        assert torch.equal(found["output.0"][step], spk)
    assert list(captured.program.nodes) == ["x", "fc1", "lif1", "output.0", "output.1"]


def test_capture_leaves_the_states_as_they_were() -> None:
    net = Inside()
    net.hidden(torch.ones(B, 8))
    before = net.hidden.mem
    names = set(dir(net))
    capture(net, signal(B, 6))
    assert net.hidden.mem is before
    assert set(dir(net)) == names
