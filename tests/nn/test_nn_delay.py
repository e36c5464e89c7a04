"""A delay as a module, and as an edge of a program."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from nn_captures import B, lif, same, signal
from torch import Tensor, nn

import snnhw as snn
from snnhw.errors import CaptureError, InputError
from snnhw.ir import Add
from snnhw.nn import Delay, capture

pytestmark = pytest.mark.usefixtures("one_thread", "plain_torch")


@pytest.mark.parametrize("steps", [1, 3])
def test_it_returns_what_was_given_some_steps_ago(steps: int) -> None:
    xs, late = signal(6), Delay(steps)
    found = torch.stack([late(x) for x in xs])
    assert torch.equal(found, torch.cat([torch.zeros(steps, B, 6), xs])[: len(xs)])


def test_resetting_forgets_what_is_under_way() -> None:
    net = nn.Sequential(Delay(1), nn.Identity())
    net(torch.ones(B, 6))
    snn.utils.reset(net)
    assert net(torch.ones(2, 6)).count_nonzero() == 0
    assert repr(net[0]) == "Delay(1)"


def test_gradients_pass_and_are_cut() -> None:
    late, x = Delay(1), torch.ones(B, 2, requires_grad=True)
    late(x * 2)
    assert torch.equal(torch.autograd.grad(late(x).sum(), x)[0], torch.full((B, 2), 2.0))
    late.detach_hidden()
    assert not late(x).requires_grad


def test_a_copy_goes_on_from_the_same_values() -> None:
    late = Delay(1)
    late(torch.ones(B, 2, requires_grad=True) * 2)
    assert torch.equal(copy.deepcopy(late)(torch.zeros(B, 2)), torch.full((B, 2), 2.0))


@pytest.mark.parametrize("steps", [0, -1, 1.0, True])
def test_what_is_no_number_of_steps(steps: Any) -> None:
    with pytest.raises(InputError, match=r"Delay\(steps=.*\): give a number of steps, 1 or more"):
        Delay(steps)


def test_another_batch_is_refused() -> None:
    late = Delay(2)
    late(torch.zeros(B, 2))
    with pytest.raises(
        InputError, match=r"Delay\(2\) holds values of shape \[3, 2\] but was given \[2, 2\]; res"
    ):
        late(torch.zeros(2, 2))


class Echo(nn.Module):
    """A layer beside what it gave two steps ago."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.late, self.lif = nn.Linear(6, 4), Delay(2), lif()

    def forward(self, x: Tensor) -> Any:
        current = self.fc(x)
        return self.lif(torch.cat([current, self.late(current)], 1))


def test_in_a_program_it_is_an_edge() -> None:
    captured = same(Echo(), signal(6))
    assert captured.program.nodes["late"] == Add()
    (edge,) = [edge for edge in captured.program.edges if edge.delay]
    assert (edge.key, edge.delay) == ("fc.y->late.x", 2)


def test_one_delay_for_two_signals_is_refused() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.late, self.lif = Delay(1), lif()

        def forward(self, x: Tensor) -> Any:
            return self.lif(self.late(x) + self.late(2 * x))

    with pytest.raises(
        CaptureError, match="'late' is called twice within a step, but holds one signal; use two"
    ):
        capture(Twice(), torch.zeros(B, 6))
