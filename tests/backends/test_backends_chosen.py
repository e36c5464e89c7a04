"""What training decides by measurement belongs to its state: who resumes it goes on in the same way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import snnhw as snn
import snnhw.functional as SF
from snnhw.errors import InputError
from snnhw.plugin import Arrays, Executable
from snnhw_cpu.costs import SHIPPED
from snnhw_cpu.paths import PATHS

T, B, INPUTS = 8, 32, 300
STEPS = 4


@pytest.fixture(autouse=True)
def _as_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is kept for this processor."""
    monkeypatch.setattr("snnhw_cpu.linear.costs_here", lambda: SHIPPED)


def executable(paths: str = "", **options: Any) -> Executable:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(INPUTS, 200),
        snn.Leaky(beta=0.7 + 0.2 * torch.rand(200), learn_beta=True, init_hidden=True),
        nn.Linear(200, 20),
        snn.RLeaky(beta=0.9, linear_features=20, init_hidden=True),
    )
    return snn.compile(
        net,
        torch.zeros(B, INPUTS),
        backend="cpu",
        time_steps=T,
        loss=SF.ce_rate_loss(),
        optimizer=snn.optim.Adam(lr=1e-2),
        options={"paths": paths, **options},
    ).executable


def batch(number: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """By turns of few events and of many."""
    generator = torch.Generator().manual_seed(number)
    x = (torch.rand(T, B, INPUTS, generator=generator) < (0.01, 0.5)[number % 2]).float()
    return {"input": x}, {"target": torch.randint(0, 20, (B,), generator=generator)}


def said(state: Arrays) -> dict[str, str]:
    own = {name: x for name, x in state.items() if name.startswith("own/")}
    return {name.removeprefix("own/"): np.asarray(x).tobytes().decode() for name, x in own.items()}


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize(
    "path", ["", *(f"{name}:{way}" for name, each in PATHS.items() for way in each.ways)]
)
def test_a_run_resumed_at_any_step_is_the_one_that_went_on(path: str) -> None:
    states = []
    with executable(path) as going:
        for number in range(STEPS):
            states.append(going.save_state())
            going.run(batch(number + 1)[0])  # decides nothing
            going.step(*batch(number))
        wanted = going.save_state()
    for cut, state in enumerate(states):
        with executable(path) as resumed:
            resumed.load_state(state)
            for number in range(cut, STEPS):
                resumed.step(*batch(number))
            assert same(resumed.save_state(), wanted), f"resumed after {cut} steps"


def test_a_state_says_what_was_decided_and_a_run_decides_nothing() -> None:
    with executable() as made:
        made.run(batch(0)[0])
        assert said(made.save_state()) == {}
        made.step(*batch(0))
        first = said(made.save_state())
        assert first["0"] == "skip"
        made.step(*batch(1))
        made.run(batch(1)[0])
        assert said(made.save_state())["0"] == "skip"
    with executable() as other:
        other.step(*batch(1))
        assert said(other.save_state())["0"] == "dense"


def test_what_is_forced_is_not_decided() -> None:
    ways: list[dict[str, Any]] = [{"paths": f"linear:{way}"} for way in PATHS["linear"].ways]
    for options in (*ways, {"deterministic": True}):
        with executable(**options) as made:
            made.step(*batch(0))
            assert said(made.save_state()) == {}


@pytest.mark.parametrize("options", [{"paths": "linear:dense"}, {"deterministic": True}])
def test_a_state_of_another_way_is_refused(options: dict[str, Any]) -> None:
    with executable() as made, executable(**options) as other:
        made.step(*batch(0))
        before = other.get_params()
        with pytest.raises(
            InputError, match=r"'own/0' of this state says 'skip'; accepted: nothing there; load it"
        ):
            other.load_state(made.save_state())
        assert same(other.get_params(), before)


@pytest.mark.parametrize("wrong", [np.frombuffer(b"fast", np.uint8), np.array(1.0), np.zeros(0, np.uint8)])
def test_a_way_that_there_is_not_is_refused(wrong: np.ndarray) -> None:
    with executable() as made:
        made.step(*batch(0))
        with pytest.raises(
            InputError, match=r"'own/0' of this state says .*; accepted: dense or skip or lookup; load it on"
        ):
            made.load_state({**made.save_state(), "own/0": wrong})
