"""One epoch in one call: which steps make an update, what is cut, and what is returned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnhw as snn
import snnhw.functional as SF
from snnhw import backprop
from snnhw.errors import InputError

pytestmark = pytest.mark.usefixtures("one_thread", "plain_torch")

T, B, C = 7, 3, 2


def net(*, output: bool = True) -> nn.Sequential:
    """Neurons of several kinds, one of them inside another container."""
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Linear(4, 5), snn.Synaptic(0.5, 0.8, init_hidden=True, threshold=0.2))
    last = snn.Leaky(0.9, init_hidden=True, output=output, threshold=0.2)
    return nn.Sequential(nn.Linear(4, 4), snn.Leaky(0.9, init_hidden=True), inner, nn.Linear(5, C), last)


def batches(count: int = 2, steps: int | None = T) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    shape = (B, 4) if steps is None else (steps, B, 4)
    return [
        (3 * torch.rand(shape, generator=generator), torch.randint(C, (B,), generator=generator))
        for _ in range(count)
    ]


class Counting(torch.optim.SGD):
    """How many updates there were."""

    updates = 0

    def step(self, closure: Any = None) -> Any:
        self.updates += 1
        return super().step(closure)


def run(train: Callable[..., Tensor], network: nn.Module, loader: Any, **how: Any) -> tuple[Tensor, int]:
    optimizer = Counting(network.parameters(), lr=how.pop("lr", 0.0))
    loss = train(network, loader, optimizer, how.pop("criterion", SF.ce_rate_loss()), **how)
    assert loss.shape == ()
    assert not loss.requires_grad
    return loss, optimizer.updates


def by_hand(network: nn.Module, loader: list[tuple[Tensor, Tensor]], criterion: Any, reads: int = 0) -> float:
    values = []
    for data, targets in loader:
        snn.utils.reset(network)
        returned = torch.stack([network(step)[reads] for step in data])
        values.append(float(criterion(returned, targets).detach()))
    return sum(values) / len(values)


@pytest.mark.parametrize(
    ("train", "how", "updates"),
    [
        (backprop.BPTT, {}, 1),
        (backprop.RTRL, {}, 7),
        (backprop.TBPTT, {}, 7),
        (backprop.TBPTT, {"K": 3}, 3),
        (backprop.TBPTT, {"K": 7}, 1),
        (backprop.TBPTT, {"K": False}, 1),
    ],
)
def test_updates_and_the_loss(train: Callable[..., Tensor], how: dict[str, Any], updates: int) -> None:
    """Without a change of the weights the loss is that of the whole, however it is cut: leftover steps
    count for as many as they are."""
    network = net()
    loss, found = run(train, network, batches(), **how)
    assert found == 2 * updates
    assert loss.item() == pytest.approx(by_hand(network, batches(), SF.ce_rate_loss()), rel=1e-5)


def test_updates_train() -> None:
    """Mixed neurons, nested ones too, are all cut: else the second update would go backward twice."""
    network = net()
    losses = [run(backprop.TBPTT, network, batches(), K=2, lr=0.05)[0].item() for _ in range(15)]
    assert losses[-1] < losses[0]


def test_an_update_is_that_of_the_whole_sequence() -> None:
    ours, mine = net(), net()
    ((data, targets),) = batches(1)
    run(backprop.BPTT, ours, [(data, targets)], lr=0.1)
    SF.ce_rate_loss()(torch.stack([mine(step)[0] for step in data]), targets).backward()
    for updated, param in zip(ours.parameters(), mine.parameters(), strict=True):
        if param.grad is not None:
            torch.testing.assert_close(updated.detach(), param.detach() - 0.1 * param.grad)


def test_membranes_and_regularization() -> None:
    network = net()
    for criterion in (SF.mse_membrane_loss(), SF.ce_max_membrane_loss()):
        loss, _ = run(backprop.BPTT, network, batches(), criterion=criterion)
        assert loss.item() == pytest.approx(by_hand(network, batches(), criterion, reads=-1), rel=1e-5)
    both = SF.ce_count_loss() + SF.mse_membrane_loss()
    loss, _ = run(backprop.BPTT, network, batches(), criterion=both)
    regularized, _ = run(
        backprop.BPTT,
        network,
        batches(),
        criterion=SF.ce_count_loss(),
        regularization=SF.l1_rate_sparsity(0.5),
    )
    counts = by_hand(network, batches(), SF.ce_count_loss())
    assert loss.item() == pytest.approx(
        counts + by_hand(network, batches(), SF.mse_membrane_loss(), -1), rel=1e-5
    )
    spikes = by_hand(network, batches(), lambda spk, _: spk.sum())
    assert regularized.item() == pytest.approx(counts + 0.5 * spikes, rel=1e-5)


def test_static_data_and_another_axis_for_time() -> None:
    network = net()
    loss, updates = run(backprop.BPTT, network, batches(steps=None), time_var=False, num_steps=T)
    repeated = [(data.expand(T, B, 4), targets) for data, targets in batches(steps=None)]
    assert updates == 2
    assert loss.item() == pytest.approx(by_hand(network, repeated, SF.ce_rate_loss()), rel=1e-5)
    swapped = [(data.transpose(0, 1), targets) for data, targets in repeated]
    again, _ = run(backprop.RTRL, network, swapped, time_first=False)
    assert again.item() == pytest.approx(loss.item(), rel=1e-5)


def test_sequences_of_different_lengths() -> None:
    """The number of steps is each batch's own."""
    loader = [*batches(1, steps=4), *batches(1, steps=6)]
    assert run(backprop.BPTT, net(), loader)[1] == 2
    assert run(backprop.TBPTT, net(), loader, K=4)[1] == 1 + 2


def test_targets_that_change_over_time_are_cut_alike() -> None:
    """In snnTorch they are of no length from the second batch on."""
    seen = []

    def criterion(spk: Tensor, targets: Tensor) -> Tensor:
        seen.append((len(spk), targets.tolist()))
        return spk.sum()

    criterion.time_var_targets = True  # type: ignore[attr-defined]  # as snnTorch's losses have it
    loader = [(torch.ones(5, B, 4), torch.arange(5)), (torch.ones(5, B, 4), torch.arange(5, 10))]
    run(backprop.TBPTT, net(), loader, K=2, criterion=criterion)
    assert seen == [(2, [0, 1]), (2, [2, 3]), (1, [4]), (2, [5, 6]), (2, [7, 8]), (1, [9])]


def test_membranes_that_are_wanted_at_every_step() -> None:
    network, loss = net(), SF.mse_membrane_loss(time_var_targets=True)
    loader = [(data, torch.rand(T, B, C)) for data, _ in batches()]
    found, _ = run(backprop.TBPTT, network, loader, K=3, criterion=loss)
    assert found.item() == pytest.approx(by_hand(network, loader, loss, reads=-1), rel=1e-5)


def test_spikes_alone() -> None:
    run(backprop.BPTT, net(output=False), batches())
    with pytest.raises(
        InputError, match="reads the membrane, but the net returns spikes alone; construct its"
    ):
        run(backprop.BPTT, net(output=False), batches(), criterion=SF.mse_membrane_loss())


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"num_steps": 3}, "num_steps is for static data; with time_var=True the data"),
        ({"time_var": False}, r"static data \(time_var=False\) needs num_steps"),
        ({"time_var": False, "num_steps": 3, "time_first": False}, "has no time axis; leave time_first out"),
        ({"time_var": False, "num_steps": 3, "K": 4}, "K=4 is more than num_steps=3; give fewer steps"),
        ({"K": 0}, "K=0: give a number of steps, 1 or more, or leave it out"),
        ({"loader": []}, "the dataloader gave no batches; check its dataset, and drop_last"),
    ],
)
def test_messages(how: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(backprop.TBPTT, net(), how.pop("loader", batches()), **how)
