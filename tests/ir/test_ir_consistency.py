"""What is wrong with a neuron model that makes no sense."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest

from snnhw.errors import ProgramError
from snnhw.ir import (
    MODELS,
    RESET,
    SPIKE,
    FrozenMap,
    NeuronModel,
    Param,
    State,
    greater,
    model,
    nearest,
    var,
    variables,
)

LEAKY = MODELS["Leaky"]
mem, x, beta, threshold = variables("mem x beta threshold")


def build(**changes: Any) -> NeuronModel:
    parts: dict[str, Any] = {
        "states": "mem",
        "params": (Param("beta", 0.5), Param("threshold", 1.0)),
        "integrate": {"mem": beta * mem + x},
        "fire": mem - threshold,
    }
    return model(changes.pop("name", "Test"), **{**parts, **changes})


def raw(**changes: Any) -> NeuronModel:
    """A model from its parts, without what `model` fills in."""
    parts = {field.name: getattr(LEAKY, field.name) for field in fields(LEAKY)}
    return NeuronModel(**{**parts, "name": "Test", **changes})


SILENT: dict[str, Any] = {"fire": None, "params": (Param("beta"),)}

WRONG: dict[str, tuple[Callable[[], NeuronModel], str]] = {
    "name": (lambda: build(name="my model"), "'my model' cannot name a model; use letters, digits and"),
    "long name": (lambda: build(name="m" * 65), "cannot name a model"),
    "name of a reset": (lambda: build(resets={"to zero": {}}), "'to zero' cannot name a reset"),
    "name of a port": (lambda: build(ports=("x", "x\n")), r"'x\\n' cannot name a port, state or parameter"),
    "reserved": (lambda: build(states="mem reset", integrate={"mem": mem}), "the name 'reset' is reserved"),
    "reserved, spike": (lambda: build(ports=("x", "spike")), "the name 'spike' is reserved"),
    "reserved, dt": (lambda: build(ports=("x", "dt")), "the name 'dt' is reserved"),
    "reserved, levels": (lambda: build(ports=("x", "levels")), "the name 'levels' is reserved"),
    "reserved, factor": (
        lambda: build(ports=("x", "graded_spikes_factor")),
        "'graded_spikes_factor' is reserved",
    ),
    "twice": (lambda: build(ports=("x", "beta")), "the name 'beta' is used twice"),
    "too many": (
        lambda: build(ports=("x", *(f"p{i}" for i in range(80)))),
        "it has 84 ports, states and parameters; at most 64 are accepted",
    ),
    "no port": (lambda: build(ports=()), "it has no port; a neuron without input would have no shape"),
    "no state": (
        lambda: build(integrate={"mem": mem, "u": x}),
        "integrate gives a value to 'u', which is no state",
    ),
    "unknown": (
        lambda: build(integrate={"mem": mem + var("y") + var("z")}),
        "integrate uses 'y', 'z'; declare it as a port, state or parameter",
    ),
    "many unknown": (
        lambda: build(integrate={"mem": sum((var(f"y{i:02}") for i in range(20)), mem)}),
        r"integrate uses 'y00', .*'y11' and 8 more; declare",
    ),
    "a condition": (
        lambda: build(integrate={"mem": greater(mem, x)}, resets={"subtract": {}, "zero": {}}, fire=None),
        "integrate must be a number, not a condition: mem > x",
    ),
    "a table": (
        lambda: build(integrate={"mem": nearest(x, "t")}),
        "integrate reads the table 't'; only a quantised",
    ),
    "reset in integrate": (lambda: build(integrate={"mem": mem - RESET}), "integrate uses 'reset'; declare"),
    "spike in a reset": (
        lambda: build(resets={"zero": {"mem": mem - SPIKE}}),
        "reset 'zero' uses 'spike'; declare it",
    ),
    "unknown in a timing": (
        lambda: build(post={"immediate": {"zero": {"mem": var("y")}}}),
        "timing 'immediate', reset 'zero' uses 'y'; declare",
    ),
    "no state in a timing": (
        lambda: build(post={"immediate": {"zero": {"u": mem}}}),
        "timing 'immediate', reset 'zero' gives a value to 'u', which is no state",
    ),
    "a port in fire": (lambda: build(fire=mem - x), "fire uses 'x'; declare it"),
    "a condition to fire": (lambda: build(fire=mem > threshold), "fire must be a number, not a condition"),
    "start": (
        lambda: build(states=(State("mem", "start"),)),
        "state 'mem' starts from 'start', which is no parameter",
    ),
    "start at nan": (
        lambda: build(states=(State("mem", float("nan")),)),
        "state 'mem' starts from nan; give a finite number",
    ),
    "default": (
        lambda: build(params=(Param("beta", float("inf")), Param("threshold"))),
        "parameter 'beta' has a default or bound that is no finite number; None means none",
    ),
    "bound": (
        lambda: build(params=(Param("beta", low=float("-inf")), Param("threshold"))),
        "parameter 'beta' has a default or bound that is no finite number",
    ),
    "default reset": (lambda: build(reset="zreo"), "default reset 'zreo' is not among none, subtract, zero"),
    "timing": (
        lambda: build(post={"later": {"zero": {}}}),
        "unknown timing 'later'; known: delayed, retest, imm",
    ),
    "timing of no reset": (
        lambda: build(post={"immediate": {"to_rest": {}}}),
        "timing 'immediate' speaks of reset 'to_rest', which is none of the model's",
    ),
    "reset without timing": (
        lambda: raw(post=FrozenMap({"delayed": FrozenMap({"none": FrozenMap()})})),
        "no timing says what follows a spike under reset 'subtract'",
    ),
    "silent and incomplete": (
        lambda: build(**SILENT, states="mem u"),
        "state 'u' has no equation, and a neuron that never fires has no output to keep",
    ),
    "silent with resets": (
        lambda: build(**SILENT, resets={"zero": {"mem": x}}),
        "it never fires, so its reset 'zero' would do nothing; give a fire condition",
    ),
    "a state called spk": (
        lambda: build(states="mem spk", integrate={"mem": mem + x, "spk": x}),
        "state 'spk' has an equation, but that is the name of the output; choose another",
    ),
}


@pytest.mark.parametrize(("wrong", "message"), WRONG.values(), ids=WRONG)
def test_messages(wrong: Callable[[], NeuronModel], message: str) -> None:
    with pytest.raises(ProgramError, match=message) as caught:
        wrong()
    assert all(problem.startswith("model '") for problem in caught.value.problems)


def test_all_problems_at_once() -> None:
    with pytest.raises(ProgramError) as caught:
        build(states=(State("mem", "start"),), integrate={"mem": var("y")}, fire=mem - x, reset="zreo")
    text = " ".join(caught.value.problems)
    assert all(part in text for part in ("'start'", "integrate uses 'y'", "fire uses 'x'", "'zreo'"))
