"""What ``help`` says of a neuron class: its equations, as ``snnhw inspect`` shows them, and all arguments."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import Signature, cleandoc
from textwrap import indent, wrap
from typing import Final

from snnhw.ir import ATan, Neuron, NeuronModel, Param, free_variables
from snnhw.ir.equations import Line, shown, step_lines
from snnhw.ir.models import TIMINGS

__all__ = ["Documented", "documented"]

PRIME: Final = "a prime marks a state after it"
X: Final = ", ``x`` is the input"

SAID: Final = {
    "delayed": ", carried out when the next step begins (reset_delay=True)",
    "immediate": " at once",
}
"""Timing -> when a reset acts."""

INDENT: Final = "    "
WIDTH: Final = 96

OPTIONS: Final[Mapping[str, str]] = {
    "spike_grad": "what takes the place of a spike's derivative: a surrogate such as "
    "``snnhw.surrogate.fast_sigmoid(slope=25)``, of ``z`` above; or a function of ``z``, which then says the "
    "spike, too. None: ``snnhw.surrogate.atan(alpha=2)``.",
    "surrogate_disable": "spikes have no gradient.",
    "init_hidden": "a call takes the input alone, and returns the spikes alone: states stay inside, until "
    "``snnhw.utils.reset(net)``.",
    "inhibition": "of the neurons above their threshold only the one that is furthest above fires, in each "
    "sample; of images one channel at each place.",
    "reset_mechanism": "which reset acts: {kinds}.",
    "state_quant": "states are rounded after every step: a tensor of levels ``[L]``, "
    "``snnhw.functional.quant.state_quant(...)``, or a function of a state. False: they are not.",
    "output": "with ``init_hidden``, return the states, too.",
    "reset_delay": "True: a spike resets its neuron when the next step begins, so that a call returns the "
    "states at the spike. False: at once.",
    "graded_spikes_factor": "what a spike is worth: a number, or one for every neuron.",
    "validate_args": "refuse parameters outside their bounds, and a membrane that is NaN (on a CPU).",
}
"""Options of most neurons, which mean the same in all of them."""


class Documented:
    """A class's ``__doc__``, written when somebody asks: an import need not wait for it."""

    def __init__(self, text: str | None, model: NeuronModel, signature: Signature) -> None:
        self._given, self._text = (text, model, signature), ""

    def __get__(self, instance: object, owner: type) -> str:
        self._text = self._text or documented(*self._given)
        return self._text


def documented(text: str | None, model: NeuronModel, signature: Signature) -> str:
    """The docstring of a class: what was written for it, its equations, all its arguments, and its errors.

    Args:
        text: a docstring, whose ``Args:`` describe what means something else, or only exists, in this class.
    """
    about, given, rest = _split(cleandoc(text or model.name))
    described = {name for names in given for name in names.split(", ")}
    for name in signature.parameters:
        if name not in described and (words := _of(name, model)):
            given[name] = words
    order = {name: place for place, name in enumerate(signature.parameters)}
    entries = sorted(given, key=lambda names: order.get(names.split(", ")[0], len(order)))
    args = "\n".join(_entry(names, given[names]) for names in entries)
    return "\n\n".join(part for part in (about, _equations(model), f"Args:\n{args}", rest) if part) + "\n"


# -- equations --------------------------------------------------------------------------------------


def _equations(model: NeuronModel) -> str:
    """One step with the usual reset, and in what the other resets and timings differ from it."""
    usual, prime = model.reset, PRIME + X * (model.ports == ("x",))
    for name in model.noise:
        prime += f", ``{name}`` a random number in [0, 1) for every neuron, sample and step"
    if "dt" in free_variables(*model.integrate.values()):
        prime += ", ``dt`` the length of a step in seconds"
    first, *others = [timing for timing in TIMINGS if timing in model.timings_of(usual)]
    lines = _lines(model, usual, first)
    resets = model.kinds != ("none",)
    with_ = f', with the reset "{usual}"{SAID[first]}' if resets else ""
    found = ["\n".join(wrap(f"One step{with_}; {prime}:", WIDTH)), _block(lines)]
    if not resets:
        return "\n\n".join([*found, "Nothing resets it." if model.fire is not None else "It never fires."])
    for kind in model.kinds:
        if kind != usual and first in model.timings_of(kind):
            found += [f'With reset_mechanism="{kind}" instead:', _other(model, kind, first, lines)]
    for timing in others[:1]:  # of two that act at once, a layer takes the first
        for kind in model.kinds:
            if kind != "none" and timing in model.timings_of(kind):
                before = _lines(model, kind, first) if first in model.timings_of(kind) else lines
                heading = f'With reset_delay=False and the reset "{kind}":'
                found += [heading, _other(model, kind, timing, before)]
    return "\n\n".join(found)


def _lines(model: NeuronModel, kind: str, timing: str) -> list[Line]:
    return list(step_lines(Neuron(model, reset=kind, timing=timing, surrogate=ATan(), graded=True)))


def _other(model: NeuronModel, kind: str, timing: str, usual: list[Line]) -> str:
    """The lines that are not among the usual ones."""
    return _block([line for line in _lines(model, kind, timing) if line not in usual])


def _block(lines: list[Line]) -> str:
    return indent("\n".join(map(shown, lines)), INDENT)


# -- arguments --------------------------------------------------------------------------------------


def _split(text: str) -> tuple[str, dict[str, str], str]:
    """A docstring before its ``Args:``, what these say by name or names, and what follows them."""
    about, _, after = text.partition("\nArgs:\n")
    lines = after.splitlines()
    end = next((at for at, line in enumerate(lines) if line.strip() and not line.startswith(" ")), len(lines))
    given: dict[str, str] = {}
    for line in filter(str.strip, lines[:end]):
        if given and line.startswith(INDENT * 2):  # goes on
            names = next(reversed(given))
            given[names] += f" {line.strip()}"
        else:
            names, _, words = line.strip().partition(": ")
            given[names] = words
    return about.strip(), given, "\n".join(lines[end:]).strip()


def _of(name: str, model: NeuronModel) -> str:
    """What an argument means that its class does not describe; "" where nobody knows."""
    if name == "reset_mechanism":
        return OPTIONS[name].format(kinds=", ".join(f"``{kind}``" for kind in model.kinds))
    if name in OPTIONS:
        return OPTIONS[name]
    if learnt := name.removeprefix("learn_") if name.startswith("learn_") else "":
        return f"{learnt} is learnt: a ``torch.nn.Parameter``, else a buffer."
    return next((_of_parameter(param) for param in model.params if param.name == name), "")


def _of_parameter(param: Param) -> str:
    bounds = {"at least": param.low, "at most": param.high}
    said = [f"{words} {bound:g}" for words, bound in bounds.items() if bound is not None]
    about = param.about or "parameter of the equations"
    return "; ".join([f"{about}, a number or one for every neuron", *[" and ".join(said)] * bool(said)]) + "."


def _entry(names: str, words: str) -> str:
    first, *further = wrap(f"{names}: {words}", WIDTH, break_long_words=False, break_on_hyphens=False)
    return "\n".join([INDENT + first, *(INDENT * 2 + line for line in further)])
