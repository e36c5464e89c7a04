"""A conformance case: data, with everything that a check needs to know."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from snnhw.ir import CLOCK, Clock, Loss, Optimizer, Params, Program
from snnhw.parity.arrays import Array, Arrays, batch_of

__all__ = [
    "CLASSES",
    "EVERY_CLASS",
    "Case",
    "LazyCase",
    "Proof",
    "clock_of",
    "ports_of",
    "to_run",
    "turn_of",
    "with_samples",
    "with_steps",
]

CLASSES: Final[Mapping[str, str]] = {
    "exact": "proven independent of order and contraction: equal in every bit",
    "integer": "a program of integers: equal in every bit, with no margin",
    "pointwise": "a neuron alone, there and back: equal in every bit to what rounds each operation once",
    "margin": "no neuron comes near its threshold: equal spikes, membranes within the error bound",
    "near": "neurons come near their threshold: every differing spike must be explained by that",
    "gradient": "one step of SGD with a learning rate of 1 shows the gradient of every parameter",
    "training": "twenty steps: the same losses and the same parameters",
    "law": "what must hold between several runs of one backend",
}
"""Class of case -> what it asks of a backend, strongest first."""

EVERY_CLASS: Final[Mapping[str, str]] = {
    **CLASSES,
    "format": "written and read back: the same program, and every bit of every parameter",
}
"""Class of case -> what it asks, of a backend or of a format."""


@dataclass(frozen=True)
class Proof:
    """Why a case is exact: it was computed on numbers that refuse to be rounded.

    Attributes:
        grid: every value, adjoint and term is a multiple of ``2 ** grid``.
        largest: the largest sum of absolute values of terms, in units of its own grid; a float32
            holds anything below 2^24.
    """

    grid: int
    largest: int

    def __str__(self) -> str:
        return (
            f"every number is a multiple of 2^{self.grid}, and the absolute values of the terms of any sum "
            f"add up to at most {self.largest:,} units of its grid"
        )


@dataclass(frozen=True, eq=False)
class Case:
    """One case.

    Attributes:
        id: its name, ``class/subject``.
        inputs: input name -> ``[T, B, ...]``, or ``[B, ...]`` when static.
        time_steps: T.
        record: ports to compare besides the outputs.
        state: what to start from; None: from rest.
        targets, loss, optimizer, clip_norm, accumulate: of a training job; without a loss the case only runs.
        turns: training takes every sample in one of this many steps, and then starts again.
        law: of class ``law``: which one.
        proof: of class ``exact``, and of laws that ask for equal bits.
    """

    id: str
    program: Program
    params: Params
    inputs: Arrays
    time_steps: int
    record: tuple[str, ...] = ()
    state: Arrays | None = None
    targets: Arrays = field(default_factory=dict)
    loss: Loss | None = None
    optimizer: Optimizer | None = None
    clip_norm: float | None = None
    accumulate: int = 1
    turns: int = 1
    law: str = ""
    proof: Proof | None = None

    @property
    def cls(self) -> str:
        """Its class, one of `EVERY_CLASS`."""
        return self.id.partition("/")[0]

    @property
    def batch(self) -> int:
        """B of one run, or of one step of training."""
        return batch_of(self.program, self.inputs) // self.turns


@dataclass(frozen=True, eq=False)
class LazyCase:
    """A case that is made when it is asked for: finding its numbers, and proving it, takes time.

    Attributes:
        id: of the case.
        make: makes it; the same one every time.
    """

    id: str
    make: Callable[[], Case]

    @property
    def cls(self) -> str:
        """The class of the case."""
        return self.id.partition("/")[0]

    def selected(self, by: str | Sequence[str]) -> bool:
        """Whether the id contains a text, or one of several; of none, every case is."""
        return not by or any(text in self.id for text in ([by] if isinstance(by, str) else by))

    @cached_property
    def case(self) -> Case:
        """The case."""
        return self.make()


def clock_of(case: Case, step: int = 0) -> Clock:
    """When a case happens that has seen ``step`` steps of training: a run is of no sequence of training, the
    first step of training of the first. A state says itself when it was."""
    clock = Clock(sequence=0 if case.loss is None else step + 1)
    return clock.resumed(case.state[CLOCK].tolist()) if case.state and CLOCK in case.state else clock


def turn_of(case: Case, step: int) -> tuple[Arrays, Arrays]:
    """Inputs and targets of one step of training: with two turns, the even samples and the odd ones."""
    mine = slice(step % case.turns, None, case.turns)
    static = case.program.time.static_inputs
    inputs = {name: x[mine] if name in static else x[:, mine] for name, x in case.inputs.items()}
    return inputs, _of_samples(case, mine)


def _of_samples(case: Case, which: Array | slice) -> Arrays:
    """Their targets: those that change over time have the batch on the second axis."""
    return {
        name: target[:, which] if target.shape[:2] == (case.time_steps, case.batch) else target[which]
        for name, target in case.targets.items()
    }


def ports_of(program: Program) -> tuple[str, ...]:
    """Every output port of a program."""
    return tuple(f"{name}.{port}" for name, op in program.nodes.items() for port in op.out_ports)


def to_run(case: Case) -> Case:
    """The case without its training."""
    return replace(case, loss=None, optimizer=None, targets={}, clip_norm=None, accumulate=1)


def with_samples(case: Case, which: Array | slice) -> Case:
    """The case with some of its samples, or with all of them in another order."""
    static = case.program.time.static_inputs
    delayed = {edge.key for edge in case.program.edges if edge.delay}  # their length stands before the batch
    state = case.state and {
        key: x if key == CLOCK else x[:, which] if key in delayed else x[which]
        for key, x in case.state.items()
    }
    return replace(
        case,
        inputs={name: x[which] if name in static else x[:, which] for name, x in case.inputs.items()},
        targets=_of_samples(case, which),
        state=state,
    )


def with_steps(case: Case, which: slice) -> Case:
    """The case over some of its steps, from the state it starts from."""
    static = case.program.time.static_inputs
    inputs = {name: x if name in static else x[which] for name, x in case.inputs.items()}
    return replace(case, inputs=inputs, time_steps=len(range(case.time_steps)[which]))
