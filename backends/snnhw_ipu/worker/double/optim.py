"""``poptorch.optim``: settings that the device takes over, and what it remembers."""

from __future__ import annotations

import weakref
from typing import Any, Callable, ClassVar, Iterable, Mapping

import torch
from torch import Tensor

__all__ = ["LAMB", "SGD", "Adam", "AdamW", "Optimizer", "RMSprop", "updater"]

DEVICE_ONLY = [
    "loss_scaling",
    "velocity_scaling",
    "use_combined_accum",
    "accum_type",
    "velocity_accum_type",
    "max_grad_norm",
    "first_order_momentum_accum_type",
    "second_order_momentum_accum_type",
    "bias_correction",
    "use_tf_variant",
    "max_weight_norm",
]

SLOTS = {
    "momentum_buffer": "Accl",
    "exp_avg": "Accl1",
    "exp_avg_sq": "Accl2",
    "step": "Step",
    "square_avg": "Accl1",
}
"""Torch's name for what is remembered of a weight -> PopART's."""

NOT_IPU = "Only IPU optimizer states can be loaded onto the IPU."


class Optimizer(torch.optim.Optimizer):
    """Base. `step` is never run: the device updates.

    Attributes:
        TORCH: the class whose formulas the device follows; ACCEPTED: names of its settings.
        CONSTANT: names that cannot change after compilation, unless they were given.
    """

    TORCH: Any = None
    ACCEPTED: tuple[str, ...] = ()
    DEFAULTS: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, params: Iterable[Tensor], lr: float | None = None, **given: Any) -> None:
        unknown = sorted(set(given) - set(self.ACCEPTED))
        if unknown:
            raise TypeError("__init__() got an unexpected keyword argument '%s'" % unknown[0])
        if given.get("amsgrad"):
            raise ValueError("amsgrad is not supported")
        for name, value in given.items():
            if name.endswith("accum_type") and value is not None:
                assert value in (torch.float16, torch.float32), "%s must be float16 or float32" % name
        given = {name: value for name, value in given.items() if value is not None}
        if lr is not None:
            given["lr"] = lr
        super().__init__(list(params), {**self.DEFAULTS, **given})
        self.variable = set(given)
        self.owner: Callable[[], Any] = lambda: None
        self.pending: dict[str, Tensor] | None = None

    def settings(self) -> dict[str, Any]:
        """The present settings, by name."""
        return {name: value for name, value in self.param_groups[0].items() if name != "params"}

    def state_dict(self) -> dict[str, Any]:
        """Torch's, with what the device remembers: reads it there."""
        executor = self.owner()
        remembered = executor.optimizer_state() if executor is not None else {}
        return {**super().state_dict(), "ipu_state": remembered, "ipu_param": {}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take a state of the device's; it is written there by ``setOptimizer``."""
        if "ipu_state" not in state or "ipu_param" not in state:
            raise RuntimeError(NOT_IPU)
        self.pending = {name: torch.as_tensor(value).clone() for name, value in state["ipu_state"].items()}

    def bind(self, executor: Any) -> None:
        """Say which executor's device to read."""
        self.owner = weakref.ref(executor)


class SGD(Optimizer):
    """``poptorch.optim.SGD``."""

    TORCH = torch.optim.SGD
    ACCEPTED = (
        "momentum",
        "dampening",
        "weight_decay",
        "nesterov",
        "maximize",
        "foreach",
        "differentiable",
        "loss_scaling",
        "velocity_scaling",
        "use_combined_accum",
        "accum_type",
        "velocity_accum_type",
        "max_grad_norm",
    )
    DEFAULTS: ClassVar[Mapping[str, Any]] = {
        "momentum": 0.0,
        "dampening": 0.0,
        "weight_decay": 0.0,
        "nesterov": False,
    }

    def __init__(self, params: Iterable[Tensor], lr: float, **given: Any) -> None:
        super().__init__(params, lr, **given)


_MOMENTS = "accum_type first_order_momentum_accum_type second_order_momentum_accum_type"


class Adam(Optimizer):
    """``poptorch.optim.Adam``."""

    TORCH: Any = torch.optim.Adam
    ACCEPTED = (
        "betas",
        "eps",
        "weight_decay",
        "amsgrad",
        "foreach",
        "maximize",
        "capturable",
        "differentiable",
        "fused",
        "loss_scaling",
        "max_grad_norm",
        *tuple(_MOMENTS.split()),
    )
    DEFAULTS: ClassVar[Mapping[str, Any]] = {
        "lr": 1e-3,
        "betas": (0.9, 0.999),
        "eps": 1e-8,
        "weight_decay": 0.0,
    }


class AdamW(Adam):
    """``poptorch.optim.AdamW``."""

    TORCH: Any = torch.optim.AdamW
    ACCEPTED = (*Adam.ACCEPTED, "bias_correction")
    DEFAULTS: ClassVar[Mapping[str, Any]] = {**Adam.DEFAULTS, "weight_decay": 1e-2}


class RMSprop(Optimizer):
    """``poptorch.optim.RMSprop``."""

    TORCH = torch.optim.RMSprop
    ACCEPTED = (
        "alpha",
        "eps",
        "weight_decay",
        "momentum",
        "centered",
        "foreach",
        "maximize",
        "differentiable",
        "loss_scaling",
        "use_tf_variant",
        *tuple(_MOMENTS.split()),
    )
    DEFAULTS: ClassVar[Mapping[str, Any]] = {
        "lr": 1e-2,
        "alpha": 0.99,
        "eps": 1e-8,
        "weight_decay": 0.0,
        "momentum": 0.0,
        "centered": False,
    }


class LAMB(Optimizer):
    """``poptorch.optim.LAMB``; known by name, its updates are not emulated."""

    ACCEPTED = (
        "betas",
        "eps",
        "weight_decay",
        "bias_correction",
        "loss_scaling",
        "max_weight_norm",
        *tuple(_MOMENTS.split()),
    )
    DEFAULTS: ClassVar[Mapping[str, Any]] = {
        "lr": 1e-3,
        "betas": (0.9, 0.999),
        "eps": 1e-8,
        "weight_decay": 0.0,
    }


class updater:  # noqa: N801  # used as a function
    """The device's side: updates weights there, by settings that were taken over once."""

    def __init__(self, optimizer: Optimizer, weights: Mapping[str, Tensor]) -> None:
        assert optimizer.TORCH is not None, "Unsupported optimizer type %s" % type(optimizer).__name__
        self.weights = dict(weights)
        self.taken = optimizer.settings()
        self.variable = set(optimizer.variable)
        usable = {
            name: value for name, value in self.taken.items() if name in optimizer.DEFAULTS or name == "lr"
        }
        self.rule = optimizer.TORCH(list(self.weights.values()), **usable)

    def take(self, optimizer: Optimizer) -> None:
        """Other settings; what was constant must stay."""
        for name, value in optimizer.settings().items():
            if value != self.taken.get(name) and name not in self.variable and name != "lr":
                raise AssertionError(
                    "optimizer attribute '%s' is constant and cannot change after compilation" % name
                )
        self.taken = optimizer.settings()
        for name in self.rule.param_groups[0]:
            if name != "params" and name in self.taken:
                self.rule.param_groups[0][name] = self.taken[name]
        if optimizer.pending is not None:
            self._load(optimizer.pending)
            optimizer.pending = None

    def update(self, grads: Mapping[str, Tensor | None]) -> None:
        """One update. A weight that the loss does not read has no gradient, and stays."""
        limit = self.taken.get("max_grad_norm")
        found = [grad for grad in grads.values() if grad is not None]
        scale = 1.0
        if limit is not None and found:
            norm = torch.sqrt(torch.stack([grad.float().square().sum() for grad in found]).sum())
            scale = float(limit / torch.maximum(norm, torch.tensor(float(limit))))
        for name, weight in self.weights.items():
            grad = grads.get(name)
            weight.grad = None if grad is None else grad * scale
        self.rule.step()
        self.rule.zero_grad(set_to_none=True)

    def state(self) -> dict[str, Tensor]:
        """What is remembered, under PopART's names."""
        found: dict[str, Tensor] = {}
        for name, weight in self.weights.items():
            for slot, value in self.rule.state.get(weight, {}).items():
                if value is not None:
                    found["%s___%s" % (SLOTS[slot], name)] = torch.as_tensor(value).detach().clone()
        return found

    def _load(self, remembered: Mapping[str, Tensor]) -> None:
        self.rule.state.clear()
        ours: list[str] = ["step", "exp_avg", "exp_avg_sq"] if "betas" in self.taken else ["momentum_buffer"]
        for name, weight in self.weights.items():
            found = {
                slot: remembered["%s___%s" % (SLOTS[slot], name)]
                for slot in ours
                if "%s___%s" % (SLOTS[slot], name) in remembered
            }
            if found:
                self.rule.state[weight] = {slot: value.clone() for slot, value in found.items()}
