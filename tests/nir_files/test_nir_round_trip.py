"""What snnhw writes, snnhw reads back: the same program, and every bit of every parameter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import booleans
from nir_calls import DT, FORMAT, dense, drive, load, neuron, spikes
from nir_programs import programs

from snnhw.errors import ExportError
from snnhw.ir import Input, Params, Program

once = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def same(a: tuple[Program, Params], b: tuple[Program, Params]) -> bool:
    def bits(params: Params) -> dict[str, object]:
        return {key: (array.dtype, array.shape, array.tobytes()) for key, array in params.items()}

    return a[0] == b[0] and bits(a[1]) == bits(b[1])


@pytest.mark.parametrize("timing", ["delayed", "retest", "immediate"])
@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
@pytest.mark.parametrize("name", ["Leaky", "Synaptic"])
def test_every_reset_comes_back(tmp_path: Path, name: str, reset: str, timing: str) -> None:
    comes_back(dense(neuron(name, reset, timing)), tmp_path / "net.nir")


def writes(net: tuple[Program, Params], path: Path, *, nested: bool) -> bool:
    """Whether it can: nir checks subgraphs always, and knows no kernels that are not square."""
    try:
        FORMAT.write(*net, path, lossy="allow", nested=nested)
    except ExportError as error:
        if not nested or "nir checks graphs within graphs" not in str(error):
            raise
        return False
    return True


def comes_back(net: tuple[Program, Params], path: Path, *, nested: bool = False) -> None:
    if not writes(net, path, nested=nested):
        return
    program, params, report = FORMAT.read(path)
    assert report.notes == ()
    assert same((program, params), net)


@settings(once, max_examples=25)
@given(net=programs(), nested=booleans())
def test_random_programs_come_back(tmp_path: Path, net: tuple[Program, Params], *, nested: bool) -> None:
    comes_back(net, tmp_path / "net.nir", nested=nested)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@settings(once, max_examples=10_000)
@given(net=programs(), nested=booleans())
def test_ten_thousand_programs_come_back(
    tmp_path: Path, net: tuple[Program, Params], *, nested: bool
) -> None:
    comes_back(net, tmp_path / "net.nir", nested=nested)


@settings(once, max_examples=15)
@given(net=programs(lossless=True), nested=booleans())
def test_the_graph_alone_means_the_same(tmp_path: Path, net: tuple[Program, Params], *, nested: bool) -> None:
    """Read as a stranger's file, without our metadata: equal spikes, however it is wired."""
    program, params = net
    path = tmp_path / "net.nir"
    if not writes(net, path, nested=nested):
        return
    (name,) = program.named(Input)
    entrance = program.nodes[name]
    assert isinstance(entrance, Input)
    x = drive(12, 2, *entrance.shape)
    in_seconds = any(key.endswith((".tau", ".tau_mem", ".r")) for key in params)
    ours, theirs = spikes(net, x), spikes(load(path, dt=program.time.dt if in_seconds else DT), x)
    # What was worked out stands in float32: a value at its threshold may fall to the other side.
    assert np.isclose(ours, theirs, rtol=1e-3, atol=1e-4).mean() > 0.98


def test_the_same_program_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        FORMAT.write(*dense(), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_whoever_edits_a_node_is_not_overruled(tmp_path: Path) -> None:
    path = tmp_path / "net.nir"
    FORMAT.write(*dense(neuron("Leaky", "subtract")), path, lossy="allow")
    with h5py.File(path, "r+") as file:
        file["node/nodes/lif1/v_threshold"][...] = 5.0
    program, params, report = FORMAT.read(path)
    (note,) = report.notes
    assert note == (
        "the graph was changed after snnhw wrote it; the graph alone was read, "
        "with dt=0.0001 and 'euler' from the metadata"
    )
    assert params["lif1.v_threshold"] == 5.0
    assert program.time.dt == DT


def test_broken_metadata_costs_no_more_than_the_metadata(tmp_path: Path) -> None:
    path = tmp_path / "net.nir"
    FORMAT.write(*dense(), path)
    with h5py.File(path, "r+") as file:
        del file["node/metadata/snnhw/header"]
        file["node/metadata/snnhw/header"] = '{"program": {"ir_version": 99}}'
    program, _, report = FORMAT.read(path)
    assert report.notes[0].startswith("what snnhw left in its metadata is broken: the file has ir_version 99")
    assert program.nodes["lif1"].summary().startswith("LIF to_value immediate")


def test_options_ask_for_the_graph_itself(tmp_path: Path) -> None:
    path = tmp_path / "net.nir"
    FORMAT.write(*dense(neuron("Leaky", "subtract")), path, lossy="allow")
    program, _, _ = FORMAT.read(path, reset="subtract")
    assert program.time.dt == DT
    assert program.nodes["lif1"].summary().startswith("LIF subtract immediate")


def test_a_static_input_comes_back(tmp_path: Path) -> None:
    program, params = dense()
    net = replace(program, time=replace(program.time, static_inputs=("input",))), params
    report = FORMAT.write(*net, tmp_path / "net.nir")
    assert "NIR has no inputs that stand still: give input anew at every step" in report.notes
    program, params, _ = FORMAT.read(tmp_path / "net.nir")
    assert same((program, params), net)
