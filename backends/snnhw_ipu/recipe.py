"""Writing recipes: instructions one by one, each put where it runs least often.

`snnhw_ipu.worker.model` says what a recipe is, `snnhw_ipu.worker.functions` what it may ask for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy.typing as npt

from snnhw.ir import Shape

__all__ = ["STEP", "Draft", "Instruction", "Register", "Stage"]

STEP: Final = "#step"
"""As an option's value: the number of the step."""

SHAPED: Final = ("full", "spread", "reshape", "unfold", "view")
"""Functions that are told the shape of their result."""

Instruction = tuple[str, str, tuple[str, ...], dict[str, Any]]
"""Result, function, operands, options."""


@dataclass(frozen=True)
class Register:
    """A value while a recipe is written.

    Attributes:
        name: of the register that holds it.
        shape: of one sample, or of the whole when there is no batch axis.
        batched: whether the batch is its first axis.
        fixed: whether it is the same at every step.
    """

    name: str
    shape: Shape = ()
    batched: bool = True
    fixed: bool = False


@dataclass
class Stage:
    """One walk through all steps.

    Attributes:
        before: instructions before its first step; each: of one step.
        carry: register -> register that it becomes after the step.
        keep: register of a signal -> register of its values over all steps.
    """

    before: list[Instruction] = field(default_factory=list)
    each: list[Instruction] = field(default_factory=list)
    carry: dict[str, str] = field(default_factory=dict)
    keep: dict[str, str] = field(default_factory=dict)

    def data(self) -> dict[str, Any]:
        """As the recipe holds it."""
        return dict(vars(self))


@dataclass
class Draft:
    """A recipe in the making. What was computed once is not computed again.

    Attributes:
        like: an argument of the network, which constants take dtype and device from.
        stages: walks through all steps, one after the other; after: instructions behind the last.
        constants: name -> array that the recipe needs.
    """

    like: Register
    stages: list[Stage] = field(default_factory=lambda: [Stage()])
    after: list[Instruction] = field(default_factory=list)
    constants: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    ended: bool = False
    _known: dict[str, Register] = field(default_factory=dict)
    _count: int = 0

    @property
    def stage(self) -> int:
        """Number of the walk that is being written."""
        return len(self.stages) - 1

    def emit(
        self,
        function: str,
        *operands: Register,
        shape: Sequence[int] = (),
        batched: bool | None = None,
        **options: Any,
    ) -> Register:
        """Ask for a function. What depends on nothing that changes is computed before the first step.

        Args:
            shape: of the result; batched: whether it has a batch axis, by default whether an operand has.
        """
        fixed = all(register.fixed for register in operands) and STEP not in options.values()
        if function in SHAPED:
            options["shape"] = tuple(shape)
        stage = self.stages[-1]
        section = self.after if self.ended else stage.before if fixed else stage.each
        names = tuple(register.name for register in operands)
        key = repr((function, names, sorted(options.items())))
        if key not in self._known:
            result = f"%{self._count}"
            self._count += 1
            section.append((result, function, names, options))
            has_batch = any(register.batched for register in operands) if batched is None else batched
            self._known[key] = Register(result, tuple(shape), has_batch, fixed or self.ended)
        return self._known[key]

    def cut(self) -> None:
        """What follows happens in another walk through all steps, which has registers of its own."""
        self.stages.append(Stage())
        self._known = {key: register for key, register in self._known.items() if register.fixed}

    def end(self) -> None:
        """What follows happens after the last step; steps' own registers are gone."""
        self.ended = True

    def const(self, value: float, like: Register | None = None) -> Register:
        """A number."""
        return self.emit("const", like or self.like, batched=False, value=float(value))

    def spread(self, x: Register, shape: Shape) -> Register:
        """``x`` for every sample, of this shape each."""
        if x.batched and x.shape == shape:
            return x
        return self.emit("spread", x, self.like, shape=shape, batched=True)

    def constant(self, name: str, array: npt.NDArray[Any]) -> Register:
        """An array that is known when the recipe is written."""
        self.constants[name] = array
        return Register(f"param:{name}", array.shape, batched=False, fixed=True)

    def total(self, registers: Iterable[Register]) -> Register:
        """The sum, left to right."""
        first, *others = registers
        for register in others:
            first = self.emit("add", first, register, shape=first.shape)
        return first
