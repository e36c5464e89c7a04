"""Golden cases as modules: what their notes say of weights, set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn

import snnhw as snn

__all__ = ["returned", "signal_of", "site_of"]

LEVELS: Final = torch.linspace(-1, 1.5, 4)
"""The quantiser of `leaky_state_quant`, as its note says."""

WEIGHTS: Final = ("W", "b", "W_ih", "Wv", "Wk", "Walpha", "biases", "weight_ih", "weight_hh", "bias_ih")
WEIGHTS_TOO: Final = ("bias_hh", "conv_weight")


def site_of(case: Mapping[str, Any], surrogates: Mapping[str, Any]) -> Any:
    """The module of a case, in float64."""
    given = dict(case["params"])
    told = {name: given.pop(name) for name in (*WEIGHTS, *WEIGHTS_TOO) if name in given}
    if case["target"] == "LeakyParallel":
        told["bias"] = given.pop("bias")
    settings: dict[str, Any] = {
        name: torch.tensor(v).double() if isinstance(v, list) else v for name, v in given.items()
    }
    if "spike_grad" in settings:
        settings["spike_grad"] = surrogates[settings["spike_grad"]]
    if "state_quant" in settings:
        settings["state_quant"] = LEVELS
    if case["kind"] == "gradient":  # what there is a gradient of is learnt
        names = [name[1:] for name in case["expected"] if name.startswith("d") and name != "dx"]
        settings |= {f"learn_{name}": True for name in names}
    if settings.get("init_hidden"):
        settings["output"] = True
    beyond = case["id"] == "leaky_beta_clamped"  # snnTorch checks nothing
    layer = getattr(snn, case["target"])(**settings, validate_args=not beyond).double()
    if case["id"] in SET:
        with torch.no_grad():
            SET[case["id"]](layer, told)
    return layer


def returned(case: Mapping[str, Any], layer: Any) -> dict[str, Tensor]:
    """What it returns over all steps, by name."""
    x = signal_of(case)
    names = list(case["expected"])
    found = layer(x) if case["kind"] == "sequence" else _stepped(layer, x)
    found = found if isinstance(found, tuple) else (found,)
    return dict(zip(names, found, strict=True))


def signal_of(case: Mapping[str, Any]) -> Tensor:
    """Its input ``[T, B, ...]``."""
    inputs = case["inputs"]
    x = torch.tensor(inputs["x_TxBxN"] if "x_TxBxN" in inputs else inputs["x"], dtype=torch.float64)
    return x.expand(int(inputs["repeat"]), *x.shape) if "repeat" in inputs else x


def _stepped(layer: nn.Module, x: Tensor) -> tuple[Tensor, ...]:
    steps = [tuple(_flat(layer(step))) for step in x]
    return tuple(torch.stack(values) for values in zip(*steps, strict=True))


def _flat(values: Any) -> list[Tensor]:
    return [item for value in values for item in (_flat(value) if isinstance(value, tuple) else [value])]


def _recurrent(layer: Any, _: Mapping[str, Any]) -> None:
    layer.recurrent.weight.copy_(torch.tensor([[0.5, -0.25], [0.25, 0.5]]))
    layer.recurrent.bias.copy_(torch.tensor([0.125, 0.0]))


def _linear(layer: Any, told: Mapping[str, Any]) -> None:
    layer.linear.weight.copy_(torch.tensor(told["W"]))
    layer.linear.bias.copy_(torch.tensor(told["b"]))


def _parallel(layer: Any, _: Mapping[str, Any]) -> None:
    layer.rnn.weight_ih_l0.copy_(torch.eye(2))
    layer.rnn.bias_ih_l0.zero_()
    layer.rnn.bias_hh_l0.zero_()


def _associative(layer: Any, told: Mapping[str, Any]) -> None:
    for product in (layer.to_v, layer.to_k, layer.to_alpha):
        product.weight.zero_()
        product.bias.zero_()
    layer.to_v.weight.copy_(torch.eye(2))
    layer.to_k.weight.copy_(torch.tensor(told["Wk"]))


def _lstm(layer: Any, told: Mapping[str, Any]) -> None:
    cell, weight = layer.lstm_cell, torch.tensor(told["weight_ih"])
    cell.weight_ih.copy_(weight)
    cell.weight_hh.copy_(weight.flip(0))
    cell.bias_ih.fill_(told["bias_ih"])
    cell.bias_hh.fill_(told["bias_hh"])


def _convolutional(layer: Any, told: Mapping[str, Any]) -> None:
    layer.conv.weight.copy_(torch.tensor(told["conv_weight"]))


SET: Final[Mapping[str, Callable[[Any, Mapping[str, Any]], None]]] = {
    "rleaky_linear": _recurrent,
    "linearleaky": _linear,
    "leakyparallel": _parallel,
    "associative_noq": _associative,
    "slstm_none": _lstm,
    "sconv2dlstm": _convolutional,
}
