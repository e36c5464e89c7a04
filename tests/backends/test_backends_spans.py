"""Evaluation runs a span of steps at a time: with the same bits however a run is cut at spans, and never more
of a signal in memory than a span of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnhw as snn
from snnhw.tensors.network import run
from snnhw.tensors.network.schedule import Stage
from snnhw.tensors.network.walk import Walk

B, SPAN = 3, 2


def leaky(**settings: Any) -> nn.Module:
    return snn.Leaky(beta=0.9, threshold=0.3, init_hidden=True, **settings)


def images() -> nn.Module:
    before = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.MaxPool2d(2), leaky()]
    return nn.Sequential(*before, nn.Flatten(), nn.Linear(4 * 9, 5), leaky())


def recurrent() -> nn.Module:
    back = snn.RSynaptic(alpha=0.8, beta=0.9, linear_features=6, threshold=0.3, init_hidden=True)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 6), back, nn.Dropout(0.5), nn.Linear(6, 5), leaky())


MAKE: dict[str, Callable[[], nn.Module]] = {"images": images, "recurrent": recurrent}


def compiled(name: str, paths: str, steps: int, **how: Any) -> snn.nn.Model:
    torch.manual_seed(0)
    made = MAKE[name]().eval()
    options = {"paths": f"linear:dense,{paths}".rstrip(",")}
    return snn.compile(made, torch.zeros(B, 1, 8, 8), backend="cpu", time_steps=steps, options=options, **how)


def given(steps: int) -> Tensor:
    return torch.rand(steps, B, 1, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", MAKE)
@pytest.mark.parametrize("cuts", [(4, 2, 3), (6, 3), (2, 2, 2, 2, 1)])
def test_a_run_and_its_parts_give_the_same_bits(name: str, cuts: tuple[int, ...]) -> None:
    x = given(sum(cuts))
    with compiled(name, "spans:small", len(x)) as model:
        whole = model.run(x)
        parts, state, first = [], None, 0
        for steps in cuts:
            part = model.run(x[first : first + steps], state)
            parts.append(part.outputs)
            state, first = part.state, first + steps
    assert state is not None
    for port, y in whole.outputs.items():
        assert torch.equal(torch.cat([torch.as_tensor(part[port]) for part in parts]), torch.as_tensor(y))
        assert torch.as_tensor(y).any()
    assert state.keys() == whole.state.keys()
    for key, value in whole.state.items():
        assert torch.equal(torch.as_tensor(state[key]), torch.as_tensor(value)), key


@pytest.mark.parametrize("name", MAKE)
def test_no_signal_is_there_for_more_steps_than_a_span(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def looked_at(stage: Callable[..., None]) -> Callable[..., None]:
        def look(walk: Walk, *rest: Any) -> None:
            stage(walk, *rest)
            static = walk.network.schedule.static
            seen.extend(len(x) for port, x in walk.ports.items() if port not in static)

        return look

    monkeypatch.setattr(run, "_RUN", {mode: looked_at(stage) for mode, stage in run._RUN.items()})
    x, counts = given(9), {}
    for paths in ("spans:small", "spans:whole"):
        with compiled(name, paths, len(x)) as model:
            found = model.run(x)
        counts[paths] = max(seen)
        assert all(len(y) == len(x) for y in found.outputs.values())
        seen.clear()
    assert counts == {"spans:small": SPAN, "spans:whole": len(x)}


def test_what_does_not_change_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, ...]] = []

    def counted(original: Callable[..., None]) -> Callable[..., None]:
        def count(walk: Walk, stage: Stage) -> None:
            calls.append(stage.nodes)
            original(walk, stage)

        return count

    monkeypatch.setattr(run, "_RUN", {mode: counted(stage) for mode, stage in run._RUN.items()})
    with compiled("images", "spans:small", 6, static=True, record=["0.y"]) as model:
        found = model.run(given(1)[0])
    assert calls.count(("0",)) == 1
    assert calls.count(("6",)) == 3
    assert found.recordings["0.y"].shape[:2] == (6, B)


def test_training_takes_all_steps_at_once_and_agrees() -> None:
    x = given(9)
    with compiled("images", "spans:small", 9) as model:
        module = model.torch_module().eval()
        with torch.no_grad():
            apart, _ = module(x)
        whole, _ = module(x)
        for port, y in whole.items():
            assert y.requires_grad
            assert torch.equal(y.detach(), apart[port])
