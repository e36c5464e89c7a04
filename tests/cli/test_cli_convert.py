"""``snnhw convert``: what a sample says about a conversion, and what is wrong with one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli_calls import call

from snnhw.ir import MODELS, Input, Linear, Neuron, init_params, save, sequential

pytest.importorskip("nir")

STEP = (np.random.default_rng(0).random((3, 4)) * 2).astype(np.float32)


@pytest.fixture
def net(tmp_path: Path) -> Path:
    program = sequential({"x": Input((4,)), "fc": Linear(4, 5), "lif": Neuron(MODELS["Leaky"])})
    params = init_params(program, given={"lif.beta": 0.9})
    params["fc.weight"] = np.full((5, 4), 0.4, np.float32)
    save(tmp_path / "net.snn", program, params)
    return tmp_path / "net.snn"


def test_a_sample_says_how_many_spikes_change(net: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "step.npy", STEP)
    refused = call("convert", net, tmp_path / "net.nir", "--sample", tmp_path / "step.npy")
    assert refused.exit_code == 1
    assert "% of spikes differ on your sample, held for 100 steps" in refused.stderr
    allowed = ("--write", "lossy=allow", "--sample", tmp_path / "step.npy")
    lines = call("convert", net, tmp_path / "net.nir", *allowed).stdout.splitlines()
    assert all(line.startswith("- ") for line in lines)
    assert lines[0].startswith("- lost: lif: reset by subtraction becomes reset to 0: ")
    assert sum("reset by subtraction" in line for line in lines) == 1
    assert (tmp_path / "net.nir").exists()


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (np.stack([STEP, STEP]), "'x' has shape [2, 3, 4]; give one time step, not all of them, [B, 4]"),
        (STEP[:, :3], "the sample for 'x' has shape [3, 3]; give one time step, [B, 4]"),
    ],
    ids=["with time", "of another size"],
)
def test_a_sample_that_is_none(sample: np.ndarray, message: str, net: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "step.npy", sample)
    refused = call("convert", net, tmp_path / "net.nir", "--sample", tmp_path / "step.npy")
    assert refused.exit_code == 1
    assert message in refused.stderr


def test_a_file_that_loses_nothing_takes_no_sample(net: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "step.npy", STEP)
    refused = call("convert", net, tmp_path / "other.snn", "--sample", tmp_path / "step.npy")
    assert refused.exit_code == 2
    assert ".snn files hold all of a network; leave it out" in refused.stderr
