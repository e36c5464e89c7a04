"""What training means: statistics of the batch and how they move, elements left out, random numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from snnhw.errors import InputError
from snnhw.ir import (
    CLOCK,
    BatchNorm1d,
    BatchNorm2d,
    Clock,
    Dropout,
    Input,
    Linear,
    Op,
    Params,
    Program,
    TimeAxis,
    init_params,
    sequential,
    uniform,
)
from snnhw.reference import Execution, execute

STEPS, BATCH = 5, 6
GENERATOR = np.random.default_rng(0)


def around(op: Op, shape: tuple[int, ...] = (3,), *, static: bool = False) -> tuple[Program, Params]:
    program = sequential({"x": Input(shape), "op": op})
    if static:
        program = replace(program, time=TimeAxis(static_inputs=("x",)))
    return program, init_params(program)


def signal(*shape: int) -> np.ndarray:
    return GENERATOR.normal(0.5, 2.0, shape)


def run(program: Program, params: Params, x: np.ndarray, **options: object) -> Execution:
    found: Execution = execute(program, params, {"x": x}, **options)  # type: ignore[arg-type]  # any options
    return found


# -- batch normalisation ----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3,), (3, 4), (3, 2, 4)])
def test_a_layer_called_by_a_loop(shape: tuple[int, ...]) -> None:
    ours, theirs = (
        (BatchNorm2d(3, momentum=0.25), torch.nn.BatchNorm2d(3, momentum=0.25))
        if len(shape) == 3
        else (BatchNorm1d(3, momentum=0.25), torch.nn.BatchNorm1d(3, momentum=0.25))
    )
    program, params = around(ours, shape)
    x = signal(STEPS, BATCH, *shape)
    found = run(program, params, x, training=True)
    layer = theirs.double()
    wanted = torch.stack([layer(step) for step in torch.from_numpy(x)]).detach().numpy()
    np.testing.assert_allclose(found.outputs["output"], wanted, rtol=0, atol=1e-12)
    statistics = {key.partition(".")[2]: value for key, value in found.statistics.items()}
    for name, value in statistics.items():
        np.testing.assert_allclose(value, layer.get_buffer(name).numpy(), rtol=1e-12)
    assert set(statistics) == {"running_mean", "running_var"}
    layer.eval()
    after = run(program, {**params, **found.statistics}, x)
    wanted = torch.stack([layer(step) for step in torch.from_numpy(x)]).detach().numpy()
    np.testing.assert_allclose(after.outputs["output"], wanted, atol=1e-12)
    assert after.statistics == {}


def test_folded_statistics_are_those_of_all_steps_together() -> None:
    program, params = around(BatchNorm1d(3, stats="folded"))
    x = signal(STEPS, BATCH, 3)
    found = run(program, params, x, training=True)
    layer = torch.nn.BatchNorm1d(3).double()
    wanted = layer(torch.from_numpy(x).flatten(0, 1)).detach().numpy().reshape(x.shape)
    np.testing.assert_allclose(found.outputs["output"], wanted, atol=1e-12)
    np.testing.assert_allclose(
        found.statistics["op.running_var"], layer.get_buffer("running_var").numpy(), rtol=1e-12
    )
    other = run(*around(BatchNorm1d(3)), x, training=True)
    assert np.abs(other.outputs["output"] - wanted).max() > 0.1
    assert np.abs(other.statistics["op.running_var"] - found.statistics["op.running_var"]).max() > 0.1


def test_folded_statistics_one_behind_the_other() -> None:
    layers = {"x": Input((3,)), "a": BatchNorm1d(3, stats="folded"), "fc": Linear(3, 2)}
    program = sequential({**layers, "b": BatchNorm1d(2, stats="folded")})
    x = signal(STEPS, BATCH, 3)
    found = execute(program, init_params(program), {"x": x}, training=True, record=["fc.y"])
    layer = torch.nn.BatchNorm1d(2).double()
    wanted = layer(torch.from_numpy(found.recordings["fc.y"]).flatten(0, 1)).detach().numpy()
    np.testing.assert_allclose(found.outputs["output"].reshape(wanted.shape), wanted, atol=1e-12)
    np.testing.assert_allclose(
        found.statistics["b.running_mean"], layer.get_buffer("running_mean").numpy(), rtol=1e-12
    )


def test_every_step_may_have_parameters_of_its_own() -> None:
    program, params = around(BatchNorm1d(3, time_steps=8, bias=False))
    params["op.weight"] = signal(8, 3).astype(np.float32)
    x = signal(STEPS, BATCH, 3)
    layers = [torch.nn.BatchNorm1d(3).double() for _ in range(8)]
    for layer, weight in zip(layers, params["op.weight"], strict=True):
        layer.weight.data = torch.from_numpy(weight).double()
        layer.register_parameter("bias", None)
    wanted = [layer(step) for layer, step in zip(layers, torch.from_numpy(x), strict=False)]
    found = run(program, params, x, training=True)
    np.testing.assert_allclose(found.outputs["output"], torch.stack(wanted).detach(), atol=1e-12)
    means = np.stack([layer.running_mean.numpy() for layer in layers if layer.running_mean is not None])
    np.testing.assert_allclose(found.statistics["op.running_mean"], means, rtol=1e-12)
    head = run(program, params, x[:2], training=True)
    tail = run(program, {**params, **head.statistics}, x[2:], training=True, state=head.state)
    np.testing.assert_array_equal(tail.outputs["output"], found.outputs["output"][2:])
    np.testing.assert_array_equal(tail.statistics["op.running_var"], found.statistics["op.running_var"])
    with pytest.raises(InputError, match=r"op \(BatchNorm1d\): it has parameters for 8 steps, but"):
        run(program, params, signal(4, BATCH, 3), state=found.state)


def test_a_static_input_moves_the_statistics_at_every_step() -> None:
    program, params = around(BatchNorm1d(3), static=True)
    x = signal(BATCH, 3)
    found = run(program, params, x, training=True, time_steps=STEPS)
    moving, _ = around(BatchNorm1d(3))
    wanted = run(moving, params, np.stack([x] * STEPS), training=True)
    assert {key: value.tolist() for key, value in found.statistics.items()} == {
        key: value.tolist() for key, value in wanted.statistics.items()
    }
    kept = 0.9**STEPS
    np.testing.assert_allclose(found.statistics["op.running_mean"], (1 - kept) * x.mean(0), rtol=1e-12)


def test_one_value_has_no_variance() -> None:
    program, params = around(BatchNorm1d(3))
    with pytest.raises(InputError, match=r"op \(BatchNorm1d\): one value has no variance .* larger batch"):
        run(program, params, signal(STEPS, 1, 3), training=True)
    assert np.isfinite(run(program, params, signal(STEPS, 1, 3)).outputs["output"]).all()
    folded, params = around(BatchNorm1d(3, stats="folded"))
    assert np.isfinite(run(folded, params, signal(STEPS, 1, 3), training=True).outputs["output"]).all()


# -- dropout and chance -----------------------------------------------------------------------------


def left_out(mask: str, steps: int = STEPS, **options: object) -> np.ndarray:
    program, params = around(Dropout(0.25, mask), (40,))  # type: ignore[arg-type]  # one of two words
    y: np.ndarray = run(program, params, np.ones((steps, BATCH, 40)), **options).outputs["output"]
    return y


def test_elements_are_left_out_in_training_only() -> None:
    np.testing.assert_array_equal(left_out("per_step"), 1.0)
    y = left_out("per_step", training=True)
    assert set(np.unique(y)) == {0.0, 1.0 / 0.75}
    assert abs(np.mean(y == 0.0) - 0.25) < 0.05


def test_a_mask_is_for_a_step_or_held() -> None:
    y = left_out("per_step", training=True)
    assert (y[0] != y[1]).any()
    held = left_out("held", training=True)
    np.testing.assert_array_equal(held, np.stack([held[0]] * STEPS))
    assert (held[0] != left_out("held", training=True, clock=Clock(sequence=1))[0]).any()


@pytest.mark.parametrize("mask", ["per_step", "held"])
def test_a_mask_does_not_depend_on_how_a_sequence_is_cut(mask: str) -> None:
    clock = Clock(seed=3, sequence=7)
    program, params = around(Dropout(0.5, mask), (40,))  # type: ignore[arg-type]  # one of two words
    x = np.ones((STEPS, BATCH, 40))
    whole = run(program, params, x, training=True, clock=clock)
    head = run(program, params, x[:2], training=True, clock=clock)
    assert head.state[CLOCK].tolist() == [7.0, 2.0]
    tail = run(program, params, x[2:], training=True, clock=Clock(seed=3), state=head.state)
    joined = np.concatenate([head.outputs["output"], tail.outputs["output"]])
    np.testing.assert_array_equal(joined, whole.outputs["output"])


@pytest.mark.parametrize(("p", "value"), [(0.0, 1.0), (1.0, 0.0)])
def test_nothing_and_everything(p: float, value: float) -> None:
    program, params = around(Dropout(p), (40,))
    np.testing.assert_array_equal(
        run(program, params, np.ones((2, 2, 40)), training=True).outputs["output"], value
    )


def test_random_numbers_depend_on_where_they_belong() -> None:
    clock = Clock(1, 2, 3)
    u = uniform(clock, "a", "mask", (4, 5))
    assert u.dtype == np.float32
    assert ((u >= 0) & (u < 1) & (u * 2**24 % 1 == 0)).all()
    np.testing.assert_array_equal(uniform(clock, "a", "mask", (2, 5)), u[:2])
    others = [
        uniform(Clock(0, 2, 3), "a", "mask", (4, 5)),
        uniform(Clock(1, 1, 3), "a", "mask", (4, 5)),
        uniform(Clock(1, 2, 2), "a", "mask", (4, 5)),
        uniform(clock, "b", "mask", (4, 5)),
        uniform(clock, "a", "noise", (4, 5)),
        uniform(clock, "a", "mask", (4, 5), held=True),
    ]
    assert all((other != u).all() for other in others)


def test_random_numbers_stay_what_they_are() -> None:
    """Another version of this package, or of NumPy, must leave out the same elements."""
    u = uniform(Clock(1, 2, 3), "net.drop", "mask", (3,))
    assert (u * 2**24).tolist() == PINNED


PINNED = [5343092.0, 13949428.0, 8348597.0]
