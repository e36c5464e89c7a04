"""A compiled model serves one call at a time, on every backend."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import snnhw as snn
import snnhw.functional as SF
from snnhw.errors import BusyError, InputError
from snnhw.nn import Model
from snnhw.tensors.execution.executable import TorchExecutable

pytestmark = pytest.mark.usefixtures("one_thread", "plain_torch")

X, Y = torch.rand(3, 2, 5, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1])
SGD = snn.optim.SGD(lr=0.1)


def compiled(backend: str = "cpu") -> Model:
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(5, 3), snn.Leaky(beta=0.8, init_hidden=True))
    loss = SF.ce_rate_loss()
    return snn.compile(net, X[0], backend=backend, time_steps=3, loss=loss, optimizer=SGD)


CALLS: dict[str, Callable[[Model], Any]] = {
    "step": lambda model: model.step(X, Y),
    "run": lambda model: model.run(X),
    "set_optimizer": lambda model: model.set_optimizer(SGD),
    "get_params": lambda model: model.params,
    "set_params": lambda model: model.executable.set_params({"0.bias": np.ones(3, np.float32)}),
    "save_state": lambda model: model.executable.save_state(),
    "load_state": lambda model: model.executable.load_state({}),
}


class Within:
    """Something that happens inside the methods of an executable."""

    def __init__(self, executable: Any, happens: Callable[[], Any]) -> None:
        self.executable, self.happens = executable, happens

    def __getattr__(self, name: str) -> Any:
        if name not in CALLS:
            return getattr(self.executable, name)

        def method(*arguments: Any) -> Any:
            self.happens()
            return getattr(self.executable, name)(*arguments)

        return method


def held(happens: Callable[[], Any], backend: str = "cpu") -> Model:
    """A model in whose calls something happens."""
    model = compiled(backend)
    inner: Any = Within(model.executable, happens)
    return Model(inner, model.program, {}, model.plugin, model.job)


def in_thread(call: Callable[[], Any], name: str) -> list[Any]:
    """What a call gives, or raises, in a thread of that name."""
    found: list[Any] = []

    def caught() -> None:
        try:
            found.append(call())
        except BaseException as error:  # noqa: BLE001  # whatever it is, it is looked at
            found.append(error)

    thread = threading.Thread(target=caught, name=name)
    thread.start()
    thread.join()
    return found


@pytest.mark.parametrize("running", ["step", "run", "save_state"])
@pytest.mark.parametrize("asked", CALLS)
def test_a_call_in_another_thread_is_refused_while_one_runs(running: str, asked: str) -> None:
    refused: list[Any] = []
    model = held(lambda: refused.extend(in_thread(lambda: CALLS[asked](model), "second")))
    CALLS[running](model)
    (error,) = refused
    assert isinstance(error, BusyError)
    assert str(error) == (
        f"'{asked}' was called in thread 'second' while '{running}' of the same model runs in thread "
        "'MainThread'; compile a model for each thread, or hold a lock around every call"
    )


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_of_two_calls_at_once_one_runs(backend: str) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def happens() -> None:
        begun.set()
        assert go_on.wait(60)

    model = held(happens, backend)
    found: list[Any] = []
    first = threading.Thread(target=lambda: found.append(model.step(X, Y)), name="first")
    first.start()
    assert begun.wait(60)
    with pytest.raises(
        BusyError, match="'step' of the same model runs in thread 'first'; compile a model for"
    ):
        model.step(X, Y)
    go_on.set()
    first.join()
    alone = compiled(backend).step(X, Y)
    assert found[0][0] == alone[0]
    assert torch.equal(*map(torch.as_tensor, (found[0][1], alone[1])))


def test_threads_may_take_turns() -> None:
    model, alone = compiled(), compiled()
    losses = [in_thread(lambda: model.step(X, Y)[0], f"turn {number}")[0] for number in range(3)]
    assert losses == [alone.step(X, Y)[0] for _ in range(3)]


def test_a_call_within_a_call_is_refused() -> None:
    first = [True]

    def happens() -> None:
        if first.pop():
            first.append(False)
            model.run(X)

    model = held(happens)
    with pytest.raises(BusyError) as caught:
        model.step(X, Y)
    assert str(caught.value) == (
        "'run' was called while 'step' of the same model runs in this very thread, 'MainThread', so by "
        "something within it; call it when 'step' has returned"
    )
    model.run(X)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_call_that_fails_leaves_the_model_to_others(error: type[BaseException]) -> None:
    failing = [True]

    def happens() -> None:
        if failing.pop():
            failing.append(False)
            raise error

    model = held(happens)
    with pytest.raises(error):
        model.run(X)
    failing[:] = [False, False]
    assert isinstance(model(X), Tensor)


def test_a_model_has_the_executable_of_its_backend_and_what_it_has_besides() -> None:
    model = compiled()
    assert isinstance(model.executable, TorchExecutable)
    assert model.torch_module().state_dict().keys() >= {"0/weight", "0/bias"}
    with pytest.raises(AttributeError, match="no attribute 'no_such_thing'"):
        model.executable.no_such_thing  # type: ignore[attr-defined]  # noqa: B018  # it is not there


def test_a_copy_that_is_made_while_a_model_runs_is_free() -> None:
    found: list[Any] = []

    def happens() -> None:
        if not found:
            found.append(copy.copy(model.executable))
            found.append(found[0].get_params())

    model = held(happens)
    model.run(X)
    assert found[1].keys() == model.params.keys()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_a_copy_goes_on_like_its_model_and_by_itself(backend: str, copied: Callable[[Model], Model]) -> None:
    model = compiled(backend)
    model.step(X, Y)
    other = copied(model)
    assert other.params["0.bias"].tolist() == model.params["0.bias"].tolist()
    assert [other.step(X, Y)[0] for _ in range(3)] == [model.step(X, Y)[0] for _ in range(3)]
    before = model.params["0.bias"].tolist()
    other.executable.set_params({**model.params, "0.bias": np.full(3, 7.0, np.float32)})
    assert other.params["0.bias"].tolist() == [7.0, 7.0, 7.0]
    assert model.params["0.bias"].tolist() == before
    other.executable.load_state(model.executable.save_state())
    assert other.params["0.bias"].tolist() == before


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_is_held_to_finite_values(copied: Callable[[Model], Model]) -> None:
    model = compiled()
    other = copied(model)
    assert isinstance(other.executable, TorchExecutable)
    with torch.no_grad():
        dict(other.torch_module().named_parameters())["0/weight"][0, 0] = torch.nan
    with pytest.raises(InputError, match=r"'0.weight' \(1 NaN of 15\)"):
        other.run(torch.zeros_like(X))
    model.run(X)
