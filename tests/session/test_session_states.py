"""`load_state` takes the states of a run into that run, and nothing else; what it refuses changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from session_runs import BACKENDS, LOSS, compiled, copied, network, same, step

from snnhw.errors import InputError, SnnhwError
from snnhw.ir import SGD, Adam, AdamW, Program
from snnhw.plugin import Executable

State = dict[str, np.ndarray[Any, Any]]

SOME: dict[str, Any] = {"optimizer": Adam(lr=0.05), "accumulate": 3}
CALLS = 5
"""An update of three calls, and two that wait for the next."""


@pytest.fixture(params=BACKENDS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def runs() -> Iterator[Callable[[str], Executable]]:
    """One for each backend, compiled when it is first asked for."""
    known: dict[str, tuple[Executable, State]] = {}

    def run_of(name: str) -> Executable:
        if name not in known:
            executable = compiled(name, **SOME)
            for number in range(CALLS):
                step(executable, number)
            known[name] = executable, state_of(executable)
        executable, start = known[name]
        executable.load_state(start)
        return executable

    yield run_of
    for executable, _ in known.values():
        executable.close()


@pytest.fixture
def run(runs: Callable[[str], Executable], name: str) -> Executable:
    """One that has come to `CALLS`."""
    return runs(name)


def state_of(executable: Executable) -> State:
    return copied(executable.save_state())


def after(name: str, calls: int = CALLS, program: Program | None = None, **job: Any) -> State:
    with compiled(name, program, **job) as executable:
        for number in range(calls):
            step(executable, number)
        return state_of(executable)


def refused(executable: Executable, state: Mapping[str, Any]) -> str:
    """Why; nothing has changed."""
    before = state_of(executable)
    with pytest.raises(SnnhwError) as caught:
        executable.load_state(state)
    assert same(state_of(executable), before), "nothing is taken of what is refused"
    return str(caught.value)


# -- every entry ------------------------------------------------------------------------------------


def test_every_entry_is_needed(run: Executable) -> None:
    saved = state_of(run)
    assert len(saved) > 20
    for each in saved:
        told = refused(run, {name: x for name, x in saved.items() if name != each})
        assert each.partition("/")[2] in told or "lacks" in told


MISTYPED: dict[str, Callable[[Any], Any]] = {
    "complex": lambda x: x.astype(np.complex64),
    "text": lambda x: np.full(x.shape, "1"),
    "bool": lambda x: np.ones(x.shape, np.bool_),
    "objects": lambda x: np.full(x.shape, None, object),
    "dates": lambda x: np.zeros(x.shape, "M8[s]"),
    "a list": lambda x: x.tolist(),
    "nothing": lambda x: None,  # whatever was there
    "one axis more": lambda x: x[None],
    "twice": lambda x: np.concatenate([np.atleast_1d(x)] * 2),
}


@pytest.mark.parametrize("how", MISTYPED)
def test_every_entry_has_its_type_and_shape(run: Executable, how: str) -> None:
    saved = state_of(run)
    for each, array in saved.items():
        refused(run, {**saved, each: MISTYPED[how](array)})


NOT_COUNTS = [-1, 1.5, np.nan, np.inf, 2**40, 1.0, True]


@pytest.mark.parametrize("value", NOT_COUNTS)
@pytest.mark.parametrize("count", ["updates", "pending", "sequence"])
def test_counts_are_whole_numbers_that_go_together(run: Executable, count: str, value: float) -> None:
    told = refused(run, {**state_of(run), count: np.array(value)})
    assert f"'{count}' is {np.array(value).item()!r}" in told or value == 2**40


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pending": np.array(3)}, "'pending' is 3; accepted in a state of this run: a whole number from 0"),
        ({"sequence": np.array(6)}, "'sequence' is 6, but there have been 5 calls of step: 1 updates of 3"),
        ({"sequence": np.array([1, 2])}, "'sequence' is an array of int64 of shape [2]; accepted"),
        ({"setting/lr": np.array(-0.5)}, "Adam(lr=-0.5): give a finite number, 0 or more"),
        ({"setting/lr": np.array(np.nan)}, "Adam(lr=nan): give a finite number"),
        ({"setting/betas": np.array([0.9, 1.0])}, "each below 1"),
        ({"setting/betas": np.array([0.9])}, "'setting/betas' is an array of float64 of shape [1]; accepted"),
        (
            {"setting/momentum": np.array(0.9)},
            "'setting/momentum' does not belong to this run, since the",
        ),
        ({"weights": np.ones(1)}, "'weights' is no part of a saved state; names begin with run, param"),
        ({"optimiser/fc1.bias/step": np.ones(1)}, "Did you mean 'optimizer'?"),
        ({"own/paths": np.zeros(3, np.uint8)}, "'own/paths' does not belong to this run, since 'run' lists"),
        ({"run": np.zeros(3, np.uint8)}, "'run' of this state cannot be read"),
        ({"run": np.frombuffer(b"[1]", np.uint8)}, "'run' of this state cannot be read"),
        ({"run": np.frombuffer(b'{"version": 9}', np.uint8)}, "is written in version 9 of its layout, and 2"),
        ({"param/fc1.bias": np.full(6, 1e300)}, "parameter 'fc1.bias' holds numbers beyond the largest that"),
    ],
)
def test_what_no_run_can_have(run: Executable, name: str, changes: State, message: str) -> None:
    if "holds numbers beyond" in message and name == "reference":
        pytest.skip("it computes in float64, which has such numbers")
    assert message in refused(run, {**state_of(run), **changes})


SLOTS = {"ipu": ("Step", "Accl1", "Accl2")}


@pytest.mark.parametrize("value", [-1.0, 0.5, 2.0, np.nan, np.inf])
def test_a_count_of_updates_is_theirs(run: Executable, name: str, value: float) -> None:
    entry = f"optimizer/fc1.bias/{SLOTS.get(name, ('step',))[0]}"
    told = refused(run, {**state_of(run), entry: np.array(value, np.float32)})
    assert f"'{entry}' is {value}" in told
    assert "'updates' is 1" in told


def test_means_of_squares_are_not_negative(run: Executable, name: str) -> None:
    entry = f"optimizer/fc1.bias/{SLOTS.get(name, ('', '', 'exp_avg_sq'))[2]}"
    saved = state_of(run)
    told = refused(run, {**saved, entry: -np.ones_like(saved[entry])})
    assert told == f"'{entry}' holds -1.0; accepted: numbers that are not negative, as means of squares are"


def test_names_are_text(run: Executable) -> None:
    assert "3 is no part of a saved state" in refused(run, {**state_of(run), 3: np.zeros(1)})  # type: ignore[dict-item]
    with pytest.raises(InputError, match="a saved state is a mapping of names to arrays, not None"):
        run.load_state(None)  # type: ignore[arg-type]


def test_a_state_of_an_older_layout(run: Executable) -> None:
    old = {name: x for name, x in state_of(run).items() if name not in ("run", "updates")}
    assert refused(run, old).startswith("this state lacks 'run', which says of which run it is: an older")


# -- of other runs ----------------------------------------------------------------------------------

OTHERS: dict[str, tuple[dict[str, Any], str]] = {
    "accumulate": ({"accumulate": 4}, "accumulate is 4 there, and 3 here"),
    "AdamW": ({"optimizer": AdamW(lr=0.05)}, "its optimizer is 'AdamW', and here it is 'Adam'"),
    "SGD": ({"optimizer": SGD(lr=0.05)}, "its optimizer is 'SGD without momentum', and here"),
    "clip_norm": ({"clip_norm": 0.5}, "clip_norm is 0.5 there, and None here"),
    "loss": ({"loss": 2.0 * LOSS}, "its loss is another one"),
    "reset": ({"program": network(reset="zero")}, "its program is another one, in structure, equations or"),
    "timing": ({"program": network(timing="immediate")}, "its program is another one"),
    "trained": ({"program": replace(network(), trainable=frozenset({"fc1.weight"}))}, "other parameters of"),
    "evaluates": ({"loss": None}, "this state is of a run that only evaluates"),
}


@pytest.mark.parametrize("what", OTHERS)
def test_a_state_of_another_run(run: Executable, name: str, what: str) -> None:
    job, message = OTHERS[what]
    there = {**SOME, **job}
    if there.get("loss", LOSS) is None:
        there = {"loss": None}
    assert message in refused(run, after(name, CALLS if "loss" not in job or job["loss"] else 0, **there))


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [(SGD(lr=0.1, momentum=0.9), SGD(lr=0.1)), (SGD(lr=0.1), SGD(lr=0.1, momentum=0.9))],
)
def test_momentum_is_there_or_not(name: str, theirs: SGD, ours: SGD) -> None:
    with compiled(name, optimizer=ours) as executable:
        step(executable, 0)
        told = refused(executable, after(name, 2, optimizer=theirs))
        assert f"its optimizer is '{theirs.form}', and here it is '{ours.form}'" in told


def test_seeds_count_where_something_depends_on_chance(name: str) -> None:
    chancy = network(chance=True)
    with compiled(name, chancy, seed=1) as executable, compiled(name, seed=1) as sure:
        assert "seed is 0 there, and 1 here" in refused(executable, after(name, 1, chancy))
        sure.load_state(after(name, 1))


def test_half_of_one_run_and_half_of_another(run: Executable, name: str) -> None:
    """Gradients that wait, in a run that says that none do; and the other way round."""
    waiting, done = state_of(run), after(name, 6, **SOME)
    parts = {"grad", "own", "pending"}
    for one, other in ((waiting, done), (done, waiting)):
        mixed = {key: x for key, x in one.items() if key.partition("/")[0] not in parts}
        mixed |= {key: x for key, x in other.items() if key.partition("/")[0] in parts - {"pending"}}
        refused(run, {**mixed, "pending": one["pending"]})


def test_backends_that_keep_the_same_take_each_others_states() -> None:
    for theirs, ours in (("reference", "cpu"), ("cpu", "reference")):
        saved = after(theirs, **SOME)
        with compiled(ours, **SOME) as executable:
            executable.load_state(saved)
            assert set(executable.save_state()) == set(saved)
    with compiled("cpu", **SOME) as executable:
        told = refused(executable, after("ipu", **SOME))
        assert "kept as 'batches', and here as 'gradients', so the backend was another one" in told


# -- what is taken ----------------------------------------------------------------------------------


def test_a_training_run_can_be_evaluated(run: Executable, name: str) -> None:
    saved = state_of(run)
    with compiled(name, loss=None) as plain, compiled(name, network(reset="zero"), loss=None) as other:
        plain.load_state(saved)
        assert same(plain.get_params(), run.get_params())
        assert "its program is another one" in refused(other, saved)
        assert "parameter 'fc1.bias' is missing" in refused(
            plain, {key: x for key, x in saved.items() if key != "param/fc1.bias"}
        )


def test_settings_come_back_with_the_state(run: Executable, name: str) -> None:
    run.set_optimizer(Adam(lr=0.0, betas=(0.5, 0.75)))
    with compiled(name, **SOME) as resumed, compiled(name, **SOME) as again:
        resumed.load_state(state_of(run))
        still = resumed.get_params()
        step(resumed, CALLS)
        assert same(resumed.get_params(), still), "at a learning rate of 0 nothing moves"
        resumed.set_optimizer(Adam(lr=0.1))
        again.load_state(state_of(resumed))
        assert [step(again, n) for n in range(4)] == [step(resumed, n) for n in range(4)]
        assert not same(again.get_params(), still)


def test_momentum_that_began_later_comes_back(name: str) -> None:
    with compiled(name, optimizer=SGD(lr=0.1)) as one, compiled(name, optimizer=SGD(lr=0.1)) as other:
        step(one, 0)
        one.set_optimizer(SGD(lr=0.1, momentum=0.9))
        other.load_state(state_of(one))
        for executable in (one, other):
            step(executable, 1)
        other.load_state(state_of(one))
        assert [step(one, 2), step(one, 3)] == [step(other, 2), step(other, 3)]
        assert same(one.get_params(), other.get_params())


def test_a_run_that_diverged_can_be_loaded(run: Executable, name: str) -> None:
    mean = f"optimizer/fc1.bias/{SLOTS.get(name, ('', 'exp_avg'))[1]}"
    saved = state_of(run)
    saved |= {entry: np.full_like(saved[entry], np.nan) for entry in ("param/fc1.bias", mean)}
    run.load_state(saved)
    assert same(state_of(run), saved)


def test_arrays_may_be_of_another_precision_order_or_memory(run: Executable) -> None:
    saved = state_of(run)
    odd = {name: x.astype(x.dtype.newbyteorder(">")) for name, x in saved.items() if name != "run"}
    odd |= {name: x.astype(np.float64) for name, x in saved.items() if name.startswith(("param/", "grad/"))}
    for x in odd.values():
        x.flags.writeable = False
    own = {name: x for name, x in saved.items() if name.startswith("own/")}  # kept as the device takes them
    run.load_state({**saved, **odd, **own})
    assert same(state_of(run), saved)


@pytest.mark.parametrize("at", range(7))
def test_a_run_goes_on_as_if_nothing_had_happened(name: str, at: int) -> None:
    with compiled(name, **SOME) as whole, compiled(name, **SOME) as resumed:
        for number in range(at):
            step(whole, number)
        saved = state_of(whole)
        wanted = [step(whole, number) for number in range(at, 9)]
        for number in range(4):  # which are forgotten
            step(resumed, number)
        resumed.load_state(saved)
        assert same(state_of(resumed), saved)
        assert [step(resumed, number) for number in range(at, 9)] == wanted
        assert same(state_of(resumed), state_of(whole))
