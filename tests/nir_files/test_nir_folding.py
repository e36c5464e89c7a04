"""Batch norm in a file: part of the layer before it, and the same spikes and membranes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import torch
from nir_calls import FORMAT, drive, load, spikes
from torch import nn

import snnhw as snn
from snnhw.errors import ExportError
from snnhw.ir import (
    BatchNorm1d,
    BatchNorm2d,
    Conv1d,
    Conv2d,
    Edge,
    FrozenMap,
    Input,
    Linear,
    Op,
    Params,
    Program,
    Scale,
    init_params,
    sequential,
)
from snnhw_nir.writing.folding import folded

Net = tuple[Program, Params]


def trained() -> nn.Sequential:
    """A few steps of training, so that every statistic has moved."""
    torch.manual_seed(0)
    hidden, last = (
        snn.Leaky(beta=beta, init_hidden=True, reset_mechanism="zero", reset_delay=False)
        for beta in (0.9, 0.8)
    )
    first, second = nn.Linear(4, 6), nn.Linear(6, 3, bias=False)
    net = nn.Sequential(first, nn.BatchNorm1d(6), hidden, second, nn.BatchNorm1d(3), last)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for step in range(5):
        snn.utils.reset(net)
        x = torch.as_tensor(drive(6, 8, 4, seed=step))
        rates = torch.stack([net(now) for now in x]).mean(0)
        loss = (rates - torch.rand(8, 3)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net.eval()


def test_a_trained_net_loads_with_the_same_spikes_and_membranes(tmp_path: Path) -> None:
    net, x = trained(), drive(40, 5, 4, seed=9)
    report = snn.export(net, tmp_path / "net.nir", torch.as_tensor(x[0]))
    assert report.lost == ()
    said = "batch norm, as it is in evaluation, is part of the weights and the bias of"
    assert [note for note in report.notes if "batch norm" in note] == [f"1: {said} 0", f"4: {said} 3"]
    assert "BatchNorm1d" in str(snn.load(tmp_path / "net.nir")[0]), "our metadata keeps the program as it was"
    alone = load(tmp_path / "net.nir")
    assert not any(isinstance(op, BatchNorm1d) for op in alone[0].nodes.values())
    ours = snn.load(tmp_path / "net.nir")
    for cell in ("2", "5"):
        fired = spikes(ours, x, f"{cell}.spk")
        assert 0 < fired.mean() < 1
        assert np.array_equal(spikes(alone, x, f"{cell}.spk"), fired)
        was, now = spikes(ours, x, f"{cell}.mem"), spikes(alone, x, f"{cell}.{states(alone[0], cell)}")
        np.testing.assert_allclose(now, was, rtol=1e-5, atol=1e-5)


def states(program: Program, cell: str) -> str:
    op: Any = program.nodes[cell]
    name: str = op.model.states[-1].name
    return name


def net_of(layers: dict[str, Op], shape: tuple[int, ...]) -> Net:
    """Those layers in a row, with statistics that are not the usual ones."""
    program = sequential({"input": Input(shape), **layers})
    generator = np.random.default_rng(4)
    params = init_params(program, seed=1)
    for key, array in params.items():
        if key.startswith("norm"):
            params[key] = np.asarray(generator.uniform(0.5, 1.5, array.shape), np.float32)
    return program, params


CHAINS: dict[str, tuple[dict[str, Op], tuple[int, ...]]] = {
    "Linear": ({"fc": Linear(4, 3, bias=False), "norm": BatchNorm1d(3)}, (4,)),
    "Conv1d": ({"conv": Conv1d(2, 3, (2,)), "norm": BatchNorm1d(3, bias=False)}, (2, 5)),
    "Conv2d": ({"conv": Conv2d(4, 6, (2, 2), groups=2), "norm": BatchNorm2d(6, weight=False)}, (4, 3, 3)),
    "two of them": ({"fc": Linear(4, 3), "norm1": BatchNorm1d(3), "norm2": BatchNorm1d(3)}, (4,)),
    "of all steps": ({"fc": Linear(4, 3), "norm": BatchNorm1d(3, stats="folded", eps=0.1)}, (4,)),
}


@pytest.mark.parametrize("name", CHAINS)
def test_it_is_part_of_the_layer(tmp_path: Path, name: str) -> None:
    layers, shape = CHAINS[name]
    net = net_of(layers, shape)
    FORMAT.write(*net, tmp_path / "net.nir")
    first = next(iter(layers))
    assert set(nir.read(tmp_path / "net.nir", type_check=False).nodes) == {"input", first, "output"}
    x = drive(3, 2, *shape)
    np.testing.assert_allclose(spikes(load(tmp_path / "net.nir"), x), spikes(net, x), rtol=2e-6, atol=2e-6)
    program, params, report = FORMAT.read(tmp_path / "net.nir")
    assert (program, report.notes) == (net[0], ())
    assert bits(params) == bits(net[1])


def bits(params: Params) -> dict[str, bytes]:
    return {key: array.tobytes() for key, array in params.items()}


def test_weights_that_others_share_stay_theirs() -> None:
    tied = Linear(4, 4, keys=FrozenMap({"weight": "fc.weight"}))
    net = net_of({"fc": Linear(4, 4), "norm": BatchNorm1d(4), "again": tied}, (4,))
    found = folded(*net)
    x = drive(3, 2, 4)
    np.testing.assert_allclose(spikes((found.program, found.params), x), spikes(net, x), rtol=1e-5, atol=1e-5)


def refused(net: Net, path: Path, what: str) -> None:
    with pytest.raises(ExportError) as caught:
        FORMAT.write(*net, path)
    assert caught.value.reasons == (f"norm: {what}",)
    assert not path.exists()


NO = "NIR has no form for BatchNorm1d"
WAY = "put it directly behind a Linear, Conv1d or Conv2d that feeds nothing else"


def test_parameters_for_every_step_are_refused(tmp_path: Path) -> None:
    net = net_of({"fc": Linear(4, 3), "norm": BatchNorm1d(3, time_steps=5)}, (4,))
    refused(net, tmp_path / "x.nir", f"{NO} with parameters for every step; train with one set for all steps")


def test_behind_anything_else_it_is_refused(tmp_path: Path) -> None:
    net = net_of({"scale": Scale(), "norm": BatchNorm1d(4)}, (4,))
    refused(net, tmp_path / "x.nir", f"{NO} behind 'scale', a Scale; {WAY}")


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ([Edge("fc.y", "again.x")], "behind 'fc', which again reads too"),
        ([Edge("input.y", "norm.x")], "of what arrives from 2 nodes"),
    ],
)
def test_what_stands_in_the_way(tmp_path: Path, more: list[Edge], what: str) -> None:
    program, params = net_of({"fc": Linear(4, 4), "norm": BatchNorm1d(4), "again": Scale()}, (4,))
    net = replace(program, edges=(*program.edges, *more)), params
    refused(net, tmp_path / "x.nir", f"{NO} {what}; {WAY}")


def test_one_that_arrives_late_is_refused(tmp_path: Path) -> None:
    """Before it arrives a zero does, and that is not normalised to zero."""
    program, params = net_of({"fc": Linear(4, 4), "norm": BatchNorm1d(4)}, (4,))
    edges = [replace(edge, delay=int(edge.src == "fc.y")) for edge in program.edges]
    net = replace(program, edges=tuple(edges)), params
    refused(net, tmp_path / "x.nir", f"{NO} of what arrives late; {WAY}")


def test_a_variance_below_zero_is_refused(tmp_path: Path) -> None:
    program, params = net_of({"fc": Linear(4, 3), "norm": BatchNorm1d(3)}, (4,))
    params["norm.running_var"] = np.array([1, -1, 1], np.float32)
    what = "folded into 'fc' it is not finite: the least running variance is -1; train on"
    refused((program, params), tmp_path / "x.nir", what)
