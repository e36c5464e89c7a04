"""Emitted kernels compute what the equations say, in every bit where arithmetic defines it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from kernel_pool import POOL, WIDTH, run, tensors_of

from snnhw.ir.emit import emit
from snnhw.passes import Request, derive, forward_loop
from snnhw.tensors.scans.eager import EagerProvider
from snnhw_cpu.kernel import compiled
from snnhw_cpu.limits import Limits
from snnhw_cpu.numba_pieces import TARGET
from snnhw_cpu.numba_source import source
from snnhw_cpu.provider import NumbaProvider

EAGER, NUMBA = EagerProvider(), NumbaProvider()

ROUNDED_DIFFERENTLY = {"pointwise": 2e-6}
"""exp, log, tanh, sigmoid and atan differ between libraries by a few units in the last place (P6)."""

NUMBER_GRADIENTS = 1e-6
"""A sum over a whole layer is formed block by block in float64 and elsewhere in another order (P20)."""


@pytest.mark.parametrize("steps", [1, 70])  # 70: a second chunk in the backward pass (P16, P18)
@pytest.mark.parametrize("name", POOL)
def test_a_kernel_equals_the_equations_evaluated_step_by_step(name: str, steps: int) -> None:
    given = tensors_of(POOL[name], steps)
    ours, plain = run(POOL[name], given, steps, NUMBA), run(POOL[name], given, steps, EAGER)
    assert ours.keys() == plain.keys()
    for key, x in ours.items():
        if name in ROUNDED_DIFFERENTLY:
            torch.testing.assert_close(x, plain[key], rtol=ROUNDED_DIFFERENTLY[name], atol=2e-6)
        elif x.ndim == 0:
            torch.testing.assert_close(x, plain[key], rtol=NUMBER_GRADIENTS, atol=0)
        else:
            assert torch.equal(x, plain[key]), key


def test_float64_is_computed_in_float64() -> None:
    pooled = POOL["leaky"]
    given = tensors_of(pooled, 5, torch.float64)
    ours, plain = run(pooled, given, 5, NUMBA), run(pooled, given, 5, EAGER)
    assert all(torch.equal(ours[key], plain[key]) for key in ours if ours[key].ndim)


@pytest.mark.parametrize("chunk", [1, 7, 70, 1 << 62])
def test_the_length_of_a_chunk_changes_no_bit(chunk: int) -> None:
    given = tensors_of(POOL["leaky"], 70)
    usual = run(POOL["leaky"], given, 70, NUMBA)
    other = run(POOL["leaky"], given, 70, NumbaProvider(Limits(chunk=chunk)))
    assert all(torch.equal(usual[key], other[key]) for key in usual)


@pytest.mark.parametrize("tile", [1, 8, 1000, 1 << 62])
@pytest.mark.parametrize("name", ["leaky", "leaky-per-neuron"])
def test_how_many_neurons_are_taken_at_a_time_changes_no_bit(name: str, tile: int) -> None:
    given = tensors_of(POOL[name], 7)
    usual = run(POOL[name], given, 7, NUMBA)
    other = run(POOL[name], given, 7, NumbaProvider(Limits(tile=tile)))
    for key, x in usual.items():
        if x.ndim:
            assert torch.equal(x, other[key]), key
        else:  # a sum over the layer, in float64 and in another order
            torch.testing.assert_close(other[key], x, rtol=NUMBER_GRADIENTS, atol=0)


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    pooled, steps = POOL["leaky-per-neuron"], 1500  # enough for several threads
    given = tensors_of(pooled, steps)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(run(pooled, given, steps, NUMBA))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(found[0][key], other[key]) for key in other)


def test_the_gradient_of_one_number_is_summed_in_float64() -> None:
    """P20: over time in the compute dtype, then in float64; a float32 sum would lose the last digits."""
    shared, each = POOL["leaky"], replace(POOL["leaky"], params={"beta": "neuron", "threshold": 1.0})
    steps = 400
    given = tensors_of(shared, steps)
    apart = given | {"beta": torch.full((WIDTH,), 0.9, requires_grad=True)}
    whole = run(shared, given, steps, NUMBA)["d beta"]
    parts = run(each, apart, steps, NUMBA)["d beta"]
    assert whole.item() == pytest.approx(parts.double().sum().item(), rel=1e-6)


def test_equal_sources_are_compiled_once_whatever_their_names_and_values() -> None:
    step = POOL["leaky"].step
    one = derive(step, Request(outputs=("spk",)))
    text = source(forward_loop(one), "float32")
    assert compiled(text, "forward") is compiled(str(text), "forward")


def test_a_derivative_that_no_value_needs_is_not_printed() -> None:
    kernel = derive(POOL["leaky"].step, Request(outputs=("spk",)))
    names = {f"{letter}{n}": f"{letter}{n}" for letter in "sxv" for n in range(3)}
    forward = emit(kernel.output_exprs, names, TARGET)
    assert not any("3.14159" in line for line in forward.lines)  # the surrogate's slope
