"""What every class of neurons goes through in a program: moved, copied, pickled, printed, let go."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from test_nn_neurons import SEQUENCES, STEPPED, B, N, flat, signal

import snnhw as snn
from snnhw.errors import InputError

pytestmark = pytest.mark.usefixtures("one_thread", "plain_torch")

LAYERS: dict[str, Callable[[], Any]] = {
    "Leaky": lambda: snn.Leaky(torch.linspace(0.2, 0.9, N), threshold=0.3, learn_beta=True),
    "Synaptic": lambda: snn.Synaptic(0.5, 0.8, threshold=0.3, state_quant=torch.linspace(-1, 2, 9)),
    **STEPPED,
    **{
        name: partial(getattr(snn, kind), *arguments, **options)
        for name, (kind, arguments, options) in SEQUENCES.items()
    },
}


@pytest.fixture(autouse=True)
def same_weights() -> None:
    torch.manual_seed(3)


def given(name: str) -> torch.Tensor:
    """What one call takes."""
    return signal(N) if name in SEQUENCES else signal(N)[0]


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_moved_to_a_dtype(name: str, dtype: torch.dtype) -> None:
    """Spikes have the input's; half precision is computed in float32."""
    layer, x = LAYERS[name]().to(dtype), given(name).to(dtype).requires_grad_()
    found = flat(layer(x))
    if name not in ("associative", "state-membranes"):  # which return no spikes
        assert found[0].dtype == dtype
    for state in layer._hw_state_names:
        if state != "spk":
            assert getattr(layer, state).dtype == (dtype if dtype == torch.float64 else torch.float32)
    torch.autograd.backward([value.sum() for value in found])
    assert x.grad is not None
    assert x.grad.dtype == dtype
    for param in layer.parameters():
        assert param.grad is None or param.grad.dtype == dtype


@pytest.mark.parametrize("name", LAYERS)
def test_copied_with_a_graph_behind_its_states(name: str) -> None:
    layer, x = LAYERS[name](), given(name).requires_grad_()
    layer(x)
    for again in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        wanted, found = flat(copy.deepcopy(layer)(x)), flat(again(x))
        for mine, theirs in zip(found, wanted, strict=True):
            assert torch.equal(mine, theirs)
        torch.autograd.backward([value.sum() for value in found])
        assert all(param.grad is None for param in layer.parameters())
        assert repr(again) == repr(layer)


@pytest.mark.parametrize("name", LAYERS)
def test_printed_with_everything_it_was_given(name: str) -> None:
    layer = LAYERS[name]()
    text = repr(layer)
    for param in layer._hw_model.params:
        assert f"{param.name}=" in text
    for path, _ in layer.named_children():
        assert f"({path}): " in text
    for size in layer._hw_sizes:
        assert f"{size}={getattr(layer, size)}" in text


@pytest.mark.parametrize("name", LAYERS)
def test_let_go(name: str) -> None:
    layer = LAYERS[name]()
    layer(given(name).requires_grad_())
    gone = weakref.ref(layer)
    del layer
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("name", [name for name in LAYERS if name not in SEQUENCES])
def test_a_state_of_the_wrong_shape(name: str) -> None:
    layer, x = LAYERS[name](), given(name)
    states = {state: torch.ones(B + 1, N) for state in layer._hw_state_names}
    with pytest.raises(
        InputError, match=rf"state '\w+' has shape \({B + 1}, {N}\), but for an input of shape"
    ):
        layer(x, **states)
    layer(x)
    with pytest.raises(InputError, match="when a new batch begins, call"):
        layer(x[:2])


def left(layer: Any, result: Any) -> list[torch.Tensor]:
    """All that a call leaves: what it returns, and the states."""
    return [*flat(result), *(getattr(layer, state) for state in layer._hw_state_names)]


@pytest.mark.parametrize("learns", [True, False])
@pytest.mark.parametrize("name", [name for name in LAYERS if name not in SEQUENCES])
def test_states_can_be_detached_in_place(name: str, learns: bool) -> None:
    """As snnTorch's can, which are no views of anything; of a batch, and of a sample without one."""
    with torch.set_grad_enabled(learns):
        for x in (given(name).requires_grad_(), given(name)[0]):
            layer = LAYERS[name]()
            layer(x)
            for value in left(layer, layer(x)):
                assert value.detach_().grad_fn is None


def test_inhibition_among_the_neurons_of_one_sample() -> None:
    """Without a batch, as in one of a single sample."""
    x = torch.tensor([0.5, 0.9, 0.7])
    found, wanted = (snn.Leaky(0.8, threshold=0.3, inhibition=True)(value) for value in (x, x[None]))
    assert found[0].tolist() == [0.0, 1.0, 0.0]
    for mine, theirs in zip(found, wanted, strict=True):
        assert torch.equal(mine, theirs[0])


@pytest.mark.parametrize("name", LAYERS)
def test_made_without_memory(name: str) -> None:
    """On ``meta``, then given memory that holds anything, and values; levels are in no state_dict."""
    wanted, x = LAYERS[name](), given(name)
    try:
        with torch.device("meta"):
            layer = LAYERS[name]()
    except InputError as error:
        assert wanted._hw_has_levels
        assert "make them outside torch.device('meta')" in str(error)  # noqa: PT017  # of some layers alone
        return
    layer.to_empty(device="cpu")
    layer.load_state_dict(wanted.state_dict())
    for mine, theirs in zip(flat(layer(x)), flat(wanted(x)), strict=True):
        assert torch.equal(mine, theirs)
