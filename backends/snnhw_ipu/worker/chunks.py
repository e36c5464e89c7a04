"""A step of training in chunks: `snnhw_ipu.chunks` says what is compiled, and why.

The device keeps parameters as they are, and finds gradients. The loss and the update are the host's; the
update follows the formulas by which the stand-in for PopTorch is held to torch's optimizers.
"""

from __future__ import annotations

from typing import Any, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from .double import optim
from .double.device import Updater
from .double.optim import kind_of, settings
from .model import CONSTANT, Recipe, UnrolledModel, execute, unroll
from .walk import Arguments, Results, at, called, forward, joined

__all__ = ["Chunks"]

READS, CLEARS, MOVES = "reads", "clears", "moves"
SIDES = "ab"

Executor = Any
"""PopTorch's, which has no types."""


class Chunks:
    """What the host keeps of a program that trains in chunks.

    Args:
        model: its ``#gradient:KEY`` and ``#carry:KEY`` are what PopTorch trains.
        kind, given: the optimizer of the program's own parameters, and its settings.
    """

    def __init__(self, model: UnrolledModel, recipe: Recipe, kind: str, given: Mapping[str, Any]) -> None:
        self.model, self.recipe = model, recipe
        self.constants = {key: model.value(key).clone() for key in model.names if key.startswith(CONSTANT)}
        weights = {key: model.value(key).data for key in recipe["gradients"]}
        self.optimizer: Any = getattr(optim, kind)(list(weights.values()), **given)
        self.updater = Updater(kind_of(self.optimizer), settings(self.optimizer), weights)
        self.reached: set[str] | None = None

    def take(self, given: Mapping[str, Any]) -> None:
        """Other settings of the optimizer."""
        for group in self.optimizer.param_groups:
            group.update({name: value for name, value in given.items() if name in group})
        self.updater.take(settings(self.optimizer))

    def memory(self) -> dict[str, Tensor]:
        """What the optimizer remembers."""
        return self.updater.read()["ipu_state"]

    def remember(self, memory: Mapping[str, Tensor]) -> None:
        self.updater.write({"ipu_state": memory})

    # -- calls --------------------------------------------------------------------------------------

    def evaluate(self, executor: Executor, arguments: Arguments) -> Results:
        """Results of the whole batch, and the losses of its parts."""
        parts = self._parts(executor, arguments, moves=False)
        return _together([(results, loss) for _, results, loss, _, _ in parts])

    def step(self, executor: Executor, arguments: Arguments) -> Results:
        """The same, with one update."""
        found = []
        for part, results, loss, starts, cotangents in self._parts(executor, arguments, moves=True):
            found.append((results, loss))
            self._backward(executor, part, starts, cotangents)
        executor.copyWeightsToHost()
        gathered = {key: self.model.value(name).data for key, name in self.recipe["gradients"].items()}
        assert self.reached is not None
        grads = {key: -x / len(found) for key, x in gathered.items() if key in self.reached}
        self.updater.update(grads)
        for name in self._moving():
            self.model.value(name).data.zero_()
        executor.copyWeightsToDevice()
        return _together(found)

    def _parts(
        self, executor: Executor, arguments: Arguments, *, moves: bool
    ) -> Iterator[tuple[Arguments, Results, Tensor, list[Arguments], Arguments]]:
        """Each part of the batch, walked through: its results, its loss, the states that every chunk started
        from, and the gradients with respect to the signals that the loss reads."""
        size, recipe = self.recipe["batch"], self.recipe
        besides = {**self._no_cotangents(), **self._flags(moves=moves)}
        for start in range(0, len(next(iter(arguments.values()))), size):
            part = {name: x[start : start + size] for name, x in arguments.items()}
            found, starts = forward(executor, recipe, part, besides)
            results = joined(recipe, found)[:-1]
            signals = {port: results[place] for port, (place, _) in recipe["reads"].items()}
            loss, cotangents = self._loss(signals, part)
            yield part, results, loss, starts, cotangents

    def _no_cotangents(self) -> Arguments:
        """On the way forward nothing is differentiated: no gradient is found, and none is left behind."""
        shapes = self.recipe["cotangents"]
        return {name: torch.zeros([self.recipe["batch"], *shape]) for name, shape in shapes.items()}

    def _flags(self, *, reads: str = "", writes: str = "", moves: bool = False) -> Arguments:
        """What a call does with the carries of each side; all that it does not write, it clears."""
        found = {"%s:%s" % (READS, side): side == reads for side in SIDES}
        found.update({"%s:%s" % (CLEARS, side): side != writes for side in SIDES})
        found[MOVES] = moves
        return {name: torch.full((self.recipe["batch"],), float(value)) for name, value in found.items()}

    def _moving(self) -> list[str]:
        """What PopTorch trains."""
        carries = [name for sides in self.recipe["carries"].values() for name in sides]
        return [*self.recipe["gradients"].values(), *carries]

    def _loss(self, signals: Mapping[str, Tensor], part: Arguments) -> tuple[Tensor, Arguments]:
        """The loss of one part of the batch, and its gradients by the names of arguments."""
        host, reads = self.recipe["host"], self.recipe["reads"]
        leaves = {port: x.detach().clone().requires_grad_() for port, x in signals.items()}
        registers = {host["signals"][port]: x for port, x in leaves.items()}
        registers.update({"param:" + key: x for key, x in self.constants.items()})
        registers.update({name: part[name] for name in host["targets"]})
        with torch.enable_grad():
            execute(host["after"], registers, 0)
            loss = registers[host["loss"]]
        grads = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
        found = {
            reads[port][1]: (torch.zeros_like(x) if grad is None else grad).float()
            for (port, x), grad in zip(leaves.items(), grads)
        }
        return loss.detach(), found

    def _backward(
        self, executor: Executor, part: Arguments, starts: Sequence[Arguments], cotangents: Arguments
    ) -> None:
        """The last chunk first, each with what the one behind it found."""
        steps, last = self.recipe["steps"], len(starts) - 1
        for number in range(last, -1, -1):
            given = {**at(self.recipe, part, number), **starts[number]}
            given.update({name: x.narrow(1, number * steps, steps) for name, x in cotangents.items()})
            writes, reads = SIDES[(last - number) % 2], SIDES[(last - number + 1) % 2]
            given.update(self._flags(reads=reads if number < last else "", writes=writes))
            if self.reached is None:
                self.reached = self._reach(given)
            called(executor, self.recipe, given)

    def _reach(self, given: Arguments) -> set[str]:
        """Parameters that the loss reads, through any number of chunks: others stay as they are.

        The chunk is recorded on tensors without values, and the record followed backwards.
        """
        recipe, moving = self.recipe, {}
        registers = {name: x.to("meta") for name, x in given.items()}
        for key in self.model.names:
            registers["param:" + key] = x = torch.empty_like(self.model.value(key).data, device="meta")
            if key in self._moving():
                moving[id(x.requires_grad_())] = key
        with torch.enable_grad():
            unroll(recipe, registers)
        places = {place for place, _ in recipe["reads"].values()}
        while True:
            found = _leaves([registers[recipe["returns"][place]] for place in places])
            keys = {moving[each] for each in found if each in moving}
            more = {
                recipe["finals"][state] for state, sides in recipe["carries"].items() if keys & set(sides)
            }
            if more <= places:
                return {key for key, name in recipe["gradients"].items() if name in keys}
            places |= more


def _leaves(tensors: Sequence[Tensor]) -> set[int]:
    """Ids of the tensors that a gradient of these would reach."""
    ahead: list[Any] = [x.grad_fn for x in tensors]
    seen: set[Any] = set()
    found = set()
    while ahead:
        node = ahead.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        found.add(id(getattr(node, "variable", None)))
        ahead += [before for before, _ in node.next_functions]
    return found


def _together(parts: Sequence[tuple[Results, Tensor]]) -> Results:
    """Results of all parts of a batch, and their losses."""
    columns = zip(*(results for results, _ in parts))
    return [*(torch.cat(column) for column in columns), torch.stack([loss for _, loss in parts])]
