"""Files that an earlier state of this package wrote are still read, and mean the same.

They were written by commit c61fc3d, before modules moved to other rooms: the program of a network that was
trained for three steps, the state that its training goes on from, and the weights that it began with, as
torch saves them.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, Final

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import snnhw as snn
from snnhw import functional as SF
from snnhw.ir import Adam

SAVED: Final = Path(__file__).parents[1] / "golden" / "saved"


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(5, 6)
        rates: dict[str, Any] = {"alpha": 0.8, "beta": torch.rand(6), "learn_beta": True}
        self.lif = snn.Synaptic(threshold=0.1, init_hidden=True, **rates)
        self.norm = nn.BatchNorm1d(6)
        self.drop = nn.Dropout(0.25)
        self.rec = snn.RLeaky(beta=0.9, threshold=0.1, linear_features=6, init_hidden=True)
        self.out = nn.Linear(6, 3)
        end: dict[str, Any] = {"reset_mechanism": "zero", "output": True}
        self.read = snn.Leaky(beta=0.7, threshold=0.05, init_hidden=True, **end)

    def forward(self, x: Tensor) -> Any:
        return self.read(self.out(self.rec(self.drop(self.lif(self.norm(self.fc(x)))))))


@pytest.fixture(scope="module")
def expected() -> dict[str, Tensor]:
    return load_file(SAVED / "expected.safetensors")


def outputs(expected: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix("ran/"): x for name, x in expected.items() if name.startswith("ran/")}


def test_a_program_runs_as_it_did(expected: dict[str, Tensor]) -> None:
    program, params = snn.load(SAVED / "network.snn")
    x = expected["x"]
    with snn.compile((program, params), x[0], backend="cpu", time_steps=4, seed=3) as model:
        found = model.run(x).outputs
    wanted = outputs(expected)
    assert found.keys() == wanted.keys()
    for name, y in wanted.items():  # sums of products may differ in their last bits between processors
        torch.testing.assert_close(found[name], y, rtol=1e-5, atol=1e-6)


def test_training_goes_on_as_it_did(expected: dict[str, Tensor]) -> None:
    """From weights and a saved state of then: losses depend on every number in both."""
    net = Net()
    net.load_state_dict(torch.load(SAVED / "weights.pt", weights_only=True))
    x, y = expected["x"], expected["y"]
    settings: dict[str, Any] = {"loss": SF.ce_rate_loss(), "optimizer": Adam(lr=0.01), "accumulate": 2}
    with snn.compile(net, x[0], backend="cpu", time_steps=4, seed=3, **settings) as model:
        first = [model.step(x, y)[0] for _ in range(3)]
        model.executable.load_state(load_file(SAVED / "state.safetensors"))
        losses = [model.step(x, y)[0] for _ in range(3)]
        fresh = snn.compile(Net(), x[0], backend="cpu", time_steps=4, seed=3, **settings)
        fresh.executable.load_state(load_file(SAVED / "state.safetensors"))
        assert [fresh.step(x, y)[0] for _ in range(3)] == losses
    assert first != losses
    torch.testing.assert_close(
        torch.tensor(losses, dtype=torch.float64), expected["losses"], rtol=1e-5, atol=0.0
    )


def test_a_module_saved_whole_goes_on() -> None:
    """Written by commit e3c4f27, whose layers called their own attributes by other names, after one step."""
    net = torch.load(SAVED / "module.pt", weights_only=False)
    expected = load_file(SAVED / "module.safetensors")
    for t, x in enumerate(expected["x"][1:]):
        for name, found in zip(("spk", "syn", "mem"), net(x), strict=True):
            torch.testing.assert_close(found, expected[name][t], rtol=1e-6, atol=1e-7)
    assert net[1].state_quant is not False
    assert set(net.state_dict()) == set(nn.Sequential(*copy.deepcopy(list(net))).state_dict())
    assert not [name for name in net.state_dict() if "levels" in name]
