"""Files that others wrote, as they wrote them: other releases of nir, and simulators with what they gave.

``theirs/nir-VERSION.nir`` is the graph of `of_all_kinds`, written by that release. ``theirs/NAME.nir`` was
exported by a simulator, and ``theirs/NAME.npz`` holds what went into it and the spikes that came out:
snntorch 1.0.0 (RLeaky with all neurons connected, Synaptic), norse 1.1.0 (two LIFBoxCells),
spikingjelly 2.0.0 (LIFNode, IFNode).
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from nir_calls import DT, drive, filled, load, spikes, written

THEIRS = Path(__file__).with_name("theirs")
X = drive(40, 2, 1, 5, 5)


def of_all_kinds(path: Path) -> Path:
    """A convolution, neurons of three kinds, a cycle, and what lies between."""
    generator = np.random.default_rng(0)

    def random(*shape: int) -> Any:
        return generator.normal(size=shape).astype(np.float32)

    whole = np.ones((2, 3, 3), np.float32)
    nodes = {
        "input": nir.Input(np.array([1, 5, 5])),
        "conv": nir.Conv2d((5, 5), random(2, 1, 3, 3), 1, 0, 1, 1, random(2)),
        "fire": nir.IF(whole * np.float32(1e4), whole * np.float32(1.5), whole * 0),
        "flat": nir.Flatten({"input": np.array([2, 3, 3])}, 0, -1),
        "fc": nir.Affine(random(6, 18), random(6)),
        "lif": nir.LIF(*filled(6, np.array([1e-3, 2e-3, 3e-3] * 2), 20, 0.1, 1, 0)),
        "rec": nir.Linear(random(6, 6) / 4),
        "scale": nir.Scale(np.arange(1, 7, dtype=np.float32)),
        "cuba": nir.CubaLIF(*filled(6, 1e-3, 2e-3, 20, 0, 1.5, 0)),
        "li": nir.LI(*filled(6, 2e-3, 1, 0)),
        "output": nir.Output(np.array([6])),
    }
    chain = pairwise([name for name in nodes if name != "rec"])
    return written(path, nodes, [*chain, ("lif", "rec"), ("rec", "lif")])


@pytest.mark.parametrize("path", sorted(THEIRS.glob("nir-*.nir")), ids=lambda path: path.stem)
def test_every_release_of_nir_says_the_same(tmp_path: Path, path: Path) -> None:
    new, old = load(of_all_kinds(tmp_path / "new.nir")), load(path)
    assert old[0] == new[0]
    assert np.array_equal(spikes(old, X), spikes(new, X))
    fired = spikes(old, X, "cuba.spk")
    assert 100 < fired.sum() < 400


@pytest.mark.parametrize(
    ("name", "dt"),
    [
        ("snntorch", DT),
        ("spikingjelly", DT),
        ("norse", DT * DT),  # its exporter multiplies time constants by dt
    ],
)
def test_what_simulators_export_gives_their_spikes(name: str, dt: float) -> None:
    with np.load(THEIRS / f"{name}.npz") as held:
        x, theirs = held["x"], held["spikes"]
    ours = spikes(load(THEIRS / f"{name}.nir", dt=dt), x)
    assert 5 < theirs.sum() < theirs.size / 2 + 20
    assert np.array_equal(ours != 0, theirs)
