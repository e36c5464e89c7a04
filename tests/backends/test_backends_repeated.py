"""Calls that are made again as a list give every bit that they give by themselves."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from backends_nets import B, T, feedforward, leaky
from test_backends_tape import LOSSES, NETWORKS, SEVERAL, assert_same, inputs_of
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import snnhw as snn
import snnhw.functional as SF
from snnhw.ir import SGD, Adam, Dropout, Input, Linear, Loss, Op, Optimizer, Params, Program, sequential
from snnhw.passes import resolve_loss
from snnhw.plugin import Train
from snnhw.tensors.execution.calls import directly
from snnhw.tensors.execution.commit import at_once
from snnhw.tensors.execution.executable import TorchExecutable
from snnhw.tensors.execution.repeated import Repeated
from snnhw.tensors.noting import Noting, Parted, Unrepeatable
from snnhw_cpu.plugin import CpuBackend, CpuOptions

pytestmark = pytest.mark.usefixtures("one_thread")

SLOW = SGD(lr=0.05)


def params_of(program: Program) -> Params:
    generator = torch.Generator().manual_seed(3)
    specs = program.params().items()
    return {key: (torch.rand(spec.shape, generator=generator) + 0.1).numpy() for key, spec in specs}


def compiled(
    program: Program,
    *,
    listed: bool,
    loss: Loss = SEVERAL,
    optimizer: Optimizer = SLOW,
    paths: str = "",
    **how: Any,
) -> TorchExecutable:
    read = [*program.outputs().values()][-1]
    shapes = {name: op.infer({})["y"] for name, op in program.nodes.items() if isinstance(op, Input)}
    resolved = resolve_loss(program, loss.of(read))
    options = CpuOptions(paths=paths)
    job = Train(T, shapes, B, options=options, loss=resolved, optimizer=optimizer, **how)
    found = CpuBackend().compile(program, params_of(program), job)
    assert isinstance(found, TorchExecutable)
    if not listed:
        found._calls = directly
    return found


def both(program: Program, **how: Any) -> tuple[TorchExecutable, TorchExecutable]:
    """One that lists its calls, and one that makes them."""
    return compiled(program, listed=True, **how), compiled(program, listed=False, **how)


def lists(run: TorchExecutable, name: str = "step") -> int:
    """How many there are."""
    assert isinstance(run._calls, Repeated)
    return sum(found is not None for found in run._calls._kept.get(name, {}).values())


def targets_of(run: TorchExecutable, seed: int) -> dict[str, Tensor]:
    assert isinstance(run._job, Train)
    names = {term.target for term in run._job.loss.terms if term.kind.takes}
    return {name: torch.randint(3, (B,), generator=torch.Generator().manual_seed(seed)) for name in names}


def alike(ours: TorchExecutable, theirs: TorchExecutable, seed: int, *, carry: bool = False) -> None:
    """One step of each gives the same, and leaves the same."""
    given = inputs_of(ours._network.program, seed)
    one, other = [
        run.step(given, targets_of(run, seed), run.state if carry else None) for run in (ours, theirs)
    ]
    assert one.loss == other.loss
    assert_same(one.outputs, other.outputs)
    assert_same(one.state, other.state)
    assert_same(ours.get_params(), theirs.get_params())


def stepped(run: TorchExecutable, count: int) -> None:
    for seed in range(count):
        run.step(inputs_of(run._network.program, seed), targets_of(run, seed))


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name: str) -> None:
    """From rest and from the state before, while gradients wait for the rest of an update."""
    ours, theirs = both(NETWORKS[name](), accumulate=2, clip_norm=0.5)
    for seed in range(12):
        alike(ours, theirs, seed, carry=seed % 2 == 1)
    assert lists(ours) == 2
    assert_same(ours.save_state(), theirs.save_state())


def of_six() -> Program:
    layers: dict[str, Op] = {"x": Input((5,)), "fc": Linear(5, 7), "lif": leaky()}
    return sequential({**layers, "fc2": Linear(7, 6), "lif2": leaky()})


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name: str) -> None:
    ours, theirs = both(of_six(), loss=LOSSES[name], optimizer=Adam(lr=0.05))
    for seed in range(6):
        alike(ours, theirs, seed)
    assert lists(ours) == (name != "weighted")  # whose weights come from elsewhere
    assert lists(ours, "update") == (name != "weighted")


@pytest.mark.parametrize("way", ["skip", "lookup"])
def test_products_of_bits(way: str) -> None:
    """Whether an input holds 0 and 1 alone is looked at."""
    ours, theirs = both(feedforward(), paths=f"linear:{way}")
    for seed in range(6):
        alike(ours, theirs, seed)
    assert lists(ours) == 1
    given = {"x": (torch.rand(T, B, 5) < 0.5).float()}
    found = [run.step(given, targets_of(run, 0)) for run in (ours, theirs)]
    assert found[0].loss == found[1].loss
    assert_same(ours.get_params(), theirs.get_params())
    assert lists(ours) == 0


def test_what_changes_between_steps_is_heard() -> None:
    ours, theirs = both(feedforward(), optimizer=Adam(lr=0.05))
    for seed in range(5):
        alike(ours, theirs, seed)
    saved = ours.save_state()
    for n in range(12):  # as a schedule does
        for run in (ours, theirs):
            run.set_optimizer(Adam(lr=0.5 / (n // 3 + 1)))
        alike(ours, theirs, n)
    for run in (ours, theirs):
        run.set_params({"fc1.weight": np.full((7, 5), 0.3, np.float32)})
    alike(ours, theirs, 6)
    for run in (ours, theirs):
        run.torch_module().get_parameter("fc2/weight").data.mul_(0.5)
    alike(ours, theirs, 7)
    for run in (ours, theirs):
        run.load_state(saved)
    for seed in range(4):
        alike(ours, theirs, seed)
    assert lists(ours) == 1


def test_other_sizes_have_lists_of_their_own() -> None:
    ours, theirs = both(feedforward())
    for seed in range(5):
        alike(ours, theirs, seed)
        x, y = torch.rand(T + 1, 2, 5), torch.tensor([0, 2])
        found = [run.step({"x": x}, {"target": y}) for run in (ours, theirs)]
        assert found[0].loss == found[1].loss
    assert lists(ours) == 2


def test_what_a_step_gave_stays_and_what_it_was_given_too() -> None:
    ours, _ = both(feedforward())
    given = inputs_of(ours._network.program, 1)
    before = {name: x.clone() for name, x in given.items()}
    found = [ours.step(given, targets_of(ours, 1)) for _ in range(5)]
    kept = [{name: y.clone() for name, y in each.outputs.items()} for each in found]
    stepped(ours, 4)
    for each, outputs in zip(found, kept, strict=True):
        assert_same(each.outputs, outputs)
    assert_same(given, before)


def test_silence_decides_nothing_and_is_looked_at_again() -> None:
    """A network that is silent while its steps are listed, and later is not."""
    ours, theirs = both(feedforward())
    still = {key: np.zeros_like(x) if "bias" in key else x for key, x in ours.get_params().items()}
    for run in (ours, theirs):
        run.set_params(still)
        for _ in range(5):
            run.step({"x": torch.zeros(T, B, 5)}, targets_of(run, 0))
    assert lists(ours) == 1
    for seed in range(6):
        alike(ours, theirs, seed)
    assert_same(ours.save_state(), theirs.save_state())


class Seen(TorchDispatchMode):
    """Counts products."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func.overloadpacket is torch.ops.aten.addmm
        return func(*args, **(kwargs or {}))


def test_who_looks_at_operations_sees_them() -> None:
    ours, _ = both(feedforward())
    stepped(ours, 4)
    assert lists(ours) == 1
    with Seen() as seen:  # type: ignore[no-untyped-call]
        stepped(ours, 1)
    assert seen.count >= 2


def test_random_numbers_are_drawn_anew() -> None:
    program = sequential({"x": Input((5,)), "fc": Linear(5, 3), "left": Dropout(0.5), "lif": leaky()})
    assert compiled(program, listed=True)._calls is directly


def test_a_surrogate_of_ones_own_is_called_at_every_step() -> None:
    called: list[None] = []

    class Own(torch.autograd.Function):
        @staticmethod
        def forward(_: Any, z: Tensor) -> Tensor:
            called.append(None)
            return (z > 0).float()

        @staticmethod
        def backward(_: Any, grad: Tensor) -> Tensor:
            return grad

    neuron = snn.Leaky(beta=0.9, spike_grad=Own.apply, init_hidden=True, output=True)
    net = nn.Sequential(nn.Linear(5, 3), neuron)
    how: Any = {"loss": SF.ce_rate_loss(), "optimizer": snn.optim.SGD(lr=0.1)}
    model = snn.compile(net, torch.zeros(B, 5), backend="cpu", time_steps=T, **how)
    for _ in range(6):
        called.clear()
        model.step(torch.rand(T, B, 5), torch.zeros(B, dtype=torch.int64))
        assert len(called) == T


def test_a_copy_has_no_lists_and_goes_on_alike() -> None:
    ours, theirs = both(feedforward(), optimizer=Adam(lr=0.05))
    for seed in range(5):
        alike(ours, theirs, seed)
    before = theirs.save_state()
    for other in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert lists(other) == 0
        for seed in range(5):
            alike(other, theirs, seed)
        assert lists(other) == 1
        theirs.load_state(before)


# -- what is noted ------------------------------------------------------------------------------------

ELSEWHERE = torch.ones(4)


def noted(function: Callable[[Tensor], object], *, atomic: bool = False) -> None:
    x = torch.arange(4.0)
    with Noting([x], 1 << 20, atomic=atomic):
        function(x)


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda x: x + ELSEWHERE, "what is not noted"),
        (lambda x: torch.from_numpy(x.numpy() * 2) + 1, "what is not noted"),
        (lambda x: torch.empty(4).add_(x), "what is not noted"),
        (torch.nonzero, "another thing each time"),
        (torch.rand_like, "another thing each time"),
        (lambda x: x.repeat(1 << 20), "more memory"),
    ],
)
def test_what_cannot_be_noted(function: Callable[[Tensor], object], why: str) -> None:
    with pytest.raises(Unrepeatable, match=why):
        noted(function)


@pytest.mark.parametrize("function", [lambda x: float(x.sum()), lambda x: torch.equal(x, x)])
def test_what_changes_together_looks_at_no_number(function: Callable[[Tensor], object]) -> None:
    with pytest.raises(Unrepeatable, match="number"):
        noted(function, atomic=True)


def test_a_number_that_was_looked_at_is_looked_at_again() -> None:
    x, found = torch.ones(3), torch.empty(3)
    with Noting([x], 1 << 20) as noting:
        found.copy_(x * 2 if x.sum() > 2 else x)
    at_once(noting.calls())
    x.fill_(0.0)
    with pytest.raises(Parted):
        at_once(noting.calls())


def test_what_follows_from_sizes_is_left_out_unless_it_is_written_over() -> None:
    x = torch.arange(3.0)
    with Noting([x], 1 << 20) as noting:
        steps = torch.arange(3.0) * 2
        sums = torch.zeros(3)
        sums += x * steps
    assert len(noting.calls()) == 3
    x += 1
    for _ in range(2):
        at_once(noting.calls())
    assert sums.tolist() == [0.0, 4.0, 12.0]
