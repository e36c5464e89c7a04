"""Loops over time whose steps differ are refused, with the line and the change to make."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from nn_loop_nets import B, Inside, Net, T, signal
from torch import Tensor, nn

from snnhw.errors import CaptureError
from snnhw.nn import capture

pytestmark = pytest.mark.usefixtures("one_thread", "plain_torch")


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


def test_what_changes_a_state_on_the_way_is_shown_and_not_left_out() -> None:
    found = refused(loop(changed))
    assert found.endswith(
        "`return mem * 0.5` makes of it is part of the neuron; write its equations with snnhw.neuron, as in "
        "examples/custom_neuron.py"
    )


def test_the_two_lines_to_change_are_shown() -> None:
    assert refused(loop(first)).endswith(
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
    "no array": (
        Inside,
        {"x": None},
        "the sample for 'x' is one time step of input, an array [B, ...], not None",
    ),
}


@pytest.mark.parametrize(("kind", "sample", "message"), OTHERS.values(), ids=OTHERS)
def test_other_refusals(kind: type[nn.Module], sample: Any, message: str) -> None:
    assert message in refused(kind(), sample)
