"""What is written and shown of a run."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from snnhw.training import Batch, Epoch, Scores, csv_log, json_log, logs, screen, tensorboard_log

FIRST = Epoch(1, 5, 0.5, 0.1 + 0.2, 18, 2.0)
SECOND = Epoch(2, 10, 0.25, 0.2, 18, 2.0, Scores(0.125, 0.75, 12.5, 6))
THIRD = Epoch(3, 15, 0.25, 0.1, 18, 2.0, Scores(0.125, None, 12.5, 6))

NAMES = ["epoch", "steps", "lr", "loss", "validation_loss", "validation_accuracy", "validation_spikes"]


def test_rows_of_a_table(tmp_path: Path) -> None:
    log = csv_log(tmp_path / "run.csv")
    for epoch in (FIRST, SECOND, THIRD):
        log(epoch)
    head, *rows = csv.reader((tmp_path / "run.csv").read_text().splitlines())
    assert head == [*NAMES, "samples", "seconds"]
    assert rows[0] == ["1", "5", "0.5", repr(0.1 + 0.2), "", "", "", "18", "2.0"]
    assert rows[1][4:7] == ["0.125", "0.75", "12.5"]
    assert rows[2][4:7] == ["0.125", "", "12.5"]


def test_lines_of_json(tmp_path: Path) -> None:
    log = json_log(tmp_path / "run.jsonl")
    for epoch in (FIRST, SECOND):
        log(epoch)
    found = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    assert [*found[0]] == [*NAMES, "samples", "seconds"]
    assert found[0]["loss"] == FIRST.loss
    assert found[0]["validation_loss"] is None
    assert found[1]["validation_accuracy"] == 0.75


@pytest.mark.parametrize("make", [csv_log, json_log])
def test_an_epoch_that_comes_again_is_there_once(make: Callable[[Path], Any], tmp_path: Path) -> None:
    """As when a run goes on from before it."""
    for name, epochs in (("once", (FIRST, SECOND, THIRD)), ("again", (FIRST, SECOND, THIRD, SECOND, THIRD))):
        for epoch in epochs:
            make(tmp_path / name)(epoch)
    assert (tmp_path / "again").read_text() == (tmp_path / "once").read_text()


def test_points_of_curves() -> None:
    class Writer:
        def __init__(self) -> None:
            self.points: list[tuple[str, float, int]] = []

        def add_scalar(self, name: str, value: float, step: int) -> None:
            self.points.append((name, value, step))

    writer = Writer()
    logs(tensorboard_log(writer))(SECOND)
    assert ("loss", 0.2, 2) in writer.points
    assert ("validation/accuracy", 0.75, 2) in writer.points
    tensorboard_log(writer)(THIRD)
    assert [point for point in writer.points if point[0] == "validation/accuracy"] == [
        ("validation/accuracy", 0.75, 2)
    ]


def batch(number: int) -> Batch:
    spikes = torch.zeros(5, 4, 3)
    spikes[:2] = 1
    return Batch(1, 2, number, 5, 0.5, spikes, None, 4, 0.5, 4 * number)


def test_a_terminal_has_a_bar_and_a_line_for_each_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=120, highlight=False)
    monkeypatch.setattr(screen, "Console", lambda **_: console)
    with screen.shown(True) as found:
        found.batch(batch(1))
        found.epoch(SECOND)
    assert "epoch 1/2, batch 1/5" in text.getvalue()
    assert "loss 0.5000, 6.0 spikes/sample, 8 samples/s" in text.getvalue()
    assert "    2    0.2000      0.1250     75.0%           12.5          9" in text.getvalue()


def test_elsewhere_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with screen.shown(True) as found:
        found.batch(batch(1))
        found.epoch(SECOND)
    assert capsys.readouterr() == ("", "")


def test_membranes_are_no_spikes() -> None:
    told = screen.told(Batch(1, 2, 1, None, 0.5, torch.full((5, 4, 3), 0.3), None, 4, 0.5, 4))
    assert told == "loss 0.5000, 8 samples/s"
