"""A file read by a simulator's dialect gives what that simulator gives, where it is not what the file says.

Held to the simulators themselves where they are installed; CI has snntorch.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from nir_calls import DT, FORMAT, Array, chain, filled, lif, load, spikes, written
from peers import PEERS, ran

from snnhw.errors import LoadError
from snnhw_nir.targets.dialects import DIALECTS
from snnhw_nir.targets.meant import MEANT

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # strangers' own
    pytest.mark.usefixtures("capfd"),  # and what they print
]

QUARTERS = np.random.default_rng(0).integers(-4, 8, (60, 1, 3)).astype(np.float32) / 4
WEIGHT = np.array([[1, 0.5, 0.25], [0.75, -0.5, 1], [0.25, 0.25, 0.5]], np.float32)


def doubles(kind: Any, *values: float) -> Any:
    """Three neurons with their numbers in double precision, so that those of a step come out even."""
    return kind(*(np.full(3, value) for value in values))


FILES: dict[str, tuple[Any, ...]] = {
    "ties of IF": (doubles(nir.IF, 1 / DT, 1.0, 0.0),),
    "ties of LIF": (doubles(nir.LIF, 2 * DT, 2.0, 0.0, 1.0, 0.0),),
    "ties of its default": (doubles(nir.LIF, 2 * DT, 1.0, 0.0, 1.0, 0.0),),
    "ties of CubaLIF": (doubles(nir.CubaLIF, 2 * DT, 2 * DT, 2.0, 0.0, 1.0, 0.0, 2.0),),
    "start of IF": (doubles(nir.IF, 1 / DT, 1.0, 0.5),),
    "start of LIF": (doubles(nir.LIF, 4 * DT, 4.0, 0.5, 1.0, 0.5),),
    "start of CubaLIF": (doubles(nir.CubaLIF, 2 * DT, 2 * DT, 2.0, 0.0, 1.0, 0.5, 2.0),),
    "reset": (lif(3, v_reset=-0.75),),
    "gain": (lif(3, r=7.0, v_threshold=0.3),),
    "plain": (lif(3), nir.Affine(WEIGHT, filled(3, 0.25)[0]), lif(3, tau=5e-4, r=5.0)),
}


REFUSED = {
    "spikingjelly": {"gain", "reset"},
    "snntorch": {"start of IF", "start of LIF", "ties of IF"},
    "norse": {"start of LIF"},
}
"""What of these each of them refuses, or makes something of that is not modelled."""


def by_dialect(path: Path, name: str) -> Array:
    program, params, _ = FORMAT.read(path, dialect=name, dt=DT)
    return spikes((program, params), QUARTERS)


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("what", FILES)
def test_it_gives_what_the_simulator_gives(tmp_path: Path, name: str, what: str) -> None:
    """Or neither takes it."""
    path = chain(tmp_path / "a.nir", nir.Linear(WEIGHT), *FILES[what], shape=(3,), out=(3,))
    try:
        found = by_dialect(path, name)
    except LoadError:
        assert REFUSED[name] & {what}
        return
    assert not REFUSED[name] & {what}
    assert np.array_equal(ran(name, path, QUARTERS), found)


@pytest.mark.parametrize(
    ("name", "node", "step"),
    [
        ("spikingjelly", lif(1, tau=2 * DT, r=2.0), lambda v, x: (v / 2 + x >= 1, v / 2 + x)),
        ("spikingjelly", lif(1, tau=2 * DT, r=1.0), lambda v, x: ((v + x) / 2 >= 1, (v + x) / 2)),
        ("norse", lif(1, tau=2 * DT, r=9.0), lambda v, x: ((v + x) / 2 > 1, (v + x) / 2)),
        ("norse", nir.IF(*filled(1, 9.0, 1.0)), lambda v, x: (v + x > 1, v + x)),
        ("snntorch", lif(1, tau=2 * DT, r=2.0, v_reset=0.5), lambda v, x: (v / 2 + x > 1, v / 2 + x)),
    ],
)
def test_the_rules_of_each_worked_by_hand(
    tmp_path: Path, name: str, node: Any, step: Callable[[float, float], tuple[bool, float]]
) -> None:
    path = chain(tmp_path / "a.nir", node, shape=(1,), out=(1,))
    x = np.array([1, 0.5, 2, 0, 0.5, 1, 1, 3, 0.75, 0.25, 1], np.float32)
    v, expected = 0.0, []
    for now in x.tolist():
        fires, v = step(v, now)
        expected.append(float(fires))
        v = 0.0 if fires else v
    program, params, _ = FORMAT.read(path, dialect=name, dt=DT)
    assert spikes((program, params), x[:, None, None]).ravel().tolist() == expected


def test_what_was_taken_otherwise_is_said(tmp_path: Path) -> None:
    path = chain(tmp_path / "a.nir", lif(3, v_reset=0.5, v_leak=0.5), shape=(3,), out=(3,))
    _, _, report = FORMAT.read(path, dialect="spikingjelly")
    assert report.notes == (
        "n0: its membranes start from v_reset, and are counted from there",
        "neurons fire at their threshold, too",
    )
    path = chain(tmp_path / "b.nir", lif(3, v_reset=0.5), shape=(3,), out=(3,))
    _, _, report = FORMAT.read(path, dialect="norse", dt=DT)
    assert report.notes == ("n0: its v_reset is read as 0", "n0: its r is ignored")
    assert FORMAT.read(path, dialect="nir", dt=DT, scheme="euler")[2].notes == ()


@pytest.mark.parametrize(
    ("name", "node", "words"),
    [
        ("spikingjelly", lif(3, r=3.0), "n0: its gain must be 1, with r or without"),
        ("spikingjelly", lif(3, tau=np.array([1e-3, 2e-3, 3e-3])), "n0: its tau must be one number"),
        ("snntorch", lif(3, v_leak=0.5), "n0: its v_leak must be zero"),
        ("snntorch", nir.IF(*filled(3, 1e4, 1.0, 0.0)), "n0: 'snntorch' reads no IF"),
        ("norse", lif(3, v_leak=0.5), "n0: its v_leak must be zero"),
    ],
)
def test_what_a_simulator_refuses_has_no_meaning_in_its_dialect(
    tmp_path: Path, name: str, node: Any, words: str
) -> None:
    path = chain(tmp_path / "a.nir", node, shape=(3,), out=(3,))
    with pytest.raises(LoadError) as caught:
        FORMAT.read(path, dialect=name, dt=DT)
    assert words in str(caught.value)


def test_every_dialect_can_be_read() -> None:
    assert MEANT.keys() == DIALECTS.keys()


@pytest.mark.parametrize("gain", ["neuron", "weights"])
def test_spikingjellys_default_neuron_is_written_back(tmp_path: Path, gain: str) -> None:
    """``r = 1``, as it writes its own ``LIFNode``."""
    path = chain(tmp_path / "a.nir", nir.Linear(WEIGHT), lif(3, tau=3 * DT, r=1.0), shape=(3,), out=(3,))
    net = load(path, gain=gain)
    FORMAT.write(*net, tmp_path / "b.nir", target="spikingjelly")
    assert np.array_equal(nir.read(tmp_path / "b.nir").nodes["n1"].r, np.ones(3))
    assert np.array_equal(by_dialect(tmp_path / "b.nir", "spikingjelly"), spikes(net, QUARTERS))
    assert np.array_equal(ran("spikingjelly", tmp_path / "b.nir", QUARTERS), spikes(net, QUARTERS))


def test_any_other_gain_goes_into_the_weights_for_spikingjelly(tmp_path: Path) -> None:
    path = chain(tmp_path / "a.nir", nir.Linear(WEIGHT), lif(3, tau=2 * DT, r=4.0), shape=(3,), out=(3,))
    FORMAT.write(*load(path), tmp_path / "b.nir", target="spikingjelly")
    nodes = nir.read(tmp_path / "b.nir").nodes
    assert np.array_equal(nodes["n0"].weight, 4 * WEIGHT)
    assert np.array_equal(nodes["n1"].r, np.ones(3))


def test_a_loop_hears_nothing_in_the_first_step(tmp_path: Path) -> None:
    """As nirtorch runs it, bias or not."""
    ends = {"input": nir.Input(np.array([3])), "output": nir.Output(np.array([3]))}
    nodes = {**ends, "lif": lif(3), "rec": nir.Affine(WEIGHT, filled(3, 2.0)[0])}
    edges = [("input", "lif"), ("lif", "rec"), ("rec", "lif"), ("lif", "output")]
    path = written(tmp_path / "r.nir", nodes, edges)
    found = by_dialect(path, "spikingjelly")
    assert np.array_equal(found[0], (QUARTERS[0] >= 1).astype(float))
    assert not np.array_equal(found, spikes(load(path), QUARTERS))
