"""Arrays for a program's parameters: whether they fit, and fresh ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ir_strategies import QUICK, params_of, programs

from snnhw.errors import ProgramError
from snnhw.ir import (
    MODELS,
    FrozenMap,
    Input,
    Linear,
    Neuron,
    Params,
    Program,
    check_params,
    init_params,
    sequential,
)

LEAKY = MODELS["Leaky"]


def program(**lif: Any) -> Program:
    return sequential({"input": Input((4,)), "fc": Linear(4, 4), "lif": Neuron(LEAKY, **lif)})


def single(*values: float) -> Any:
    return np.array(values, np.float32)


# -- Parameters -------------------------------------------------------------------------------------


def arrays(**changes: Any) -> Params:
    given_ = {key.replace("__", "."): value for key, value in changes.items()}
    fresh = init_params(program(), given={"lif.beta": 0.5})
    return {key: value for key, value in {**fresh, **given_}.items() if value is not None}


@QUICK
@given(st.data())
def test_params_that_fit(data: st.DataObject) -> None:
    found = data.draw(programs())
    check_params(found, data.draw(params_of(found)))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (arrays(fc__weight=None), "parameter 'fc.weight' is missing"),
        (arrays(fc__wieght=np.zeros(3)), "'fc.wieght' is no parameter of this program"),
        (arrays(fc__bias=np.zeros(3)), "parameter 'fc.bias' has shape (3,), not (4,)"),
        (arrays(lif__beta=np.zeros(1)), "parameter 'lif.beta' has shape (1,), not ()"),
        (
            arrays(fc__bias=np.zeros(4, int)),
            "parameter 'fc.bias' has dtype int64; accepted: float16, float32, float64",
        ),
        (
            arrays(fc__bias=np.zeros(4, complex)),
            "parameter 'fc.bias' has dtype complex128; accepted: float16, float32, float64",
        ),
        (
            arrays(fc__bias=np.array([0, 0, 0, np.nan])),
            "parameter 'fc.bias' holds values that are not finite",
        ),
        (arrays(lif__beta=np.float32(np.inf)), "parameter 'lif.beta' holds values that are not finite"),
    ],
)
def test_params_that_do_not_fit(params: Params, message: str) -> None:
    with pytest.raises(ProgramError) as caught:
        check_params(program(), params)
    assert caught.value.problems == (message,)


def test_every_misfit_is_listed() -> None:
    with pytest.raises(ProgramError) as caught:
        check_params(program(), arrays(fc__weight=None, fc__bias=np.zeros(3), more=np.zeros(1)))
    assert len(caught.value.problems) == 3


def test_a_table_has_one_axis() -> None:
    quantised = program(quantised=True)
    given_ = arrays() | {"lif.levels": single(0, 1)[None]}
    with pytest.raises(ProgramError, match=r"'lif.levels' has shape \(1, 2\), not one axis of levels"):
        check_params(quantised, given_)
    check_params(quantised, given_ | {"lif.levels": single(0, 1)})


def test_what_is_not_finite_may_be_allowed() -> None:
    check_params(program(), arrays(lif__beta=np.float32(np.nan)), allow_nonfinite=True)


# -- Fresh parameters -------------------------------------------------------------------------------


def test_fresh_params_fit_and_follow_the_seed() -> None:
    one, same, other = (init_params(program(), seed, given={"lif.beta": 0.9}) for seed in (1, 1, 2))
    check_params(program(), one)
    assert all(np.array_equal(one[key], same[key]) for key in one)
    assert not np.array_equal(one["fc.weight"], other["fc.weight"])
    assert one["lif.threshold"] == 1.0
    assert one["lif.beta"] == np.float32(0.9)
    assert {array.dtype for array in one.values()} == {np.dtype(np.float32)}


def test_weights_are_drawn_from_torchs_interval() -> None:
    wide = sequential({"input": Input((100,)), "fc": Linear(100, 500)})
    weight = init_params(wide, dtype="float64")["fc.weight"]
    assert weight.dtype == np.float64
    assert 0.0999 < float(np.abs(weight).max()) <= 0.1
    assert abs(float(weight.mean())) < 1e-3


def test_given_values_broadcast() -> None:
    shaped = program(quantised=True, param_shapes=FrozenMap({"beta": (4,)}))
    found = init_params(shaped, given={"lif.beta": 0.5, "lif.levels": [0, 1, 2], "fc.weight": np.eye(4)})
    assert found["lif.beta"].tolist() == [0.5] * 4
    assert found["lif.levels"].tolist() == [0.0, 1.0, 2.0]
    found["lif.beta"][0] = 1.0  # each its own memory
    assert found["lif.beta"].tolist() == [1.0, 0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({}, r"parameter 'lif.beta' has no default; give its value as given=\{'lif.beta': ...\}"),
        ({"lif.bet": 1.0}, r"'lif.bet' is no parameter of this program. Did you mean 'lif.beta'\?"),
        ({"lif.beta": [1.0, 2.0]}, r"parameter 'lif.beta' of shape \(\) cannot take \[1.0, 2.0\]"),
        ({"lif.beta": "half"}, r"parameter 'lif.beta' of shape \(\) cannot take 'half'"),
    ],
)
def test_params_that_cannot_be_made(given_: Any, message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        init_params(program(), given=given_)
