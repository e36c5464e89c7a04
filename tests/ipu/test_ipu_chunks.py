"""Chunks: a few steps are compiled, and training has the gradient through all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from chunk_nets import (
    BOTH,
    LIF_LOSS,
    REFERENCE,
    STEPS,
    emulated,
    made,
    normed,
    winding,
    winding_data,
)
from ipu_calls import backend, data

from snnhw.conformance import run_on
from snnhw.ir import (
    SGD,
    Adam,
    AdamW,
)
from snnhw.plugin import Executable


def lived(executable: Executable) -> tuple[list[Any], dict[str, Any]]:
    """What comes of a few calls, and the parameters behind them."""
    inputs, targets = winding_data()
    with executable:
        found: list[Any] = [executable.run(inputs)]
        first = executable.step(inputs, targets)
        found += [first, executable.step(inputs, targets, first.state), executable.step(inputs, targets)]
        executable.set_optimizer(Adam(lr=0.01))
        found += [executable.step(inputs, targets), executable.run(inputs, first.state)]
        return found, {key: np.asarray(array) for key, array in executable.get_params().items()}


def same(
    mine: tuple[list[Any], dict[str, Any]], theirs: tuple[list[Any], dict[str, Any]], **close: Any
) -> None:
    for ours, wanted in zip(mine[0], theirs[0], strict=True):
        if hasattr(wanted, "loss"):
            assert float(ours.loss) == pytest.approx(float(wanted.loss), rel=1e-5)
        for name, array in {**wanted.outputs, **wanted.state}.items():
            held = np.asarray({**ours.outputs, **ours.state}[name])
            np.testing.assert_allclose(held, array, err_msg=name, **close)
    for key, array in theirs[1].items():
        np.testing.assert_allclose(mine[1][key], array, err_msg=key, **close)


WHOLE: dict[int, tuple[list[Any], dict[str, Any]]] = {}


@pytest.mark.parametrize(
    ("accumulate", "options"),
    [(1, {"chunk": 1}), (1, {"chunk": 2}), (1, {"chunk": 3, "gradient_accumulation": 2}), (2, {"chunk": 2})],
    ids=str,
)
def test_chunks_give_the_numbers_of_all_steps_at_once(accumulate: int, options: dict[str, Any]) -> None:
    program, params = winding()
    if accumulate not in WHOLE:
        WHOLE[accumulate] = lived(emulated(program, params, {}, accumulate=accumulate))
    mine = lived(emulated(program, params, options, accumulate=accumulate))
    same(mine, WHOLE[accumulate], rtol=1e-5, atol=2e-6)
    assert not np.array_equal(mine[1]["fc1.weight"], params["fc1.weight"])


def test_the_reference_agrees() -> None:
    program, params = winding()
    theirs = lived(made(REFERENCE, program, params, {"dtype": "float32"}))
    same(lived(emulated(program, params, {"chunk": 2})), theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("select", ["gradient/BatchNorm1d", "gradient/loss-CE", "pointwise/RLeaky-subtract"])
def test_a_part_of_the_suite_passes_step_by_step(select: str) -> None:
    """One step is compiled, and everything goes from chunk to chunk."""
    report = run_on(backend(), {"emulate": "true", "chunk": "1"}, select=select)
    left = [case for case in report.cases if case.outcome != "passed"]
    assert all("statistics of all steps" in case.reason for case in left), left
    assert any(case.outcome == "passed" for case in report.cases)


@pytest.mark.slow
def test_the_suite_passes_step_by_step_but_for_what_is_normalised() -> None:
    report = run_on(backend(), {"emulate": True, "chunk": 1})
    left = [case for case in report.cases if case.outcome != "passed"]
    assert all("statistics of all steps" in case.reason for case in left), left


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("how", [{"stats": "per_step"}, {"stats": "per_step", "time_steps": STEPS}], ids=str)
def test_statistics_move_once(how: dict[str, Any], accumulate: int) -> None:
    program, params = normed(**how)
    x, y = data(steps=STEPS)
    found = []
    for executable in (
        made(
            REFERENCE,
            program,
            params,
            {"dtype": "float32"},
            loss=LIF_LOSS,
            accumulate=accumulate,
            optimizer=SGD(lr=0.1),
        ),
        *(
            emulated(program, params, more, loss=LIF_LOSS, accumulate=accumulate, optimizer=SGD(lr=0.1))
            for more in BOTH
        ),
    ):
        with executable:
            losses = [float(executable.step({"x": x}, {"target": y}).loss) for _ in range(accumulate)]
            found.append((losses, executable.get_params()))
    for losses, arrays in found[1:]:
        assert losses == pytest.approx(found[0][0], rel=1e-5)
        for key, array in found[0][1].items():
            np.testing.assert_allclose(np.asarray(arrays[key]), np.asarray(array), atol=5e-6, err_msg=key)
    assert not np.allclose(np.asarray(found[0][1]["norm.running_var"]), 1.0)


# -- states, settings ---------------------------------------------------------------------------------


def test_a_state_goes_from_one_to_the_other() -> None:
    program, params = winding()
    inputs, targets = winding_data()
    kinds: tuple[dict[str, Any], ...] = ({"chunk": 2}, {}, {"chunk": 3})
    chunked, whole, other = (emulated(program, params, more) for more in kinds)
    with chunked, whole, other:
        for _ in range(2):
            chunked.step(inputs, targets)
        state = chunked.save_state()
        assert np.asarray(state["optimizer/fc1.weight/Step"]) == 2
        wanted = [float(chunked.step(inputs, targets).loss) for _ in range(2)]
        for each in (whole, other):
            each.load_state(state)
            found = [float(each.step(inputs, targets).loss) for _ in range(2)]
            assert found == pytest.approx(wanted, rel=1e-5)
        chunked.load_state(state)
        assert [float(chunked.step(inputs, targets).loss) for _ in range(2)] == wanted
        chunked.set_params(params)
        for key, array in params.items():
            np.testing.assert_array_equal(
                np.asarray(chunked.get_params()[key]), np.asarray(array, np.float32)
            )


def test_what_no_loss_reads_is_left_alone_and_what_one_reads_late_is_not() -> None:
    """Decay would change it. `far` reaches the loss after three steps, and a chunk has two."""
    program, params = winding()
    inputs, targets = winding_data()
    with emulated(program, params, {"chunk": 2}, optimizer=AdamW(lr=0.1, weight_decay=0.5)) as executable:
        executable.step(inputs, targets)
        after = executable.get_params()
    np.testing.assert_array_equal(
        np.asarray(after["spare.weight"]), np.asarray(params["spare.weight"], np.float32)
    )
    assert not np.array_equal(np.asarray(after["far.weight"]), np.asarray(params["far.weight"], np.float32))


def test_gradients_are_clipped_as_a_whole() -> None:
    program, params = winding()
    inputs, targets = winding_data()
    found = []
    for more in BOTH:
        with emulated(program, params, more, optimizer=SGD(lr=1.0), clip_norm=1e-3) as executable:
            executable.step(inputs, targets)
            found.append(executable.get_params())
    for key, array in found[0].items():
        np.testing.assert_allclose(np.asarray(found[1][key]), np.asarray(array), atol=1e-7, err_msg=key)


@pytest.mark.parametrize(
    "options", [{"pad": True}, {"device_iterations": 2}, {"stay_attached": True}], ids=str
)
def test_options_of_running_hold_in_chunks(options: dict[str, Any]) -> None:
    program, params = winding()
    inputs, targets = winding_data()
    found = []
    for more in BOTH:
        with emulated(program, params, {**options, **more}, record=("lif1.spk",)) as executable:
            executable.step(inputs, targets)
            given = winding_data(7)[0] if options.get("pad") else inputs
            found.append(executable.run(given))
    for name, array in {**found[0].outputs, **found[0].recordings, **found[0].state}.items():
        held = {**found[1].outputs, **found[1].recordings, **found[1].state}[name]
        np.testing.assert_allclose(np.asarray(held), np.asarray(array), atol=1e-6, err_msg=name)


def test_half_precision_gathers_gradients_in_single() -> None:
    program, params = winding()
    inputs, targets = winding_data()
    found = []
    for more in BOTH:
        with emulated(program, params, {"dtype": "float16", **more}, optimizer=SGD(lr=0.1)) as executable:
            found.append((float(executable.step(inputs, targets).loss), executable.get_params()))
    assert found[1][0] == found[0][0]
    for key, array in found[0][1].items():
        np.testing.assert_allclose(np.asarray(found[1][1][key]), np.asarray(array), atol=1e-3, err_msg=key)
