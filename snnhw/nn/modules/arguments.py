"""What a neuron's constructor takes: snnTorch's arguments, derived from the model's equations."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from inspect import Parameter, Signature
from typing import Any, Final

import torch
from torch import Tensor

from snnhw.errors import InputError
from snnhw.ir import ATan, NeuronModel, Param, Surrogate
from snnhw.tensors.custom import of_callable
from snnhw.words import brief

__all__ = [
    "FACTOR",
    "REQUIRED",
    "SEQUENCE",
    "bind",
    "check_value",
    "holds",
    "known",
    "levels_of",
    "own_tensor",
    "shown",
    "signature_of",
    "surrogate_of",
]

FACTOR = "graded_spikes_factor"

COMMON: Final[Mapping[str, object]] = {
    "spike_grad": None,
    "surrogate_disable": False,
    "init_hidden": False,
    "inhibition": False,
}
"""Options between a model's parameters and what may be learnt, in snnTorch's order."""

REST: Final[Mapping[str, object]] = {
    "reset_mechanism": None,
    "state_quant": False,
    "output": False,
    "reset_delay": True,
    FACTOR: 1.0,
    f"learn_{FACTOR}": False,
}
"""Options after what may be learnt."""

SEQUENCE: Final = ("init_hidden", "inhibition", "reset_mechanism", "reset_delay")
"""Options that mean nothing to a layer without a reset that is given whole sequences."""

OPTIONS = frozenset({*COMMON, *REST, "validate_args"})
"""Names that no parameter of a model may have."""

REQUIRED: Final = Parameter.empty
"""The default of an argument that must be given."""


def signature_of(
    model: NeuronModel,
    *,
    leading: Mapping[str, object] | None = None,
    learnt: Mapping[str, object] | None = None,
    without: Collection[str] = (),
    defaults: Mapping[str, object] | None = None,
    last: Sequence[str] = (),
) -> Signature:
    """``(parameters..., options..., learn_..., reset_mechanism, state_quant, output, ...)``.

    Args:
        leading: arguments that come first, with their defaults, and the threshold after them; None: the
            model's parameters, those without a default before the others, as Python wants it.
        learnt: ``learn_...`` arguments with their defaults; None: one for every parameter.
        without: options that the class does not offer.
        defaults: of options, where they differ from the usual. ``reset_delay`` is snnTorch's, True, unless
            the model's own reset is never late.
        last: options that come after the others.
    """
    params = sorted(model.params, key=lambda param: param.default is not None)
    own = {param.name: REQUIRED if param.default is None else param.default for param in params}
    learn = {f"learn_{param.name}": False for param in model.params} if learnt is None else learnt
    reset = {"reset_mechanism": model.reset, "reset_delay": "delayed" in model.timings_of(model.reset)}
    usual = {**COMMON, **learn, **REST, **reset, **(defaults or {})}
    names = [*(name for name in usual if name not in last), *last]
    offered = {name: usual[name] for name in names if name not in without}
    then = {name: own[name] for name in ("threshold",) if name in own and name not in (leading or {})}
    found = {**({**leading, **then} if leading else own), **offered}
    parameters = [
        Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=value) for name, value in found.items()
    ]
    return Signature([*parameters, Parameter("validate_args", Parameter.KEYWORD_ONLY, default=True)])


def bind(owner: str, signature: Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Every argument of a constructor by name, and every option it does not offer at its usual value."""
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{owner}: {error}; it takes {signature}") from None
    bound.apply_defaults()
    return {**COMMON, **REST, "reset_mechanism": "none", **bound.arguments}


def own_tensor(value: Any) -> Tensor:
    """A floating tensor of the neuron's own, in the dtype given where it is one; one that requires a gradient
    is kept itself, so that the gradient reaches whoever made it."""
    tensor = torch.as_tensor(value)
    if tensor.requires_grad:
        return tensor
    floating = isinstance(value, Tensor) and value.is_floating_point()
    return tensor.detach().clone().to(tensor.dtype if floating else torch.get_default_dtype())


def known(owner: str, name: str, value: Any) -> Tensor:
    """`own_tensor` of what no state_dict brings back: with its values, where a layer is made on ``meta``.

    Raises:
        InputError: it has none there.
    """
    if isinstance(value, Tensor) and value.is_meta:
        raise InputError(
            f"{owner}({name}=...) is on the device 'meta' and would have no values later, since no "
            "state_dict holds them; make them outside torch.device('meta')"
        )
    with torch.device("cpu"):
        return own_tensor(value)


def held(tensor: Tensor) -> Tensor:
    """What a module holds, where it computes with a part of it: of a view, the tensor that it looks at."""
    return tensor if tensor._base is None else tensor._base


def check_value(owner: str, param: Param, value: Any) -> None:
    """Raise `InputError` for what cannot be, or is not sensible as, a parameter's value."""
    given = f"{owner}({param.name}={shown(value) if isinstance(value, Tensor) else brief(value)})"
    try:
        tensor = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"{given}: give a number or a tensor") from None
    if tensor.is_complex() or tensor.dtype == torch.bool or not holds(torch.isfinite(tensor)):
        raise InputError(f"{given}: give finite numbers")
    low = -math.inf if param.low is None else param.low
    high = math.inf if param.high is None else param.high
    if not holds((tensor >= low) & (tensor <= high)):
        raise InputError(
            f"{given} lies outside [{low:g}, {high:g}]; pass validate_args=False to use it all the same"
        )


def holds(flags: Tensor) -> bool:
    """Whether all are true; on ``meta`` nobody knows."""
    return flags.is_meta or bool(flags.all())


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


def levels_of(given: Any) -> Tensor | None:
    """The levels meant by ``state_quant``; None where there are none: it is a function, or off.

    Raises:
        InputError: it is nothing that rounds.
    """
    from snnhw.functional.quant import StateQuant  # which imports torch's parts that few need

    levels = given.levels if isinstance(given, StateQuant) else given
    if isinstance(levels, Tensor) and levels.ndim == 1 and levels.numel():
        return own_tensor(levels)
    if given is False or given is None or (callable(given) and not isinstance(given, (type, Tensor))):
        return None
    raise InputError(
        f"state_quant is False, a tensor of levels [L], or a function of a state, not {brief(given)}"
    )


def shown(value: Any) -> str:
    """A number, or the shape of a tensor that holds more."""
    tensor = torch.as_tensor(value)
    return (
        f"{tensor.item():.6g}"
        if tensor.numel() == 1 and not tensor.is_meta
        else f"tensor{list(tensor.shape)}"
    )
