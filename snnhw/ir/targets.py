"""What a loss may be compared with: class numbers, or the values that are wanted.

Axes: T steps, B samples, ``...`` those of one sample's signal, such as C neurons. Which form a target has is
told by its shape, and by whether it holds whole numbers; where both leave a choice, the first form of the
loss's list is meant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from snnhw.errors import InputError

if TYPE_CHECKING:
    from snnhw.ir.losses import Loss, Term

__all__ = [
    "CLASSES",
    "CLASSES_OVER_TIME",
    "CLASS_OF_STEP",
    "FIRST_STEPS",
    "VALUES",
    "VALUES_OVER_TIME",
    "Form",
    "TargetArray",
    "check_targets",
    "form_of",
    "wanted",
]

Shape = tuple[int, ...]

LIKE_VALUES: Final = "values to come near, compile with loss=snnhw.functional.mse_membrane_loss()"


class TargetArray(NamedTuple):
    """What is known of a target without reading it; ``dtype`` as NumPy and torch name it."""

    shape: Shape
    dtype: str

    @property
    def whole(self) -> bool:
        return self.dtype.rpartition(".")[2].startswith(("int", "uint"))


class Form(NamedTuple):
    """One way to give a target.

    Attributes:
        axes: of the array; ``...`` are those of one sample's signal.
        whole: whether it holds class numbers, and so whole numbers alone.
        words: what it holds, for messages.
    """

    axes: tuple[str, ...]
    whole: bool
    words: str

    def shape(self, signal: Shape) -> tuple[int | str, ...]:
        """For a signal ``[T, B, ...]``; an axis of any size stands as its name."""
        sizes = {"T": signal[:1], "B": signal[1:2], "...": signal[2:]}
        return tuple(size for axis in self.axes for size in sizes.get(axis, (axis,)))

    def fits(self, signal: Shape, given: TargetArray) -> bool:
        shape = self.shape(signal)
        alike = len(shape) == len(given.shape) and all(
            isinstance(wanted, str) or size == wanted for size, wanted in zip(given.shape, shape, strict=True)
        )
        return alike and (given.whole or not self.whole)


CLASSES: Final = Form(("B",), True, "class numbers (an integer dtype)")
CLASS_OF_STEP: Final = Form(("T",), True, "the class number of every step (an integer dtype)")
CLASSES_OVER_TIME: Final = Form(("T", "B"), True, "class numbers of every step (an integer dtype)")
VALUES: Final = Form(("B", "..."), False, "values that are wanted at every step")
VALUES_OVER_TIME: Final = Form(("T", "B", "..."), False, "values that are wanted, step by step")
FIRST_STEPS: Final = Form(("B", "..."), False, "the step at which each neuron is to fire first")


def check_targets(loss: Loss, signals: Mapping[str, Shape], targets: Mapping[str, TargetArray]) -> None:
    """Every target that a term of the loss reads is there, in a form that the term takes.

    Args:
        signals: port -> ``[T, B, ...]``.
        targets: target name -> what it is.

    Raises:
        InputError: says what was given, all that is accepted, and what to do.
    """
    for term in loss.terms:
        if term.lengths:
            _check_lengths(term.lengths, signals[str(term.of)], targets)
        if not term.kind.takes:
            continue
        if term.target not in targets:
            raise InputError(
                f"target '{term.target}' is missing; given: {', '.join(targets) or 'none'}. "
                f"{_accepted(term, signals[str(term.of)])}"
            )
        form_of(term, signals[str(term.of)], targets[term.target])


def _check_lengths(name: str, signal: Shape, targets: Mapping[str, TargetArray]) -> None:
    accepted = f"accepted: [B={signal[1]}], for each sample the number of its steps, of an integer dtype"
    if name not in targets:
        raise InputError(f"'{name}' is missing; {accepted}")
    given = targets[name]
    if given.shape != signal[1:2] or not given.whole:
        raise InputError(f"'{name}' has shape {list(given.shape)} and dtype {given.dtype}; {accepted}")


def form_of(term: Term, signal: Shape, given: TargetArray) -> Form:
    """The form that a target has.

    Args:
        signal: the shape of what the term reads, ``[T, B, ...]``.

    Raises:
        InputError: none that the term takes.
    """
    for form in _possible(term, signal):
        if form.fits(signal, given):
            return form
    raise InputError(
        f"target '{term.target}' has shape {list(given.shape)} and dtype {given.dtype.rpartition('.')[2]}. "
        f"{_accepted(term, signal)}{_advice(term, signal, given)}"
    )


def wanted(form: Form, target: Any, neurons: int, ends: tuple[float, float]) -> Any:
    """The values that are wanted, a NumPy array that broadcasts to the form's.

    Args:
        ends: what a class number stands for: the value of the right class, and of the others.
    """
    if not form.whole:
        return target
    numbers = target[:, None] if form is CLASS_OF_STEP else target
    return np.where(numbers[..., None] == np.arange(neurons), *ends)


def _possible(term: Term, signal: Shape) -> list[Form]:
    """The forms that a term takes of such a signal: classes are told apart by one axis of neurons."""
    found = [form for form in term.kind.takes if len(signal) == 3 or not form.whole]
    if not found:
        raise InputError(
            f"{type(term.kind).__name__} reads a signal [T, B, C]; '{term.of}' gives {list(signal)}; "
            "flatten it first"
        )
    return found


def _accepted(term: Term, signal: Shape) -> str:
    names = ("C",) if len(signal) == 3 else ("...",)
    kinds = [
        f"[{', '.join(name for axis in form.axes for name in (names if axis == '...' else (axis,)))}] = "
        f"[{', '.join(map(str, form.shape(signal)))}], {form.words}"
        for form in _possible(term, signal)
    ]
    return f"{type(term.kind).__name__} of '{term.of}' accepts {'; or '.join(kinds)}."


def _changes(given: TargetArray) -> Iterator[tuple[str, TargetArray]]:
    """What a user may have meant, and code that makes it of what was given; what keeps the values first."""
    shape, dtype = given
    if len(shape) > 1:
        swapped = TargetArray((shape[1], shape[0], *shape[2:]), dtype)
        yield "The batch stands first, where time does here: give y.transpose(0, 1)", swapped
    whole = [("", dtype), (".long()", "int64")]
    for more, kind in whole:
        if shape and shape[-1] == 1:
            yield f"Give y.squeeze(-1){more}", TargetArray(shape[:-1], kind)
        yield f"Give y.unsqueeze(-1){more}", TargetArray((*shape, 1), kind)
        for axis in range(min(2, len(shape) + 1)):
            alone = TargetArray((*shape[:axis], 1, *shape[axis:]), kind)
            yield f"The batch is missing: give y.unsqueeze({axis}){more}", alone
        if more:
            yield f"Give y{more}", TargetArray(shape, kind)


def _advice(term: Term, signal: Shape, given: TargetArray) -> str:
    possible = _possible(term, signal)
    turned = (signal[1], signal[0], *signal[2:])
    if len(given.shape) == 1 and any(form.fits(turned, given) for form in possible):
        return (
            f" If the batch stands first in '{term.of}', give it as [T, B, ...], such as x.transpose(0, 1)."
        )
    for told, changed in _changes(given):
        if any(form.fits(signal, changed) for form in possible):
            return f" {told}."
    if any(not form.whole for form in possible):
        return ""
    if VALUES.fits(signal, given):
        return f" For one-hot rows give y.argmax(-1); for {LIKE_VALUES}."
    return f" For {LIKE_VALUES}." if len(given.shape) >= len(signal) else ""
