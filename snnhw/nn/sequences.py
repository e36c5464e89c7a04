"""How a compiled network takes sequences: whole or in parts, of one length or of several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from snnhw.errors import InputError
from snnhw.ir import Program, infer_shapes
from snnhw.ir.targets import form_of
from snnhw.passes import Ending
from snnhw.plugin import Arrays, Run, Train
from snnhw.tensors.arrays import as_tensor
from snnhw.tensors.losses import counted_steps, what_is
from snnhw.tensors.own_steps import OwnSteps
from snnhw.words import brief

__all__ = ["LENGTHS", "Cut", "Sequences", "check_tbptt"]

LENGTHS: Final = "lengths"
"""The target with the number of steps of each sample."""


def check_tbptt(tbptt: int | None, time_steps: int, *, training: bool) -> None:
    """Raise `InputError` unless sequences can be cut so."""
    if tbptt is None:
        return
    if not training:
        raise InputError("tbptt is of training; give a loss and an optimizer, too")
    if type(tbptt) is not int or not 1 <= tbptt <= time_steps:
        raise InputError(
            f"tbptt={brief(tbptt)}; accepted: a whole number of steps, from 1 to time_steps={time_steps}, "
            "that gradients flow back through; or None: all of them"
        )


class Cut(NamedTuple):
    """Some steps of a call.

    Attributes:
        inputs, targets: of these steps.
        weight: how many steps of samples they are.
    """

    inputs: Mapping[str, Any]
    targets: Mapping[str, Any]
    weight: int


@dataclass(frozen=True)
class Sequences:
    """What a model was compiled for.

    Attributes:
        program: as it was written.
        job: as it was asked for, all T steps at once.
        ending: the program that samples end in, where lengths may be given.
        tbptt: how many steps gradients flow back through; None: all.
        fixed: whether the backend takes one number of steps only.
    """

    program: Program
    job: Run
    ending: Ending | None = None
    tbptt: int | None = None
    fixed: bool = False

    @property
    def compiled(self) -> tuple[Program, Run]:
        """What the backend was given."""
        program = self.program if self.ending is None else self.ending.program
        return program, self.job if self.tbptt is None else replace(self.job, time_steps=self.tbptt)

    def given(self, state: Arrays | None) -> Arrays | None:
        """A state, as the backend takes it."""
        return state if state is None or self.ending is None else self.ending.given(_tensors(state))

    def taken(self, state: Arrays | None) -> Arrays | None:
        """A state, as the program has it that was written."""
        return state if state is None or self.ending is None else self.ending.taken(state, _stacked)

    def lengths(self, inputs: Mapping[str, Tensor], lengths: Any) -> Tensor | None:
        """The number of steps of each sample, ``[B]``, in main memory; None: the model has no such thing.

        Raises:
            InputError: lengths that do not fit, or that the model was not compiled for.
        """
        if self.ending is None and lengths is not None:
            raise InputError("this model takes no lengths; compile it with lengths=True")
        if self.ending is None or not inputs:
            return None
        steps, batch = self._sizes(inputs)
        if lengths is None:
            return torch.full((batch,), steps)
        found = counted_steps(lengths, steps, batch)
        return found if found.device.type == "cpu" else counted_steps(found.cpu(), steps, batch)

    def parts(
        self, inputs: Mapping[str, Tensor], targets: Mapping[str, Any], lengths: Tensor | None
    ) -> Iterator[Cut]:
        """What a backend is given at once, one after another, as long as any sample has steps.

        Raises:
            InputError: the steps cannot be cut so.
        """
        steps, batch = self._sizes(inputs)
        chunk = steps if self.tbptt is None else self.tbptt
        self._check(inputs, targets, steps, chunk)
        if lengths is None and chunk == steps:
            yield Cut(inputs, targets, steps * batch)
            return
        uncut = self.program.time.static_inputs
        timed = self._timed(targets, steps, batch) if chunk < steps else frozenset()
        for start in range(0, steps, chunk):
            here = slice(start, start + chunk)
            part = {name: x if name in uncut else x[here] for name, x in inputs.items()}
            asked = {name: y[here] if name in timed else y for name, y in targets.items()}
            size = min(chunk, steps - start)
            if lengths is None or self.ending is None:
                yield Cut(part, asked, size * batch)
                continue
            own = (lengths - start).clamp(0, size)
            if not own.any():
                return
            alive = (torch.arange(size)[:, None] < own).float()[..., None]
            part[self.ending.alive] = alive.to(next(iter(inputs.values())).device)
            yield Cut(part, asked | ({LENGTHS: own} if isinstance(self.job, Train) else {}), int(own.sum()))

    def trained(
        self, inputs: Mapping[str, Tensor], targets: Mapping[str, Any], lengths: Tensor | None
    ) -> Sequence[Cut]:
        """As `parts`, for steps of training. Where several processes train together all take as many, of
        which those count for nothing that a process has no more steps for. Without inputs it only takes
        part."""
        found = [*self.parts(inputs, targets, lengths)] if inputs else []
        ranks = self.job.ranks if isinstance(self.job, Train) else None
        if ranks is None or ranks.size == 1 or self.tbptt is None:
            return found or [Cut(inputs, targets, 1)]
        counts = [0.0] * ranks.size
        counts[ranks.rank] = float(len(found))
        missing = int(max(ranks.sum(counts))) - len(found)
        found += [self._ended(found[-1]) if found else Cut({}, {}, 0)] * missing
        weights = ranks.sum([part.weight for part in found])
        return [part._replace(weight=int(weight)) for part, weight in zip(found, weights, strict=True)]

    def _ended(self, last: Cut) -> Cut:
        """A further part, in which no sample has steps."""
        if self.ending is None:
            return Cut({}, {}, 0)
        over = {self.ending.alive: torch.zeros_like(last.inputs[self.ending.alive])}
        none = {LENGTHS: torch.zeros_like(last.targets[LENGTHS])}
        return Cut({**last.inputs, **over}, {**last.targets, **none}, 0)

    def joined(self, parts: Sequence[Arrays], inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Signals ``[T, B, ...]`` of all parts, with zeros for steps that no sample has any more."""
        steps, _ = self._sizes(inputs)
        found = {name: [as_tensor("result", name, part[name]) for part in parts] for name in parts[0]}
        missing = steps - sum(len(x) for x in next(iter(found.values()), [])) if found else 0
        if missing > 0:
            for xs in found.values():
                xs.append(xs[0].new_zeros(missing, *xs[0].shape[1:]))
        return {name: xs[0] if len(xs) == 1 else torch.cat(xs)[:steps] for name, xs in found.items()}

    def own(self, signals: Mapping[str, Tensor], lengths: Tensor | None) -> dict[str, Tensor]:
        """Signals ``[T, B, ...]``, with zeros behind the end of each sample."""
        if lengths is None:
            return dict(signals)
        return {name: OwnSteps(len(x), lengths.to(x.device)).own(x) for name, x in signals.items()}

    def _check(
        self, inputs: Mapping[str, Tensor], targets: Mapping[str, Any], steps: int, chunk: int
    ) -> None:
        if self.ending is not None and LENGTHS in targets:
            raise InputError(f"a target is called '{LENGTHS}'; give the lengths of samples as lengths=")
        one_size = self.fixed or (self.ending is None and set(inputs) <= set(self.program.time.static_inputs))
        if one_size and steps % chunk:
            raise InputError(
                f"T={steps} steps cannot be cut into parts of tbptt={chunk}: the last would be shorter, and "
                "here all parts are of one size; give a number of steps that tbptt divides"
            )

    def _sizes(self, inputs: Mapping[str, Tensor]) -> tuple[int, int]:
        """T and B."""
        static = self.program.time.static_inputs
        for name, x in inputs.items():
            if name not in static and x.ndim > 1:
                return x.shape[0], x.shape[1]
        first = next(iter(inputs.values()), None)
        return self.job.time_steps, self.job.batch if first is None or not first.ndim else len(first)

    def _timed(self, targets: Mapping[str, Any], steps: int, batch: int) -> frozenset[str]:
        """Targets with a value for every step, which are cut as inputs are."""
        shapes = infer_shapes(self.program).shapes
        found = set()
        for term in self.job.loss.terms if isinstance(self.job, Train) else ():
            if term.kind.takes and term.target in targets:
                given = what_is(as_tensor("target", term.target, targets[term.target]))
                form = form_of(term, (steps, batch, *shapes[str(term.of)]), given)
                found |= {term.target} if "T" in form.axes else set()
        return frozenset(found)


def _tensors(state: Arrays) -> dict[str, Tensor]:
    return {key: as_tensor("state", key, x) for key, x in state.items()}


def _stacked(arrays: list[Any]) -> Any:
    return torch.stack([as_tensor("state", "state", x) for x in arrays])
