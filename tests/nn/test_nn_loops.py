"""Forwards that hold the loop over time themselves, or hand states on: captured as their one step."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnhw as snn
from snnhw.errors import CaptureError
from snnhw.ir import Add, BatchNorm1d, Linear, Neuron, Output
from snnhw.nn import Captured, capture

pytestmark = pytest.mark.usefixtures("one_thread", "plain_torch")

T, B = 5, 3


def signal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0)) * 2


class Net(nn.Module):
    """Layers as snnTorch's tutorials have them; one forward for each test."""

    num_steps = T
    lif1: Any
    lif2: Any
    syn: Any

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.fc1, self.fc2 = nn.Linear(6, 8), nn.Linear(8, 4)
        self.lif1, self.lif2 = snn.Leaky(beta=0.8, threshold=0.4), snn.Leaky(beta=0.7, threshold=0.3)
        self.syn = snn.Synaptic(alpha=0.5, beta=0.8, threshold=0.4)
        self.hidden = snn.Leaky(beta=0.8, threshold=0.4, init_hidden=True)


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


class Inside(Net):
    """Neurons that keep their states; the current is computed once."""

    def forward(self, x: Tensor, steps: int = T) -> Any:
        snn.utils.reset(self)
        cur = self.fc1(x)
        return torch.stack([self.fc2(self.hidden(cur)) + self.fc2(cur) for _ in range(steps)])


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
    theirs.backward()  # type: ignore[no-untyped-call]  # torch's own
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


# -- what is not regular ----------------------------------------------------------------------------


def loop(body: Callable[..., Any], *, after: Callable[[list[Any]], Any] = torch.stack) -> nn.Module:
    """A network of one loop; ``body(net, x, step, mem, rec) -> mem``."""

    class Loop(Net):
        def forward(self, x: Tensor) -> Any:
            mem: Any = self.lif1.init_leaky()
            record: list[Any] = []
            for step in range(T):
                mem = body(self, x, step, mem, record)
            return after(record)

    return Loop()


def plain(net: Any, x: Tensor, _: int, mem: Tensor, record: list[Any]) -> Tensor:
    spk, mem = net.lif1(net.fc1(x), mem)
    record.append(spk)
    return mem


def changed(net: Any, x: Tensor, _: int, mem: Tensor, record: list[Any]) -> Tensor:
    spk, mem = net.lif1(net.fc1(x), mem)
    record.append(spk)
    return mem * 0.5


def choosy(net: Any, x: Tensor, step: int, mem: Tensor, record: list[Any]) -> Tensor:
    cur = net.fc1(x)
    if step > 2:
        cur = torch.relu(cur)
    spk, mem = net.lif1(cur, mem)
    record.append(spk)
    return mem


def recurrent(net: Any, x: Tensor, _: int, mem: Tensor, record: list[Any]) -> Tensor:
    spk, mem = net.lif1(net.fc1(x) + (record[-1] if record else 0), mem)
    record.append(spk)
    return mem


def adding(net: Any, x: Tensor, _: int, mem: Tensor, record: list[Any]) -> Tensor:
    spk, mem = net.lif1(net.fc1(x), mem)
    record.append(spk + record[-1] if record else spk)
    return mem


def seldom(net: Any, x: Tensor, step: int, mem: Tensor, record: list[Any]) -> Tensor:
    spk, mem = net.lif1(net.fc1(x), mem)
    if step == 3:
        net.lif2(spk)
    record.append(spk)
    return mem


def restarted(net: Any, x: Tensor, _: int, mem: Tensor, record: list[Any]) -> Tensor:
    net.hidden.reset_mem()
    record.append(net.hidden(net.fc1(x)))
    return mem


def skipping(net: Any, x: Tensor, step: int, mem: Tensor, record: list[Any]) -> Tensor:
    spk, mem = net.lif1(net.fc1(x), mem)
    if step:
        record.append(spk)
    return mem


def mixed(net: Any, x: Tensor, step: int, mem: Tensor, record: list[Any]) -> Tensor:
    spk, mem = net.lif1(net.fc1(x), mem)
    record.append(mem if step == 3 else spk)
    return mem


def peeking(net: Any, x: Tensor, _: int, mem: Tensor, record: list[Any]) -> Tensor:
    net.hidden(net.fc1(x))
    record.append(net.hidden.mem)
    return mem


def first(net: Any, x: Tensor, step: int, mem: Tensor, record: list[Any]) -> Tensor:
    spk, mem = net.lif1(net.fc1(x), torch.ones(B, 8) if step == 0 else mem)
    record.append(spk)
    return mem


BODIES: dict[str, tuple[Callable[..., Any], str, str]] = {
    "a state changed": (
        changed,
        "net.lif1(",
        "'lif1' is handed a 'mem' that is not the one it returned in the",
    ),
    "a choice": (
        choosy,
        "torch.relu(",
        "'lif1' is fed otherwise in step 3 of this loop over time than in step 1",
    ),
    "a feedback": (
        recurrent,
        "net.lif1(",
        "it uses a value of 1 step before; only the states of neurons go from",
    ),
    "a sum": (adding, "", "what it holds for step 0 is not what it holds for step 1; append the same thing"),
    "fewer calls": (
        seldom,
        "net.lif2(",
        "'lif2' is called once, but 'lif1' 5 times; a loop over time calls every",
    ),
    "a reset": (restarted, "net.hidden(", "'hidden' is put at rest between two steps"),
    "fewer values": (
        skipping,
        "",
        "it stacks 4 values, but the loop over time has 5 steps; append one value",
    ),
    "two values": (mixed, "", "what it holds for step 3 is not what it holds for step 1; append the same"),
    "a look inside": (
        peeking,
        "",
        "forward returns a tensor that nothing was computed into; to return a neuron's state, construct",
    ),
    "a first state": (
        first,
        "net.lif1(",
        "starts from a 'mem' that is neither zeros nor an argument of forward",
    ),
}


def refused(net: nn.Module, sample: Any = None) -> str:
    with pytest.raises(CaptureError) as caught:
        capture(net, signal(B, 6) if sample is None else sample)
    return str(caught.value)


@pytest.mark.parametrize(("body", "line", "message"), BODIES.values(), ids=BODIES)
def test_loops_that_are_not_regular(body: Callable[..., Any], line: str, message: str) -> None:
    found = refused(loop(body))
    assert message in found
    lines, start = inspect.getsourcelines(body)
    numbers = [start + place for place, text in enumerate(lines) if line and line in text]
    assert not line or f":{numbers[0]}: `" in found


def test_the_two_lines_to_change_are_shown() -> None:
    assert refused(loop(changed)).endswith(
        "Change two lines: construct it as `snn.Leaky(..., init_hidden=True)` and call it as "
        "`spk = self.lif1(cur)`; then write the loop over time outside forward"
    )


SUMMARIES: dict[str, tuple[Callable[[list[Any]], Any], str]] = {
    "sum": (lambda record: torch.stack(record).sum(0), "forward returns a summary of all steps; return the"),
    "last": (
        lambda record: record[-1],
        "forward returns what the loop over time left at its last step; return",
    ),
    "dim": (lambda record: torch.stack(record, dim=1), "what is returned is [T, B, ...], time first"),
    "no list": (lambda record: torch.stack(record[0]), "stack a list that holds one value for every step"),
}


@pytest.mark.parametrize(("after", "message"), SUMMARIES.values(), ids=SUMMARIES)
def test_what_is_returned_after_a_loop(after: Callable[[list[Any]], Any], message: str) -> None:
    assert message in refused(loop(plain, after=after))


class Later(Net):
    def forward(self, x: Tensor) -> Any:
        mem, record = self.lif1.init_leaky(), []
        for step in range(1, T):
            spk, mem = self.lif1(self.fc1(x[step] - x[step - 1]), mem)
            record.append(spk)
        return torch.stack(record)


class Counting(Net):
    def forward(self, x: Tensor) -> Any:
        mem, record = self.lif1.init_leaky(), []
        for step in range(x.size(0)):
            spk, mem = self.lif1(self.fc1(x[step]), mem)
            record.append(spk / x.size(0))
        return torch.stack(record)


class Kept(Net):
    def forward(self, x: Tensor, mem: Tensor) -> Any:
        return self.lif1(self.fc1(x), mem)[0]


class Used(Net):
    def forward(self, x: Tensor, mem: Tensor) -> Any:
        spk, after = self.lif1(self.fc1(x), mem)
        return spk, after, after - mem


OTHERS: dict[str, tuple[type[nn.Module], Any, str]] = {
    "two steps of the input": (
        Later,
        signal(B, 6),
        "it uses a value of a later step; only the states of neurons go from",
    ),
    "the number of steps": (
        Counting,
        signal(B, 6),
        "it computes with the number of time steps, which a program",
    ),
    "a state kept back": (Kept, signal(B, 6), "is handed the 'mem' that forward takes, but forward does not"),
    "a state computed with": (
        Used,
        (signal(B, 6), torch.zeros(B, 8)),
        "'mem' is the state of a neuron, but forward also computes with it",
    ),
    "no sample of it": (
        Used,
        signal(B, 6),
        "forward takes x, mem, but the sample has nothing for mem; give a",
    ),
    "no sample at all": (Used, {}, "forward takes x, mem, but the sample has nothing for x, mem; give a"),
    "no array": (Inside, {"x": None}, "the sample holds no array; forward takes x, steps"),
}


@pytest.mark.parametrize(("kind", "sample", "message"), OTHERS.values(), ids=OTHERS)
def test_other_refusals(kind: type[nn.Module], sample: Any, message: str) -> None:
    assert message in refused(kind(), sample)
