"""Layers that quantise their weights by their values in every call, as those of brevitas: in evaluation they
are torch's layers, with the weights that they come to.

Known by a method ``quant_weight``, so that no package has to be installed, or named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import torch
from torch import Tensor, nn

from snnhw.errors import CaptureError
from snnhw.nn.capture.layers import MODULES, copied
from snnhw.nn.capture.signals import Converted, Signal
from snnhw.words import listing

__all__ = ["converted", "is_quantised", "strange"]

ROUNDING: Final[Mapping[str, str]] = {
    "input_quant": "its input",
    "output_quant": "its output",
    "bias_quant": "its bias",
}
"""What such a layer may have besides -> what that rounds."""


PACKAGES: Final = ("brevitas", "torch.ao")
"""Whose layers compute what they are made of anew in every call, by values."""

STRANGE: Final = (
    "'{path}' is a {kind} of {package}, which quantises by values in every call, and has no counterpart in a "
    "program; compile the network before it is quantised, or with layers of brevitas that quantise their "
    "weights alone, as QuantLinear(4, 3) does"
)


def strange(path: str, module: nn.Module) -> str:
    """What is said of a layer of theirs; nothing of others."""
    for kind in type(module).__mro__:
        for package in PACKAGES:
            if f"{kind.__module__}.".startswith(f"{package}."):
                return STRANGE.format(path=path, kind=type(module).__name__, package=package)
    return ""


def is_quantised(module: nn.Module) -> bool:
    """Whether a layer makes its weights anew in every call, and says which."""
    return callable(getattr(type(module), "quant_weight", None)) and _of_torch(module) is not None


def converted(path: str, module: Any, x: Signal) -> Converted | Signal:
    """The layer of torch's that it is in evaluation, with fixed weights.

    Raises:
        CaptureError: it is in training, or rounds more than its weights.
    """
    owner = f"'{path}' is a {type(module).__name__}, which quantises its weights by their values"
    base = _of_torch(module)
    assert base is not None
    if module.training:
        raise CaptureError(
            f"{owner} in every call, so that a compiled model cannot train them: train the network in "
            "torch, and compile net.eval(), in which they are what layer.quant_weight() gives"
        )
    if more := [name for name in ROUNDING if _enabled(getattr(module, name, None))]:
        raise CaptureError(
            f"{owner}, and rounds {', '.join(ROUNDING[name] for name in more)} besides, for which no op "
            f"stands; construct it without {listing(more)}, or run it in torch"
        )
    made = MODULES[base](module, x)
    assert isinstance(made, Converted)
    with torch.no_grad():
        weight = module.quant_weight()
    value = weight if isinstance(weight, Tensor) else weight.value
    return replace(made, params={**made.params, "weight": copied(value)}, fixed=True)


def _of_torch(module: nn.Module) -> type[nn.Module] | None:
    """The layer of torch's that it extends."""
    return next((kind for kind in type(module).__mro__ if kind in MODULES), None)


def _enabled(proxy: Any) -> bool:
    return bool(getattr(proxy, "is_quant_enabled", False))
