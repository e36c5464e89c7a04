"""What each neuron is in NIR: its equations in seconds, and what of its reset NIR can say.

A step ``b u + x`` is Euler's step of ``tau u' = -u + r x`` with ``tau = dt / (1 - b)`` and
``r = tau / dt``, and the exact one with ``tau = -dt / ln b`` and ``r = 1 / (1 - b)``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from snnhw.errors import ExportError
from snnhw.ir import MODELS, Neuron, NeuronModel, Shape
from snnhw.ir.models.textbook import SCHEMES, TEXTBOOK, textbook
from snnhw_nir.graph import Array

__all__ = ["NEURONS", "Said", "acts_like", "say"]

LONG: Final = 2.0**40
"""Steps that stand for an endless time constant: ``1 - 1 / LONG`` is 1 in single precision."""


@dataclass(frozen=True)
class Said:
    """A neuron in NIR's words.

    Attributes:
        type: of node; fields: in float64, of whatever shape the parameters have.
        loop: what its last spike adds to its input; None: nothing.
    """

    type: str
    fields: Mapping[str, Array]
    loop: Array | None = None


@dataclass(frozen=True)
class _Here:
    op: Neuron
    params: Mapping[str, Array]
    dt: float
    scheme: str

    def real(self, name: str) -> Array:
        return np.asarray(self.params[name], np.float64)

    def leak(self, name: str) -> tuple[Array, Array]:
        """A decay per step as a time constant, and the gain that makes an input of 1 add 1."""
        decay = np.clip(self.real(name), 0.0, 1.0)
        with np.errstate(divide="ignore"):
            gain = np.minimum(1.0 / (1.0 - decay), LONG)
            if not self.scheme.startswith("exponential"):
                return gain * self.dt, gain
            steps = np.clip(-1.0 / np.log(decay), 1.0 / 1024, LONG)  # exp(-1024) is 0 in any precision
            return steps * self.dt, gain


def _leaky(here: _Here) -> Said:
    threshold = {"v_threshold": here.real("threshold"), "v_reset": np.zeros(())}
    if bool((here.real("beta") >= 1.0).all()):
        return Said("IF", {"r": np.asarray(1.0 / here.dt), **threshold})
    tau, gain = here.leak("beta")
    return Said("LIF", {"tau": tau, "r": gain, "v_leak": np.zeros(()), **threshold})


def _synaptic(here: _Here) -> Said:
    (tau_syn, w_in), (tau_mem, r) = here.leak("alpha"), here.leak("beta")
    leaks = {"tau_syn": tau_syn, "tau_mem": tau_mem, "r": r, "v_leak": np.zeros(()), "w_in": w_in}
    return Said("CubaLIF", {**leaks, "v_threshold": here.real("threshold"), "v_reset": np.zeros(())})


def _lapicque(here: _Here) -> Said:
    """A resistor beside a capacitor: R is r, and R C, in steps of T, the time constant."""
    names = [param.name for param in here.op.model.params]
    if "C" in names:
        steps = here.real("R") * here.real("C") / here.real("time_step")
    else:
        with np.errstate(divide="ignore"):
            steps = np.minimum(-1.0 / np.log(here.real("beta")), LONG)
    if here.scheme.startswith("exponential"):
        raise ExportError(["its equations are Euler's; write it with scheme='euler'"])
    leaks = {"tau": steps * here.dt, "r": here.real("R"), "v_leak": np.zeros(())}
    return Said("LIF", {**leaks, "v_threshold": here.real("threshold"), "v_reset": np.zeros(())})


def _with_loop(say_it: Callable[[_Here], Said]) -> Callable[[_Here], Said]:
    return lambda here: replace(say_it(here), loop=here.real("V"))


def _as_it_stands(kind: str) -> Callable[[_Here], Said]:
    return lambda here: Said(kind, {param.name: here.real(param.name) for param in here.op.model.params})


NEURONS: Final[Mapping[str, Callable[[_Here], Said]]] = {
    "Leaky": _leaky,
    "Synaptic": _synaptic,
    "RLeaky": _with_loop(_leaky),
    "RLeakySum": _leaky,
    "RSynaptic": _with_loop(_synaptic),
    "Lapicque": _lapicque,
    "LapicqueDecay": _lapicque,
    **{textbook(kind, scheme).name: _as_it_stands(kind) for kind in TEXTBOOK for scheme in SCHEMES},
}
"""Name of a model -> how it is said. A model of this name that is not the one known here is refused."""

_KNOWN: Final[Mapping[str, NeuronModel]] = {
    **{name: MODELS[name] for name in NEURONS if name in MODELS},
    **{textbook(kind, scheme).name: textbook(kind, scheme) for kind in TEXTBOOK for scheme in SCHEMES},
}

SNNTORCH: Final = tuple(name for name in NEURONS if name in MODELS and "zero" in MODELS[name].kinds)
"""Models of snnTorch's that NIR has a form for."""

FRONT: Final = ("Leaky", "Synaptic", "Lapicque", "RLeaky", "RSynaptic")
"""Those of them that a front end has under this name."""

WAYS: Final = (
    f"its neurons are {', '.join(TEXTBOOK)}. Train one that it has: "
    f"{', '.join(f'snnhw.{name}' for name in FRONT)}; or keep this one in "
    "a .snn file (snnhw.save), which every backend runs"
)
"""What to do where there is no form."""

_TO_ZERO: Final = frozenset(
    {
        ("Leaky", "zero", "delayed"),  # only the old membrane is wiped, so that no input is lost
        *((name, "zero", timing) for name in SNNTORCH for timing in ("retest", "immediate")),
    }
)
"""Resets that give the spikes of a reset to 0 at once. With a threshold of 0 or more, a membrane that
was put to 0 is not above it, so that ``retest`` finds nothing to give back."""


def say(op: Neuron, params: Mapping[str, Array], shape: Shape, dt: float, scheme: str) -> Said:
    """A neuron with its fields at the layer's full shape.

    Raises:
        ExportError: NIR has no such neuron.
    """
    if _KNOWN.get(op.model.name) != op.model:
        raise ExportError([f"NIR has no form for the equations of {op.model.name}; {WAYS}"])
    if op.quantised:
        raise ExportError(["NIR has no quantised states; train and export without state_quant"])
    if op.model.name in TEXTBOOK_SCHEMES and scheme not in TEXTBOOK_SCHEMES[op.model.name]:
        meant = " or ".join(TEXTBOOK_SCHEMES[op.model.name])
        raise ExportError([f"its equations are those of scheme '{meant}', but scheme '{scheme}' is written"])
    said = NEURONS[op.model.name](_Here(op, params, dt, scheme))
    if op.reset == "none" and op.model.fire is not None:
        leaks = {name: value for name, value in said.fields.items() if name not in ("v_threshold", "v_reset")}
        said = replace(said, type=said.type.removesuffix("F"), fields=leaks)
    fields = {name: np.array(np.broadcast_to(value, shape)) for name, value in said.fields.items()}
    return replace(said, fields=fields)


TEXTBOOK_SCHEMES: Final = {
    textbook(kind, scheme).name: tuple(
        other for other in SCHEMES if textbook(kind, other) == textbook(kind, scheme)
    )
    for kind in TEXTBOOK
    for scheme in SCHEMES
}
"""Name of a textbook model -> the schemes in which it is the one."""


def acts_like(op: Neuron) -> str:
    """Which reset gives the same spikes when it acts at once: ``to_value`` (of the ``v_reset`` that is
    written), ``subtract``, ``none``, or, where there is no such, words for the reset as it is."""
    if op.model.fire is None or op.reset == "none":
        return "none"
    if op.timing == "immediate" and op.reset in ("to_value", "subtract"):
        return op.reset
    if (op.model.name, op.reset, op.timing) in _TO_ZERO:
        return "to_value"
    if op.reset == "subtract_beta":  # what is taken off decays with the rest, as if it had gone at once
        return "subtract"
    words = {"subtract": "by subtraction", "zero": "to 0, with that step's input,"}
    return words.get(op.reset, f"'{op.reset}'")
