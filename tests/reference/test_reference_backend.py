"""The reference behind the plugin interface."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from reference_nets import Array, filled, rate_loss, signal, two_layers

from snnhw.errors import InputError, ProgramError
from snnhw.ir import (
    LOSS_TERMS,
    OPS,
    OPTIMIZERS,
    PRIMITIVES,
    SGD,
    Adam,
    FrozenMap,
    Input,
    Optimizer,
    Params,
    Pointwise,
    Program,
    sequential,
    var,
)
from snnhw.plugin import Backend, Executable, Run, Train
from snnhw.reference import clip_by_norm, execute, gradients, update
from snnhw_reference.plugin import ReferenceBackend, ReferenceOptions

PROGRAM = two_layers()
STATIC = two_layers(static=True)
PARAMS: Params = {
    key: array.astype(np.float32) for key, array in filled(PROGRAM, {"beta": 0.9, "threshold": 0.5}).items()
}
AS_COMPUTED: Params = {key: array.astype(np.float64) for key, array in PARAMS.items()}
"""Single precision would not hold what training makes of them."""
LOSS = rate_loss("lif2.spk")
X, Y = signal(0, 6, 4, 5), np.array([0, 2, 1, 1])


def says(text: str) -> Any:
    return pytest.raises(InputError, match=f"^{re.escape(text)}")


def runner(program: Program = PROGRAM, dtype: Any = "float64", record: tuple[str, ...] = ()) -> Executable:
    job = Run(6, {"x": (5,)}, 4, record, ReferenceOptions(dtype))
    return ReferenceBackend().compile(program, PARAMS, job)


def trainer(optimizer: Optimizer | None = None, **settings: Any) -> Executable:
    job = Train(
        6,
        {"x": (5,)},
        4,
        options=ReferenceOptions(),
        loss=LOSS,
        optimizer=optimizer or Adam(lr=0.01),
        **settings,
    )
    return ReferenceBackend().compile(PROGRAM, PARAMS, job)


def batch(seed: int, size: int = 4) -> tuple[dict[str, Array], dict[str, Array]]:
    y = np.random.default_rng(seed).integers(0, 3, size)
    return {"x": signal(seed, 6, size, 5)}, {"target": y}


def same(a: Mapping[str, Any], b: Mapping[str, Any]) -> None:
    assert set(a) == set(b)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], strict=True)


# -- What it says of itself -----------------------------------------------------------------------


def test_it_is_a_backend() -> None:
    backend = ReferenceBackend()
    assert isinstance(backend, Backend)
    assert backend.probe().ready


def test_it_can_do_everything() -> None:
    can = ReferenceBackend().capabilities()
    assert set(can.ops) == set(OPS.values())
    assert can.expressions == set(PRIMITIVES)
    assert can.losses == set(LOSS_TERMS.values())
    assert can.optimizers == set(OPTIMIZERS.values())
    assert can.dtypes == ("float64", "float32")
    assert not can.contraction
    assert can.label == ""


def test_it_explains_nodes_and_equations() -> None:
    x = var("x")
    twice = Pointwise(FrozenMap({"y": x + x}))
    program = sequential({"x": Input((5,)), "double": twice})
    tables = ReferenceBackend().explain(program, Run(1, {}, 1)).tables
    assert tables["nodes"] == (
        ("node", "op", "shape"),
        ("x", "Input", "(5,)"),
        ("double", "Pointwise y=x + x", "(5,)"),
        ("output", "Output", ""),
    )
    assert tables["equations"] == (("node", "value", "equation"), ("double", "y", "x + x"))
    rows = ReferenceBackend().explain(PROGRAM, Run(1, {}, 1)).tables["equations"]
    assert [row[:2] for row in rows[1:]] == [
        ("lif1", "spk"),
        ("lif1", "mem"),
        ("lif2", "spk"),
        ("lif2", "mem"),
    ]


# -- Running --------------------------------------------------------------------------------------


def test_a_run_is_an_execution() -> None:
    found = runner(record=("lif1.mem",)).run({"x": X})
    expected = execute(PROGRAM, PARAMS, {"x": X}, record=["lif1.mem"])
    same(found.outputs, expected.outputs)
    same(found.recordings, expected.recordings)
    same(found.state, expected.state)


def test_a_run_continues_from_a_state() -> None:
    with runner() as program:
        whole = program.run({"x": X})
        first = program.run({"x": X[:4]})
        second = program.run({"x": X[4:]}, first.state)
    same(second.state, whole.state)
    np.testing.assert_array_equal(second.outputs["output"], whole.outputs["output"][4:])


def test_static_inputs_run_for_the_steps_of_the_job() -> None:
    assert runner(STATIC).run({"x": X[0]}).outputs["output"].shape == (6, 4, 3)


def test_any_number_of_steps_and_any_batch() -> None:
    program = trainer()
    for T, B in ((6, 4), (3, 4), (6, 1), (9, 7)):
        assert program.run({"x": signal(0, T, B, 5)}).outputs["output"].shape == (T, B, 3)
        step = program.step({"x": signal(0, T, B, 5)}, {"target": np.zeros(B, int)})
        assert step.outputs["output"].shape == (T, B, 3)


def test_float32_is_an_option() -> None:
    found = runner(dtype="float32").run({"x": X})
    same(found.outputs, execute(PROGRAM, PARAMS, {"x": X}, dtype=np.float32).outputs)


def test_arrays_of_other_libraries() -> None:
    found = trainer().step({"x": torch.tensor(X)}, {"target": torch.tensor(Y)})
    assert found.loss == trainer().step({"x": X}, {"target": Y}).loss
    assert isinstance(found.outputs["output"], np.ndarray)


def test_something_that_is_no_array() -> None:
    with says("input 'x' is a list, which "):
        runner().run({"x": [[1.0]]})


def test_a_tensor_that_records_a_gradient_is_taken_without() -> None:
    found = runner().run({"x": torch.tensor(X, requires_grad=True)})
    same(found.outputs, runner().run({"x": X}).outputs)


# -- Training -------------------------------------------------------------------------------------


def test_a_step_is_a_gradient_and_an_update() -> None:
    program = trainer(SGD(lr=1.0), clip_norm=0.05)
    step = program.step({"x": X}, {"target": Y})
    found = gradients(PROGRAM, PARAMS, {"x": X}, {"target": Y}, LOSS)
    exact = {key: array.astype(float) for key, array in PARAMS.items()}
    after, _ = update(SGD(lr=1.0), exact, clip_by_norm(found.params, 0.05), {})
    assert step.loss == found.loss
    same(step.outputs, found.execution.outputs)
    same(step.state, found.execution.state)
    same(program.get_params(), after)


def test_training_lowers_the_loss() -> None:
    program = trainer(Adam(lr=0.05))
    losses = [program.step({"x": X}, {"target": Y}).loss for _ in range(15)]
    assert losses[-1] < 0.9 * losses[0]


def test_accumulated_steps_are_one_step_of_the_whole_batch() -> None:
    inputs, targets = batch(3, size=8)
    whole, parts = trainer(SGD(lr=1.0)), trainer(SGD(lr=1.0), accumulate=2)
    whole.step(inputs, targets)
    parts.step({"x": inputs["x"][:, :4]}, {"target": targets["target"][:4]})
    same(parts.get_params(), AS_COMPUTED)
    parts.step({"x": inputs["x"][:, 4:]}, {"target": targets["target"][4:]})
    found: dict[str, Any] = {**whole.get_params()}
    for key, array in parts.get_params().items():
        np.testing.assert_allclose(found[key], np.asarray(array, float), rtol=1e-6, atol=1e-9)


def test_a_step_continues_from_a_state_without_a_gradient_into_it() -> None:
    program = trainer(SGD(lr=1.0))
    state = program.run({"x": X}).state
    step = program.step({"x": X}, {"target": Y}, state)
    assert step.loss == gradients(PROGRAM, PARAMS, {"x": X}, {"target": Y}, LOSS, state=state).loss


def test_only_what_is_trainable_changes() -> None:
    frozen = replace(PROGRAM, trainable=frozenset({"fc2.weight"}))
    job = Train(6, {"x": (5,)}, 4, loss=LOSS, optimizer=SGD(lr=1.0))
    program = ReferenceBackend().compile(frozen, PARAMS, job)
    program.step({"x": X}, {"target": Y})
    after = program.get_params()
    changed = {key for key, array in PARAMS.items() if not np.array_equal(after[key], array)}
    assert changed == {"fc2.weight"}


def test_a_schedule_changes_the_settings() -> None:
    program, still = trainer(SGD(lr=1.0)), trainer(SGD(lr=1.0))
    program.set_optimizer(SGD(lr=0.0))
    program.step({"x": X}, {"target": Y})
    same(program.get_params(), still.get_params())


def test_another_kind_of_optimizer() -> None:
    with says("this program was compiled with Adam, which cannot become SGD; give other settings"):
        trainer().set_optimizer(SGD())


def test_a_step_of_a_program_that_only_runs() -> None:
    with says("this program was compiled to run only; compile it with a loss and an optimizer"):
        runner().step({"x": X}, {"target": Y})


# -- Parameters and resuming ----------------------------------------------------------------------


def test_parameters_come_back_in_the_dtype_that_is_computed_in() -> None:
    program = runner()
    found = program.get_params()
    same(found, AS_COMPUTED)
    found["fc1.bias"][...] = 7.0
    same(program.get_params(), AS_COMPUTED)


def test_parameters_may_be_replaced_in_part() -> None:
    program, other = runner(), {"fc1.bias": np.arange(7.0)}
    program.set_params(other)
    expected: Params = AS_COMPUTED | {"fc1.bias": np.arange(7, dtype=np.float64)}
    same(program.get_params(), expected)
    other["fc1.bias"][...] = 0.0
    same(program.get_params(), expected)


def test_parameters_that_do_not_fit_change_nothing() -> None:
    program = runner()
    with pytest.raises(ProgramError, match=r"'fc9\.bias' is no parameter of this program"):
        program.set_params({"fc1.bias": np.ones(7), "fc9.bias": np.ones(7)})
    same(program.get_params(), AS_COMPUTED)


@pytest.mark.parametrize("optimizer", [SGD(lr=0.1), SGD(lr=0.1, momentum=0.9), Adam(lr=0.01)], ids=repr)
def test_a_resumed_run_is_exactly_the_run(optimizer: Optimizer) -> None:
    settings: dict[str, Any] = {"accumulate": 2, "clip_norm": 1.0}
    program = trainer(optimizer, **settings)
    for seed in range(3):  # an odd number: half of an update is pending
        program.step(*batch(seed))
    saved = {name: np.array(array) for name, array in program.save_state().items()}
    resumed = trainer(optimizer, **settings)
    resumed.step(*batch(99))  # whatever was there is replaced
    resumed.load_state(saved)
    same(resumed.save_state(), saved)
    for seed in range(3, 8):
        assert program.step(*batch(seed)).loss == resumed.step(*batch(seed)).loss
    same(program.save_state(), resumed.save_state())


def test_a_saved_state_is_flat_and_the_callers_own() -> None:
    program = trainer()
    program.step({"x": X}, {"target": Y})
    saved = program.save_state()
    assert {name.partition("/")[0] for name in saved} == {
        *("run", "param", "setting", "updates", "pending", "sequence", "optimizer")
    }
    assert {"param/fc1.weight", "optimizer/fc1.weight/exp_avg"} <= set(saved)
    before = program.get_params()
    saved["param/fc1.weight"][...] = 0.0
    same(program.get_params(), before)


def test_a_training_run_can_be_evaluated_elsewhere() -> None:
    program, other = trainer(), runner()
    program.step({"x": X}, {"target": Y})
    other.load_state(program.save_state())
    same(other.run({"x": X}).outputs, program.run({"x": X}).outputs)


def broken(**changes: Any) -> dict[str, Any]:
    program = trainer()
    program.step({"x": X}, {"target": Y})
    return {**program.save_state(), **changes}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"weights": np.ones(1)},
            "'weights' is no part of a saved state; names begin with run, param",
        ),
        (
            {"optimizer/fc1.bias/momentum_buffer": np.ones(7)},
            "'optimizer/fc1.bias/momentum_buffer' does not belong",
        ),
        ({"grad/fc1.bias": np.ones(7)}, "'grad/fc1.bias' does not belong to this run, since 'pending' is 0"),
        ({"optimizer/fc1.bias/exp_avg": np.ones(6)}, "'optimizer/fc1.bias/exp_avg' has shape [6]; accepted"),
    ],
)
def test_a_saved_state_that_does_not_fit_changes_nothing(changes: dict[str, Any], message: str) -> None:
    program = trainer()
    before = program.save_state()
    with says(message):
        program.load_state(broken(**changes))
    same(program.save_state(), before)


def test_a_saved_state_without_a_parameter() -> None:
    saved = broken()
    del saved["param/fc1.bias"]
    with pytest.raises(ProgramError, match=r"parameter 'fc1\.bias' is missing"):
        trainer().load_state(saved)


def test_nothing_works_after_close() -> None:
    with trainer() as program:
        saved = program.save_state()
    calls: list[Callable[[], object]] = [
        lambda: program.run({"x": X}),
        lambda: program.step({"x": X}, {"target": Y}),
        lambda: program.set_optimizer(Adam()),
        program.get_params,
        lambda: program.set_params({}),
        program.save_state,
        lambda: program.load_state(saved),
    ]
    for call in calls:
        with says("this executable is closed; compile the program again"):
            call()
    program.close()  # once more does no harm
