"""``poptorch.optim``: settings that a device takes over, and a place for what it remembers.

``step`` is never run: the device updates, see `device`.
"""

from __future__ import annotations

from typing import Any, Callable, ClassVar, Iterable, Mapping

import torch
from torch import Tensor

from .errors import Error

__all__ = [
    "LAMB",
    "SGD",
    "Adam",
    "AdamW",
    "Optimizer",
    "RMSprop",
    "VariableAttributes",
    "kind_of",
    "settings",
]

NOT_IPU = "Only IPU optimizer states can be loaded onto the IPU."
IGNORED = ("maximize", "foreach", "capturable", "differentiable", "fused")
"""Arguments that PopTorch takes for torch's sake. The first changes results in torch, and nothing there."""

MOMENTS = ("accum_type", "first_order_momentum_accum_type", "second_order_momentum_accum_type")


class VariableAttributes:
    """Which settings may change after compilation."""

    def __init__(self, variable: Iterable[str], allowed: Iterable[str]) -> None:
        self.variable, self.allowed = set(variable), set(allowed)

    def isConstant(self, attr: str) -> bool:  # PopTorch's names
        return attr not in self.variable

    def markAsConstant(self, attr: str) -> None:
        self._check(attr)
        self.variable.discard(attr)

    def markAsVariable(self, attr: str) -> None:
        self._check(attr)
        self.variable.add(attr)

    def _check(self, attr: str) -> None:
        allowed = sorted(self.allowed)
        assert attr in self.allowed, "Unknown attribute %s, allowed values: %s" % (attr, allowed)


class Optimizer:
    """What PopTorch adds to torch's optimizers.

    Attributes:
        GROUP: settings that torch knows, too; OWN: those of PopTorch alone, kept as attributes.
        DEFAULTS: of what torch has no default for, or another one.
    """

    GROUP: ClassVar[tuple[str, ...]] = ()
    OWN: ClassVar[tuple[str, ...]] = ()
    DEFAULTS: ClassVar[Mapping[str, Any]] = {}

    state_dict: Callable[[], dict[str, Any]]
    param_groups: Any

    def __init__(self, params: Iterable[Tensor], **given: Any) -> None:
        accepted = (*self.GROUP, *self.OWN, *IGNORED)
        unknown = [name for name in given if name not in accepted]
        if unknown:
            raise TypeError("__init__() got an unexpected keyword argument '%s'" % unknown[0])
        given = {name: value for name, value in given.items() if value is not None}
        if given.get("amsgrad"):
            raise ValueError("Only non-amsgrad Adam/AdamW optimizers are supported.")
        if given.get("maximize"):
            raise Error("maximize is taken by PopTorch and ignored by the IPU; change the sign of the loss")
        for name in self.OWN:
            value = given.get(name, OWN_DEFAULTS[name])
            if name.endswith("accum_type"):
                wanted = "Accumulation types must be either torch.float32 or torch.float16"
                assert value in (torch.float16, torch.float32), wanted
            setattr(self, name, value)
        theirs = {name: value for name, value in given.items() if name in self.GROUP}
        self._make(params, {**self.DEFAULTS, **theirs})
        self.variable_attrs = VariableAttributes(given, (*self.GROUP, "loss_scaling"))
        self._state: Mapping[str, Any] = {"ipu_state": None, "ipu_param": None}
        self.ipu_state_is_dirty = False  # whether it is still to be written to the device
        self.host_state_is_dirty = False  # whether the device has gone on since it was read
        self.state_dict = self.get_state_dict

    def _make(self, params: Iterable[Tensor], given: Mapping[str, Any]) -> None:
        """Torch's own constructor."""
        super().__init__(params, **given)  # type: ignore[call-arg]  # the class beside this one

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        whole: Any = self
        torch.optim.Optimizer.load_state_dict(whole, dict(state))
        self.set_state_dict(state)

    def get_state_dict(self) -> dict[str, Any]:
        """Torch's, and what was last read from the device: None before that."""
        whole: Any = self
        return {**self._state, **torch.optim.Optimizer.state_dict(whole)}

    def set_state_dict(self, state: Mapping[str, Any]) -> None:
        if not state:
            raise RuntimeError("Cannot load optimizer state dictionary because it is empty.")
        if not ("ipu_state" in state and "ipu_param" in state):
            raise RuntimeError(NOT_IPU)
        self._state = {name: state[name] for name in ("ipu_state", "ipu_param")}
        self.ipu_state_is_dirty = True
        self.host_state_is_dirty = False

    def has_state(self) -> bool:
        return self._state["ipu_state"] is not None and self._state["ipu_param"] is not None


OWN_DEFAULTS: Mapping[str, Any] = {
    "loss_scaling": 1.0,
    "velocity_scaling": 1.0,
    "use_combined_accum": False,
    "max_grad_norm": float("inf"),
    "bias_correction": True,
    "use_tf_variant": False,
    **dict.fromkeys((*MOMENTS, "velocity_accum_type"), torch.float32),
}


class SGD(Optimizer, torch.optim.SGD):
    """``poptorch.optim.SGD``."""

    GROUP = ("lr", "momentum", "dampening", "weight_decay", "nesterov")
    OWN = (
        "loss_scaling",
        "velocity_scaling",
        "use_combined_accum",
        "accum_type",
        "velocity_accum_type",
        "max_grad_norm",
    )

    def __init__(self, params: Iterable[Tensor], lr: float, **given: Any) -> None:
        super().__init__(params, lr=lr, **given)


class Adam(Optimizer, torch.optim.Adam):
    """``poptorch.optim.Adam``."""

    GROUP = ("lr", "betas", "eps", "weight_decay", "amsgrad")
    OWN = ("loss_scaling", *MOMENTS, "max_grad_norm")


class AdamW(Optimizer, torch.optim.AdamW):
    """``poptorch.optim.AdamW``."""

    GROUP = ("lr", "betas", "eps", "weight_decay", "amsgrad")
    OWN = ("loss_scaling", "bias_correction", *MOMENTS, "max_grad_norm")


class RMSprop(Optimizer, torch.optim.RMSprop):
    """``poptorch.optim.RMSprop``."""

    GROUP = ("lr", "alpha", "eps", "weight_decay", "momentum", "centered")
    OWN = ("loss_scaling", *MOMENTS, "use_tf_variant")


class LAMB(Optimizer, torch.optim.Optimizer):
    """``poptorch.optim.LAMB``; known by name, its updates are not emulated."""

    GROUP = ("lr", "betas", "eps", "weight_decay", "max_weight_norm")
    OWN = ("loss_scaling", "bias_correction", *MOMENTS)
    DEFAULTS: ClassVar[Mapping[str, Any]] = {
        "lr": 1e-3,
        "betas": (0.9, 0.999),
        "eps": 1e-8,
        "weight_decay": 0.0,
        "max_weight_norm": 65500.0,
    }

    def _make(self, params: Iterable[Tensor], given: Mapping[str, Any]) -> None:
        whole: Any = self
        torch.optim.Optimizer.__init__(whole, params, dict(given))


KINDS: tuple[Any, ...] = (SGD, AdamW, Adam, RMSprop, LAMB)  # in newer versions of torch an AdamW is an Adam


def kind_of(optimizer: Any) -> Any:
    """The class whose formulas the device follows; torch's own are as good as PopTorch's."""
    for kind in KINDS:
        if isinstance(optimizer, (kind, getattr(torch.optim, kind.__name__, kind))):
            return kind
    listed = ", ".join(kind.__name__ for kind in KINDS)
    raise AssertionError("Unsupported optimizer type. Types supported %s" % listed)


CONSTANT = ("betas", "alpha", "nesterov")
"""Of torch's own optimizers, always; others are constant where they have torch's default."""


def settings(optimizer: Any) -> dict[str, tuple[Any, bool]]:
    """What the device takes over: name -> value, and whether it is constant."""
    kind = kind_of(optimizer)
    group = optimizer.param_groups[0]
    marks = getattr(optimizer, "variable_attrs", None)
    found: dict[str, tuple[Any, bool]] = {}
    for name in kind.GROUP:
        if marks is not None:
            constant = bool(marks.isConstant(name))
        else:
            constant = name in CONSTANT or (name != "lr" and group[name] == optimizer.defaults[name])
        found[name] = group[name], constant
    found.update({name: (getattr(optimizer, name, OWN_DEFAULTS[name]), True) for name in kind.OWN})
    return found
