"""A step of training, up to its gradients: by a tape that is kept for its sizes, or by autograd."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from snnhw.ir import Clock, Loss
from snnhw.plugin import Train
from snnhw.session.ranks import weighted
from snnhw.tensors.execution.calls import Groups
from snnhw.tensors.loss_adjoints import loss_work
from snnhw.tensors.losses import checked_loss
from snnhw.tensors.network import (
    FAILURES,
    Memo,
    Network,
    Pass,
    Played,
    Score,
    Tape,
    Untaped,
    run_network,
    told,
)
from snnhw.tensors.noting import notes
from snnhw.tensors.watched import tracing, watched

__all__ = ["Learning"]

Tensors = Mapping[str, Tensor]
Sizes = tuple[int, int]

MOST: Final = 16
"""Tapes of one executable. Each holds what its neurons start from, and no other signal."""


class Prepared(NamedTuple):
    """A tape, and what its layers remember while it plays."""

    score: Score
    memo: Memo


@dataclass(eq=False)
class Learning:
    """What a step computes, as a function of what it is given and of the parameters: loss, outputs, state,
    gradients and statistics, in groups by those names. Nothing of it is written anywhere.

    Attributes:
        network: as it trains.
        params: key -> value, which stays where it is; those that are trained are leaves.
    """

    network: Network
    job: Train
    params: Tensors
    _tapes: dict[object, Prepared] = field(default_factory=dict)

    def __call__(
        self, given: Groups, loss: Loss, sizes: Sizes, clock: Clock, chosen: dict[str, str]
    ) -> Groups:
        """One step.

        Args:
            given: inputs, state and targets.
            loss: the job's, or this rank's share of it.
            sizes: T and B.
            chosen: what layers have decided, see `Memo`; what they decide now is added.
        """
        if self._why_not(given):
            return self._recorded(given, loss, sizes, clock, chosen)
        weights = [term.weight for term in loss.terms]
        key = (*weights, *[(*name, x.shape, x.stride(), x.dtype) for name, x in _named(given).items()])
        # What is noted has to see all that it begins with.
        prepared = None if notes() else self._tapes.get(key)
        if prepared is None:
            try:
                prepared, played = self._taken_down(given, loss, sizes, clock, chosen)
            except Untaped:
                return self._recorded(given, loss, sizes, clock, chosen)
            if len(self._tapes) == MOST:
                self._tapes.pop(next(iter(self._tapes)), None)
            self._tapes[key] = prepared
        else:
            prepared.memo.derived.clear()
            prepared.memo.chosen.clear()
            prepared.memo.chosen.update(chosen)
            played = prepared.score.play(_named(given))
        found = self._learned(prepared.score, played)
        chosen |= prepared.memo.chosen
        return found

    def why_recorded(self, given: Groups, sizes: Sizes) -> str:
        """Why autograd records such a step; "" where a tape is played."""
        if found := self._why_not(given):
            return found
        try:
            self._taped({"params": self.params, **given}, sizes, Clock(), Memo())
        except Untaped as error:
            return str(error)
        return ""

    def _why_not(self, given: Groups) -> str:
        program, like = self.network.program, next(iter(given["inputs"].values()))
        if not self.network.sizes.taped:
            return "no tapes are kept"
        if self.job.ranks and weighted(self.job.loss):
            return "how much of a mean weighted by class is this rank's depends on the others' targets"
        if program.clocked:
            drawing = [name for name, op in program.nodes.items() if op.clocked]
            return f"what {', '.join(drawing)} does depends on the call"
        if tracing() or watched([like]) or torch.is_autocast_enabled(like.device.type):
            return "somebody looks at every operation"
        return ""

    def _pass(self, params: Tensors, given: Groups, sizes: Sizes, **more: Any) -> Pass:
        wanted = {*self.network.program.outputs().values(), *self._read}
        inputs, state = given["inputs"], given["state"]
        return run_network(self.network, params, inputs, state=state, sizes=sizes, wanted=wanted, **more)

    @property
    def _read(self) -> list[str]:
        """What the loss reads."""
        return list(dict.fromkeys(term.of for term in self.job.loss.terms if term.of))

    # -- by autograd ------------------------------------------------------------------------------

    def _recorded(
        self, given: Groups, wanted: Loss, sizes: Sizes, clock: Clock, chosen: dict[str, str]
    ) -> Groups:
        with torch.enable_grad():
            found = self._pass(self.params, given, sizes, clock=clock, memo=Memo(chosen))
            loss = checked_loss(wanted, found.ports, given["targets"])
            try:
                grads = self._gradients(loss)
            except FAILURES as error:
                raise told(error, "the way back of a step", *sizes) from error
        outputs = {name: found.ports[port] for name, port in self.network.program.outputs().items()}
        groups = {"loss": {"loss": loss}, "outputs": outputs, "state": found.state}
        free = {group: {name: x.detach() for name, x in xs.items()} for group, xs in groups.items()}
        return {**free, "statistics": found.statistics, "grads": self._whole(grads)}

    def _gradients(self, loss: Tensor) -> dict[str, Tensor]:
        """Of its share of an update, by key; what is missing is zero."""
        if not loss.requires_grad:  # it reads nothing that is trained
            return {}
        leaves = self._leaves
        found = torch.autograd.grad(loss / self.job.accumulate, [*leaves.values()], allow_unused=True)
        return {key: g for key, g in zip(leaves, found, strict=True) if g is not None}

    @property
    def _leaves(self) -> dict[str, Tensor]:
        return {key: self.params[key] for key in sorted(self.network.program.trainable)}

    def _whole(self, grads: Tensors) -> dict[str, Tensor]:
        """With zeros for what nothing reads."""
        return {
            key: grads[key].contiguous() if key in grads else torch.zeros_like(leaf.detach())
            for key, leaf in self._leaves.items()
        }

    # -- on a tape --------------------------------------------------------------------------------

    def _taken_down(
        self, given: Groups, wanted: Loss, sizes: Sizes, clock: Clock, chosen: Mapping[str, str]
    ) -> tuple[Prepared, Played]:
        """The tape of a step, played for the first time."""
        memo = Memo({**chosen})
        # Others than those that are given, as one may be there under two names.
        groups = {"params": self.params, **given}
        apart = {group: {name: x.detach() for name, x in xs.items()} for group, xs in groups.items()}
        tape, found = self._taped(apart, sizes, clock, memo)
        read = {port: found.ports[port] for port in self._read}
        work = loss_work(wanted, read, apart["targets"])
        (loss,) = tape.do(work, [*read.values(), *apart["targets"].values()])
        results = {
            "loss": {"loss": loss},
            "outputs": {name: found.ports[port] for name, port in self.network.program.outputs().items()},
            "state": found.state,
            "statistics": found.statistics,
        }
        score, played = tape.ended(_named(results), _named({"params": apart["params"]}))
        return Prepared(score, memo), played

    def _taped(self, groups: Groups, sizes: Sizes, clock: Clock, memo: Memo) -> tuple[Tape, Pass]:
        """One pass over what is given, parameters among it."""
        trained = [("params", key) for key in self.network.program.trainable]
        tape = Tape(_named(groups), trained, sizes)
        with torch.no_grad():
            found = self._pass(groups["params"], groups, sizes, clock=clock, memo=memo, tape=tape)
        for x in (*found.ports.values(), *found.state.values(), *found.statistics.values()):
            tape.slot(x)
        return tape, found

    def _learned(self, score: Score, played: Played) -> Groups:
        """What was found, and the way back from there."""
        found: dict[str, dict[str, Tensor]] = {"state": {}, "statistics": {}}
        for (group, name), x in score.found(played).items():
            found.setdefault(group, {})[name] = x
        share = torch.ones_like(found["loss"]["loss"]) / self.job.accumulate
        grads = score.back(played, {("loss", "loss"): share})
        whole = self._whole({key: g for (group, key), g in grads.items() if group == "params"})
        return {**found, "grads": whole}


def _named(groups: Mapping[str, Tensors]) -> dict[tuple[str, str], Tensor]:
    return {(group, name): x for group, xs in groups.items() for name, x in xs.items()}
