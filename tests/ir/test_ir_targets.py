"""What a loss may be compared with: every form, and what is said of anything else."""

from __future__ import annotations

import numpy as np
import pytest

from snnhw.errors import InputError
from snnhw.ir import CERate, L1Rate, Loss, LossKind, MSEMembrane, MSETemporal, Term
from snnhw.ir.targets import (
    CLASS_OF_STEP,
    CLASSES,
    CLASSES_OVER_TIME,
    FIRST_STEPS,
    VALUES,
    VALUES_OVER_TIME,
    Form,
    TargetArray,
    check_targets,
    form_of,
    wanted,
)

T, B, C = 6, 4, 3
SIGNAL = (T, B, C)


def found(kind: LossKind, shape: tuple[int, ...], dtype: str = "float32") -> Form:
    return form_of(Term(kind, of="out.mem"), SIGNAL, TargetArray(shape, dtype))


def advice(
    kind: LossKind, shape: tuple[int, ...], dtype: str = "float32", signal: tuple[int, ...] = SIGNAL
) -> str:
    """What is said after everything that is accepted."""
    with pytest.raises(InputError) as caught:
        form_of(Term(kind, of="out.mem"), signal, TargetArray(shape, dtype))
    told, _, rest = str(caught.value).partition(f". {type(kind).__name__} of 'out.mem' accepts ")
    assert told == f"target 'target' has shape {list(shape)} and dtype {dtype}"
    return rest.partition(". ")[2]


@pytest.mark.parametrize(
    ("shape", "dtype", "form"),
    [
        ((B,), "int64", CLASSES),
        ((T, B), "torch.uint8", CLASSES_OVER_TIME),
        ((B, C), "float32", VALUES),
        ((B, C), "int64", VALUES),
        ((B, C), "bool", VALUES),
        ((T, B, C), "torch.float64", VALUES_OVER_TIME),
    ],
)
def test_the_forms_of_a_membrane(shape: tuple[int, ...], dtype: str, form: Form) -> None:
    assert found(MSEMembrane(), shape, dtype) is form


def test_class_numbers_of_every_step() -> None:
    assert found(MSEMembrane(time_var_targets=True), (T,), "int64") is CLASS_OF_STEP
    assert found(MSEMembrane(time_var_targets=True), (T, B, C)) is VALUES_OVER_TIME


def test_other_forms() -> None:
    assert found(CERate(), (B,), "int32") is CLASSES
    assert found(MSETemporal(target_is_time=True), (B, C)) is FIRST_STEPS
    assert L1Rate().takes == ()
    assert MSEMembrane(class_weights=(1.0, 2.0, 3.0)).takes == (CLASSES,)


def test_where_shapes_leave_a_choice_whole_numbers_are_classes() -> None:
    term, square = Term(MSEMembrane(), of="out.mem"), (3, 3, 3)
    assert form_of(term, square, TargetArray((3, 3), "int64")) is CLASSES_OVER_TIME
    assert form_of(term, square, TargetArray((3, 3), "float32")) is VALUES


def test_all_that_is_accepted_is_told() -> None:
    with pytest.raises(InputError) as caught:
        found(MSEMembrane(), (T, B, C + 1))
    assert str(caught.value) == (
        "target 'target' has shape [6, 4, 4] and dtype float32. MSEMembrane of 'out.mem' accepts "
        "[B] = [4], class numbers (an integer dtype); "
        "or [T, B] = [6, 4], class numbers of every step (an integer dtype); "
        "or [B, C] = [4, 3], values that are wanted at every step; "
        "or [T, B, C] = [6, 4, 3], values that are wanted, step by step."
    )


@pytest.mark.parametrize(
    ("kind", "shape", "told"),
    [
        (
            MSEMembrane(),
            (B, T, C),
            "The batch stands first, where time does here: give y.transpose(0, 1).",
        ),
        (MSEMembrane(), (B, C, 1), "Give y.squeeze(-1)."),
        (MSEMembrane(), (B,), "Give y.long()."),
        (MSEMembrane(), (B, 1), "Give y.squeeze(-1).long()."),
        (MSEMembrane(), (T, C), ""),
        (CERate(), (B, 1), "Give y.squeeze(-1).long()."),
        (
            CERate(),
            (B, C),
            (
                "For one-hot rows give y.argmax(-1); for values to come near, compile with "
                "loss=snnhw.functional.mse_membrane_loss()."
            ),
        ),
        (
            CERate(),
            (T, B, C),
            "For values to come near, compile with loss=snnhw.functional.mse_membrane_loss().",
        ),
    ],
)
def test_what_to_do(kind: LossKind, shape: tuple[int, ...], told: str) -> None:
    assert advice(kind, shape) == told


def test_what_to_do_about_one_neuron_and_about_one_sample() -> None:
    assert advice(MSEMembrane(), (T, B), signal=(T, B, 1)) == "Give y.unsqueeze(-1)."
    assert advice(MSEMembrane(), (T, C), signal=(T, 1, C)) == "The batch is missing: give y.unsqueeze(1)."
    assert advice(MSEMembrane(), (C,), signal=(T, 1, C)) == "The batch is missing: give y.unsqueeze(0)."


def test_signals_without_classes() -> None:
    """Values are compared in any shape; class numbers need one axis to count along."""
    term, images = Term(MSEMembrane(), of="out.mem"), (T, B, 2, 5, 5)
    assert form_of(term, images, TargetArray(images, "float32")) is VALUES_OVER_TIME
    assert form_of(term, images, TargetArray(images[1:], "float32")) is VALUES
    assert advice(MSEMembrane(), (B,), "int64", images) == ""
    with pytest.raises(InputError, match=r"CERate reads a signal \[T, B, C\]; 'out.mem' gives .* flatten it"):
        form_of(Term(CERate(), of="out.mem"), images, TargetArray((B,), "int64"))


def test_a_target_that_is_missing() -> None:
    loss = Loss((Term(L1Rate(), of="out.spk"), Term(MSEMembrane(), of="out.mem", target="trace")))
    shapes = {"out.spk": SIGNAL, "out.mem": SIGNAL}
    check_targets(loss, shapes, {"trace": TargetArray(SIGNAL, "float32")})
    with pytest.raises(
        InputError, match=r"target 'trace' is missing; given: target\. MSEMembrane of 'out.mem' acc"
    ):
        check_targets(loss, shapes, {"target": TargetArray(SIGNAL, "float32")})


def test_what_class_numbers_stand_for() -> None:
    rows = [[2.0, 0.5, 0.5], [0.5, 0.5, 2.0]]
    assert wanted(CLASSES, np.array([0, 2]), C, (2.0, 0.5)).tolist() == rows
    assert wanted(CLASSES_OVER_TIME, np.array([[0, 2]]), C, (2.0, 0.5)).tolist() == [rows]
    assert wanted(CLASS_OF_STEP, np.array([0, 2]), C, (2.0, 0.5)).tolist() == [[rows[0]], [rows[1]]]
    values = np.ones((B, C))
    assert wanted(VALUES, values, C, (2.0, 0.5)) is values
