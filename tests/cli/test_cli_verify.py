"""``snnhw verify``: what it asks for, shows, writes and ends with."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_calls import call

from snnhw.cli.verify import LEGEND
from snnhw.errors import DeviceError
from snnhw.ir import MODELS, Input, Linear, Neuron, Params, init_params, sequential
from snnhw.ir.files import save
from snnhw_reference.plugin import ReferenceBackend

T, B = 6, 3

SINGLE = ("--on", "reference", "-o", "reference.dtype=float32")
"""The reference in single precision, held to itself in double."""


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    leaky = Neuron(MODELS["Leaky"])
    program = sequential({"x": Input((4,)), "fc": Linear(4, 5), "lif": leaky})
    params = init_params(program, given={"lif.beta": 0.9})
    params["fc.weight"] = np.random.default_rng(0).random((5, 4), np.float32)
    file = tmp_path / "net.snn"
    save(file, program, params)
    return file


@pytest.fixture
def wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference, with thresholds a little too high."""
    honest = ReferenceBackend.compile

    def compiled(self: ReferenceBackend, program: Any, params: Params, job: Any) -> Any:
        higher = np.add(params["lif.threshold"], 0.1, dtype=np.float32)
        return honest(self, program, {**params, "lif.threshold": higher}, job)

    monkeypatch.setattr(ReferenceBackend, "compile", compiled)


def test_equal(saved: Path) -> None:
    result = call("verify", saved, *SINGLE, "--batch", B, "--time-steps", T)
    assert result.exit_code == 0, result.output
    assert f"{saved}: T={T}, B={B}, inputs random, seed 0" in result.stdout
    assert "reference and the reference: every spike is equal." in result.stdout
    assert f"{T * B * 5}" in result.stdout


def test_what_stands_in_for_a_device_is_labelled(saved: Path) -> None:
    result = call("verify", saved, "--on", "reference,ipu", "-o", "ipu.emulate=true", "--batch", 1)
    assert result.exit_code == 0, result.output
    assert "\nreference: float64, 0." in result.stdout
    assert "\nipu (emulated on torch " in result.stdout


def test_tables_fit_a_usual_terminal(saved: Path) -> None:
    result = call("verify", saved, "--on", "reference,cpu", "--batch", 20, "--time-steps", 20)
    lines = result.stdout.splitlines()
    headings = "spikes fired differ explained outside membrane"
    assert sum(" ".join(line.split()).endswith(headings) for line in lines) == 1
    layers = "layer on spikes differ explained first membrane"
    assert sum(" ".join(line.split()) == layers for line in lines) == 1
    rows = [line.split() for line in lines if line.startswith("cpu  ")]
    assert [len(row) for row in rows] == [7]  # not folded


def test_every_column_is_in_the_legend(saved: Path) -> None:
    lines = call("verify", saved, "--on", "cpu,reference", "--batch", 2).stdout.splitlines()
    heads = {word for line in lines if line.startswith(("on  ", "layer  ")) for word in line.split()}
    legend = [line.split()[0] for line in lines if line[9:11] == "  " and line[11:] in LEGEND.values()]
    assert set(legend) == heads - {"on", "layer"} == set(LEGEND)
    assert all(len(words) <= 80 for words in LEGEND.values())


def test_nothing_compares_the_reference_with_itself(saved: Path) -> None:
    shown = call("verify", saved, "--on", "reference,cpu", "--batch", 2).stdout
    assert "reference: float64, 0." in shown
    assert "s; the reference, which the others are held to\n" in shown
    assert "reference and" not in shown
    assert "and reference" not in shown
    assert not [line for line in shown.splitlines() if line.split()[:2] == ["1", "reference"]]
    found = json.loads(call("verify", saved, "--on", "reference,cpu", "--batch", 2, "--json").stdout)
    assert [held["is_reference"] for held in found["held"]] == [True, False]
    assert (found["ok"], found["pairs"]) == (True, [])
    alone = call("verify", saved, "--on", "reference")
    assert alone.exit_code == 1
    assert "'reference' is the reference itself, so that nothing is compared; name another" in alone.stderr


def test_what_is_said_of_one_and_the_reference_is_said_once(saved: Path) -> None:
    shown = call("verify", saved, "--on", "cpu,ipu", "-o", "ipu.emulate=true", "--batch", 2).stdout
    assert shown.count("every spike is equal") == 2  # of each, and so of the two
    assert "Held to each other" in shown


def test_one_figure_says_how_far_rounding_reaches(saved: Path) -> None:
    shown = call("verify", saved, *SINGLE, "--batch", 2).stdout
    (figure,) = re.findall(r"rounding reaches (\S+) from a threshold at most", shown)
    found = json.loads(call("verify", saved, *SINGLE, "--batch", 2, "--json").stdout)["held"][0]
    assert 0 < found["max_membrane_error"] < float(figure) == pytest.approx(found["reach"], rel=0.1)
    assert max(layer["reach"] for layer in found["layers"]) == found["reach"]


@pytest.mark.usefixtures("wrong")
def test_apart(saved: Path) -> None:
    result = call("verify", saved, *SINGLE)
    assert result.exit_code == 1
    assert "reference and the reference first part at lif.spk at [t=" in result.stdout
    assert "from its threshold, where rounding reaches" in result.stdout
    assert "rounding does not explain it." in result.stdout
    assert result.stderr.endswith("error: rounding does not explain every difference: reference\n")


def test_json_with_inputs_from_a_file(saved: Path, tmp_path: Path) -> None:
    inputs = tmp_path / "in.npz"
    np.savez(inputs, x=np.random.default_rng(1).random((T, B, 4), np.float32))
    result = call("verify", saved, *SINGLE, "--inputs", inputs, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["schema"], found["ok"], found["time_steps"], found["batch"]) == (1, True, T, B)
    (held,) = found["held"]
    assert (held["backend"], held["dtype"], held["label"]) == ("reference", "float32", "")
    assert (held["spikes_compared"], held["parting"]) == (T * B * 5, None)
    assert [layer["layer"] for layer in held["layers"]] == ["lif"]


@pytest.mark.usefixtures("wrong")
def test_json_says_where_they_part(saved: Path) -> None:
    result = call("verify", saved, *SINGLE, "--json")
    assert result.exit_code == 1
    parting = json.loads(result.stdout)["held"][0]["parting"]
    assert (parting["layer"], parting["port"], parting["explained"]) == ("lif", "lif.spk", False)
    assert parting["distance"] > parting["bound"]


def test_silence_is_pointed_out(saved: Path, tmp_path: Path) -> None:
    inputs = tmp_path / "in.npy"
    np.save(inputs, np.zeros((T, B, 4), np.float32) - 9)
    result = call("verify", saved, *SINGLE, "--inputs", inputs)
    assert "No neuron fired: other inputs say more (--inputs)." in result.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--on", "referense"], 1, "Did you mean 'reference'?"),
        (["--on", "reference", "-o", "dtype=float32"], 2, "'dtype' does not say whose option it is"),
        (["--on", " , "], 1, "name at least one backend"),
    ],
)
def test_mistakes(arguments: list[str], status: int, message: str, saved: Path) -> None:
    result = call("verify", saved, *arguments)
    assert result.exit_code == status
    assert message in result.stderr


def test_a_file_of_another_format_and_how_it_is_read(saved: Path, tmp_path: Path) -> None:
    pytest.importorskip("nir")
    assert call("convert", saved, tmp_path / "net.nir", "--write", "lossy=allow").exit_code == 0
    there = ("verify", tmp_path / "net.nir", *SINGLE, "--json")
    assert json.loads(call(*there).stdout)["ok"]
    read = ("--read", "dt=1e-4", "--read", "scheme=euler", "--read", "reset=subtract")
    assert json.loads(call(*there, *read).stdout)["ok"]
    wrong = call(*there, "--read", "scheme=rk4")
    assert wrong.exit_code == 1
    assert "scheme='rk4': give one of euler, exponential" in wrong.stderr


def test_a_simulator_that_does_not_run(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snnhw.registry.reader", lambda *_: Silent())
    monkeypatch.setattr("snnhw.registry.file_format", lambda _: Plain())
    result = call("verify", saved, "--on", "reference,silent@plain")
    assert result.exit_code == 1
    assert "silent@plain (read from plain): fails when it runs: it says nothing" in result.stdout
    assert "lif     silent@plain" in result.stdout
    assert "What is known of silent@plain, which may be why:\n  it is shy" in result.stdout
    assert result.stderr.endswith("error: the network did not run: silent@plain\n")
    (_, found) = json.loads(call("verify", saved, "--on", "reference,silent@plain", "--json").stdout)["held"]
    assert (found["loads"], found["runs"], found["failure"]) == (True, False, "it says nothing")
    assert found["known"] == ["it is shy"]


class Plain:
    name, suffixes = "plain", (".plain",)

    def capabilities(self) -> dict[str, Any]:
        return {}

    def write(self, *_: Any, **__: Any) -> None:
        """Nothing."""


@dataclass(frozen=True)
class NoOptions:
    pass


class Silent:
    name, formats, Options = "silent", ("plain",), NoOptions

    def known(self, *_: Any) -> tuple[str, ...]:
        return ("it is shy",)

    def run(self, *_: Any, **__: Any) -> None:
        raise DeviceError("it says nothing")
