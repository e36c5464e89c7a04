"""Optimizers as data. Formulas are torch.optim's, in their unfused order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Final, Literal, Self, TypeVar

from snnhw.errors import InputError
from snnhw.ir.checks import is_number
from snnhw.ir.registered import enter
from snnhw.words import brief

__all__ = ["OPTIMIZERS", "SGD", "Adam", "AdamW", "Adamax", "Optimizer", "RMSprop", "Slot", "no_optimizer"]

OPTIMIZERS: Final[dict[str, type[Optimizer]]] = {}
"""Every optimizer by its class name."""

Class = TypeVar("Class", bound="type[Optimizer]")


@dataclass(frozen=True)
class Slot:
    """Something that an optimizer remembers of each parameter.

    Attributes:
        name: torch's.
        kind: ``count``, of updates, one number; ``moment``, in the parameter's shape; ``square``, a moment
            that is nowhere negative.
        always: whether it is there from the first update on; otherwise only once some setting asks for it.
    """

    name: str
    kind: Literal["count", "moment", "square"] = "moment"
    always: bool = True


@dataclass(frozen=True)
class Optimizer:
    """Base of the optimizers; subclasses are frozen dataclasses of numbers.

    Attributes:
        remembers: what an exact resume needs besides parameters.
    """

    remembers: ClassVar[tuple[Slot, ...]] = ()

    lr: float = 1e-3

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Refuse what torch's take first, before it is taken for a learning rate."""
        if (args and isinstance(args[0], Iterable)) or "params" in kwargs:
            raise InputError(
                f"{cls.__name__} takes its settings alone, such as {cls.__name__}(lr=1e-3): which "
                "parameters are trained is the network's to say"
            )
        return super().__new__(cls)

    @property
    def form(self) -> str:
        """What it is besides numbers that a schedule changes: runs of different forms do not continue each
        other."""
        return type(self).__name__

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(item.default, tuple):
                size = len(item.default)
                self._need(
                    _are_numbers(value, size), item.name, f"a tuple of {size} finite numbers, 0 or more"
                )
            elif isinstance(item.default, bool):
                self._need(isinstance(value, bool), item.name, "True or False")
            else:
                self._need(_are_numbers((value,), 1), item.name, "a finite number, 0 or more")

    def _need(self, condition: bool, name: str, accepted: str) -> None:
        if not condition:
            value = brief(getattr(self, name))
            raise InputError(f"{type(self).__name__}({name}={value}): give {accepted}")


def _are_numbers(values: object, count: int) -> bool:
    """Whether it is a tuple of that many finite numbers, 0 or more."""
    return (
        isinstance(values, tuple)
        and len(values) == count
        and all(is_number(value) and value >= 0 for value in values)
    )


def no_optimizer(given: object) -> InputError:
    """What is said of something in the place of an optimizer."""
    kind = given if isinstance(given, type) else type(given)
    name = kind.__name__
    if issubclass(kind, Optimizer):
        instead = f"the class {name}; give one with its settings, such as snnhw.optim.{name}(lr=1e-3)"
    elif kind.__module__.partition(".")[0] == "torch":
        settings = getattr(given, "defaults", {})
        lr = settings.get("lr", 1e-3) if isinstance(settings, Mapping) else 1e-3
        ours = (
            f"give snnhw.optim.{name}(lr={lr})"
            if name in OPTIMIZERS
            else f"there are {', '.join(OPTIMIZERS)}"
        )
        instead = (
            f"torch's {name}, which holds a module's parameters; {ours}, or with any of torch's train what "
            "torch_module() of the compiled model gives, in a loop of your own"
        )
    else:
        instead = brief(given)
    return InputError(f"an optimizer is a value such as snnhw.optim.Adam(lr=1e-3), not {instead}")


def optimizer(cls: Class) -> Class:
    """Register an optimizer class."""
    enter(OPTIMIZERS, cls)
    return cls


@optimizer
@dataclass(frozen=True)
class SGD(Optimizer):
    """``g += weight_decay * w``; ``v = momentum * v + g`` (the first time ``v = g``); ``w -= lr * v``,
    or with ``nesterov`` ``w -= lr * (g + momentum * v)``."""

    remembers: ClassVar[tuple[Slot, ...]] = (Slot("momentum_buffer", always=False),)

    momentum: float = 0.0
    weight_decay: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nesterov and self.momentum == 0:
            raise InputError("SGD(nesterov=True, momentum=0): give a momentum greater than 0")

    @property
    def form(self) -> str:
        return super().form + (" with momentum" if self.momentum else " without momentum")


@optimizer
@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam with bias correction; ``weight_decay`` is added to the gradient.

    Source: D. P. Kingma, J. Ba, "Adam", ICLR 2015.
    """

    remembers: ClassVar[tuple[Slot, ...]] = (
        Slot("step", "count"),
        Slot("exp_avg"),
        Slot("exp_avg_sq", "square"),
    )

    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._need(max(self.betas) < 1, "betas", "a pair such as (0.9, 0.999), each below 1")


@optimizer
@dataclass(frozen=True)
class AdamW(Adam):
    """Adam whose weight decay shrinks the weights directly: ``w -= lr * weight_decay * w`` first.

    Source: I. Loshchilov, F. Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.
    """

    weight_decay: float = 0.01


@optimizer
@dataclass(frozen=True)
class Adamax(Optimizer):
    """Adam by the largest gradient, not the mean of squares; ``weight_decay`` is added to the gradient.

    ``m = betas[0] m + (1 - betas[0]) g``; ``u = max(betas[1] u, |g| + eps)``;
    ``w -= lr / (1 - betas[0]**step) * m / u``.

    Source: D. P. Kingma, J. Ba, "Adam", ICLR 2015, section 7.1, with ``eps`` where torch has it.
    """

    remembers: ClassVar[tuple[Slot, ...]] = (
        Slot("step", "count"),
        Slot("exp_avg"),
        Slot("exp_inf", "square"),
    )

    lr: float = 2e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._need(max(self.betas) < 1, "betas", "a pair such as (0.9, 0.999), each below 1")


@optimizer
@dataclass(frozen=True)
class RMSprop(Optimizer):
    """``g += weight_decay * w``; ``s = alpha s + (1 - alpha) g**2``; ``d = g / (sqrt(s) + eps)``, or with
    ``centered`` ``g / (sqrt(s - a**2) + eps)``, where ``a = alpha a + (1 - alpha) g``;
    ``v = momentum * v + d``; ``w -= lr * v``.

    Source: T. Tieleman, G. Hinton, "Lecture 6.5: RMSProp", Coursera 2012; of ``centered``, A. Graves,
    "Generating Sequences With Recurrent Neural Networks", 2013.
    """

    remembers: ClassVar[tuple[Slot, ...]] = (
        Slot("square_avg", "square"),
        Slot("momentum_buffer", always=False),
        Slot("grad_avg", always=False),
    )

    lr: float = 1e-2
    alpha: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 0.0
    momentum: float = 0.0
    centered: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self._need(self.alpha < 1, "alpha", "a number below 1, such as 0.99")

    @property
    def form(self) -> str:
        words = "with momentum" if self.momentum else "without momentum"
        return f"{super().form} {words}{', centered' if self.centered else ''}"
