"""Modules within modules: graphs within graphs, where NIR can say them so."""

from __future__ import annotations

from pathlib import Path

import nir
import numpy as np
import pytest
from nir_calls import FORMAT, drive, load, neuron, spikes

from snnhw.errors import ExportError, InputError
from snnhw.ir import (
    Conv2d,
    Edge,
    FrozenMap,
    Input,
    Linear,
    Op,
    Output,
    Params,
    Program,
    init_params,
    sequential,
)

Net = tuple[Program, Params]


def deep() -> Net:
    """A recurrent module within a module, and a layer behind it."""
    nodes: dict[str, Op] = {"input": Input((3,)), "enc.fc": Linear(3, 4), "enc.cell.lif": neuron("Leaky")}
    nodes |= {"enc.cell.rec": Linear(4, 4), "head": Linear(4, 2), "lif": neuron("RLeaky"), "output": Output()}
    edges = [
        Edge("input.y", "enc.fc.x"),
        Edge("enc.fc.y", "enc.cell.lif.x"),
        Edge("enc.cell.rec.y", "enc.cell.lif.x"),
    ]
    edges += [Edge("enc.cell.lif.spk", "enc.cell.rec.x", delay=1), Edge("enc.cell.lif.spk", "head.x")]
    edges += [Edge("head.y", "lif.x"), Edge("lif.spk", "output.x")]
    program = Program(FrozenMap(nodes), tuple(edges))
    levels = {"enc.cell.lif.beta": 0.9, "lif.beta": 0.5, "lif.V": -0.5, "lif.threshold": 0.3}
    return program, init_params(program, seed=1, given=levels)


def test_a_module_is_a_graph(tmp_path: Path) -> None:
    path, net = tmp_path / "net.nir", deep()
    FORMAT.write(*net, path, nested=True)
    graph = nir.read(path)
    assert set(graph.nodes) == {"input", "enc", "head", "lif", "lif.recurrent", "output"}
    assert {("input", "enc"), ("enc", "head")} < set(graph.edges)
    enc = graph.nodes["enc"]
    assert set(enc.nodes) == {"input", "fc", "cell", "output"}
    assert next(iter(enc.input_type.values())) == [3]
    assert next(iter(enc.output_type.values())) == [4]
    assert set(enc.nodes["cell"].edges) == {
        ("input", "lif"),
        ("rec", "lif"),
        ("lif", "rec"),
        ("lif", "output"),
    }
    assert np.array_equal(enc.nodes["fc"].weight, net[1]["enc.fc.weight"])


def test_flat_and_nested_are_the_same_network(tmp_path: Path) -> None:
    net = deep()
    FORMAT.write(*net, tmp_path / "flat.nir")
    FORMAT.write(*net, tmp_path / "nested.nir", nested=True)
    x = drive(40, 2, 3)
    ours = spikes(net, x)
    assert 5 < ours.sum() < 150
    for name in ("flat", "nested"):
        program, params, report = FORMAT.read(tmp_path / f"{name}.nir")
        assert report.notes == ()
        assert program == net[0]
        assert all(array.tobytes() == net[1][key].tobytes() for key, array in params.items())
        alone = load(tmp_path / f"{name}.nir")
        assert "enc.cell.rec" in alone[0].nodes
        assert np.array_equal(spikes(alone, x), ours)


def test_parameters_stand_in_the_file_once(tmp_path: Path) -> None:
    net = deep()
    FORMAT.write(*net, tmp_path / "nested.nir", nested=True)
    own = nir.read(tmp_path / "nested.nir").metadata["snnhw"]
    assert not [key for key in own["params"] if key.endswith(("weight", "bias"))]


def test_a_module_with_several_ways_in_stays_flat(tmp_path: Path) -> None:
    nodes: dict[str, Op] = {
        "input": Input((3,)),
        "m.a": Linear(3, 3),
        "m.b": Linear(3, 3),
        "fc": Linear(3, 3),
    }
    edges = [
        Edge("input.y", "m.a.x"),
        Edge("m.a.y", "fc.x"),
        Edge("fc.y", "m.b.x"),
        Edge("m.b.y", "output.x"),
    ]
    program = Program(FrozenMap({**nodes, "output": Output()}), tuple(edges))
    report = FORMAT.write(program, init_params(program), tmp_path / "net.nir", nested=True)
    assert set(nir.read(tmp_path / "net.nir").nodes) == {"input", "m.a", "m.b", "fc", "output"}
    said = "m: its nodes stand in the graph around it: what arrives takes several ways"
    assert report.notes == (said,)


def test_what_nir_cannot_read_is_refused(tmp_path: Path) -> None:
    program = sequential(
        {"input": Input((2, 4, 4)), "m.conv": Conv2d(2, 2, (1, 3), groups=2), "n": neuron("Leaky")}
    )
    params = init_params(program, given={"n.beta": 0.5})
    with pytest.raises(ExportError, match=r"nir checks graphs within graphs .*\n.*nested=False"):
        FORMAT.write(program, params, tmp_path / "net.nir", nested=True)
    FORMAT.write(program, params, tmp_path / "net.nir")


def test_files_for_a_simulator_are_flat(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="files for 'norse' are written flat, as it was held to them"):
        FORMAT.write(*deep(), tmp_path / "net.nir", target="norse", nested=True)
