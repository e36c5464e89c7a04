"""Losses as values."""

from __future__ import annotations

import copy
import math
import pickle
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest
from ir_calls import call

from snnhw.errors import InputError
from snnhw.ir import (
    LOSS_TERMS,
    CECount,
    CEMaxMembrane,
    CEMembrane,
    CERate,
    CETemporal,
    ClassLoss,
    L1Rate,
    Loss,
    LossKind,
    MSECount,
    MSEMembrane,
    MSETemporal,
    PopulationLoss,
    Term,
)

RATE, L1 = Loss((Term(CERate()),)), Loss((Term(L1Rate()),))


def test_losses_add_in_order() -> None:
    assert (RATE + L1).terms == (Term(CERate()), Term(L1Rate()))
    assert (RATE + RATE).terms == RATE.terms * 2


def test_losses_scale_by_numbers_from_either_side() -> None:
    scaled = 1e-5 * L1
    assert scaled.terms == (Term(L1Rate(), weight=1e-5),)
    assert scaled == L1 * 1e-5
    assert [term.weight for term in (2 * (RATE + 3 * L1)).terms] == [2, 6]


def test_a_loss_of_a_named_port() -> None:
    assert (RATE + L1).of("lif1.spk").terms == (Term(CERate(), "lif1.spk"), Term(L1Rate(), "lif1.spk"))
    assert RATE.terms[0].of is None


def test_values() -> None:
    one, same = RATE + 0.5 * L1, Loss((Term(CERate()), Term(L1Rate(), weight=0.5)))
    assert one == same
    assert hash(one) == hash(same)
    assert one != RATE + L1
    assert pickle.loads(pickle.dumps(one)) == copy.deepcopy(one) == one
    text = "Term(kind=L1Rate(), of=None, weight=1.0, target='target', lengths='')"
    assert repr(L1) == f"Loss(terms=({text},))"
    with pytest.raises(FrozenInstanceError):
        RATE.terms = ()  # type: ignore[misc]  # that this is an error is the point


def test_kinds() -> None:
    spikes = (CERate, CECount, CETemporal, MSECount, MSETemporal, L1Rate)
    membranes = (CEMembrane, CEMaxMembrane, MSEMembrane)
    assert {cls.__name__: cls for cls in (*spikes, *membranes)} == LOSS_TERMS
    assert {cls for cls in LOSS_TERMS.values() if cls.reads == "mem"} == set(membranes)
    assert {name for name, cls in LOSS_TERMS.items() if not cls().takes} == {"L1Rate"}


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (call(CEMembrane, "max"), r"CEMembrane\(over_time='max'\): give 'sum' or 'mean'"),
        (call(MSECount, math.nan), r"MSECount\(correct_rate=nan\): give a finite number"),
        (call(MSECount, 1.0, math.inf), r"MSECount\(incorrect_rate=inf\): give a finite number"),
        (call(CERate, reduction="none"), r"CERate\(reduction='none'\): give 'mean' or 'sum'"),
        (call(CETemporal, "twice"), r"CETemporal\(inverse='twice'\): give 'negate' or 'reciprocal'"),
        (call(MSETemporal, tolerance=-1), r"MSETemporal\(tolerance=-1\): give a number of steps, 0 or"),
        (call(CERate, num_classes=0), r"CERate\(num_classes=0\): give a number of classes, 1 or more, or"),
        (call(CERate, num_classes=True), r"CERate\(num_classes=True\): give a number of classes"),
        (call(CERate, class_weights=()), r"CERate\(class_weights=\(\)\): give a tuple of numbers, 0 or"),
        (call(CERate, class_weights=[1.0]), r"CERate\(class_weights=\[1.0\]\): give a tuple of numbers"),
        (call(CERate, class_weights=(-1.0,)), r"class_weights=\(-1.0,\)\): give a tuple of numbers, 0 or"),
        (
            call(CERate(num_classes=3).classes, 10),
            r"CERate\(num_classes=3\) cannot share 10 neurons evenly; give a layer whose size is a multiple",
        ),
        (
            call(CEMembrane(class_weights=(1.0, 2.0)).classes, 10),
            "CEMembrane has 2 class weights for 10 classes; give one for each class",
        ),
        (call(MSEMembrane, time_var_targets=1), r"MSEMembrane\(time_var_targets=1\): give True or False"),
        (
            call(MSETemporal, target_is_time=True, class_weights=(1.0,)),
            r"MSETemporal\(target_is_time=True\) has no class of a sample to weigh it by; leave cla",
        ),
        (call(MSECount, "1"), r"MSECount\(correct_rate='1'\): give a finite number"),
        (call(MSECount, None), r"MSECount\(correct_rate=None\): give a finite number"),
        (call(Term, CERate(), weight=math.inf), "the weight of a loss term is a finite number, not inf"),
        (call(Term, CERate(), weight=True), "the weight of a loss term is a finite number, not True"),
        (call(Term, CERate(), weight="1"), "the weight of a loss term is a finite number, not '1'"),
        (call(Term, CERate), r"a term of a loss needs a kind such as CERate\(\), not <class"),
        (call(RATE.__mul__, math.nan), "the weight of a loss term is a finite number, not nan"),
        (call(RATE.__mul__, L1), "the weight of a loss term is a finite number, not Loss"),
    ],
)
def test_messages(build: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build()


def test_a_loss_adds_to_losses_only() -> None:
    with pytest.raises(TypeError, match="unsupported operand"):
        RATE + 1.0  # type: ignore[operator]  # that this is an error is the point


def test_arrays_that_nobody_registered() -> None:
    with pytest.raises(
        InputError, match=r"takes a torch tensor \[T, B, C\], not ndarray; import snnhw.functional"
    ):
        RATE(np.zeros((2, 3, 4)), np.zeros(3))


def test_the_base_takes_part_in_no_table() -> None:
    assert not {LossKind, ClassLoss, PopulationLoss} & set(LOSS_TERMS.values())


def test_how_many_classes_neurons_tell_apart() -> None:
    assert CERate().classes(10) == 10
    assert CERate(num_classes=2, class_weights=(1.0, 0.0)).classes(10) == 2
    assert MSEMembrane(class_weights=(1.0,) * 10).classes(10) == 10
