"""The ways in and out that a user calls: export, load, snnTorch's names, the command."""

from __future__ import annotations

from pathlib import Path

import nir
import numpy as np
import pytest
import torch
from nir_calls import FORMAT, chain, drive, lif
from torch import nn
from typer.testing import CliRunner

import snnhw as snn
from snnhw import registry
from snnhw.cli import app
from snnhw.errors import ExportError, InputError, LoadError, UnknownPlugin

pytestmark = pytest.mark.usefixtures("plain_torch")


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this checkout were installed, with its entry points."""
    monkeypatch.setattr(registry, "names", lambda group: ("nir",))
    monkeypatch.setattr(registry, "file_format", lambda name: FORMAT)


def network(reset: str = "zero") -> nn.Sequential:
    torch.manual_seed(0)
    lif1 = snn.Leaky(beta=0.9, init_hidden=True, reset_mechanism=reset)
    lif2 = snn.Leaky(beta=0.8, init_hidden=True, reset_mechanism=reset)
    return nn.Sequential(nn.Linear(4, 6), lif1, nn.Linear(6, 3), lif2)


def stepped(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
    snn.utils.reset(net)
    with torch.no_grad():
        return torch.stack([y[0] if isinstance(y := net(now), tuple) else y for now in x])


X = torch.as_tensor(drive(40, 2, 4))


def test_export_and_load(tmp_path: Path) -> None:
    net = network()
    report = snn.export(net, tmp_path / "net.nir", X[0])
    assert report.lost == ()
    loaded = snn.from_program(*snn.load(tmp_path / "net.nir"))
    assert torch.equal(stepped(loaded, X), stepped(net, X))


def test_export_measures_on_the_sample(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"becomes reset to 0: \d+ % of spikes differ on your sample"):
        snn.export(network("subtract"), tmp_path / "net.nir", (X[0],))


def test_a_strangers_file_becomes_a_torch_module(tmp_path: Path) -> None:
    path = chain(tmp_path / "a.nir", lif(3), shape=(3,), out=(3,))
    net = snn.from_program(*snn.load(path, dt=1e-4, scheme="euler"))
    x = torch.as_tensor(drive(30, 2, 3))
    by_hand, v = [], torch.zeros(2, 3)
    for now in x:
        v = 0.95 * v + now
        by_hand.append((v > 1).float())
        v = torch.where(v > 1, 0.0, v)
    assert torch.equal(stepped(net, x), torch.stack(by_hand))


def test_snntorchs_names_there_and_back() -> None:
    net = network()
    graph = snn.export_to_nir(net, X[0])
    assert isinstance(graph, nir.NIRGraph)
    assert torch.equal(stepped(snn.import_from_nir(graph), X), stepped(net, X))


def test_snntorchs_modules() -> None:
    assert snn.export_nir.export_to_nir is snn.export_to_nir
    assert snn.import_nir.import_from_nir is snn.import_from_nir


def test_a_graph_of_doubles_becomes_a_module_of_singles() -> None:
    """As NumPy makes them by default; snnTorch's import gives singles, too."""
    numbers = [np.full(3, value) for value in (2e-3, 20.0, 0.0, 1.0, 0.0)]
    weight = np.random.default_rng(0).normal(size=(3, 4))
    ends = {"input": nir.Input(np.array([4])), "output": nir.Output(np.array([3]))}
    nodes = {**ends, "fc": nir.Linear(weight), "lif": nir.LIF(*numbers), "rec": nir.Linear(np.eye(3) / 2)}
    edges = [("input", "fc"), ("fc", "lif"), ("lif", "rec"), ("rec", "lif"), ("lif", "output")]
    net = snn.import_from_nir(nir.NIRGraph(nodes, edges))
    assert {value.dtype for value in net.state_dict().values()} == {torch.float32}
    by_hand, v, s = [], torch.zeros(2, 3), torch.zeros(2, 3)
    for now in X:
        v = 0.95 * v + now @ torch.tensor(weight.T, dtype=torch.float32) + s / 2
        s = (v > 1).float()
        by_hand.append(s)
        v = torch.where(v > 1, 0.0, v)
    assert torch.equal(stepped(net, X), torch.stack(by_hand))


def test_snntorchs_name_warns_and_goes_on() -> None:
    with pytest.warns(
        UserWarning, match=r"reset by subtraction becomes reset to 0: .* on your sample"
    ) as seen:
        graph = snn.export_to_nir(network("subtract"), X[0])
    assert len(seen) == 2
    assert seen[0].filename == __file__
    assert type(graph.nodes["1"]) is nir.LIF


def test_what_snntorchs_names_refuse() -> None:
    with pytest.raises(InputError, match=r"ignore_dims=3: the sample has shape \[2, 4\]; give its axes that"):
        snn.export_to_nir(network(), X[0], ignore_dims=[3])
    with pytest.raises(InputError, match=r"ignore_dims=0, -2: the sample has shape \[2, 4\]"):
        snn.export_to_nir(network(), X[0], ignore_dims=[0, -2])
    with pytest.raises(LoadError, match=r"dict is no nir.NIRGraph"):
        snn.import_from_nir({})
    with pytest.raises(InputError, match="state is of type Tensor; give what the step before returned"):
        snn.import_from_nir(snn.export_to_nir(network(), X[0]))(X[0], X[0])


def with_membranes() -> nn.Sequential:
    """As in snnTorch's documentation: the last neuron returns its membrane, too."""
    net = network()
    last = snn.Leaky(beta=0.8, init_hidden=True, output=True, reset_mechanism="zero")
    return nn.Sequential(*list(net)[:-1], last)


def test_the_form_of_snntorchs_documentation() -> None:
    """The membrane beside the spikes is no part of the graph, and nodes are named as there."""
    graph = snn.export_to_nir(with_membranes(), X[0], ignore_dims=[0])
    assert sorted(graph.nodes) == ["0", "1", "2", "3", "input", "output"]
    assert torch.equal(stepped(snn.import_from_nir(graph), X), stepped(network(), X))


@pytest.mark.parametrize(
    ("shape", "ignored"),
    [((2, 4), []), ((2, 4), [0]), ((2, 4), [-2]), ((7, 2, 4), [0, 1]), ((2, 7, 4), [0, 1]), ((4, 2), [1])],
)
def test_axes_that_are_no_features(shape: tuple[int, ...], ignored: list[int]) -> None:
    graph = snn.export_to_nir(network(), torch.ones(shape), ignore_dims=ignored)
    assert graph.nodes["input"].input_type["input"].tolist() == [4]
    assert graph.nodes["output"].output_type["output"].tolist() == [3]


class Scaled(nn.Module):
    """A forward that takes more than the sample."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 3)
        self.lif = snn.Leaky(beta=0.9, reset_mechanism="zero")

    def forward(
        self, x: torch.Tensor, mem: torch.Tensor, gain: float = 1.0, *, twice: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.fc(x)
        if gain > 1.5:
            x = self.fc(x)
        return self.lif(x + x if twice else x, mem)  # type: ignore[no-any-return]


@pytest.mark.parametrize("gain", [1.0, torch.tensor(1.0)])
def test_what_forward_takes_after_the_sample(gain: object) -> None:
    graph = snn.export_to_nir(Scaled(), X[0], model_fwd_args=[torch.zeros(2, 3), gain])
    assert sorted(graph.nodes) == ["fc", "lif", "output", "x"]
    snntorchs, ours = Scaled(), snn.import_from_nir(graph)
    ours_spikes, _ = ours(X[0])
    assert ours_spikes.shape == snntorchs(X[0], torch.zeros(2, 3))[0].shape


def test_an_imported_network_returns_what_snntorchs_returns() -> None:
    """Spikes and a state, which may be given back; it is kept inside, too."""
    reader = pytest.importorskip("snntorch.import_nir")
    graph = snn.export_to_nir(network(), X[0], target="snntorch")
    theirs, ours, ours_given = reader.import_from_nir(graph), *(snn.import_from_nir(graph) for _ in range(2))
    state = state_given = None
    with torch.no_grad():
        for x in X:
            wanted, state = theirs(x[:1], state)
            spk, kept = ours(x[:1])
            assert isinstance(state, dict)
            assert isinstance(kept, dict)
            again, state_given = ours_given(x[:1], state_given)
            snn.utils.reset(ours_given)  # what is given counts
            assert torch.equal(spk, wanted)
            assert torch.equal(again, wanted)


def test_an_imported_network_compiles_alone_and_within_another() -> None:
    class Around(nn.Module):
        def __init__(self, net: nn.Module) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            spk, _ = self.net(x)
            return spk  # type: ignore[no-any-return]

    imported = snn.import_from_nir(snn.export_to_nir(network(), X[0]))
    alone, _, _ = snn.capture(imported, X[0])
    within, _, _ = snn.capture(Around(imported), X[0])
    assert sorted(alone.nodes) == ["0", "1", "2", "3", "input", "output"]
    assert [name for name in within.nodes if name.startswith("net.")] == ["net.0", "net.1", "net.2", "net.3"]


def test_without_the_format(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(registry, "_entries", lambda group: [])
    with pytest.raises(UnknownPlugin, match="no installed distribution offers a format 'nir'"):
        snn.import_from_nir(None)


def test_convert(tmp_path: Path) -> None:
    chain(tmp_path / "a.nir", lif(3), shape=(3,), out=(3,))
    options = ["--read", "dt=1e-4", "--read", "scheme=euler"]
    there = CliRunner().invoke(app, ["convert", str(tmp_path / "a.nir"), str(tmp_path / "b.snn"), *options])
    assert there.exit_code == 0, there.output
    back = CliRunner().invoke(app, ["convert", str(tmp_path / "b.snn"), str(tmp_path / "c.nir")])
    assert back.exit_code == 0, back.output
    assert "- NIR says neither dt nor how a step is taken: run the file with dt=0.0001 s" in back.output
    a, c = (nir.read(tmp_path / name).nodes["n0"] for name in ("a.nir", "c.nir"))
    assert np.array_equal(a.tau, c.tau)


@pytest.mark.parametrize(("said", "nested"), [("true", True), ("false", False)])
def test_convert_takes_words_for_what_they_say(tmp_path: Path, said: str, *, nested: bool) -> None:
    snn.save(tmp_path / "a.snn", nn.Sequential(network(), nn.Linear(3, 2)), X[0])
    asked = ["convert", str(tmp_path / "a.snn"), str(tmp_path / "b.nir"), "--write", f"nested={said}"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    assert isinstance(nir.read(tmp_path / "b.nir").nodes.get("0"), nir.NIRGraph) is nested


def test_a_misspelt_option(tmp_path: Path) -> None:
    options = "Its options: target, dt, scheme, lossy, nested, groups, sample."
    with pytest.raises(
        InputError, match=f"'nir' has no option 'lossi' for writing. Did you mean 'lossy'.*{options}"
    ):
        snn.export(network("zero"), tmp_path / "net.nir", X[0], lossi="allow")


def test_convert_says_why_not(tmp_path: Path) -> None:
    snn.save(tmp_path / "a.snn", network("subtract"), X[0])
    done = CliRunner().invoke(app, ["convert", str(tmp_path / "a.snn"), str(tmp_path / "b.nir")])
    assert done.exit_code == 1
    assert "reset by subtraction becomes reset to 0" in done.output
    again = ["convert", str(tmp_path / "a.snn"), str(tmp_path / "b.nir"), "--write", "lossy=allow"]
    assert CliRunner().invoke(app, again).exit_code == 0
