"""``gain="weights"``: what a neuron multiplies its input by, in the weights before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from nir_calls import DT, FORMAT, chain, drive, filled, lif, load, spikes, written

from snnhw.errors import InputError

WEIGHT = np.arange(-6, 6, dtype=np.float32).reshape(3, 4) / 8


def affine() -> Any:
    return nir.Affine(WEIGHT, np.array([0.5, 0.25, 1.0], np.float32))


def read(path: Path) -> tuple[Any, tuple[str, ...]]:
    program, params, report = FORMAT.read(path, dt=DT, scheme="euler", gain="weights")
    return (program, params), report.notes


@pytest.mark.parametrize("gain", [16.0, [0.5, 8.0, 32.0]])
def test_powers_of_two_go_there_exactly(tmp_path: Path, gain: Any) -> None:
    path = chain(tmp_path / "a.nir", affine(), lif(3, r=gain), shape=(4,), out=(3,))
    kept, (moved, notes) = load(path), read(path)
    assert notes == ()
    assert (kept[1]["n1.r"] == gain).all()
    assert moved[1]["n1.r"] == 1.0
    assert np.array_equal(moved[1]["n0.weight"], WEIGHT * np.reshape(gain, (-1, 1)))
    x = drive(40, 2, 4)
    for port in ("n1.spk", "n1.mem"):
        assert np.array_equal(spikes(kept, x, port), spikes(moved, x, port))
    assert spikes(kept, x).any()


def test_what_rounds_is_said(tmp_path: Path) -> None:
    path = chain(tmp_path / "a.nir", affine(), lif(3, r=20.0), shape=(4,), out=(3,))
    moved, notes = read(path)
    assert notes == ("n1: its gain r is part of the weights of n0, rounded there",)
    x = drive(40, 2, 4)
    kept = load(path)
    assert kept[1]["n1.r"] == 20.0
    assert np.array_equal(spikes(moved, x, "n1.spk"), spikes(kept, x, "n1.spk"))
    np.testing.assert_allclose(spikes(moved, x, "n1.mem"), spikes(kept, x, "n1.mem"), rtol=1e-4, atol=1e-5)


def test_a_power_of_two_that_loses_digits_is_said(tmp_path: Path) -> None:
    layer = nir.Linear(np.full((3, 4), 1.0009765625, np.float16))
    _, notes = read(chain(tmp_path / "a.nir", layer, lif(3, r=2.0**-16), shape=(4,), out=(3,)))
    assert notes == ("n1: its gain r is part of the weights of n0, rounded there",)


def test_that_of_a_current(tmp_path: Path) -> None:
    fields = filled(3, 1e-3, 2e-3, 20.0, 0.0, 1.0, 0.0, 4.0)
    names = ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "v_reset", "w_in")
    cuba = nir.CubaLIF(**dict(zip(names, fields, strict=True)))
    (_, params), notes = read(chain(tmp_path / "a.nir", affine(), cuba, shape=(4,), out=(3,)))
    assert (params["n1.w_in"], params["n1.r"], notes) == (1.0, 20.0, ())
    assert np.array_equal(params["n0.weight"], 4 * WEIGHT)


def test_whole_numbers_stay_numbers(tmp_path: Path) -> None:
    layer = nir.Linear(np.array([[100, 3]], np.int8))
    (_, params), _ = read(chain(tmp_path / "a.nir", layer, lif(1, r=0.5), shape=(2,), out=(1,)))
    assert params["n0.weight"].tolist() == [[50.0, 1.5]]


def test_where_it_stays(tmp_path: Path) -> None:
    bare = chain(tmp_path / "a.nir", nir.Scale(np.ones(3, np.float32)), lif(3), shape=(3,), out=(3,))
    (_, params), notes = read(bare)
    assert notes == ("n1: its gain r stays with it: n0 cannot take it in",)
    assert params["n1.r"] == 20.0
    nodes = {"input": nir.Input(np.array([4])), "fc": affine(), "a": lif(3), "b": lif(3, r=4.0)}
    nodes["output"] = nir.Output(np.array([3]))
    edges = [("input", "fc"), ("fc", "a"), ("fc", "b"), ("a", "output"), ("b", "output")]
    (_, params), notes = read(written(tmp_path / "b.nir", nodes, edges))
    assert [note.split(":")[0] for note in notes] == ["a", "b"]
    assert np.array_equal(params["fc.weight"], WEIGHT)


def test_weights_too_large_for_their_dtype_stay(tmp_path: Path) -> None:
    layer = nir.Linear(np.full((3, 4), 60000, np.float16))
    (_, params), notes = read(chain(tmp_path / "a.nir", layer, lif(3, r=2.0), shape=(4,), out=(3,)))
    assert notes == ("n1: its gain r stays with it: times it, weights are not finite",)
    assert params["n1.r"] == 2.0


def test_another_word(tmp_path: Path) -> None:
    path = chain(tmp_path / "a.nir", lif(3), shape=(3,), out=(3,))
    with pytest.raises(InputError, match="gain='layer': give one of neuron, weights"):
        load(path, gain="layer")
