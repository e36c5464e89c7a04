"""Compiled models refuse what is not finite: what they are given, what they come to, and their parameters."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, nan
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import snnhw as snn
import snnhw.functional as SF
from snnhw.errors import InputError
from snnhw.nn import Model
from snnhw.tensors.arrays import as_tensor

pytestmark = pytest.mark.usefixtures("one_thread", "plain_torch")

T, B = 6, 4
X = torch.rand(T, B, 5, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 1, 2, 0])
BACKENDS = ["cpu", "reference"]


def lif(**settings: Any) -> Any:
    return snn.Leaky(**{"beta": 0.9, "init_hidden": True, **settings})


def network(hidden: Any = None) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), hidden or lif(), nn.Linear(7, 3), lif())


def compiled(backend: str = "cpu", net: Any = None, *, lr: float = 0.1, **settings: Any) -> Model:
    told: dict[str, Any] = {"time_steps": T, "loss": SF.ce_rate_loss(), "optimizer": snn.optim.SGD(lr=lr)}
    return snn.compile(net or network(), X[0], backend=backend, **{**told, **settings})


def with_one(value: float, x: Tensor = X, place: tuple[int, ...] = (4, 2, 1)) -> Tensor:
    found = x.clone()
    found[place] = value
    return found


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises(InputError) as caught:
        call()
    return str(caught.value)


# -- what a call is given ----------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("state", [3, [], [X]])
def test_a_state_that_is_no_mapping_is_refused(backend: str, state: Any) -> None:
    model = compiled(backend)
    for call in (
        lambda: model.run(X, state),
        lambda: model.step(X, Y, state),
        lambda: model.verify(X, state),
    ):
        assert "accepted: a mapping of names to arrays, such as `model.state`, or None" in refused(call)


@pytest.mark.parametrize("backend", [*BACKENDS, "ipu"])
@pytest.mark.parametrize("value", [inf, -inf, nan])
def test_an_input_is_refused_before_anything_is_learnt(backend: str, value: float) -> None:
    model = compiled(backend, options={"emulate": True} if backend == "ipu" else {})
    before, bad = model.params, with_one(value)
    shown = {inf: "1 inf", -inf: "1 -inf"}.get(value, "1 NaN")
    for call in (lambda: model.step(bad, Y), lambda: model.run(bad), lambda: model(bad)):
        assert refused(call).startswith(f"input 'input' holds {shown} of 120; ")
    assert refused(lambda: model(bad)).endswith("Look at where the data comes from")
    for key, param in model.params.items():
        np.testing.assert_array_equal(param, before[key])
    assert model.state is None


FORMS: dict[str, Callable[[Tensor], Any]] = {
    "numpy": lambda x: x.numpy(),
    "numpy by columns": lambda x: x.numpy().copy(order="F"),
    "numpy at half precision": lambda x: x.half().numpy(),
    "double": lambda x: x.double(),
    "half": lambda x: x.half(),
    "bfloat16": lambda x: x.bfloat16(),
    "a view": lambda x: x.transpose(0, 1).contiguous().transpose(0, 1),
    "with a gradient": lambda x: x.clone().requires_grad_(),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_an_input_is_refused_in_whatever_form(form: Callable[[Tensor], Any]) -> None:
    assert "input 'input' holds 1 inf of 120" in refused(lambda: compiled().run(form(with_one(inf))))


@pytest.mark.parametrize(
    "x", [torch.ones(T, B, 5, dtype=torch.int64), torch.full((T, B, 5), 3e38), -torch.full((T, B, 5), 3e38)]
)
def test_integers_and_values_whose_sum_overflows_are_no_infinite_input(x: Tensor) -> None:
    net = nn.Sequential(nn.Flatten(), lif(beta=0.0))
    assert compiled("reference", net, loss=None, optimizer=None)(x) is not None


def test_a_static_input_is_refused() -> None:
    message = refused(lambda: compiled(static=True).step(with_one(inf, X[0], (2, 1)), Y))
    assert message.startswith("input 'input' holds 1 inf of 20")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("value", [inf, nan])
def test_a_state_is_refused_by_its_key(backend: str, value: float) -> None:
    model = compiled(backend)
    state = {key: as_tensor("state", key, x).clone() for key, x in model.run(X).state.items()}
    state["3.mem"] = with_one(value, state["3.mem"], (1, 2))
    for call in (lambda: model.step(X, Y, state), lambda: model.run(X, state)):
        assert refused(call).startswith(f"state '3.mem' holds 1 {'NaN' if value != inf else 'inf'} of 12; ")


def test_a_target_is_refused() -> None:
    message = refused(lambda: compiled().step(X, with_one(nan, Y.float(), (1,))))
    assert message.startswith("target 'target' holds 1 NaN of 4")


# -- what comes of it ----------------------------------------------------------------------------------

HUGE = X * 3e38
HIDDEN: dict[str, Callable[[], Any]] = {
    "subtract": lif,
    "zero": lambda: lif(reset_mechanism="zero"),
    "none": lambda: lif(reset_mechanism="none"),
    "synaptic": lambda: snn.Synaptic(alpha=0.8, beta=0.9, init_hidden=True),
    "recurrent": lambda: snn.RLeaky(beta=0.9, linear_features=7, init_hidden=True),
}


@pytest.mark.parametrize("hidden", HIDDEN.values(), ids=HIDDEN)
def test_what_grows_beyond_all_bounds_is_refused_at_its_layer(hidden: Callable[[], Any]) -> None:
    model = compiled(net=network(hidden()), loss=None, optimizer=None)
    message = refused(lambda: model.run(HUGE))
    assert message.startswith("after this run '1' (")
    assert "in its state '1." in message
    assert "All parameters are finite, so that something grew beyond all bounds" in message
    assert model.state is None


def test_an_output_of_a_layer_without_states_is_refused() -> None:
    net = nn.Sequential(nn.Linear(5, 3))
    nn.init.constant_(net[0].weight, 10)  # type: ignore[arg-type]  # it is the Linear's
    model = compiled(net=net, loss=None, optimizer=None)
    assert refused(lambda: model.run(HUGE)).startswith("after this run '0' (Linear) gives ")


def test_a_loss_is_refused_with_the_layer_before_it() -> None:
    net = nn.Sequential(nn.Linear(5, 3))
    model = compiled(net=net, loss=SF.mse_membrane_loss())
    message = refused(lambda: model.step(X * 1e30, Y))
    assert message.startswith(
        "after this step the loss is inf, behind '0' (Linear). Parameters that are not finite"
    )


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of NumPy, as the weights overflow
@pytest.mark.parametrize("backend", BACKENDS)
def test_weights_that_a_step_makes_infinite_are_refused_at_that_step_or_the_next(backend: str) -> None:
    huge = 1e308 if backend == "reference" else 3e38
    net = nn.Sequential(nn.Linear(5, 3), lif(reset_mechanism="none", output=True))
    model = compiled(backend, net, lr=huge, loss=SF.mse_membrane_loss())
    message = refused(lambda: [model.step(X * 100, Y) for _ in range(2)])
    assert "Parameters that are not finite: '0.weight' (" in message
    assert "a lower learning rate or clip_norm keeps them finite" in message
    assert message.startswith("after this step '")


# -- parameters ------------------------------------------------------------------------------------------


def set_in_place(model: Model, key: str, place: Any, value: float) -> None:
    module = model.torch_module()
    with torch.no_grad():
        {**dict(module.named_parameters()), **dict(module.named_buffers())}[key.replace(".", "/")][place] = (
            value
        )


INACTIVE = X.clone()
INACTIVE[..., 2] = 0


@pytest.mark.parametrize("value", [inf, nan])
@pytest.mark.parametrize("method", ["step", "run"])
def test_weights_of_inputs_that_are_never_active_are_looked_at(value: float, method: str) -> None:
    model = compiled()
    model.run(INACTIVE)
    set_in_place(model, "0.weight", (slice(None), 2), value)
    given = (INACTIVE, Y) if method == "step" else (INACTIVE,)
    assert "Parameters that are not finite: '0.weight' (" in refused(lambda: getattr(model, method)(*given))


def test_a_threshold_that_nothing_reaches_is_looked_at() -> None:
    model = compiled(net=network(lif(learn_threshold=True, reset_mechanism="none")))
    set_in_place(model, "1.threshold", ..., nan)
    message = refused(lambda: model.run(X))
    assert message.startswith("after this run '1' (Leaky) holds 1 NaN of 1 in its parameter '1.threshold'. ")


def test_of_many_parameters_three_are_named() -> None:
    model = compiled()
    for key in ("0.weight", "0.bias", "2.weight", "2.bias"):
        set_in_place(model, key, ..., nan)
    assert "'2.weight' (21 NaN of 21) and 1 more. Give the model others by" in refused(lambda: model.run(X))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_that_diverged_is_loaded_but_not_gone_on_with(backend: str) -> None:
    model = compiled(backend)
    kept = {name: np.array(x) for name, x in model.executable.save_state().items()}
    bad = {**kept, "param/2.bias": np.full_like(kept["param/2.bias"], inf)}
    model.executable.load_state(bad)
    message = refused(lambda: model.run(X))
    assert message.startswith("after this run '3' (Leaky) holds 12 inf of 12 in its state '3.mem'. ")
    assert "Parameters that are not finite: '2.bias' (3 inf of 3). " in message
    assert "Give the model others by executable.set_params, or by executable.load_state what" in message
    model.executable.load_state(kept)
    assert torch.as_tensor(model(X)).isfinite().all()


def test_a_backend_without_a_torch_module_is_asked_for_its_parameters_after_they_were_set() -> None:
    net = network(lif(reset_mechanism="zero", reset_delay=False))
    model = compiled("reference", net)
    asked: list[bool] = []
    inner: Any = model.executable
    raw = inner._executable._executable
    fetch = raw.get_params

    def watched() -> Any:
        asked.append(True)
        return fetch()

    raw.get_params = watched
    model.run(X)
    model.step(X, Y)
    assert not asked
    model.executable.load_state(model.executable.save_state())
    model.run(X)
    assert asked == [True]
