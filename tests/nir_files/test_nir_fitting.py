"""What a graph becomes for a reader that lacks something: the same, in words that it has."""

from __future__ import annotations

from pathlib import Path

import nir
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from nir_calls import FORMAT, drive, load, neuron, spikes
from nir_networks import networks

from snnhw.errors import ExportError, InputError
from snnhw.ir import (
    AvgPool2d,
    Conv1d,
    Conv2d,
    Edge,
    Flatten,
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
from snnhw.plugin import Report
from snnhw_nir.targets.dialects import DIALECTS, TORCH

Net = tuple[Program, Params]


@pytest.mark.parametrize("target", DIALECTS)
@settings(
    deadline=None, database=None, suppress_health_check=list(HealthCheck), max_examples=25, derandomize=True
)
@given(net=networks())
def test_the_graph_alone_means_the_same(tmp_path: Path, target: str, net: Net) -> None:
    """Read without metadata, with cycles delayed where the reader delays them."""
    path = tmp_path / "net.nir"
    try:
        FORMAT.write(*net, path, target=target)
    except ExportError:
        return
    entrance = net[0].nodes["input"]
    assert isinstance(entrance, Input)
    x = drive(15, 1, *entrance.shape)
    # Spyx flattens channels last, so that what is written for it means the same as it reads it.
    options = {"dialect": target, "dt": 1.0} if target == "spyx" else {"recurrence": DIALECTS[target].loop}
    ours, theirs = spikes(net, x), spikes(load(path, **options), x)
    # What is put otherwise rounds in another place: a value at its threshold may fall to the other side.
    assert np.isclose(ours, theirs, rtol=1e-3, atol=1e-4).mean() > 0.95


def wrote(tmp_path: Path, net: Net, target: str) -> tuple[nir.NIRGraph, Report]:
    report = FORMAT.write(*net, tmp_path / "net.nir", target=target)
    return nir.read(tmp_path / "net.nir"), report


def test_a_pool_that_is_not_read_is_a_convolution(tmp_path: Path) -> None:
    graph, report = wrote(tmp_path, pooled(), "norse")
    weight = np.zeros((2, 2, 2, 2))
    weight[0, 0] = weight[1, 1] = 0.25
    assert np.array_equal(graph.nodes["pool"].weight, weight)
    assert "pool: a convolution of equal weights in the place of AvgPool2d" in report.notes
    assert type(wrote(tmp_path, pooled(), "snntorch")[0].nodes["pool"]) is nir.AvgPool2d


def pooled() -> Net:
    nodes = {"input": Input((2, 4, 4)), "pool": AvgPool2d((2, 2), (2, 2)), "flat": Flatten(1, 2)}
    program = sequential({**nodes, "fc": Flatten(), "lif": neuron("Leaky")})
    return program, init_params(program, given={"lif.beta": 0.5})


def test_groups_that_are_not_read_are_zeros(tmp_path: Path) -> None:
    program = sequential({"input": Input((4, 3, 3)), "conv": Conv2d(4, 2, (1, 1), groups=2)})
    params = init_params(program) | {"conv.weight": np.arange(1, 5, dtype=np.float32).reshape(2, 2, 1, 1)}
    graph, report = wrote(tmp_path, (program, params), "spikingjelly")
    assert np.array_equal(graph.nodes["conv"].weight[..., 0, 0], [[1, 2, 0, 0], [0, 0, 3, 4]])
    assert "conv: with zeros in the place of its 2 groups" in report.notes


@pytest.mark.parametrize("rank", [1, 2])
def test_groups_are_zeros_for_anyone_unless_they_are_kept(tmp_path: Path, rank: int) -> None:
    """The package nir itself reads none, so that a file with groups is read with its checks switched off."""
    shape = (4, 5, 5)[: rank + 1]
    conv = Conv2d(4, 8, (3, 3), groups=4) if rank == 2 else Conv1d(4, 8, (3,), groups=4)
    program = sequential({"input": Input(shape), "conv": conv, "lif": neuron("Leaky")})
    net = program, init_params(program, seed=1, given={"lif.beta": 0.5, "lif.threshold": 0.3})
    x = drive(20, 2, *shape)
    graph, report = wrote(tmp_path, net, "nir")  # with nir's checks
    assert graph.nodes["conv"].weight.shape == (8, 4, 3, 3)[: rank + 2]
    assert report.notes[-1] == "conv: with zeros in the place of its 4 groups"
    assert load(tmp_path / "net.nir")[1]["conv.weight"].shape == graph.nodes["conv"].weight.shape
    assert np.array_equal(spikes(load(tmp_path / "net.nir"), x), spikes(net, x))
    back, params, _ = FORMAT.read(tmp_path / "net.nir")
    assert back.nodes["conv"] == conv
    assert params["conv.weight"].tobytes() == net[1]["conv.weight"].tobytes()
    kept = FORMAT.write(*net, tmp_path / "kept.nir", groups="kept")
    assert any("nir.read(path, type_check=False)" in note for note in kept.notes)
    assert load(tmp_path / "kept.nir")[0].nodes["conv"] == conv
    assert FORMAT.read(tmp_path / "kept.nir")[0].nodes["conv"] == conv
    with pytest.raises(
        InputError, match="groups='none': give 'zeros' for what every reader takes, or 'kept'"
    ):
        FORMAT.write(*net, tmp_path / "x.nir", groups="none")  # type: ignore[arg-type]  # what is tested


def recurrent(*, bias: float = 0.5) -> Net:
    nodes = {"input": Input((3,)), "fc": Linear(3, 2), "lif": neuron("Leaky"), "rec": Linear(2, 2)}
    edges = [Edge("input.y", "fc.x"), Edge("fc.y", "lif.x"), Edge("rec.y", "lif.x")]
    edges += [Edge("lif.spk", "rec.x", delay=1), Edge("lif.spk", "output.x")]
    program = Program(FrozenMap({**nodes, "output": Output()}), tuple(edges))
    own = {"fc.bias": np.array([1, 2], np.float32), "rec.bias": np.full(2, bias, np.float32)}
    return program, init_params(program, given={"lif.beta": 0.5}) | own


def test_a_bias_in_a_loop_goes_to_another_layer(tmp_path: Path) -> None:
    graph, report = wrote(tmp_path, recurrent(), "spikingjelly")
    assert type(graph.nodes["rec"]) is nir.Linear
    assert np.array_equal(graph.nodes["fc"].bias, [1.5, 2.5])
    (said,) = (note for note in report.notes if note.startswith("rec: "))
    assert said == "rec: its bias is part of fc, since this reader's loops give nothing in the first step"
    assert type(wrote(tmp_path, recurrent(bias=0.0), "spikingjelly")[0].nodes["rec"]) is nir.Affine
    assert type(wrote(tmp_path, recurrent(), "nir")[0].nodes["rec"]) is nir.Affine


def test_a_bias_in_a_loop_without_another_layer(tmp_path: Path) -> None:
    nodes = {"input": Input((2,)), "lif": neuron("Leaky"), "rec": Linear(2, 2), "output": Output()}
    edges = [Edge("input.y", "lif.x"), Edge("rec.y", "lif.x"), Edge("lif.spk", "rec.x", delay=1)]
    program = Program(FrozenMap(nodes), (*edges, Edge("lif.spk", "output.x")))
    own = {"rec.bias": np.array([0.5, 0.25], np.float32)}
    net = program, init_params(program, given={"lif.beta": 0.5}) | own
    graph, report = wrote(tmp_path, net, "spikingjelly")
    assert np.array_equal(graph.nodes["lif_bias"].bias, [0.5, 0.25])
    assert ("input", "lif_bias") in graph.edges
    assert any("part of a layer of its own" in note for note in report.notes)


def test_a_loop_of_two_is_one_of_three_for_snntorch(tmp_path: Path) -> None:
    graph, _ = wrote(tmp_path, recurrent(), "snntorch")
    assert {("rec", "lif_loop"), ("lif_loop", "lif")} < set(graph.edges)
    assert np.array_equal(graph.nodes["lif_loop"].weight, np.eye(2))


def test_a_threshold_is_a_digit_higher_where_ties_fire(tmp_path: Path) -> None:
    graph, _ = wrote(tmp_path, recurrent(), "spikingjelly")
    assert np.array_equal(graph.nodes["lif"].v_threshold, np.nextafter(np.ones(2, "f4"), np.float32(2)))
    assert np.array_equal(wrote(tmp_path, recurrent(), "snntorch")[0].nodes["lif"].v_threshold, [1, 1])


def test_axes_are_counted_from_the_end_where_the_batch_counts(tmp_path: Path) -> None:
    graph, _ = wrote(tmp_path, pooled(), "norse")
    assert (graph.nodes["flat"].start_dim, graph.nodes["flat"].end_dim) == (-2, -1)
    assert (graph.nodes["fc"].start_dim, graph.nodes["fc"].end_dim) == (-2, -1)
    assert wrote(tmp_path, pooled(), "spikingjelly")[0].nodes["flat"].start_dim == 1


def test_nodes_of_a_loop_are_numbered_where_names_decide(tmp_path: Path) -> None:
    nodes: dict[str, Op] = {"input": Input((3,)), "w": Linear(3, 2), "v": neuron("Leaky"), "u": Linear(2, 2)}
    nodes |= {"b": neuron("Leaky"), "back": Linear(2, 2), "own": Linear(2, 2), "output": Output()}
    edges = [Edge("input.y", "w.x"), Edge("w.y", "v.x"), Edge("v.spk", "u.x"), Edge("u.y", "b.x")]
    edges += [
        Edge("b.spk", "back.x", 1),
        Edge("back.y", "v.x"),
        Edge("b.spk", "own.x", 1),
        Edge("own.y", "b.x"),
    ]
    program = Program(FrozenMap(nodes), (*edges, Edge("b.spk", "output.x")))
    net = program, init_params(program, given={"v.beta": 0.9, "b.beta": 0.9})
    graph, report = wrote(tmp_path, net, "spikingjelly")
    assert all(name[0] == "n" and name[1:5].isdigit() for name in graph.nodes)
    assert "nodes are numbered, since 'spikingjelly' computes those of a loop by name" in report.notes
    assert load(tmp_path / "net.nir", recurrence="current")[0].nodes.keys() == graph.nodes.keys()


def test_names_that_torch_keeps_for_itself() -> None:
    kinds = (
        torch.nn.Module(),
        torch.nn.ModuleDict(),
        torch.fx.GraphModule(torch.nn.Module(), torch.fx.Graph()),
    )
    public = {name for kind in kinds for name in dir(kind) if not name.startswith("_")}
    assert public <= TORCH


def test_axes_from_the_end_are_read(tmp_path: Path) -> None:
    x = drive(3, 2, 2, 3, 4)
    for given_type, start, end in (([2, 3, 4], -2, -1), ([2, 3, 4], 1, -1), ([2, 3, 4], -3, -2)):
        flat = nir.Flatten({"input": np.array(given_type)}, start, end)
        ends = {"a": nir.Input(np.array([2, 3, 4])), "z": nir.Output(flat.output_type["output"])}
        nir.write(tmp_path / "f.nir", nir.NIRGraph({**ends, "f": flat}, [("a", "f"), ("f", "z")]))
        found = spikes(load(tmp_path / "f.nir"), x)
        assert np.array_equal(found, x.reshape(3, 2, *flat.output_type["output"]))
