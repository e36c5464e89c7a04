"""Whoever else prints, what ``--json`` says is alone on stdout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cli_calls import ENVIRONMENT, START, call

import snnhw as snn
from snnhw import registry
from snnhw.cli import VERBS
from snnhw.cli.answer import kept_for_json, print_json

NOISY = """
import atexit, ctypes, os, subprocess, sys
import snnhw.api, snnhw.registry

stdout, C = sys.stdout, ctypes.CDLL(None)

def noise(where):
    print("print", where)
    sys.stdout.write(f"stream {where}\\n")
    stdout.write(f"kept stream {where}\\n")
    os.write(1, f"descriptor {where}\\n".encode())
    C.puts(f"C {where}".encode())
    subprocess.run(["echo", "process", where], check=True)

def noisy(module, name):
    quiet = getattr(module, name)
    def function(*args, **kwargs):
        noise(name)
        return quiet(*args, **kwargs)
    setattr(module, name, function)

noisy(snnhw.registry, "survey")
noisy(snnhw.registry, "load")
noisy(snnhw.api, "load")
atexit.register(noise, "at exit")
from snnhw.cli import main
main()
"""

COMMANDS = {
    "backends": ["backends", "--json"],
    "inspect": ["inspect", "net.snn", "--json"],
    "verify": [
        "verify",
        "net.snn",
        "--on",
        "reference",
        "-o",
        "reference.dtype=float32",
        "--time-steps",
        "2",
        "--json",
    ],
    "demo": ["demo", "-b", "reference", "--epochs", "1", "--samples", "100", "--json"],
    "export": [
        "export",
        "chip.snn",
        "chip",
        "--target",
        "loihi2",
        "--calibrate",
        "spikes.npz",
        "--json",
    ],
    "report": ["report", "net.snn", "--data", "data.npz", "--backend", "reference", "--json"],
    "train": ["train", "run.toml", "--json"],
    "resume": ["resume", "run-run", "--json"],
}
"""Each command that takes ``--json``, but conformance, which writes to a file."""


BEFORE = {"resume": ["train", "run.toml"]}
"""What has to be there first."""

PARTS = """
import torch
import snnhw as snn

def net():
    return torch.nn.Sequential(torch.nn.Linear(3, 2), snn.Leaky(beta=0.5, init_hidden=True))

data = [(torch.ones(4, 2, 3), torch.tensor([0, 1]))]
"""

CONFIG = """
network = "parts.py:net"
data = "parts.py:data"
backend = "reference"
time_steps = 4
epochs = 1
loss = {name = "ce_count_loss"}
optimizer = {name = "SGD", lr = 0.1}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    import torch

    for name, how in {
        "net": {},
        "chip": {"reset_mechanism": "zero", "reset_delay": False},
    }.items():
        neuron = snn.Leaky(beta=0.5, init_hidden=True, **how)
        snn.save(
            tmp_path / f"{name}.snn", torch.nn.Sequential(torch.nn.Linear(3, 2), neuron), torch.zeros(1, 3)
        )
    np.savez(tmp_path / "spikes.npz", input=np.ones((4, 1, 3), np.float32))
    np.savez(tmp_path / "data.npz", input=np.ones((4, 2, 3), np.float32), labels=np.array([0, 1]))
    (tmp_path / "parts.py").write_text(PARTS)
    (tmp_path / "run.toml").write_text(CONFIG)
    return tmp_path


def test_every_command_with_json_is_tried() -> None:
    taking = {name for name, *_ in VERBS if "--json" in call(name, "--help").stdout}
    assert taking == {*COMMANDS, "conformance"}


@pytest.mark.skipif(os.name != "posix", reason="the noise is that of posix")
@pytest.mark.parametrize("name", COMMANDS)
def test_what_a_plugin_prints_goes_to_stderr(folder: Path, name: str) -> None:
    if name in BEFORE:
        subprocess.run([sys.executable, "-c", START, *BEFORE[name]], cwd=folder, env=ENVIRONMENT, check=True)
    run = subprocess.run(
        [sys.executable, "-c", NOISY, *COMMANDS[name]],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert isinstance(json.loads(run.stdout), dict), run.stderr
    for kind in ("print", "stream", "kept stream", "descriptor", "C", "process"):
        assert f"{kind} at exit" in run.stderr
        assert any(f"{kind} {place}" in run.stderr for place in ("survey", "load"))


@pytest.mark.skipif(os.name != "posix", reason="the shell is that of posix")
@pytest.mark.parametrize(("closed", "script"), [("2", NOISY), ("1", START)])
def test_a_closed_stream_is_no_traceback(folder: Path, closed: str, script: str) -> None:
    command = f'exec "$0" -c "$1" backends --json {closed}>&-'
    run = subprocess.run(
        ["sh", "-c", command, sys.executable, script],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    if closed == "2":
        assert json.loads(run.stdout)["backends"]
    else:
        assert run.returncode == 1
        assert run.stderr == "error: stdout is closed, so that there is nowhere to print to\n"


def test_within_a_process_stdout_is_as_before_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    before, quiet = sys.stdout, registry.survey

    def survey(group: str) -> object:
        print("noise")
        return quiet(group)

    monkeypatch.setattr(registry, "survey", survey)
    result = call("backends", "--json")
    assert json.loads(result.stdout)
    assert "noise" in result.stderr
    assert sys.stdout is before
    assert "noise" in call("backends").stdout


def test_an_error_gives_stdout_back(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        print("noise")
        print_json("{}")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), kept_for_json():
        fail()
    print("after")
    said = capsys.readouterr()
    assert said.out == "{}after\n"
    assert said.err == "noise\n"
