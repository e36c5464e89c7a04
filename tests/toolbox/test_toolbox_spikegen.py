"""Encodings: recorded values, what snnTorch gets wrong, and every message."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from snnhw import spikegen
from snnhw.errors import InputError

pytestmark = pytest.mark.usefixtures("one_thread")

GOLDEN = Path(__file__).parents[1] / "golden/snntorch_golden.json"
CASES = {case["id"]: case for case in json.loads(GOLDEN.read_text())["cases"] if case["kind"] == "spikegen"}

SNNTORCH_IS_WRONG = {
    # it clamps from below at off_target, so that a larger off_target or a negative one is lost
    "targets_convert_0_-1": [[0.0, -1.0, -1.0], [-1.0, -1.0, 0.0]],
}
"""Case -> the right output."""


def found(case: dict[str, Any]) -> dict[str, Tensor]:
    inputs: list[Any] = [torch.tensor(values) for values in case["inputs"].values()]
    result = getattr(spikegen, case["target"])(*inputs, **case["params"])
    if case["target"] == "latency":
        settings = {k: v for k, v in case["params"].items() if k not in ("bypass", "clip", "interpolate")}
        times, _ = spikegen.latency_code(*inputs, **settings)
        return {"spikes_TxN": result, "spike_time": times}
    return {next(iter(case["expected"])): result[0] if isinstance(result, tuple) else result}


@pytest.mark.parametrize("name", CASES)
def test_recorded_values(name: str) -> None:
    case = CASES[name]
    wanted = {"out": SNNTORCH_IS_WRONG[name]} if name in SNNTORCH_IS_WRONG else case["expected"]
    results = found(case)
    assert results.keys() == wanted.keys()
    for key, values in results.items():
        torch.testing.assert_close(values, torch.tensor(wanted[key]), rtol=2e-6, atol=0)
    assert (name in SNNTORCH_IS_WRONG) == (wanted != case["expected"])


def test_a_target_of_its_own_above_another() -> None:
    """On or off may be the larger, with first_spike_time too."""
    found = spikegen.targets_rate(
        torch.tensor([1]), 2, num_steps=2, first_spike_time=1, on_target=0, off_target=-1
    )
    assert found.tolist() == [[[-1, -1]], [[-1, 0]]]


# -- dtypes and devices ------------------------------------------------------------------------------

ENCODERS: dict[str, Callable[[Tensor], Tensor]] = {
    "rate": lambda x: spikegen.rate(x, num_steps=3),
    "rate over time": lambda x: spikegen.rate(x, time_var_input=True, first_spike_time=1),
    "rate_conv": spikegen.rate_conv,
    "latency": lambda x: spikegen.latency(x, num_steps=8),
    "latency, on and off": lambda x: spikegen.latency(x, 8, on_target=0.3, off_target=0.1),
    "latency, interpolated": lambda x: spikegen.latency(
        x, 8, on_target=0.3, off_target=0.1, interpolate=True
    ),
    "latency_code": lambda x: spikegen.latency_code(x, 8)[0],
    "latency_code, linear": lambda x: spikegen.latency_code(x, 8, linear=True)[0],
    "delta": spikegen.delta,
    "to_one_hot_inverse": spikegen.to_one_hot_inverse,
}


@pytest.mark.parametrize("encode", ENCODERS.values(), ids=ENCODERS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_a_dtype_is_kept(encode: Callable[[Tensor], Tensor], dtype: torch.dtype) -> None:
    assert encode(torch.tensor([[1.0, 0.5], [0.25, 1.0]], dtype=dtype)).dtype == dtype


def test_doubles_are_doubles_throughout() -> None:
    found = spikegen.latency(torch.ones(1, dtype=torch.float64), 2, on_target=0.3, off_target=0.1)
    assert found.tolist() == [[0.3], [0.1]]


def test_integers_are_encoded_too() -> None:
    """snnTorch's rate cannot draw from integers."""
    assert spikegen.rate(torch.tensor([0, 1]), num_steps=2).tolist() == [[0.0, 1.0]] * 2
    assert spikegen.latency(torch.tensor([1, 1]), num_steps=1).dtype == torch.float32
    assert spikegen.delta(torch.tensor([3, 1, 1], dtype=torch.uint8)).tolist() == [1, 0, 0]
    fallen = spikegen.delta(torch.tensor([3, 1, 2], dtype=torch.uint8), threshold=1, off_spike=True)
    assert fallen.tolist() == [1, -1, 1]
    assert fallen.dtype == torch.int8


LOOKING = {"latency", "latency, on and off", "latency, interpolated"}
"""Encodings that look at the data to check it, which the meta device does not have."""


@pytest.mark.parametrize("name", sorted(ENCODERS.keys() - LOOKING))
def test_a_device_is_kept(name: str) -> None:
    """The meta device holds no values, so that a tensor made elsewhere cannot pass."""
    assert ENCODERS[name](torch.ones(2, 2, device="meta")).device.type == "meta"


# -- rate -------------------------------------------------------------------------------------------


def test_rates_are_as_asked() -> None:
    drawn = torch.Generator().manual_seed(0)
    data = torch.tensor([-1.0, 0.1, 0.5, 2.0])
    spikes = spikegen.rate(data, num_steps=4000, gain=0.5, offset=0.1, generator=drawn)
    torch.testing.assert_close(spikes.mean(0), torch.tensor([0.0, 0.15, 0.35, 1.0]), atol=0.03, rtol=0)
    again = spikegen.rate(data, 4000, 0.5, 0.1, generator=torch.Generator().manual_seed(0))
    assert torch.equal(spikes, again)


def test_quiet_steps_come_within_the_steps_or_before_the_data() -> None:
    ones = torch.ones(2, 3)
    assert spikegen.rate(ones, num_steps=4, first_spike_time=3).sum((1, 2)).tolist() == [0, 0, 0, 6]
    assert spikegen.rate(ones, first_spike_time=1, time_var_input=True).sum(1).tolist() == [0, 3, 3]


def test_gain_and_offset_also_scale_what_changes_over_time() -> None:
    """snnTorch passes over them in silence."""
    assert not spikegen.rate(torch.ones(2, 3), gain=0.0, time_var_input=True).any()


# -- latency ----------------------------------------------------------------------------------------


def test_values_below_the_threshold_can_be_left_out_of_what_is_interpolated_too() -> None:
    data = torch.tensor([0.0, 0.5])
    found = spikegen.latency(data, 5, linear=True, normalize=True, clip=True, interpolate=True)
    assert found.T.tolist() == [[0, 0, 0, 0, 0], [0, 0.5, 1, 0, 0]]


def test_without_a_number_of_steps_the_last_spike_is_the_end() -> None:
    found = spikegen.latency(torch.tensor([1.0, 0.25]), tau=4, linear=True, bypass=True)
    assert found.T.tolist() == [[1, 0, 0, 0], [0, 0, 0, 1]]


def test_spikes_after_the_end_are_dropped_or_refused() -> None:
    data = torch.tensor([1.0, 0.25])
    assert spikegen.latency(data, 2, tau=4, linear=True, bypass=True).tolist() == [[1, 0], [0, 0]]
    with pytest.raises(
        InputError, match="latency has a spike at step 3, but num_steps=2 ends at 1; give a sma"
    ):
        spikegen.latency(data, 2, tau=4, linear=True)


def test_rises_end_at_their_spikes() -> None:
    found = spikegen.latency_interpolate(torch.tensor([0.0, 3.0, 4.0]), 4, on_target=2, off_target=0.5)
    torch.testing.assert_close(found.T, torch.tensor([[2, 0.5, 0.5, 0.5], [0.5, 1.0, 1.5, 2.0], [0.5] * 4]))


# -- targets ----------------------------------------------------------------------------------------


def test_class_numbers_come_back() -> None:
    """snnTorch returns the numbers of the rows."""
    targets = torch.tensor([2, 0, 1, 2])
    rows = spikegen.to_one_hot(targets, 3)
    assert rows.tolist() == [[0, 0, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert torch.equal(spikegen.from_one_hot(rows), targets)
    assert spikegen.to_one_hot_inverse(rows)[0].tolist() == [1, 1, 0]


def test_both_rates_make_a_train_for_every_neuron() -> None:
    """In snnTorch any other rates than 1 and 0 fail to broadcast."""
    found = spikegen.targets_rate(torch.tensor([0, 2]), 3, num_steps=4, correct_rate=0.5, incorrect_rate=0.25)
    often, seldom = [1, 0, 1, 0], [1, 0, 0, 0]
    assert found.permute(1, 2, 0).tolist() == [[often, seldom, seldom], [seldom, seldom, often]]


def test_trains_can_be_interpolated() -> None:
    found = spikegen.targets_convert(
        torch.tensor([1]), 2, num_steps=5, correct_rate=0.5, first_spike_time=2, interpolate=True
    )
    assert found.permute(1, 2, 0).tolist() == [[[0, 0, 0, 0, 0], [0, 0.5, 1, 0, 1]]]


def test_latency_targets_keep_what_stands_on_and_off() -> None:
    """snnTorch forwards neither, nor interpolate."""
    given: dict[str, Any] = {"code": "latency", "num_steps": 3, "normalize": True, "linear": True}
    found = spikegen.targets_convert(torch.tensor([1]), 2, on_target=0.5, off_target=-1, **given)
    assert found.permute(1, 2, 0).tolist() == [[[-1, -1, 0.5], [0.5, -1, -1]]]
    found = spikegen.targets_convert(torch.tensor([1]), 2, interpolate=True, **given)
    assert found.permute(1, 2, 0).tolist() == [[[0, 0.5, 1], [1, 0, 0]]]


@pytest.mark.parametrize("pattern", ["regular", "uniform", "poisson"])
def test_a_train_keeps_its_rate_and_its_start(pattern: Any) -> None:
    drawn = torch.Generator().manual_seed(0)
    spikes, times = spikegen.target_rate_code(2000, 100, 0.25, pattern, generator=drawn)
    assert torch.equal(spikes.nonzero().flatten(), torch.unique(times))
    assert times.min() >= 100
    assert abs(len(times) / 1900 - 0.25) < 0.03


def test_a_rate_of_zero_never_fires() -> None:
    spikes, times = spikegen.target_rate_code(3, rate=0)
    assert spikes.tolist() == [0, 0, 0]
    assert times.tolist() == []


def test_values_rise_between_spikes() -> None:
    found = spikegen.rate_interpolate(torch.tensor([5, 2, 6]), 8, on_target=1, off_target=-1)
    assert found.tolist() == [-1, 0, 1, -1, 0, 1, 1, -1]
    assert spikegen.rate_interpolate(torch.tensor([]), 2, off_target=0.5).tolist() == [0.5, 0.5]


# -- messages ---------------------------------------------------------------------------------------

X = torch.tensor([0.5, 1.0])
Y = torch.tensor([0, 1])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: spikegen.rate(X), r"rate needs num_steps; for data \[T, B, ...\] set time_var_input=True"),
        (lambda: spikegen.rate(X, 0), r"rate\(num_steps=0\): give a whole number, 1 or more"),
        (
            lambda: spikegen.rate(X, 2, first_spike_time=-1),
            r"first_spike_time=-1\): give a whole number, 0 o",
        ),
        (
            lambda: spikegen.rate(X, 2, first_spike_time=2),
            "is after the last of num_steps=2 steps; give one fr",
        ),
        (lambda: spikegen.rate(X, 2, time_var_input=True), "takes T from the data; leave num_steps out"),
        (lambda: spikegen.rate([0.5], 2), "rate 'data' is a list, which is no array"),
        (
            lambda: spikegen.latency(2 * X, 2),
            "latency takes data from 0 to 1; this is from 1 to 2; scale it fi",
        ),
        (
            lambda: spikegen.latency(X / 0 - X / 0, 2),
            "latency takes data from 0 to 1; this is from nan to nan",
        ),
        (
            lambda: spikegen.latency(X),
            "latency needs num_steps; with bypass=True it ends with the last spike",
        ),
        (lambda: spikegen.latency(X, 2, threshold=0), r"threshold=0\): give a number between 0 and 1"),
        (lambda: spikegen.latency(X, 2, tau=0), r"tau=0\): give a number between 0 and inf"),
        (
            lambda: spikegen.latency_code(X, normalize=True),
            r"\(normalize=True\) needs num_steps: what to str",
        ),
        (
            lambda: spikegen.latency_interpolate(X, 2, 0, 1),
            "on_target=0 is less than off_target=1; values ri",
        ),
        (lambda: spikegen.delta(X[0]), r"delta takes data \[T, ...\], not a tensor of shape \[\]"),
        (lambda: spikegen.to_one_hot(Y, 1), r"takes classes 0 to 0; the targets hold 1"),
        (lambda: spikegen.to_one_hot(Y - 1, 2), r"takes classes 0 to 1; the targets hold -1"),
        (lambda: spikegen.from_one_hot(torch.ones(2, 2)), "takes rows that hold a single 1 each; some hold"),
        (lambda: spikegen.targets_convert(Y, 2, code="x"), r"targets_convert\(code='x'\): give 'rate' or"),  # type: ignore[arg-type]
        (
            lambda: spikegen.targets_rate(Y, 2, correct_rate=0.5),
            "targets_rate needs num_steps for other rates",
        ),
        (lambda: spikegen.targets_rate(Y, 2, correct_rate=2), r"correct_rate=2\): give a number from 0 to 1"),
        (lambda: spikegen.targets_rate(Y, 2, 3, 0, 0.1, 0.5), "=0.5.* is above correct_rate=0.1; swap them"),
        (lambda: spikegen.target_rate_code(3, rate=-1), r"rate=-1\): give a number from 0 to 1"),
        (lambda: spikegen.target_rate_code(3, 4), r"first_spike_time=4\): give a number from 0 to 3"),
        (lambda: spikegen.target_rate_code(3, firing_pattern="x"), "give one of regular, uniform, poisson"),  # type: ignore[arg-type]
    ],
)
def test_messages(build: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build()
