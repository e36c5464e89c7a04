"""State dicts that snnTorch saved: files of 0.9.4 and 1.0.0 in `state_dicts`, and those of the one installed.

The files hold what `saved` gives under each release; made with ``torch.save(saved(snntorch), path)``.
"""

from __future__ import annotations

import inspect
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import snnhw as snn

pytestmark = pytest.mark.usefixtures("one_thread", "plain_torch")

FILES = sorted((Path(__file__).parent / "state_dicts").glob("*.pt"))

ONE: dict[str, Any] = {"beta": 0.8, "all_to_all": False}
LAYERS: dict[str, tuple[str, dict[str, Any]]] = {
    "Leaky": ("Leaky", {"beta": 0.8}),
    "Leaky-learnt": (
        "Leaky",
        {
            "beta": torch.tensor([0.5, 0.6, 0.7]),
            "learn_beta": True,
            "learn_threshold": True,
            "learn_graded_spikes_factor": True,
            "reset_mechanism": "zero",
        },
    ),
    "Synaptic": ("Synaptic", {"alpha": 0.7, "beta": 0.8, "learn_alpha": True, "reset_mechanism": "none"}),
    "RLeaky-one": ("RLeaky", {**ONE, "V": torch.tensor([0.1, 0.2, 0.3])}),
    "RLeaky-one-fixed": ("RLeaky", {**ONE, "V": 0.5, "learn_recurrent": False}),
    "RLeaky-linear": ("RLeaky", {"beta": 0.8, "linear_features": 3}),
    "RLeaky-conv": ("RLeaky", {"beta": 0.8, "conv2d_channels": 2, "kernel_size": 3}),
    "RSynaptic-one": ("RSynaptic", {"alpha": 0.7, **ONE, "V": 0.5}),
    "RSynaptic-linear": ("RSynaptic", {"alpha": 0.7, "beta": 0.8, "linear_features": 3}),
    "Lapicque-beta": ("Lapicque", {"beta": 0.6}),
    "Lapicque-RC": ("Lapicque", {"R": 2.0, "C": 3.0}),
    "Alpha": ("Alpha", {"alpha": 0.9, "beta": 0.6}),
    "DeltaLeaky": ("DeltaLeaky", {"delta_threshold": 0.3, "beta": 0.6}),
    "SLSTM": ("SLSTM", {"input_size": 3, "hidden_size": 2}),
    "SConv2dLSTM": ("SConv2dLSTM", {"in_channels": 1, "out_channels": 2, "kernel_size": 3}),
    "LeakyParallel": ("LeakyParallel", {"input_size": 3, "hidden_size": 2}),
    "LeakyParallel-beta": ("LeakyParallel", {"input_size": 3, "hidden_size": 2, "beta": 0.5}),
    "StateLeaky": ("StateLeaky", {"beta": 0.7, "channels": 3}),
    "LinearLeaky": ("LinearLeaky", {"beta": 0.7, "in_features": 3, "out_features": 2}),
    "AssociativeLeaky": (
        "AssociativeLeaky",
        {"in_dim": 3, "d_value": 2, "d_key": 2, "num_spiking_neurons": 4},
    ),
    "GradedSpikes": ("GradedSpikes", {"size": 3, "constant_factor": 0.0}),
    "BatchNormTT1d": ("BatchNormTT1d", {"input_features": 3, "time_steps": 2}),
    "BatchNormTT2d": ("BatchNormTT2d", {"input_features": 3, "time_steps": 2}),
}

SINCE_1_0 = {"StateLeaky", "LinearLeaky", "AssociativeLeaky", "DeltaLeaky"}

MADE_ANEW = {"GradedSpikes": {"size": 3, "constant_factor": 1.0}}
"""What ours are constructed with where it is not the same, so that loading is seen."""


def found(library: Any, kind: str) -> Any:
    """A class of snnTorch: some of them lie deeper."""
    folders = [library, *(getattr(library, name, None) for name in ("bntt", "graded_spikes"))]
    return next(getattr(folder, kind) for folder in folders if hasattr(folder, kind))


def saved(library: Any) -> dict[str, Mapping[str, Tensor]]:
    """The state dicts of all layers that a release of snnTorch has."""
    torch.manual_seed(4)
    known = {
        name: entry
        for name, entry in LAYERS.items()
        if entry[0] not in SINCE_1_0 or hasattr(library, entry[0])
    }
    return {name: found(library, kind)(**told).state_dict() for name, (kind, told) in known.items()}


def holds(layer: Any, state: Mapping[str, Tensor]) -> None:
    """That a layer holds these values."""
    mine = layer.state_dict()
    for key, value in state.items():
        name = key.replace("recurrent.V", "V") if key not in mine else key
        if key == "beta" and name not in mine:  # LeakyParallel's: the matrix is what counts
            continue
        if (
            key == "reset_mechanism_val" and len(layer._hw_model.kinds) == 1
        ):  # theirs names one that never acts
            continue
        wanted = value.reshape(mine[name].shape)
        if key.endswith("weight_hh_l0"):
            wanted = torch.diag(wanted.diagonal())
        torch.testing.assert_close(mine[name], wanted, rtol=1e-6, atol=1e-7, check_dtype=False)


def ours(name: str) -> Any:
    torch.manual_seed(9)
    kind, told = LAYERS[name]
    return getattr(snn, kind)(**MADE_ANEW.get(kind, told))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_files_of_each_release(path: Path) -> None:
    states = torch.load(path, weights_only=True)
    assert set(LAYERS) - set(states) == (SINCE_1_0 if "0_9" in path.name else set())
    for name, state in states.items():
        layer = ours(name)
        layer.load_state_dict(state, strict=True)
        holds(layer, state)


def test_both_releases_are_there() -> None:
    assert [path.stem for path in FILES] == ["snntorch_0_9_4", "snntorch_1_0_0"]


def test_files_of_the_release_installed_and_back() -> None:
    library: Any = pytest.importorskip(
        "snntorch", reason="snntorch is the oracle: pip install snntorch==1.0.0"
    )
    file = io.BytesIO()
    torch.save(saved(library), file)
    file.seek(0)
    for name, state in torch.load(file, weights_only=True).items():
        layer = ours(name)
        layer.load_state_dict(state, strict=True)
        holds(layer, state)
        kind, told = LAYERS[name]
        theirs = found(library, kind)(**told)
        theirs.load_state_dict(layer.state_dict(), strict=True)
        assert theirs.state_dict().keys() == state.keys()


@pytest.mark.parametrize("name", LAYERS)
def test_values_come_in_the_order_of_snntorch(name: str) -> None:
    """Federated learning sends the values of a state dict without their names."""
    snntorch = pytest.importorskip("snntorch")
    kind, told = LAYERS[name]
    learnt = [key for key in inspect.signature(getattr(snn, kind)).parameters if key.startswith("learn_")]
    for on in ([], learnt, *([key] for key in learnt)):
        settings = {**told, **dict.fromkeys(on, True)}
        try:
            theirs = list(found(snntorch, kind)(**settings).state_dict())
        except (TypeError, ValueError, RuntimeError):  # snnTorch has not that option, or fails
            continue
        ours = list(getattr(snn, kind)(**settings).state_dict())
        assert ours == theirs
