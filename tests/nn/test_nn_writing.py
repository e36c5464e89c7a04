"""Parameters from a file, or from a compiled program, into a torch module of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import snnhw as snn
from snnhw import functional as SF
from snnhw.errors import InputError, LoadError

T, B = 4, 3


def network(seed: int, hidden: int = 6) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(5, hidden),
        nn.BatchNorm1d(hidden),
        snn.RLeaky(beta=torch.rand(hidden), learn_beta=True, linear_features=hidden, init_hidden=True),
        nn.Linear(hidden, 2),
        snn.Leaky(beta=0.8, init_hidden=True),
    )


def trained(net: nn.Module) -> snn.nn.Model:
    settings: dict[str, Any] = {"loss": SF.ce_rate_loss(), "optimizer": snn.optim.Adam(lr=0.1)}
    model = snn.compile(net, torch.zeros(B, 5), backend="cpu", time_steps=T, **settings)
    model.step(torch.rand(T, B, 5), torch.tensor([0, 1, 0]))
    return model


def assert_same(one: nn.Module, other: nn.Module) -> None:
    ours, theirs = one.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    for name, x in ours.items():
        if not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(x, theirs[name], msg=name)


def test_a_file_comes_back_into_a_module(tmp_path: Path) -> None:
    first, other, model_file = network(0), network(1), str(tmp_path / "net.snn")
    with trained(first) as model:
        model.save(model_file)
        model.write_back(first)
    snn.load_into(other, model_file)
    assert_same(first, other)


def test_a_program_is_written_back_into_any_module_that_computes_it(tmp_path: Path) -> None:
    net, other = network(0), network(1)
    snn.save(tmp_path / "net.snn", net, torch.zeros(B, 5))
    with snn.compile(snn.load(tmp_path / "net.snn"), torch.zeros(B, 5), backend="cpu", time_steps=T) as model:
        model.write_back(other)
    assert_same(net, other)


class Otherwise(nn.Module):
    """The network of `network`, under other names."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.ModuleDict({"all": network(1)})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.body["all"](x)
        return found


def test_layers_may_be_called_otherwise(tmp_path: Path) -> None:
    net = network(0)
    with trained(net) as model:
        model.save(str(tmp_path / "net.snn"))
        model.write_back(net)
        for write in (lambda to: snn.load_into(to, tmp_path / "net.snn"), model.write_back):
            other = Otherwise()
            write(other)
            assert_same(net, other.body["all"])


def test_layers_of_the_same_sizes_in_another_order_are_another_network(tmp_path: Path) -> None:
    def built(*layers: nn.Module) -> nn.Module:
        return nn.Sequential(nn.Linear(5, 5), *layers, nn.Linear(5, 5), snn.Leaky(beta=0.5, init_hidden=True))

    snn.save(tmp_path / "net.snn", built(nn.ReLU()), torch.zeros(B, 5))
    snn.load_into(nn.Sequential(built(nn.ReLU())), tmp_path / "net.snn")
    for others in ((nn.Tanh(),), (nn.ReLU(), nn.ReLU())):
        with pytest.raises(InputError, match=r"the module is another network: parameter '0\.0\.bias' is"):
            snn.load_into(nn.Sequential(built(*others)), tmp_path / "net.snn")


def test_what_no_file_of_a_network_is(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"ending '\.pt'; .*; a state dict goes into a module by net\.load_state"
    ):
        snn.load_into(network(0), tmp_path / "net.pt")
    with pytest.raises(
        InputError, match=r"a checkpoint goes into a compiled model by model\.load_checkpoint"
    ):
        snn.load_into(network(0), tmp_path / "run.safetensors")
    untyped: Any = snn.load_into
    with pytest.raises(
        InputError, match=r"load_into\(net, path\) writes into a torch module, not into 'net\.snn'"
    ):
        untyped("net.snn", network(0))


def test_another_network_is_refused_and_nothing_copied(tmp_path: Path) -> None:
    snn.save(tmp_path / "net.snn", network(0), torch.zeros(B, 5))
    wrong = network(1, hidden=7)
    before = {name: x.clone() for name, x in wrong.state_dict().items()}
    with pytest.raises(
        InputError, match=r"another network: parameter '.*' is of shape \[.*7.*\] in it, and of"
    ):
        snn.load_into(wrong, tmp_path / "net.snn")
    with pytest.raises(
        InputError, match=r"is absent in it|cannot be held to the program|absent in the program"
    ):
        snn.load_into(nn.Sequential(nn.Linear(5, 6)), tmp_path / "net.snn")
    assert all(torch.equal(x, before[name]) for name, x in wrong.state_dict().items())
    with pytest.raises(LoadError, match="No such file"):
        snn.load_into(wrong, tmp_path / "absent.snn")


def test_a_report_is_a_note_a_line() -> None:
    from snnhw.plugin import Report

    assert str(Report(("a bias was folded", "a gain was dropped"), ("a gain was dropped",))) == (
        "lost: a gain was dropped\na bias was folded"
    )
    assert str(Report()) == "nothing was lost or changed"


def test_the_package_shows_its_own_names_alone() -> None:
    strangers = {"Any", "RLock", "TYPE_CHECKING", "annotations", "import_module"}
    assert not strangers & set(dir(snn))
    assert {"Leaky", "compile", "load_into", "optim", "__version__"} <= set(dir(snn))


def test_a_path_in_the_wrong_place_is_told_where_it_goes() -> None:
    net, sample = nn.Linear(2, 2), torch.zeros(B, 2)
    with pytest.raises(
        InputError, match=r"save takes the path first, not a Linear: snnhw\.save\('net\.snn',"
    ):
        snn.save(net, "net.snn", sample)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"export takes the path second, not a Linear: snnhw\.export\(net,"):
        snn.export("net.nir", net, sample)  # type: ignore[arg-type]
