"""``snnhw demo``: a small slice of it, and what it does when something goes wrong."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cli_calls import call, fork

from snnhw import ir
from snnhw.cli.demo import digits, events, pictures
from snnhw.nn import Model
from snnhw.parity.comparison import Parity
from snnhw.parity.live import Live
from snnhw.plugin import Result

SMALL = ("demo", "--samples", "100", "--epochs", "1", "--backend", "cpu")
FILES = ("model.snn", "raster.png", "traces.png")
PNG = (b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82")


def test_it_trains_compares_saves_and_draws(tmp_path: Path) -> None:
    result = call(*SMALL, "--out", tmp_path / "made")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert lines[0].startswith("Backend cpu: ")
    assert lines[1] == "Handwritten digits: 80 to train on, 20 to test on"
    assert lines[3].split() == ["epoch", "loss", "accuracy", "spikes", "per", "image"]
    assert lines[4].split()[0] == "1"
    assert f"snnhw inspect {tmp_path / 'made' / 'model.snn'}" in result.stdout
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == sorted(FILES)
    program, params = ir.load(tmp_path / "made" / "model.snn")
    assert program.time.static_inputs == ("pixels",)
    assert params["fc1.weight"].shape == (128, 64)
    for name in FILES[1:]:
        content = (tmp_path / "made" / name).read_bytes()
        assert (content[:8], content[-8:]) == PNG


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty pictures: drawing takes seconds, and is tested above."""
    for name in pictures.__all__:
        monkeypatch.setattr(pictures, name, lambda *_: b"")


@pytest.mark.usefixtures("undrawn")
def test_json_is_alone_on_stdout(tmp_path: Path) -> None:
    result = call(*SMALL, "--json", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert "epoch" in result.stderr
    found = json.loads(result.stdout)
    assert found.keys() == {
        "schema",
        "backend",
        "label",
        "accuracy",
        "epochs",
        "spikes_per_sample",
        "parity",
        "events",
        "files",
    }
    assert (found["schema"], found["backend"], found["label"], found["epochs"]) == (1, "cpu", "", 1)
    assert 0 <= found["accuracy"] <= 1
    assert found["parity"]["spikes_compared"] == digits.TIME_STEPS * 20 * (128 + 10)
    assert found["events"]["spikes_compared"] == events.TIME_STEPS * digits.BATCH * (256 + 10)
    for part in (found["parity"], found["events"]):
        assert (part["ok"], part["unexplained_mismatches"], part["apart"]) == (True, 0, "")
    assert found["files"] == [str(tmp_path / name) for name in FILES]


@pytest.mark.usefixtures("undrawn")
def test_what_to_try_next_has_the_options(tmp_path: Path) -> None:
    result = call(*SMALL, "--out", tmp_path, "-o", "dtype=float64")
    assert "snnhw conformance cpu -o dtype=float64 " in result.stdout
    assert f"snnhw explain {tmp_path / 'model.snn'} --backend cpu -o dtype=float64 " in result.stdout


@pytest.mark.usefixtures("undrawn")
def test_the_reference_is_not_compared_with_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Model, "verify", lambda *_: Live(Parity(), is_reference=True))
    result = call(*SMALL, "--out", tmp_path)
    assert result.exit_code == 0
    assert "reference, on images it ran there" in " ".join(result.stdout.split())


@pytest.mark.usefixtures("undrawn")
def test_an_unexplained_spike_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = Live(Parity(spikes_compared=9, spike_mismatches=1, unexplained_mismatches=1))
    monkeypatch.setattr(Model, "verify", lambda *_: wrong)
    result = call(*SMALL, "--out", tmp_path)
    assert result.exit_code == 1
    assert "1 of 9 spikes differ: 0 lie within rounding of the threshold, 1 are unexplained" in result.stdout
    for what in ("images", "events"):
        assert f"error: on {what}, what cpu trained is beyond rounding from the reference: " in result.stderr


@pytest.mark.usefixtures("undrawn")
def test_a_model_that_is_not_that_of_its_parameters_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Model, "verify", lambda *_: Live(Parity(spikes_compared=9), "output 'output' differs")
    )
    result = call(*SMALL, "--out", tmp_path)
    assert result.exit_code == 1
    assert "error: on images, what cpu trained is not the model of its parameters: output" in result.stderr


def test_events_are_so_few_that_products_skip_zeros() -> None:
    train, test = digits.load(100)
    assert 0.005 < float(events.as_events(train.x).mean()) < 0.02
    with events.build("cpu", 0, {}) as model:
        assert events.held(model, train, test).ok
        assert np.asarray(model.executable.save_state()["own/fc1"]).tobytes() == b"skip"


def test_the_environment_names_a_backend(tmp_path: Path) -> None:
    result = call("demo", "--out", tmp_path, SNNHW_BACKEND="cpuu")
    assert result.exit_code == 1
    assert "no installed distribution offers a backend 'cpuu'. Did you mean 'cpu'?" in result.stderr


def test_a_wrong_option_lists_the_right_ones(tmp_path: Path) -> None:
    result = call(*SMALL, "--out", tmp_path, "-o", "dtyp=float64")
    assert result.exit_code == 1
    assert "has no option 'dtyp'. Did you mean 'dtype'?" in result.stderr


def test_ctrl_c_ends_training_and_leaves_no_partial_file(tmp_path: Path) -> None:
    process = fork("demo", "-b", "cpu", "--samples", "100", "--epochs", "100000", "--out", tmp_path / "made")
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line.startswith("    2 "):
                break
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 130
    assert complaint == "interrupted; files that were written are complete\n"
    assert list((tmp_path / "made").iterdir()) == []


# -- What it trains ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small() -> tuple[digits.Data, digits.Data]:
    return digits.load(100)


def test_the_split_is_fixed_and_in_proportion() -> None:
    train, test = digits.load()
    assert (train.x.shape, test.x.shape) == ((1437, 64), (360, 64))
    assert (float(train.x.min()), float(train.x.max())) == (0.0, 1.0)
    assert torch.bincount(test.y).min() >= 34
    again, _ = digits.load()
    assert torch.equal(again.x, train.x)


def curve(backend: str, small: tuple[digits.Data, digits.Data], seed: int = 0) -> list[tuple[Any, ...]]:
    with digits.build(backend, seed, {}) as model:
        history = digits.train(model, *small, epochs=2, seed=seed)
    return [(epoch.loss, epoch.number, epoch.validation) for epoch in history.epochs]


def test_backends_share_one_loss_curve(small: tuple[digits.Data, digits.Data]) -> None:
    cpu, reference = curve("cpu", small), curve("reference", small)
    for (loss, number, found), (other, same_number, wanted) in zip(cpu, reference, strict=True):
        assert loss == pytest.approx(other, rel=1e-6)
        assert found.loss == pytest.approx(wanted.loss, rel=1e-6)
        assert (number, replace(found, loss=0)) == (same_number, replace(wanted, loss=0))


def test_the_seed_decides_everything(small: tuple[digits.Data, digits.Data]) -> None:
    assert curve("cpu", small, seed=1) == curve("cpu", small, seed=1)
    assert curve("cpu", small, seed=1) != curve("cpu", small, seed=2)


class Watched:
    """A model that says how many images it was given."""

    def __init__(self) -> None:
        self.run_on: list[int] = []

    def run(self, x: torch.Tensor) -> Result:
        self.run_on.append(len(x))
        signals = {f"{layer}.spk": x[None, :, :10] for layer in (digits.HIDDEN, digits.OUTPUT)}
        return Result({}, signals, {})


def orders(*, fixed: bool) -> list[list[torch.Tensor]]:
    """The digits of two epochs, batch by batch."""
    images = digits.loader(digits.Data(torch.rand(150, 64), torch.arange(150)), 0, fixed=fixed)
    return [[y for _, y in images] for _ in range(2)]


def test_every_image_has_its_turn_in_another_order() -> None:
    first, second = orders(fixed=False)
    assert [len(y) for y in first] == [64, 64, 22]
    assert torch.equal(torch.cat(first).sort().values, torch.arange(150))
    assert torch.equal(torch.cat(second).sort().values, torch.arange(150))
    assert not torch.equal(torch.cat(first), torch.cat(second))


def test_fixed_shapes_see_one_batch_size_only() -> None:
    assert [[len(y) for y in epoch] for epoch in orders(fixed=True)] == [[64, 64]] * 2


def test_padding_is_cut_off_again() -> None:
    model = Watched()
    x = torch.rand(70, 64)
    found = digits.evaluate(model, x, fixed=True)  # type: ignore[arg-type]  # likewise
    assert torch.equal(found[f"{digits.OUTPUT}.spk"], x[None, :, :10])
    assert model.run_on == [64, 64]
