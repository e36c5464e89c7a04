"""Learning rates, beside torch's own schedulers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from snnhw.errors import InputError
from snnhw.training import Constant, Cosine, Epoch, LRSchedule, Plateau, Scores, StepDown, WarmUp
from snnhw.training.schedules import SCHEDULES, When

LOSSES = [1.0, 0.8, 0.8, 0.79999, 0.9, 0.7, 0.7, 0.71, 0.72, 0.7, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6]


def epochs(losses: list[float]) -> tuple[Epoch, ...]:
    return tuple(Epoch(number, number, 1.0, loss, 1, 1.0) for number, loss in enumerate(losses, 1))


def factors(schedule: LRSchedule, updates: int, total: int | None = None) -> list[float]:
    return [schedule.factor(When(done, total=total)) for done in range(updates)]


def of_torch(make: Callable[[Any], Any], steps: int, *values: float) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler, found = make(optimizer), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that nothing is trained
        for step in range(steps):
            found.append(optimizer.param_groups[0]["lr"])
            scheduler.step(*values[step : step + 1])
    return found


def test_cosine_is_torchs() -> None:
    wanted = of_torch(lambda it: lr_scheduler.CosineAnnealingLR(it, 20, eta_min=0.1), 20)
    assert factors(Cosine(20, end=0.1), 20) == pytest.approx(wanted)
    assert factors(Cosine(20, end=0.1), 23)[20:] == pytest.approx([0.1] * 3)


def test_cosine_lasts_as_long_as_the_run() -> None:
    assert factors(Cosine(), 20, total=20) == factors(Cosine(20), 20)
    with pytest.raises(InputError, match=r"as long as the data, which has no length; give Cosine\(updates="):
        Cosine().factor(When(3))


def test_warm_up_is_torchs_one_update_on() -> None:
    """The first update has a share of the rate, where torch's has the start itself."""
    wanted = of_torch(lambda it: lr_scheduler.LinearLR(it, 0.2, total_iters=8), 12)
    assert factors(WarmUp(8, start=0.2), 11) == pytest.approx(wanted[1:])


def test_one_schedule_follows_another() -> None:
    both = WarmUp(3).then(Cosine())
    assert factors(both, 10, total=10) == pytest.approx([1 / 3, 2 / 3, 1, *factors(Cosine(7), 7)])


def test_steps_down_are_torchs() -> None:
    wanted = of_torch(lambda it: lr_scheduler.StepLR(it, 3, 0.5), 10)
    found = [StepDown(3, 0.5).factor(When(0, epochs([1.0] * done))) for done in range(10)]
    assert found == pytest.approx(wanted)


@pytest.mark.parametrize("patience", [1, 2, 4])
def test_a_plateau_is_torchs(patience: int) -> None:
    def make(optimizer: Any) -> Any:
        return lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=patience, min_lr=0.1)

    wanted = of_torch(make, len(LOSSES), *LOSSES)
    schedule = Plateau(patience, gamma=0.5, least=0.1)
    found = [schedule.factor(When(0, epochs(LOSSES[:done]))) for done in range(len(LOSSES))]
    assert found == pytest.approx(wanted)
    assert len(set(found)) > 1


def test_a_plateau_of_accuracies() -> None:
    scored = [Epoch(n, n, 1.0, 1.0, 1, 1.0, Scores(1.0, 0.5, 0.0, 1)) for n in (1, 2, 3)]
    assert Plateau(1, monitor="accuracy").factor(When(0, tuple(scored))) == pytest.approx(0.1)


def test_constant_is_one() -> None:
    assert factors(Constant(), 3) == [1.0] * 3


@pytest.mark.parametrize(
    ("kind", "arguments", "words"),
    [
        (WarmUp, {"updates": 0}, r"WarmUp\(updates=0\): give a whole number above 0"),
        (WarmUp, {"start": -1.0}, r"WarmUp\(start=-1.0\): give a finite number, 0 or more"),
        (Cosine, {"end": float("nan")}, r"Cosine\(end=nan\): give a finite number"),
        (Cosine, {"updates": 2.5}, r"Cosine\(updates=2.5\): give a whole number"),
        (StepDown, {"every": True}, r"StepDown\(every=True\): give a whole number of epochs"),
        (Plateau, {"patience": "3"}, r"Plateau\(patience='3'\): give a whole number of epochs"),
        (Plateau, {"monitor": "spikes"}, "monitor='spikes'; accepted: loss, accuracy"),
    ],
)
def test_what_makes_no_sense_is_refused(kind: type[LRSchedule], arguments: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        kind(**arguments)


def test_every_schedule_has_a_name_and_is_a_value() -> None:
    for name, kind in SCHEDULES.items():
        assert kind.__name__ == name
        assert kind() == kind()
        assert hash(kind()) == hash(kind())
