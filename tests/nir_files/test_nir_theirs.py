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
from nir_calls import DT, chain, drive, filled, load, spikes, written

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


PUBLISHED = [
    60, 220, 270, 310, 320, 350, 370, 400, 410, 430, 440, 450, 460, 470, 480, 490, 500, 510, 520,
    530, 670, 680, 690, 700, 710, 720, 730, 740, 750, 760, 770, 780, 840, 850,
]  # fmt: skip
"""The steps of 0.1 ms at which the neuron of the NIR paper's first experiment is given an input of 1."""


@pytest.mark.parametrize("scheme", ["euler", "exponential"])
@pytest.mark.parametrize("reset", ["to_value", "subtract"])
def test_the_neuron_of_the_paper(tmp_path: Path, scheme: str, reset: str) -> None:
    """Its spikes, as published for an exact solution, Norse, snnTorch, Nengo and SpiNNaker2; and the highest
    membrane of Norse's, which takes steps by Euler's rule and resets to 0.

    Pedersen et al., Neuromorphic intermediate representation, Nature Communications 15, 8122 (2024).
    """
    lif = nir.LIF(*filled(1, 2.5e-3, 1.0, 0.0, 0.1, 0.0))
    path = chain(tmp_path / "lif.nir", nir.Linear(np.ones((1, 1), np.float32)), lif, shape=(1,), out=(1,))
    x = np.zeros((1000, 1, 1), np.float32)
    x[PUBLISHED] = 1
    net = load(path, scheme=scheme, reset=reset)
    assert np.flatnonzero(spikes(net, x)).tolist() == [460, 510, 710, 760]
    if (scheme, reset) == ("euler", "to_value"):
        assert spikes(net, x, "n1.mem").max() == pytest.approx(0.09984423, abs=1e-7)
