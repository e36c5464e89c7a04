"""Arrays on their way to the device and back: batch first there, time first here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from snnhw.arrays import hosts
from snnhw.errors import InputError
from snnhw.ir import CLOCK, Clock, Dropout, Input, Program, Shape, Term, ValueLoss, infer_shapes, uniform
from snnhw.ir.inputs import check_inputs, check_state, check_steps, state_shapes
from snnhw.ir.targets import TargetArray, check_targets, form_of
from snnhw.plugin import Arrays, Result, Run, Train
from snnhw_ipu.losses import by_weight, reads_values, target_name, target_shape, total_name, values
from snnhw_ipu.options import IpuOptions
from snnhw_ipu.plans import FIRST, RESTING, Lowered
from snnhw_ipu.sums import lengths_name

__all__ = ["Boundary"]

Array = npt.NDArray[Any]


class Boundary:
    """What one program's arguments and results look like."""

    def __init__(self, program: Program, job: Run | Train, options: IpuOptions) -> None:
        self.program, self.job = program, job
        self.dtype = np.dtype(options.dtype)
        self.static = frozenset(program.time.static_inputs)
        self.lines = {edge.key for edge in program.edges if edge.delay}
        self.outputs = program.outputs()
        self.shapes = infer_shapes(program).shapes
        self.all_static = set(program.named(Input)) <= self.static

    # -- to the device ------------------------------------------------------------------------------

    def arguments(
        self,
        inputs: Arrays,
        targets: Arrays | None,
        state: Arrays | None,
        *,
        clock: Clock | None = None,
        resting: bool = False,
        pad: bool = False,
    ) -> dict[str, Array]:
        """Every argument by its name in recipes, ``[B, ...]``, checked.

        Args:
            clock: when it is, in training; a state says so itself.
            resting: whether states are arguments even though none are given.
            pad: whether any batch is accepted.
        """
        given = hosts("input", inputs)
        shapes = {name: array.shape for name, array in given.items()}
        steps, batch = check_inputs(self.program, shapes, self.job.time_steps if self.all_static else None)
        self._check_sizes(steps, batch, pad)
        now = self.now(clock, state)
        check_steps(self.program, now, steps, batch, training=targets is not None)
        found = {f"input:{name}": self._first(array, name in self.static) for name, array in given.items()}
        if targets is not None:
            found |= self._targets(hosts("target", targets), batch)
        if state is not None:
            held = hosts("state", state)
            check_state(self.program, {key: array.shape for key, array in held.items()}, batch)
            found |= {
                f"state:{key}": self._first(array, key not in self.lines)
                for key, array in held.items()
                if key != CLOCK
            }
            found[RESTING] = np.zeros(batch, self.dtype)
        return self.from_rest(found) if resting else found

    def example(self, *, resting: bool) -> dict[str, Array]:
        """Arguments of training, all of them zero; without noise."""
        job = self.job
        assert isinstance(job, Train)
        inputs = {
            name: np.zeros(
                (job.batch, *shape) if name in self.static else (job.time_steps, job.batch, *shape)
            )
            for name, shape in job.sample_shapes.items()
        }
        found = self.arguments(inputs, None, None, clock=Clock(job.seed), resting=resting)
        for number, term in enumerate(job.loss.terms):
            name = target_name(number, term)
            if name is not None:
                shape, kind = self._target(term)
                found[name] = np.zeros((job.batch, *shape), kind)
            if by_weight(term.kind) is not None:
                found[total_name(number)] = np.zeros(job.batch, np.float32)
            if ends := lengths_name(term):
                found[ends] = np.full(job.batch, job.time_steps, np.int32)
        return found

    def classes(self) -> dict[str, int]:
        """Argument -> how many classes there are, of class numbers."""
        assert isinstance(self.job, Train)
        named = {target_name(number, term): term for number, term in enumerate(self.job.loss.terms)}
        return {
            name: self._classes(str(term.of))
            for name, term in named.items()
            if name is not None and not reads_values(term.kind)
        }

    def _states(self, states: Mapping[str, Array]) -> dict[str, Array]:
        """As arguments; the clock is the host's."""
        return {
            f"state:{key}": self._first(array, key not in self.lines)
            for key, array in states.items()
            if key != CLOCK
        }

    def now(self, clock: Clock | None, state: Arrays | None) -> Clock:
        """The first step of a call."""
        clock = clock or Clock(self.job.seed)
        if state is None or CLOCK not in state:
            return clock
        return clock.resumed(hosts("state", state)[CLOCK].tolist())

    def noise(self, lowered: Lowered, now: Clock, batch: int) -> dict[str, Array]:
        """What a recipe reads besides: random numbers, ``[B, T, ...]``, or ``[B, ...]`` where they are held,
        and the number of the first step, ``[B]``."""
        found = {FIRST: np.full(batch, now.step, np.int32)} if FIRST in lowered.recipe["inputs"] else {}
        for argument, noise in lowered.noise.items():
            op, shape = self.program.nodes[noise.node], (batch, *noise.shape)
            clocks = [now.later(step) for step in range(1 if noise.held else self.job.time_steps)]
            drawn = [uniform(clock, noise.node, noise.name, shape, held=noise.held) for clock in clocks]
            values = [op.factors(numbers) if isinstance(op, Dropout) else numbers for numbers in drawn]
            found[argument] = self._first(values[0] if noise.held else np.stack(values), noise.held)
        return found

    def from_rest(self, arguments: Mapping[str, Array]) -> dict[str, Array]:
        """With states, where there are none: they are not looked at."""
        if RESTING in arguments:
            return dict(arguments)
        batch = len(next(iter(arguments.values())))
        shapes = state_shapes(self.program, batch)
        blank = self._states({key: np.zeros(shape) for key, shape in shapes.items()})
        return {**arguments, **blank, RESTING: np.ones(batch, self.dtype)}

    def _first(self, array: Array, leads: bool) -> Array:
        """The batch in front. ``leads``: it is there already."""
        return np.ascontiguousarray(array if leads else np.moveaxis(array, 0, 1), self.dtype)

    def _check_sizes(self, steps: int, batch: int, pad: bool) -> None:
        job = self.job
        if steps != job.time_steps or (batch != job.batch and not pad):
            raise InputError(
                f"this program was compiled for T={job.time_steps} and B={job.batch}, but was given "
                f"T={steps} and B={batch}; the IPU runs fixed shapes: compile again, or to run other batches "
                "use option pad"
            )

    def _targets(self, targets: Mapping[str, Array], batch: int) -> dict[str, Array]:
        assert isinstance(self.job, Train)
        loss, steps = self.job.loss, self.job.time_steps
        signals = {str(term.of): (steps, batch, *self.shapes[str(term.of)]) for term in loss.terms}
        given = {name: TargetArray(array.shape, str(array.dtype)) for name, array in targets.items()}
        check_targets(loss, signals, given)
        found: dict[str, Array] = {}
        for number, term in enumerate(loss.terms):
            lengths = targets[term.lengths] if term.lengths else None
            if lengths is not None:
                found[str(lengths_name(term))] = _lengths(term.lengths, lengths, steps)
            name = target_name(number, term)
            if name is None:
                continue
            array, signal = targets[term.target], signals[str(term.of)]
            form = form_of(term, signal, given[term.target])
            if form.whole:
                _check_classes(term.target, array, self._classes(str(term.of)))
            if isinstance(term.kind, ValueLoss) and reads_values(term.kind):
                array = values(term.kind, form, array, signal, lengths)
            found[name] = np.ascontiguousarray(array, self._target(term)[1])
            weights = by_weight(term.kind)
            if weights is not None:
                total = np.asarray(weights, np.float64)[targets[term.target]].sum()
                found[total_name(number)] = np.full(batch, total, np.float32)
        return found

    def _target(self, term: Term) -> tuple[Shape, type]:
        """What a sample's share of a target looks like on the device, and what it holds."""
        shape = target_shape(term.kind, self.job.time_steps, self.shapes[str(term.of)])
        return shape, np.float32 if reads_values(term.kind) else np.int32

    def _classes(self, port: str) -> int:
        return self.shapes[port][-1]

    def pieces(self, arguments: Mapping[str, Array]) -> list[tuple[dict[str, Array], int]]:
        """A batch of any size in pieces of the compiled one, each with its real size; the last is filled up
        with its own last sample."""
        size = self.job.batch
        total = len(next(iter(arguments.values())))
        found = []
        for start in range(0, total, size):
            piece = {name: array[start : start + size] for name, array in arguments.items()}
            real = min(size, total - start)
            filled = {
                name: np.concatenate([array, np.repeat(array[-1:], size - real, axis=0)])
                for name, array in piece.items()
            }
            found.append((filled, real))
        return found

    # -- and back -----------------------------------------------------------------------------------

    def result(
        self,
        lowered: Lowered,
        results: Mapping[str, Array],
        size: int,
        now: Clock,
        *,
        recorded: bool = False,
    ) -> Result:
        """What one call gave, of its first ``size`` samples."""

        def signal(port: str) -> Array:
            return self._last(results[str(lowered.ports[port])][:size], leads=False)

        states = {
            key: self._last(results[str(place)][:size], leads=key not in self.lines)
            for key, place in lowered.states.items()
        }
        if self.program.clocked:
            states[CLOCK] = np.array(now.later(self.job.time_steps).numbers, self.dtype)
        return Result(
            {name: signal(port) for name, port in self.outputs.items()},
            {port: signal(port) for port in self.job.record} if recorded else {},
            states,
        )

    def _last(self, array: Array, *, leads: bool) -> Array:
        return np.array(array if leads else np.moveaxis(array, 1, 0), self.dtype, order="C")

    def joined(self, pieces: Sequence[Result]) -> Result:
        """Results of several pieces of a batch as one."""
        if len(pieces) == 1:
            return pieces[0]
        states = [each.state for each in pieces]
        return Result(
            _side_by_side([each.outputs for each in pieces]),
            _side_by_side([each.recordings for each in pieces]),
            {
                key: value
                if key == CLOCK
                else np.concatenate([each[key] for each in states], self._axis(key))
                for key, value in states[0].items()
            },
        )

    def _axis(self, key: str) -> int:
        """Where the batch is in a state."""
        return 1 if key in self.lines else 0


def _side_by_side(pieces: Sequence[Arrays]) -> dict[str, Array]:
    """Signals ``[T, B, ...]`` along their batches."""
    return {name: np.concatenate([each[name] for each in pieces], axis=1) for name in pieces[0]}


def _lengths(name: str, array: Array, steps: int) -> Array:
    if array.size and not (array.min() >= 0 and array.max() <= steps):
        wrong = array.min() if array.min() < 0 else array.max()
        raise InputError(f"'{name}' holds {wrong}; accepted: 0 to T={steps} steps of a sample")
    return np.ascontiguousarray(array, np.int32)


def _check_classes(name: str, array: Array, classes: int) -> None:
    if array.dtype.kind not in "iu":
        raise InputError(f"target '{name}' holds {array.dtype}; accepted: whole numbers, one class each")
    if array.size and not (array.min() >= 0 and array.max() < classes):
        wrong = array.min() if array.min() < 0 else array.max()
        raise InputError(f"target '{name}' holds class {wrong}; classes 0 to {classes - 1} are accepted")
