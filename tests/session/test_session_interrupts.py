"""Whatever interrupts a call, at whatever place, leaves the run as before that call, or as after it."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from interrupts import interrupted, places
from session_runs import BACKENDS, batch, compiled, copied, same, step

import snnhw as snn
import snnhw.functional as SF
from snnhw.ir import MODELS, SGD, Adam, BatchNorm1d, Dropout, Input, Linear, Neuron, Op, Program, sequential
from snnhw.plugin import Executable

State = dict[str, np.ndarray[Any, Any]]


@dataclass
class Call:
    """A call that changes a run, which stands at ``before``."""

    run: Executable
    make: Callable[[], object]
    before: State
    after: State

    def __init__(self, run: Executable, make: Callable[[], object]) -> None:
        self.run, self.make = run, make
        self.before = copied(run.save_state())
        make()
        self.after = copied(run.save_state())
        assert not same(self.before, self.after)

    def places(self, event: str, within: str) -> int:
        self.run.load_state(self.before)
        return places(self.make, event, within)

    def interrupt(self, at: int, event: str, within: str) -> str:
        """What became of it; the run goes on from there as it should."""
        self.run.load_state(self.before)
        came = interrupted(self.make, at, event, within)
        assert torch._C._is_torch_function_enabled(), f"interrupted at {at}"
        assert not torch._C._len_torch_dispatch_stack(), f"interrupted at {at}"
        found = copied(self.run.save_state())
        if came and same(found, self.before):
            self.make()
            assert same(copied(self.run.save_state()), self.after), f"interrupted at {at}, and then made"
            return "before"
        # A call that is a list of others by now may have ended before that place.
        assert same(found, self.after), f"interrupted at {at}"
        return "after" if came else "over"


def everywhere(call: Call, event: str = "line", within: str = "", every: int = 1) -> set[str]:
    count = call.places(event, within)
    if event == "opcode" and not count:
        pytest.skip("this release of Python tells of no bytecodes in a function that runs for the first time")
    assert count // every >= 5
    found = {call.interrupt(at, event, within) for at in range(0, count, every)}
    return found - {"over"}


def measured() -> Program:
    """With statistics that every step moves, and random numbers of every sequence."""
    nodes: dict[str, Op] = {
        "x": Input((4,)),
        "fc1": Linear(4, 6),
        "norm": BatchNorm1d(6),
        "lif1": Neuron(MODELS["Leaky"]),
        "drop": Dropout(0.25),
        "fc2": Linear(6, 3),
        "lif2": Neuron(MODELS["Leaky"]),
    }
    return sequential(nodes)


JOBS: dict[str, dict[str, Any]] = {
    "Adam": {},
    "momentum": {"optimizer": SGD(lr=0.1, momentum=0.9)},
    "third of three": {"accumulate": 3, "clip_norm": 0.5},
}
FIRST = {"third of three": 2, "momentum": 1}
"""Job -> how many steps there are before the one that is interrupted."""


@pytest.fixture(params=BACKENDS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def run_of(name: str, program: Program | None = None, first: int = 0, **job: Any) -> Executable:
    run = compiled(name, program, **job)
    for number in range(first):
        step(run, number)
    return run


WITHIN = {"cpu": "snnhw/tensors/execution", "reference": "snnhw_reference", "ipu": "snnhw_ipu"}


def on_all(whats: Iterable[str], quick: str) -> list[Any]:
    """Each on each backend; on the IPU's, which asks a process of its own at each line, one unless slow."""
    slow = {what: [pytest.mark.slow] * (what != quick) for what in whats}
    return [
        pytest.param(name, what, marks=slow[what] if name == "ipu" else [])
        for name in BACKENDS
        for what in slow
    ]


@pytest.mark.parametrize(("name", "job"), on_all(JOBS, "momentum"))
def test_a_step_is_made_or_not(name: str, job: str) -> None:
    """At every line of the backend's own."""
    first = FIRST.get(job, 0)
    with run_of(name, first=first, **JOBS[job]) as run:
        assert "before" in everywhere(Call(run, lambda: step(run, first)), within=WITHIN[name])


@pytest.mark.parametrize("name", ["cpu", "reference"])
@pytest.mark.parametrize("first", [0, 1])
def test_statistics_and_sequences_belong_to_the_step(name: str, first: int) -> None:
    with run_of(name, measured(), first, accumulate=2) as run:
        call = Call(run, lambda: step(run, first))
        assert everywhere(call, within=WITHIN[name])
        assert everywhere(call, every=293 if name == "cpu" else 997)


@pytest.mark.parametrize("file", ["executable", "trainer", "commit", "optimizers"])
def test_at_every_bytecode(file: str) -> None:
    with run_of("cpu", first=1) as run:
        everywhere(Call(run, lambda: step(run, 1)), "opcode", f"snnhw/tensors/execution/{file}")


@pytest.mark.slow
@pytest.mark.parametrize("job", JOBS)
def test_at_every_line_that_runs(name: str, job: str) -> None:
    first = FIRST.get(job, 0)
    with run_of(name, first=first, **JOBS[job]) as run:
        everywhere(Call(run, lambda: step(run, first)), every=1 if name != "reference" else 13)


CHANGES: dict[str, Callable[[Executable, State], object]] = {
    "load_state": lambda run, state: run.load_state(state),
    "set_params": lambda run, state: run.set_params(
        {key.removeprefix("param/"): x for key, x in state.items() if key.startswith("param/")}
    ),
    "set_optimizer": lambda run, _: run.set_optimizer(Adam(lr=0.5)),
}


@pytest.mark.parametrize(("name", "change"), on_all(CHANGES, "set_params"))
def test_other_changes_are_made_or_not(name: str, change: str) -> None:
    with run_of(name, first=2, accumulate=2) as other, run_of(name, first=1, accumulate=2) as run:
        later = copied(other.save_state())
        later["setting/lr"] = np.array(0.25)
        call = Call(run, lambda: CHANGES[change](run, later))
        assert "before" in everywhere(call, every=3 if change == "load_state" else 1)


def test_a_second_interrupt_changes_nothing() -> None:
    """While the device is asked how far it has come."""
    with run_of("ipu", first=1) as run:
        call = Call(run, lambda: step(run, 1))
        for at in range(0, call.places("line", "snnhw_ipu"), 3):
            for second in (0, 5, 10, 15, 20):
                run.load_state(call.before)
                assert interrupted(call.make, at, within="snnhw_ipu")
                interrupted(run.save_state, second, within="snnhw_ipu")
                found = copied(run.save_state())
                assert same(found, call.before) or same(found, call.after)


# -- real ones --------------------------------------------------------------------------------------


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_gradients_are_on_after_a_call_that_an_interrupt_leaves_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As one at the end of torch's own ``no_grad`` does."""

    def interrupted_there(*_: object, **__: object) -> None:
        torch.set_grad_enabled(False)
        raise KeyboardInterrupt

    with run_of("cpu") as run:
        monkeypatch.setattr(run, "_calls", interrupted_there)
        for call in (lambda: step(run, 0), lambda: run.run({"x": batch(0)[0]})):
            with pytest.raises(KeyboardInterrupt):
                call()
            assert torch.is_grad_enabled()


@pytest.mark.usefixtures("two_threads")
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # ctypes passes it over; we do not
def test_ctrl_c_while_two_threads_work() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Linear(100, 512),
        snn.Leaky(beta=0.9, init_hidden=True),
        torch.nn.Linear(512, 10),
        snn.Leaky(beta=0.9, init_hidden=True),
    )
    x, y = (torch.rand(25, 64, 100) < 0.3).float(), torch.randint(0, 10, (64,))
    model = snn.compile(
        net,
        torch.zeros(64, 100),
        backend="cpu",
        time_steps=25,
        loss=SF.ce_rate_loss(),
        optimizer=snn.optim.Adam(),
        options={"deterministic": True},
    )
    model.step(x, y)
    before = copied(model.executable.save_state())
    begin = time.perf_counter()
    model.step(x, y)
    length = time.perf_counter() - begin
    after = copied(model.executable.save_state())
    handler = signal.signal(signal.SIGALRM, interrupt)
    rng = random.Random(0)
    try:
        for _ in range(25):
            model.executable.load_state(before)
            try:
                signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-4, length))
                model.step(x, y)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                pass
            assert torch.is_grad_enabled()
            found = copied(model.executable.save_state())
            assert same(found, before) or same(found, after)
    finally:
        torch.set_grad_enabled(True)  # other tests are not to fail with this one
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
