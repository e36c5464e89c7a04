"""A scan's place in autograd, and what it refuses."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from tensors_cases import (
    EAGER,
    both_providers,
    leaky,
)
from tensors_scans import B, T, number, randn
from torch import Tensor

from snnhw.errors import InputError
from snnhw.tensors.scans.provider import Provider
from snnhw.tensors.scans.scan import run_scan


def simple(signal: Tensor, beta: Tensor) -> Tensor:
    params = {"beta": beta, "threshold": torch.tensor(0.7)}
    found, _ = run_scan(
        leaky().equations(), {"x": signal}, params, {}, steps=T, outputs=("spk", "mem"), provider=EAGER
    )
    return found["spk"].sum() + found["mem"].sum()


def test_memory_is_freed_at_once_without_the_collector() -> None:
    signal = torch.randn(T, B, 5, requires_grad=True)
    gc.collect()
    gc.disable()
    try:
        params = {"beta": torch.tensor(0.9, requires_grad=True), "threshold": torch.tensor(0.7)}
        through = signal * 1.0
        found, ends = run_scan(
            leaky().equations(), {"x": through}, params, {}, steps=T, outputs=("spk", "mem")
        )
        watched = [weakref.ref(x) for x in (through, found["spk"], found["mem"], ends["mem"])]
        del through, found, ends
        assert [ref() for ref in watched] == [None] * 4
    finally:
        gc.enable()


def test_a_parameter_changed_between_the_passes_is_noticed() -> None:
    beta = torch.tensor(0.9, requires_grad=True)
    total = simple(torch.randn(T, B, 5), beta)
    with torch.no_grad():
        beta.mul_(0.5)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


def test_a_second_backward_pass_is_noticed() -> None:
    total = simple(torch.randn(T, B, 5), torch.tensor(0.9, requires_grad=True))
    total.backward()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        total.backward()


def test_no_graph_without_gradients() -> None:
    with torch.no_grad():
        assert not simple(torch.randn(T, B, 5), torch.tensor(0.9, requires_grad=True)).requires_grad
    assert not simple(torch.randn(T, B, 5), torch.tensor(0.9)).requires_grad


def test_inputs_may_lie_anyhow_in_memory() -> None:
    signal = randn(5, B, T).float()
    beta = torch.tensor(0.9)
    assert simple(signal.permute(2, 1, 0), beta) == simple(signal.permute(2, 1, 0).contiguous(), beta)


def test_nothing_given_is_changed() -> None:
    signal, state = torch.randn(T, B, 5), torch.randn(B, 5)
    before = signal.clone(), state.clone()
    params = {"beta": torch.tensor(0.9), "threshold": torch.tensor(0.7)}
    found, ends = run_scan(
        leaky().equations(), {"x": signal}, params, {"mem": state}, steps=T, outputs=("spk", "mem")
    )
    for result in (*found.values(), *ends.values()):
        result.fill_(9.0)
    assert torch.equal(signal, before[0])
    assert torch.equal(state, before[1])


@both_providers
def test_an_empty_batch(provider: Provider) -> None:
    params = {"beta": torch.rand(80), "threshold": torch.tensor(0.7)}
    found, ends = run_scan(
        leaky().equations(),
        {"x": torch.zeros(T, 0, 80)},
        params,
        {},
        steps=T,
        outputs=("spk",),
        provider=provider,
    )
    assert found["spk"].shape == (T, 0, 80)
    assert ends["mem"].shape == (0, 80)


# -- messages ---------------------------------------------------------------------------------------


def test_a_state_of_another_batch() -> None:
    params, state = {"beta": number(0.8), "threshold": number(0.7)}, {"mem": randn(B + 1, 5)}
    with pytest.raises(InputError) as caught:
        run_scan(leaky().equations(), {"x": randn(T, B, 5)}, params, state, steps=T, outputs=("spk",))
    assert str(caught.value) == (
        "state 'mem' has shape (3, 5), but the layer is (2, 5) (batch first); "
        "pass the state of the same batch, or none to start from rest"
    )


def test_a_parameter_of_another_layer() -> None:
    params = {"beta": torch.rand(7).double(), "threshold": number(0.7)}
    with pytest.raises(InputError) as caught:
        run_scan(leaky().equations(), {"x": randn(T, B, 5)}, params, {}, steps=T, outputs=("spk",))
    assert str(caught.value) == (
        "parameter 'beta' of shape [7] does not fit samples of shape [5]; "
        "give one number, or 1 or the size on every axis"
    )
