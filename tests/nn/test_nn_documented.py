"""``help`` of a neuron class: its equations as ``snnhw inspect`` shows them, and every argument."""

from __future__ import annotations

import inspect
import pydoc
import re
from typing import Any

import pytest

import snnhw as snn
from snnhw.ir import MODELS, Neuron, Param
from snnhw.ir.equations import shown, step_lines

Resonator = snn.neuron(
    "Resonator",
    states="v w",
    params=[Param("tau", 0.02, low=1e-3, about="time constant, in seconds"), Param("k")],
    equations={"v": "v + dt / tau * (x - v - w)", "w": "w + dt * k * v"},
    fire="v > 1",
    reset={"v": "v - 1"},
)
Free = snn.neuron("Free", states="mem", params={"beta": 0.5}, equations={"mem": "beta * mem + x"}, fire=None)
Endless = snn.neuron("Endless", states="v", equations={"v": "v + x"}, fire="v - 1", reset="none")


def neurons() -> dict[str, type[snn.SpikingNeuron]]:
    """Those with a public name, those that are registered, and those made here."""
    named = {name: getattr(snn, name) for name in snn.__all__}
    found = {name: kind for name, kind in named.items() if isinstance(kind, type)}
    found = {name: kind for name, kind in found.items() if issubclass(kind, snn.SpikingNeuron)}
    derived = {name: getattr(snn.nn, name) for name in MODELS if len(MODELS[name].ports) == 1}
    return {**derived, **found, "Resonator": Resonator, "Free": Free, "Endless": Endless}


def described(kind: type[snn.SpikingNeuron]) -> dict[str, str]:
    """Argument -> what its entry under ``Args:`` says."""
    args = re.split(r"\n(?=\S)", (inspect.getdoc(kind) or "").partition("\nArgs:\n")[2])[0]
    found = {}
    for entry in re.split(r"\n(?=    \S)", f"\n{args}")[1:]:
        names, _, words = " ".join(entry.split()).partition(": ")
        found.update(dict.fromkeys(names.split(", "), words))
    return found


@pytest.mark.parametrize("name", neurons())
def test_every_argument_is_described_and_no_other(name: str) -> None:
    kind = neurons()[name]
    found = described(kind)
    assert sorted(found) == sorted(inspect.signature(kind).parameters)
    assert all(len(words) > 5 and words.endswith((".", ".)")) for words in found.values()), found


@pytest.mark.parametrize("name", neurons())
def test_its_equations_are_those_that_inspect_shows(name: str) -> None:
    kind = neurons()[name]
    model, text = kind.model, [line.strip() for line in (inspect.getdoc(kind) or "").splitlines()]
    for reset in model.kinds:
        for timing in ("delayed", "retest") if reset != "none" else ("delayed",):
            if timing in model.timings_of(reset):
                lines = step_lines(Neuron(model, reset=reset, timing=timing, graded=True))
                assert not [line for line in map(shown, lines) if line not in text]


def test_what_help_shows_of_leaky() -> None:
    text = pydoc.plain(pydoc.render_doc(snn.Leaky))
    for line in (
        'One step, with the reset "subtract", carried out when the next step begins (reset_delay=True);',
        "reset   = 1 where mem - threshold > 0, else 0",
        "mem'    = minimum(maximum(beta, 0), 1) * mem + x - reset * threshold",
        "spike   = 1 where z > 0, else 0",
        'With reset_mechanism="zero" instead:',
        "mem'    = minimum(maximum(beta, 0), 1) * ((1 - reset) * mem) + x",
        'With reset_delay=False and the reset "subtract":',
        "mem'    = mem' - (spike - reset) * threshold",
        "state_quant: states are rounded after every step",
    ):
        assert line in text


def test_what_help_shows_of_a_neuron_of_ones_own() -> None:
    text = inspect.getdoc(Resonator) or ""
    assert "w'      = w + dt * k * v" in text
    assert "v'      = v + dt / tau * (x - where(reset > 0.5, v - 1, v) - w)" not in text
    assert described(Resonator)["tau"] == (
        "time constant, in seconds, a number or one for every neuron; at least 0.001."
    )
    assert described(Resonator)["k"] == "parameter of the equations, a number or one for every neuron."
    assert described(Resonator)["learn_k"].startswith("k is learnt")
    assert "a prime marks a state after it, ``x`` is the input, ``dt`` the length of" in " ".join(
        text.split()
    )
    assert "It never fires." in (inspect.getdoc(Free) or "")
    assert "Nothing resets it." in (inspect.getdoc(Endless) or "")


def test_a_subclass_without_a_docstring_has_its_parents_and_keeps_its_own() -> None:
    class Own(snn.Leaky):
        pass

    class Told(snn.Leaky):
        """Mine."""

    assert inspect.getdoc(Own) == inspect.getdoc(snn.Leaky)
    assert Told.__doc__ == "Mine."

    class Odd(snn.SpikingNeuron, model=Resonator.model):
        """Words.

        Args:
                deep: and not in the signature.
            no colon
        """

    assert "k is learnt" in (inspect.getdoc(Odd) or "")
    layer: Any = snn.Leaky(0.5)
    assert layer.__doc__ == snn.Leaky.__doc__
