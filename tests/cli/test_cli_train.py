"""``snnhw train`` and ``snnhw resume``."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_calls import call, fork

from snnhw import ir

PARTS = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
import snnhw as snn

x, y = torch.rand(12, 6, generator=torch.Generator().manual_seed(2)), torch.arange(12) % 3
number = 3

def net():
    return nn.Sequential(nn.Linear(6, 3), snn.Leaky(beta=0.9, init_hidden=True))

def train():
    return DataLoader(TensorDataset(x, y), 4, shuffle=True)

test = [(x, y)]

steps = [(x.expand(4, 12, 6), y)]
empty = []

def uneven():
    lengths = torch.arange(12) % 4 + 1
    data = TensorDataset(torch.stack([x * 3] * 4, 1), y, lengths)
    return DataLoader(data, 4, shuffle=True, collate_fn=padded)

def padded(rows):
    xs, ys, lengths = map(torch.stack, zip(*rows))
    return xs.transpose(0, 1), ys, lengths
"""

CONFIG = """
network = "parts.py:net"
data = "parts.py:train"
validate = "parts.py:test"
backend = "reference"
time_steps = 4
static = true
epochs = 3
seed = 1
schedule = [{name = "WarmUp", updates = 2}, {name = "Cosine"}]
loss = {name = "ce_count_loss"}
optimizer = {name = "Adam", lr = 0.05, betas = [0.8, 0.9]}
checkpoint = {every = 2}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "parts.py").write_text(PARTS)
    (tmp_path / "run.toml").write_text(CONFIG)
    return tmp_path / "run.toml"


def history(folder: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def test_a_file_is_trained(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "made"
    result = call("train", config, "--out", out)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == f"Model on 'reference', in '{out}'"
    assert lines[2].split()[:4] == ["epoch", "loss", "validation", "accuracy"]
    assert [line.split()[0] for line in lines[3:6]] == ["1", "2", "3"]
    assert lines[-1] == f"3 epochs are done; the network is in '{out / 'model.snn'}'"
    assert [row["epoch"] for row in history(out)] == [1, 2, 3]
    program, params = ir.load(out / "model.snn")
    assert program.time.static_inputs == ("input",)
    assert params["0.weight"].shape == (3, 6)


def test_json_is_alone_on_stdout(config: Path, tmp_path: Path) -> None:
    result = call("train", config, "--out", tmp_path / "made", "--json")
    found = json.loads(result.stdout)
    assert (found["schema"], found["ended"]) == (1, "3 epochs are done")
    assert [row["epoch"] for row in found["epochs"]] == [1, 2, 3]


def test_a_run_that_was_stopped_goes_on_in_every_bit(config: Path, tmp_path: Path) -> None:
    """Also from a checkpoint that is not the newest, and where the config has moved."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert call("train", config, "--out", whole).exit_code == 0
    assert call("train", config, "--out", cut).exit_code == 0
    config.rename(tmp_path / "moved.toml")
    wanted, params = history(whole), ir.load(whole / "model.snn")[1]
    for start in (cut, cut / "step-00000008.safetensors"):
        (cut / "model.snn").unlink()
        result = call("resume", start)
        assert result.exit_code == 0, result.output
        assert history(cut) == wanted
        found = ir.load(cut / "model.snn")[1]
        assert all(np.array_equal(found[key], params[key]) for key in params)


def test_sequences_of_several_lengths_in_parts_go_on_in_every_bit(config: Path, tmp_path: Path) -> None:
    text = CONFIG.replace("parts.py:train", "parts.py:uneven").replace("parts.py:test", "parts.py:uneven")
    text = text.replace("static = true", "lengths = true\ntbptt = 3").replace("epochs = 3", "epochs = 2")
    found = {}
    for name, keys in {"both": text, "whole": text.replace("tbptt = 3", "")}.items():
        config.write_text(keys)
        result = call("train", config, "--out", tmp_path / name)
        assert result.exit_code == 0, result.output
        found[name] = ir.load(tmp_path / name / "model.snn")[1]
    both = tmp_path / "both"
    wanted = history(both)
    assert not np.array_equal(found["both"]["0.weight"], found["whole"]["0.weight"]), "tbptt counts"
    (both / "model.snn").unlink()
    result = call("resume", both / "step-00000005.safetensors")  # within the second epoch
    assert result.exit_code == 0, result.output
    assert history(both) == wanted
    again = ir.load(both / "model.snn")[1]
    assert all(np.array_equal(again[key], x) for key, x in found["both"].items())


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_signal_ends_it_with_a_line_that_says_how_to_go_on(
    config: Path, tmp_path: Path, number: signal.Signals
) -> None:
    config.write_text(CONFIG.replace("epochs = 3", "epochs = 100000").replace("validate", "#"))
    process = fork("train", config, "--out", tmp_path / "run")
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line.startswith("    2 "):
                break
        process.send_signal(number)
        _, complaint = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 128 + number
    assert complaint.startswith(f"stopped by {number.name} after batch ")
    assert complaint.endswith(f"; all of it is saved: `snnhw resume {tmp_path / 'run'}` goes on\n")


def test_a_folder_with_a_run_is_kept(config: Path, tmp_path: Path) -> None:
    assert call("train", config, "--out", tmp_path / "made").exit_code == 0
    result = call("train", config, "--out", tmp_path / "made")
    assert result.exit_code == 1
    assert f"holds a run already; `snnhw resume {tmp_path / 'made'}` goes on with it" in result.stderr


def test_a_folder_without_one_is_refused(tmp_path: Path) -> None:
    result = call("resume", tmp_path)
    assert result.exit_code == 1
    assert "is no folder of a run: it holds no config.toml, which `snnhw train` puts there" in result.stderr


def test_time_steps_are_those_of_the_data(config: Path, tmp_path: Path) -> None:
    text = CONFIG.replace("parts.py:train", "parts.py:steps").replace("parts.py:test", "parts.py:steps")
    config.write_text(text.replace("time_steps = 4\nstatic = true\n", ""))
    assert call("train", config, "--out", tmp_path / "made").exit_code == 0
    assert ir.load(tmp_path / "made" / "model.snn")[0].time.static_inputs == ()


def test_a_file_of_ours_goes_on(config: Path, tmp_path: Path) -> None:
    assert call("train", config, "--out", tmp_path / "made").exit_code == 0
    config.write_text(CONFIG.replace("parts.py:net", "made/model.snn"))
    assert call("train", config, "--out", tmp_path / "more").exit_code == 0


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "epochs = 3",
            "epoch = 3",
            "has a key 'epoch'. Did you mean 'epochs'? The keys are network, data, loss,",
        ),
        ("epochs = 3", "", "lacks 'epochs'. The keys are network, data, loss, optimizer, epochs"),
        ("epochs = 3", "epochs = 'three'", "Expected `int`, got `str` - at `$.epochs`"),
        ("epochs = 3", "epochs = ", "it is no TOML"),
        (
            '"ce_count_loss"',
            '"ce_cout_loss"',
            "loss: name is 'ce_cout_loss'. Did you mean 'ce_count_loss'? There",
        ),
        (
            '"Adam", lr',
            '"Adam", rate',
            "optimizer 'Adam' takes no 'rate'. It takes lr, betas, eps, weight_decay.",
        ),
        (
            '"Adam", lr',
            '"Adm", lr',
            "optimizer: name is 'Adm'. Did you mean 'Adam'? There are SGD, Adam, AdamW",
        ),
        (
            "every = 2",
            "evry = 2",
            "checkpoint takes no 'evry'. Did you mean 'every'? It takes folder, every, keep,",
        ),
        ("every = 2", "every = 0", "Checkpoints(every=0): give a whole number above 0"),
        (
            '"WarmUp", updates = 2',
            '"Cosine"',
            "schedule: Cosine has no end that another could follow; only WarmUp",
        ),
        (
            '"Cosine"',
            '"Cosin"',
            "schedule: name is 'Cosin'. Did you mean 'Cosine'? There are Constant, WarmUp,",
        ),
        (
            "parts.py:net",
            "parts.py:nat",
            "'parts.py' holds no 'nat'. Did you mean 'net'? It holds torch, nn,",
        ),
        ("parts.py:net", "pats.py:net", "there is no file '"),
        ("parts.py:net", "parts.py:number", "is int; accepted: a torch module, or a function that makes one"),
        ("parts.py:train", "parts.py", "data = 'parts.py': accepted: 'file.py:name', beside the config"),
        (
            "parts.py:train",
            "parts.py:number",
            "data = 'parts.py:number' is 3; accepted: an iterable of batches",
        ),
        ("parts.py:train", "parts.py:empty", "data gives no batch; give data with one at least"),
        ("time_steps = 4", "", "static = true needs time_steps"),
        ('"reference"', '"refrence"', "no installed distribution offers a backend 'refrence'. Did you mean"),
    ],
)
def test_what_is_wrong_is_told(config: Path, tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in CONFIG
    config.write_text(CONFIG.replace(old, new))
    result = call("train", config, "--out", tmp_path / "made")
    assert result.exit_code == 1, result.output
    assert words in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr
