"""What a neuron's constructor takes: snnTorch's arguments, derived from the model's equations."""

from __future__ import annotations

import math
from inspect import Parameter, Signature
from typing import Any

import torch
from torch import Tensor

from snnhw.errors import InputError
from snnhw.ir import ATan, Model, Param, Surrogate
from snnhw.tensors.custom import of_callable
from snnhw.words import brief

__all__ = ["FACTOR", "check_value", "levels_of", "own_tensor", "shown", "signature_of", "surrogate_of"]

FACTOR = "graded_spikes_factor"

COMMON: dict[str, object] = {
    "spike_grad": None,
    "surrogate_disable": False,
    "init_hidden": False,
    "inhibition": False,
}
"""Options between a model's parameters and what may be learnt, in snnTorch's order."""

REST: dict[str, object] = {
    "reset_mechanism": None,
    "state_quant": False,
    "output": False,
    FACTOR: 1.0,
    f"learn_{FACTOR}": False,
    "reset_delay": True,
}
"""Options after what may be learnt."""

OPTIONS = frozenset({*COMMON, *REST, "validate_args"})
"""Names that no parameter of a model may have."""


def signature_of(model: Model) -> Signature:
    """``(parameters..., options..., learn_..., reset_mechanism, state_quant, output, ...)``.

    Parameters without a default stand first, as Python wants it.
    """
    params = sorted(model.params, key=lambda param: param.default is not None)
    given = {param.name: Parameter.empty if param.default is None else param.default for param in params}
    learnt = {f"learn_{param.name}": False for param in model.params}
    defaults = given | COMMON | learnt | REST | {"reset_mechanism": model.reset}
    parameters = [
        Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=value) for name, value in defaults.items()
    ]
    return Signature([*parameters, Parameter("validate_args", Parameter.KEYWORD_ONLY, default=True)])


def own_tensor(value: Any) -> Tensor:
    """A floating tensor of the neuron's own, in the dtype given where it is one."""
    tensor = torch.as_tensor(value)
    floating = isinstance(value, Tensor) and value.is_floating_point()
    return tensor.detach().clone().to(tensor.dtype if floating else torch.get_default_dtype())


def check_value(owner: str, param: Param, value: Any) -> None:
    """Raise `InputError` for what cannot be, or is not sensible as, a parameter's value."""
    given = f"{owner}({param.name}={shown(value) if isinstance(value, Tensor) else brief(value)})"
    try:
        tensor = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"{given}: give a number or a tensor") from None
    if tensor.is_complex() or tensor.dtype == torch.bool or not bool(torch.isfinite(tensor).all()):
        raise InputError(f"{given}: give finite numbers")
    low = -math.inf if param.low is None else param.low
    high = math.inf if param.high is None else param.high
    if bool((tensor < low).any()) or bool((tensor > high).any()):
        raise InputError(
            f"{given} lies outside [{low:g}, {high:g}]; pass validate_args=False to use it all the same"
        )


def surrogate_of(given: Any, *, disabled: bool) -> Surrogate | None:
    """The surrogate meant by ``spike_grad`` and ``surrogate_disable``."""
    if disabled:
        return None
    if given is None:
        return ATan()
    if isinstance(given, type) and issubclass(given, Surrogate):
        return given()
    if isinstance(given, Surrogate):
        return given
    if callable(given) and not isinstance(given, type):
        return of_callable(given)
    raise InputError(
        "spike_grad is a surrogate such as snnhw.surrogate.fast_sigmoid(slope=25), "
        f"or a function of a tensor, not {brief(given)}"
    )


def levels_of(given: Any) -> Tensor:
    """The levels meant by ``state_quant``."""
    levels = getattr(given, "levels", given)
    if not isinstance(levels, Tensor) or levels.ndim != 1 or levels.numel() == 0:
        raise InputError(f"state_quant is False or a tensor of levels [L], not {brief(given)}")
    return own_tensor(levels)


def shown(value: Any) -> str:
    """A number, or the shape of a tensor that holds more."""
    tensor = torch.as_tensor(value)
    return f"{tensor.item():.6g}" if tensor.numel() == 1 else f"tensor{list(tensor.shape)}"
