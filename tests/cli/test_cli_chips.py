"""``snnhw export`` and ``snnhw verify --on CHIP``: a file, sample spikes and a chip."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_calls import call

from snnhw import registry
from snnhw.ir import MODELS, Input, Linear, Neuron, Program, save, sequential
from snnhw.plugin import TARGETS, Arrays
from snnhw.target import Job
from snnhw_chips.loihi2 import Loihi2

WHOLE = registry.load


class Chip(Loihi2):
    """Loihi's rule, and a vendor's simulator that gives zeros."""

    def simulate(self, jobs: Sequence[Job]) -> list[Arrays]:
        found: list[Arrays] = []
        for vendor, inputs in jobs:
            steps = len(next(iter(inputs.values())))
            sizes = {name: len(vendor[f"{name}/vth"]) for name in map(str, vendor["populations"])}
            found.append(
                {f"{name}.{key}": np.zeros((steps, n)) for name, n in sizes.items() for key in "uvs"}
            )
        return found


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    def load(group: str, name: str) -> Any:
        return Chip() if (group, name) == (TARGETS, "loihi2") else WHOLE(group, name)

    monkeypatch.setattr(registry, "names", _names(registry.names))
    monkeypatch.setattr(registry, "load", load)
    neuron = Neuron(MODELS["Synaptic"], reset="zero", timing="retest")
    program: Program = sequential({"in": Input((5,)), "fc": Linear(5, 4, bias=False), "lif": neuron})
    rng = np.random.default_rng(0)
    values = {"lif.alpha": 0.75, "lif.beta": 0.9, "lif.threshold": 1.0}
    params: dict[str, Any] = {key: np.array(x) for key, x in values.items()}
    save(tmp_path / "net.snn", program, {**params, "fc.weight": rng.normal(0.2, 0.4, (4, 5))})
    np.save(tmp_path / "spikes.npy", (rng.random((30, 2, 5)) < 0.3).astype(np.float32))
    return tmp_path / "net.snn", tmp_path / "spikes.npy"


def _names(before: Any) -> Any:
    return lambda group: ("loihi2",) if group == TARGETS else before(group)


def test_a_network_is_exported_with_its_report(files: tuple[Path, Path], tmp_path: Path) -> None:
    net, spikes = files
    done = call("export", net, tmp_path / "out", "--target", "loihi2", "--calibrate", spikes)
    assert done.exit_code == 0, done.stderr
    assert "loihi2: simulated, bit-true to lava-nc 0.10.0; it answers 1 steps late" in done.stdout
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {
        "network.snn",
        "report.json",
        "load_lava.py",
    }
    again = call("export", net, tmp_path / "out", "--target", "loihi2", "--calibrate", spikes)
    assert (again.exit_code, "is there already" in again.stderr) == (1, True)


def test_verdicts_are_shown_apart_and_integers_that_differ_fail(files: tuple[Path, Path]) -> None:
    net, spikes = files
    done = call("verify", net, "--on", "loihi2", "--inputs", spikes)
    assert done.exit_code == 0, done.stderr
    heads = ("A. the float network on the chip", "B. the vendor's simulator: not asked", "C. limits")
    places = [done.stdout.index(head) for head in heads]
    assert places == sorted(places)
    wrong = call("verify", net, "--on", "loihi2", "--inputs", spikes, "--vendor", "--json")
    assert wrong.exit_code == 1
    assert "B: integers differ from the vendor's" in wrong.stderr
    (held,) = json.loads(wrong.stdout)["chips"]
    assert held["vendor"]["compared"] == 2 * 30 * 4 * 3
    assert held["vendor"]["differ"] > 0
    assert "lif.u of sample 0, step" in held["vendor"]["first"]


def test_chips_are_not_verified_on_random_numbers(files: tuple[Path, Path]) -> None:
    refused = call("verify", files[0], "--on", "loihi2")
    assert (refused.exit_code, "give spikes, --inputs FILE" in refused.stderr) == (2, True)


def test_a_chip_that_is_misspelt_is_named(files: tuple[Path, Path], tmp_path: Path) -> None:
    refused = call("export", files[0], tmp_path / "out", "--target", "loihi", "--calibrate", files[1])
    assert refused.exit_code == 1
    assert "loihi2" in refused.stderr
