"""What goes into a compiled model and comes out of it is finite, or the call says where it is not.

A value that is not finite is handed on by what computes with it, so that the states at the end tell of it, or
the loss, or what the last layer without states gives. A few things hide it: inputs that are never active,
thresholds, resets that wipe a membrane. So parameters are looked at, too, after they may have changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snnhw.errors import InputError
from snnhw.ir import Neuron, Params, Program
from snnhw.nn.modules.finite import counted, is_finite, refuse_nonfinite
from snnhw.plugin import Arrays, Executable, Result, StepResult
from snnhw.words import brief

__all__ = ["Sound"]

FEW = 1024
"""Numbers of a parameter that are soon copied."""

LISTED = 3
"""How many parameters a message names."""

LOST = (
    "Parameters that are not finite: {listed}. Give the model others by executable.set_params, or by "
    "executable.load_state what save_state gave before; a lower learning rate or clip_norm keeps them finite"
)
UNBOUNDED = (
    "All parameters are finite, so that something grew beyond all bounds: look at the scale of inputs and "
    "weights, and at what decays"
)


OR_NONE = {"state": ", such as `model.state`, or None to start from rest"}


class Sound:
    """An `Executable` that refuses what is not finite.

    The two calls look at what they are given, before anything is computed with it, at what they give, and at
    parameters that they or somebody else may have changed. All else is passed on as it is.
    """

    def __init__(self, executable: Executable, program: Program) -> None:
        self._executable, self._program = executable, program
        self._written = False  # whether parameters may have changed since they were last found finite
        self._open = False  # whether the user may change them at any time
        self._shared: Shared | None = None
        nodes = {name: port.rpartition(".")[0] for name, port in program.outputs().items()}
        # What a neuron gives is as finite as its states.
        self._told = {n: node for n, node in nodes.items() if not isinstance(program.nodes[node], Neuron)}

    def run(self, inputs: Arrays, state: Arrays | None = None) -> Result:
        _look(input=inputs, state=state)
        found = self._executable.run(inputs, state)
        self._check("run", found, fine=not self._written or self._are_finite())
        self._written = self._open
        return found

    def step(self, inputs: Arrays, targets: Arrays, state: Arrays | None = None) -> StepResult:
        _look(input=inputs, target=targets, state=state)
        written, self._written = self._written, True
        found = self._executable.step(inputs, targets, state)
        self._check("step", found, fine=_finite_here(found.loss) and self._are_finite(fetch=written))
        self._written = self._open
        return found

    def set_params(self, params: Params) -> None:
        self._written = True
        self._executable.set_params(params)

    def load_state(self, arrays: Arrays) -> None:
        self._written = True
        self._executable.load_state(arrays)

    @property
    def state(self) -> Arrays | None:
        """Of a backend that keeps it; it leads to no parameters."""
        kept: Arrays | None = getattr(self._executable, "state", None)
        return kept

    @property  # type: ignore[misc]  # read only, where an object's own may be set
    def __class__(self) -> Any:
        """What it stands for, to `isinstance`."""
        return self._executable.__class__

    def __reduce__(self) -> tuple[Any, ...]:
        """For `copy` and `pickle`, to which it would be what it stands for."""
        flags = {"_written": True, "_open": self._open}
        return Sound, (self._executable, self._program), flags

    def __getattr__(self, name: str) -> Any:
        if name == "_executable" or name.startswith("__"):  # while it is copied
            raise AttributeError(name)
        if name not in vars(Executable):  # it may lead to the parameters, from now on
            self._written = self._open = True
        return getattr(self._executable, name)

    # -- looking ---------------------------------------------------------------------------------------

    def _are_finite(self, *, fetch: bool = True) -> bool:
        """Whether all parameters are, as far as can be said without fetching them from a device, which would
        take too long after every step."""
        if self._shared is None:
            values = getattr(self._executable, "values", None)
            self._shared = Shared(values() if values else {})
        return self._shared.are_finite() if self._shared or not fetch else not self._lost()

    def _check(self, call: str, found: StepResult | Result, *, fine: bool) -> None:
        told = (found.outputs[name] for name in self._told)
        if not (fine and all(map(is_finite, found.state.values())) and all(map(is_finite, told))):
            self._refuse(call, found)

    def _lost(self) -> Params:
        """Parameters that are not finite."""
        with np.errstate(over="ignore"):  # of a dtype that holds less than the computation's
            return {key: x for key, x in self._executable.get_params().items() if not is_finite(x)}

    def _refuse(self, call: str, found: StepResult | Result) -> None:
        """Name the first layer that is not finite, and the parameters that are not."""
        params = self._lost()
        loss, last = getattr(found, "loss", 0.0), next(iter(self._program.outputs().values()))
        behind = f"the loss is {loss}, behind {self._layer(_node(last))}"
        places = [*self._states(found.state), *self._outputs(found.outputs), *[behind] * (not isfinite(loss))]
        places += self._parameters(params)
        why = UNBOUNDED
        if params:
            listed = ", ".join(f"'{key}' ({counted(params[key])})" for key in [*params][:LISTED])
            more = f" and {len(params) - LISTED} more" if len(params) > LISTED else ""
            why = LOST.format(listed=listed + more)
        raise InputError(f"after this {call} {places[0]}. {why}")

    def _ordered(self, arrays: Arrays) -> list[str]:
        """Keys of what is not finite, in the order of the program."""
        order = {name: place for place, name in enumerate(self._program.nodes)}
        bad = [key for key, value in arrays.items() if not is_finite(value)]
        return sorted(bad, key=lambda key: order.get(_node(key), len(order)))

    def _states(self, state: Arrays) -> list[str]:
        return [
            f"{self._layer(_node(key))} holds {counted(state[key])} in its state '{key}'"
            for key in self._ordered(state)
        ]

    def _outputs(self, outputs: Arrays) -> list[str]:
        return [
            f"{self._layer(node)} gives {counted(outputs[name])} in output '{name}'"
            for name, node in self._told.items()
            if not is_finite(outputs[name])
        ]

    def _parameters(self, params: Arrays) -> list[str]:
        return [
            f"{self._layer(_node(key))} holds {counted(params[key])} in its parameter '{key}'"
            for key in self._ordered(params)
        ]

    def _layer(self, node: str) -> str:
        op = self._program.nodes.get(node)
        kind = op.model.name if isinstance(op, Neuron) else type(op).__name__
        return f"'{node}' ({kind})"


class Shared:
    """The parameters themselves, of a backend that has them as torch tensors."""

    def __init__(self, values: Mapping[str, Tensor]) -> None:
        every = [x for x in values.values() if x.is_floating_point()]
        # Each look takes a while, so that those of a few numbers are looked at together.
        self._few = [x.view(-1) for x in every if x.numel() <= FEW and x.is_contiguous()]
        self._many = [x for x in every if x.numel() > FEW or not x.is_contiguous()]

    def __bool__(self) -> bool:
        return bool(self._few or self._many)

    def are_finite(self) -> bool:
        few = [torch.cat(self._few)] if self._few else []
        return all(map(is_finite, (*few, *self._many)))


def _finite_here(loss: Any) -> bool:
    """Whether a number is finite; one on a device would have to be waited for, and counts as finite."""
    return not isinstance(loss, Real) or isfinite(loss)


def _look(**given: Arrays | None) -> None:
    """Refuse arrays that are not finite."""
    for what, arrays in given.items():
        if arrays is not None and not isinstance(arrays, Mapping):
            raise InputError(
                f"{what} is {brief(arrays)}; accepted: a mapping of names to arrays" + OR_NONE.get(what, "")
            )
        for name, array in arrays.items() if isinstance(arrays, Mapping) else ():
            refuse_nonfinite(f"{what} '{name}'", array)


def _node(key: str) -> str:
    """The node that a state or a parameter belongs to; of what is under way, where it comes from."""
    return key.partition("->")[0].rpartition(".")[0]
