"""``snnhw report``: what it shows, what it says to machines, and how it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cli_calls import call

from snnhw.ir import MODELS, Input, Linear, Neuron, init_params, sequential
from snnhw.ir.files import save

T, B = 6, 5

ON = ("--backend", "reference")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    leaky = Neuron(MODELS["Leaky"], reset="zero", timing="immediate")
    program = sequential({"x": Input((4,)), "fc": Linear(4, 3, bias=False), "lif": leaky})
    params = init_params(program, given={"lif.beta": 0.5})
    params["fc.weight"] = np.array([[2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 2]], np.float32)
    save(tmp_path / "net.snn", program, params)
    return tmp_path / "net.snn"


def data(folder: Path, **arrays: object) -> Path:
    """Sample 0 and every third shows its first input, and so on; with labels, of which the last is wrong."""
    x = np.zeros((T, B, 4), np.float32)
    x[:, range(B), [n % 3 for n in range(B)]] = 1
    labels = np.array([0, 1, 2, 0, 2])
    np.savez(folder / "data.npz", **{"x": x, "labels": labels, **arrays})  # type: ignore[arg-type]
    return folder / "data.npz"


def test_the_tables(saved: Path, tmp_path: Path) -> None:
    result = call("report", saved, "--data", data(tmp_path), *ON, "--batch", 2)
    assert result.exit_code == 0, result.output
    rows = {line.split("  ")[0]: line.split() for line in result.stdout.splitlines() if line}
    assert "reference: T=6, 5 samples" in result.stdout
    assert rows["accuracy"][-1] == "80.00%"
    assert rows["spikes per sample"][-1] == "6.0"
    assert rows["effective ACs per sample"][-1] == "6.0"
    assert rows["dense operations per sample"][-1] == "72.0"
    assert rows["connection sparsity"][2] == "66.67%"
    assert rows["lif"] == ["lif", "Leaky", "3", "0", "6.0", "0.3333", "66.67%"]
    assert rows["fc"] == ["fc", "Linear", "0.0", "6.0", "72.0", "8.33%"]
    assert "proxies" not in result.stdout


def test_without_labels_there_is_no_accuracy(saved: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((T, B, 4), np.float32))
    result = call("report", saved, "--data", tmp_path / "x.npy", *ON)
    assert "not known, the data hold no labels" in result.stdout
    asked = call("report", saved, "--data", tmp_path / "x.npy", "--decide", "first", *ON)
    assert asked.exit_code == 1
    assert "holds no labels to compare with; add 'labels', [B]" in asked.stderr


def test_proxies_are_called_that(saved: Path, tmp_path: Path) -> None:
    given = ("report", saved, "--data", data(tmp_path), *ON, "--target", "loihi2")
    shown, told = call(*given), call(*given, "--json")
    assert shown.exit_code == told.exit_code == 0, shown.output
    said = "proxies: counts of the integers, run here; nothing was measured on a chip"
    assert said in shown.stdout
    found = json.loads(told.stdout)
    assert found["proxies"]["what"] == said
    assert found["proxies"]["target"] == "loihi2"
    assert {"neurons", "weight"} <= {row["limit"]["name"] for row in found["proxies"]["limits"]}
    assert (found["accuracy"], found["spikes_per_sample"], found["schema"]) == (0.8, 6.0, 1)
    assert found["synaptic_operations"] == {"effective_macs": 0.0, "effective_acs": 6.0, "dense": 72.0}


@pytest.mark.parametrize(
    ("arrays", "options", "told"),
    [
        ({"x": np.ones((T, B, 3))}, (), "input 'x' has shape [6, 5, 3]; accepted: [T, B, 4]"),
        (
            {"x": np.full((T, B, 4), np.nan)},
            (),
            "input 'x' holds nan at [0, 0, 0]; every value has to be finite",
        ),
        ({"y": np.ones(2)}, (), "the program has no input 'y'. It has: x."),
        ({"labels": np.arange(4)}, (), "labels have shape [4]; accepted: [5], one for each sample"),
        ({"labels": np.arange(5)}, (), "label 3 is no class: the output has 3, from 0 to 2"),
        ({}, ("--target", "lohi2"), "a target 'lohi2'. Did you mean 'loihi2'?"),
        ({}, ("--decide", "most"), "'most' is no way to decide. There are sum, peak, first."),
        ({}, ("--network", "x.snn"), "--network says whose parameters a checkpoint holds"),
        (
            {"x": np.full((T, B, 4), 0.5)},
            ("--target", "loihi2"),
            "input 'x' holds 0.5; the chip takes spikes",
        ),
    ],
)
def test_what_does_not_fit(
    saved: Path, tmp_path: Path, arrays: dict[str, object], options: tuple[str, ...], told: str
) -> None:
    result = call("report", saved, "--data", data(tmp_path, **arrays), *ON, *options)
    assert result.exit_code == 1, result.output
    assert told in result.stderr
    assert result.stderr.strip().count("\n") == 0  # one sentence


def test_files_that_are_not_there(saved: Path, tmp_path: Path) -> None:
    assert "does not exist" in call("report", saved, "--data", tmp_path / "none.npz", *ON).stderr
    result = call("report", tmp_path / "none.snn", "--data", data(tmp_path), *ON)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "none.snn': No such file" in result.stderr


def test_checkpoints(tmp_path: Path, saved: Path) -> None:
    """Of a run, whose config says what they are of; and of a loop of one's own."""
    (tmp_path / "parts.py").write_text(
        "import torch, snnhw as snn\n"
        "x, y = torch.eye(4)[torch.arange(8) % 3], torch.arange(8) % 3\n"
        "data = [(x.expand(5, 8, 4), y)]\n"
        "lif = snn.Leaky(beta=0.9, init_hidden=True)\n"
        "def net(): return torch.nn.Sequential(torch.nn.Linear(4, 3), lif)\n"
    )
    (tmp_path / "run.toml").write_text(
        'network = "parts.py:net"\ndata = "parts.py:data"\nbackend = "reference"\nepochs = 1\n'
        'loss = {name = "ce_count_loss"}\noptimizer = {name = "Adam", lr = 0.5}\n'
    )
    run = tmp_path / "run"
    assert call("train", tmp_path / "run.toml", "--out", run).exit_code == 0
    np.save(tmp_path / "input.npy", np.eye(4, dtype=np.float32)[np.zeros((T, B), int)])
    given = ("--data", tmp_path / "input.npy", *ON, "--json")
    newest = max(run.glob("step-*.safetensors"))
    trained, model = call("report", newest, *given), call("report", run / "model.snn", *given)
    assert trained.exit_code == 0, trained.output
    first = min(run.glob("step-*.safetensors"))
    seen = [json.loads(result.stdout) for result in (trained, model, call("report", first, *given))]
    assert seen[0].pop("file") != seen[1].pop("file")
    assert seen[0] == seen[1]
    assert seen[0]["weights"] != seen[2]["weights"]
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes(newest.read_bytes())
    assert "say whose they are by --network FILE.snn" in call("report", alone, *given).stderr
    named = call("report", alone, *given, "--network", run / "model.snn")
    assert json.loads(named.stdout)["weights"] == seen[0]["weights"]
    other = call("report", alone, *given, "--network", saved)
    assert "alone.safetensors' is of another network than" in other.stderr
    alone.write_bytes(newest.read_bytes()[:100])
    assert "cannot load" in call("report", alone, *given).stderr
