"""What is given to backends from Python: arrays of every kind, options, and settings of training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import snnhw as snn
import snnhw.functional as SF
from snnhw.errors import InputError, ProgramError
from snnhw.nn import Model

T, B = 3, 2
BACKENDS: dict[str, dict[str, Any]] = {"cpu": {}, "ipu": {"emulate": True}, "reference": {}}
X = np.random.default_rng(0).random((T, B, 4), np.float32).round(2)
Y = np.array([0, 1])


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), snn.Leaky(beta=0.5, init_hidden=True))


def weights(model: Model) -> dict[str, Any]:
    return dict(model.params)


def trained(backend: str = "cpu", optimizer: Any = None, **settings: Any) -> Model:
    return snn.compile(
        net(),
        torch.zeros(B, 4),
        backend=backend,
        time_steps=T,
        loss=SF.ce_rate_loss(),
        optimizer=optimizer or snn.optim.SGD(lr=0.5),
        options=BACKENDS[backend],
        **settings,
    )


FORMS: dict[str, Callable[[np.ndarray[Any, Any]], Any]] = {
    "backwards": lambda x: np.ascontiguousarray(x[::-1])[::-1],
    "big-endian": lambda x: x.astype(x.dtype.newbyteorder(">")),
    "longer": lambda x: x.astype(np.longdouble if x.dtype.kind == "f" else np.int64),
    "read-only": lambda x: np.broadcast_to(x, (1, *x.shape))[0],
    "a tensor": torch.from_numpy,
    "a strided tensor": lambda x: torch.from_numpy(np.repeat(x, 2, axis=-1))[..., ::2],
}
"""The same numbers in other memory."""

STRANGE: dict[str, Callable[[np.ndarray[Any, Any]], Any]] = {
    "sparse": lambda x: torch.from_numpy(x).to_sparse(),
    "complex": lambda x: x.astype(np.complex64),
    "objects": lambda x: x.astype(object),
    "text": lambda x: x.astype(str),
    "masked": lambda x: np.ma.masked_array(x, mask=x > 0),
    "a list": lambda x: x.tolist(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_same_numbers_in_other_memory_give_the_same(backend: str, form: str) -> None:
    with trained(backend) as one, trained(backend) as other:
        state = {
            key: np.asarray(x) + np.float32(0.25) for key, x in one.run(torch.from_numpy(X)).state.items()
        }
        convert = FORMS[form]
        plain = one.executable.step({"input": X}, {"target": Y}, state)
        turned = {key: convert(x) for key, x in state.items()}
        found = other.executable.step({"input": convert(X)}, {"target": convert(Y)}, turned)
        assert found.loss == plain.loss
        for key, value in one.params.items():
            np.testing.assert_array_equal(other.params[key], value)


@pytest.mark.parametrize("backend", BACKENDS)
def test_numbers_of_one_byte_and_unsigned_ones_will_do(backend: str) -> None:
    x = torch.from_numpy(X).to(torch.float8_e5m2)
    with trained(backend) as one, trained(backend) as other:
        state = {key: torch.full(np.shape(value), 0.25) for key, value in one.run(x.float()).state.items()}
        small = {key: value.to(torch.float8_e5m2) for key, value in state.items()}
        wanted = one.step(x.float(), Y, state)[0]
        assert wanted == other.step(x, Y.astype(np.uint16), small)[0]
        x[0, 0, 0] = torch.inf
        with pytest.raises(InputError, match="input 'input' holds 1 inf of"):
            other.run(x)


@pytest.mark.parametrize("dtype", [torch.uint16, torch.uint32, torch.uint64])
@pytest.mark.parametrize("backend", BACKENDS)
def test_class_numbers_of_any_integers_are_counted(backend: str, dtype: torch.dtype) -> None:
    with (
        trained(backend) as model,
        pytest.raises(InputError, match=r"(classes|class numbers) 0 to 2"),
    ):
        model.step(X, torch.tensor([0, 3]).to(dtype))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_saved_value_without_numbers_is_named(backend: str) -> None:
    with trained(backend) as model:
        saved = model.executable.save_state()
        key = next(key for key in saved if key.endswith("0.weight"))
        with pytest.raises(InputError, match="meta") as caught:
            model.executable.load_state({**saved, key: torch.empty(3, 4, device="meta")})
        assert key in str(caught.value)


@pytest.mark.parametrize("kind", STRANGE)
@pytest.mark.parametrize("backend", BACKENDS)
def test_inputs_targets_and_states_of_no_numbers_are_named(backend: str, kind: str) -> None:
    made = STRANGE[kind]
    with trained(backend) as model:
        state = {key: np.asarray(x) for key, x in model.run(torch.from_numpy(X)).state.items()}
        (key,) = state
        for what, given in {
            "input 'input'": ({"input": made(X)}, {"target": Y}, state),
            "target 'target'": ({"input": X}, {"target": made(Y)}, state),
            f"state '{key}'": ({"input": X}, {"target": Y}, {key: made(state[key] + 1)}),
        }.items():
            with pytest.raises(InputError) as caught:
                model.executable.step(*given)
            assert str(caught.value).startswith(what)
            assert "a dense array of real numbers" in str(caught.value)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda w: w.astype(np.complex64), "has dtype complex64; accepted: float16, float32, float64"),
        (lambda w: w.astype(">f4"), "is in another byte order; give array.astype"),
        (lambda w: np.ma.masked_array(w, mask=w > 0), "is a masked array; say what stands there"),
        (lambda w: torch.from_numpy(w).to_sparse(), "is a Tensor that NumPy cannot read"),
        (lambda w: torch.from_numpy(w).requires_grad_(), "is a Tensor that NumPy cannot read"),
        (lambda w: [[1.0], [1.0, 2.0]], "is a list that NumPy cannot read"),
    ],
    ids=["complex", "big-endian", "masked", "sparse", "with a gradient", "ragged"],
)
@pytest.mark.parametrize("backend", BACKENDS)
def test_parameters_of_another_kind_are_named(backend: str, made: Callable[[Any], Any], message: str) -> None:
    with trained(backend) as model:
        before = model.params
        key = next(key for key, value in before.items() if value.ndim == 2)
        with pytest.raises(ProgramError) as caught:
            model.executable.set_params({key: made(before[key])})
        assert f"parameter '{key}' {message}" in str(caught.value)
        np.testing.assert_array_equal(model.params[key], before[key])


# -- Settings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [["a"], [], ("dtype", "float64"), "dtype=float64", {1: 2}, 3])
def test_options_are_a_mapping(options: Any) -> None:
    with pytest.raises(InputError) as caught:
        snn.compile(net(), torch.zeros(B, 4), backend="cpu", time_steps=T, options=options)
    assert str(caught.value) == (
        "the options of backend 'cpu' are a mapping of names to values, such as {'name': value}, "
        f"not {options!r}"
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_bound_on_the_gradient_bounds_the_update(backend: str) -> None:
    with trained(backend, snn.optim.SGD(lr=1.0), clip_norm=0.01) as model:
        before = weights(model)
        model.step(torch.from_numpy(X), torch.from_numpy(Y))
        moved = sum(float(((value - before[key]) ** 2).sum()) for key, value in weights(model).items())
    assert moved**0.5 == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("backend", BACKENDS)
def test_accumulated_calls_share_one_update(backend: str) -> None:
    x, y = torch.from_numpy(X), torch.from_numpy(Y)
    with trained(backend, accumulate=2) as model:
        before = weights(model)
        model.step(x, y)
        assert all(np.array_equal(value, before[key]) for key, value in weights(model).items())
        model.step(x, y)
        with trained(backend) as once:
            once.step(x, y)
            for key, value in weights(once).items():
                np.testing.assert_allclose(weights(model)[key], value, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), "much", True, 1j])
def test_a_bound_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(InputError) as caught:
        trained(clip_norm=value)
    assert str(caught.value) == f"clip_norm is a number greater than 0, or None, not {value!r}"


@pytest.mark.parametrize("value", [0, -1, 1.5, True, None, "two"])
def test_a_count_of_calls_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(InputError) as caught:
        trained(accumulate=value)
    assert str(caught.value) == f"accumulate is a whole number, 1 or more, not {value!r}"


@pytest.mark.parametrize("settings", [{"clip_norm": 1.0}, {"accumulate": 2}])
def test_settings_of_training_need_training(settings: Any) -> None:
    with pytest.raises(
        InputError, match="clip_norm and accumulate are of training; give a loss and an optimiz"
    ):
        snn.compile(net(), torch.zeros(B, 4), backend="cpu", time_steps=T, **settings)


# -- Samples ----------------------------------------------------------------------------------------


def test_a_sample_for_export_is_an_array_for_each_input(tmp_path: Any) -> None:
    for sample, message in (
        (torch.zeros(B, 4).to_sparse(), "sample 'input' is a sparse or packed tensor"),
        (
            (torch.zeros(B, 4), torch.zeros(B, 4)),
            "one array for each input, by name or in order: input; 2 were",
        ),
    ):
        program = snn.capture(net(), torch.zeros(B, 4))
        with pytest.raises(InputError, match=message):
            snn.export((program.program, program.params), tmp_path / "net.nir", sample)
