"""A loop as one kernel: many of its steps at a time, there and back."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Any

import torch
from torch import Tensor

from snnhw.passes import CellPart, LoopArgument, LoopKernel, Pass, Port, arguments, width
from snnhw.tensors.network.loops.buffers import Rooms
from snnhw.tensors.network.loops.fusing import runner_of, structure_of
from snnhw.tensors.network.loops.one_step import product_of
from snnhw.tensors.network.loops.steps import Adjoints, Carry, Span, Steps
from snnhw.tensors.network.walk import Tensors
from snnhw.tensors.scans.passes import epilogue
from snnhw.tensors.scans.printed import total
from snnhw.tensors.scans.provider import LoopLaunch, fuses

__all__ = ["Fused", "launch_of"]

Named = Mapping[str, Tensor]


class Fused:
    """The steps of a loop on the tensors that it is given; as `snnhw.tensors.network.loops.one_step.Running`.

    What is kept of some steps are tensors by the names of `snnhw.passes.recurrence`.
    """

    def __init__(self, steps: Steps, given: Tensors) -> None:
        self._steps, self._given, self._structure = steps, given, structure_of(steps, given)
        self._like, self._batch = steps.walk.like, steps.walk.batch
        self._products = {k: product_of(steps, given, steps.nodes[k]) for k in self._structure.products}
        self._back = self._structure.kernel
        self._whole: dict[Port, Tensor] = {}  # adjoints of what comes from outside, of all steps

    # -- forward ----------------------------------------------------------------------------------

    def forward(self, moment: Carry, span: Span, history: Rooms, *, keep: bool) -> tuple[Carry, Named]:
        """The moment after some steps, and what the way back reads of them."""
        structure, kernel = self._structure, self._structure.kernel
        found = {**self._folded, **self._turned}
        for number, key in enumerate(structure.outside):
            x = self._given[key]
            found[f"o{number}"] = (x if key in self._steps.fixed else x[slice(*span)]).contiguous()
        for k, name in enumerate(structure.names):
            found |= {f"s{n}_{k}": state for n, state in enumerate(moment.states[name])}
        for number, key in enumerate(structure.lines):
            found[f"l{number}"] = torch.stack(moment.lines[key])
        for k, n in kernel.wanted:
            port = structure.ports[k][n]
            shape = self._steps.walk.network.shapes[port]
            found[f"y{n}_{k}"] = history.span(port, span, (self._batch, *shape), self._like)
        self._run("forward", kernel, found, span)
        states = {
            name: [found[f"f{n}_{k}"] for n in range(len(moment.states[name]))]
            for k, name in enumerate(structure.names)
        }
        lines = {
            key: found[f"m{number}"].view(-1, *self._given[key].shape[1:]).unbind()
            for number, key in enumerate(structure.lines)
        }
        return Carry(states, lines), {name: x for name, x in found.items() if keep and name[0] in "hx"}

    # -- back -------------------------------------------------------------------------------------

    def backward(self, kept: Named, span: Span, seeds: Named, adjoints: Adjoints) -> None:
        """Some steps back: adjoints of the moment after them become those of the moment before.

        Args:
            seeds: port -> its adjoint at all steps, as far as it comes from outside the loop.
        """
        structure = self._structure
        self._back = kernel = structure.seeded(frozenset(seeds))
        found = {**kept, **self._folded, **self._padded}
        for k, n in kernel.seeded:
            found[f"g{n}_{k}"] = seeds[structure.ports[k][n]][slice(*span)].contiguous()
        for k, name in enumerate(structure.names):
            zero = self._like.new_zeros(self._batch, structure.sizes[f"N{k}"])
            for n, grad in enumerate(adjoints.states[name]):
                found[f"a{n}_{k}"] = zero if grad is None else grad
        for number, key in enumerate(structure.lines):
            found[f"L{number}"] = self._under_way(number, key, adjoints)
        for to in self._outer:
            found[f"X{to[1]}_{to[0]}"] = self._all_steps(to)[slice(*span)]
        self._run("backward", kernel, found, span)
        late: dict[str, Tensor] = {}
        for number, key in enumerate(structure.lines):
            _add(late, key, found[f"M{number}"])
        for key, line in late.items():
            adjoints.lines[key] = line.view(-1, *self._given[key].shape[1:]).unbind()
        for k, name in enumerate(structure.names):
            adjoints.states[name] = [found[f"A{n}_{k}"] for n in range(len(adjoints.states[name]))]
            self._sum_up(k, name, found, adjoints)
        self._weigh(found, adjoints)

    def finish(self, adjoints: Adjoints) -> None:
        """The gradients of the cells' own parameters, and of what comes from outside."""
        structure, steps = self._structure, self._steps
        for k, name in enumerate(structure.names):
            if name in adjoints.values:
                layer, (params, tables) = structure.layers[k], self._params_of(k)
                kernel = self._back.parts[k]
                assert isinstance(kernel, CellPart)
                found = epilogue(kernel.learnt, layer, params, tables, adjoints.values[name])
                for param, grad in zip(layer.step.params, found, strict=True):
                    if grad is not None:
                        _add(adjoints.given, steps.keys(name)[param], grad)
        for to, wire in structure.kernel.wires():
            if wire.outside in structure.kernel.trained and wire.outside is not None:
                key, grad = structure.outside[wire.outside], self._whole[to]
                grad = grad.sum(0) if key in steps.fixed else grad
                _add(adjoints.given, key, grad.view(self._given[key].shape))

    def _sum_up(self, k: int, name: str, found: Named, adjoints: Adjoints) -> None:
        """Adjoints of a cell's values, over the batch in float64."""
        part = self._back.parts[k]
        if isinstance(part, CellPart) and any(value.grad for value in part.learnt.values):
            sums = [
                total(found[f"V{n}_{k}"], value.layout, self._batch) if value.grad else None
                for n, value in enumerate(part.learnt.values)
            ]
            before = adjoints.values.get(name)
            adjoints.values[name] = sums if before is None else [*map(_sum, before, sums)]

    def _weigh(self, found: Named, adjoints: Adjoints) -> None:
        """The gradients of weights, each as one product over steps and batch."""
        for k, product in self._products.items():
            if product.trained:
                to = self._back.borrowed.get(k)
                grad = found[f"G0_{k}" if to is None else f"X{to[1]}_{to[0]}"]
                xs = {"x": found[f"x0_{k}"].flatten(0, 1)}
                keys = self._steps.keys(self._structure.names[k])
                for param, value in product.gradients(xs, grad.flatten(0, 1)).items():
                    _add(adjoints.given, keys[param], value)

    def _under_way(self, number: int, key: str, adjoints: Adjoints) -> Tensor:
        """The adjoint of what is under way after the last step; of edges alike, the first has it."""
        line, shape = adjoints.lines[key], self._given[key].shape[1:]
        zero = self._like.new_zeros(shape)
        first = self._structure.lines.index(key) == number
        return torch.stack([zero if grad is None or not first else grad for grad in line])

    @cached_property
    def _outer(self) -> frozenset[Port]:
        """Where signals from outside arrive whose adjoints are wanted."""
        kernel = self._structure.kernel
        return frozenset(to for to, wire in kernel.wires() if wire.outside in kernel.trained)

    def _all_steps(self, to: Port) -> Tensor:
        if to not in self._whole:
            size, steps = self._structure.sizes[width(self._structure.kernel, to)], self._steps
            self._whole[to] = steps.provider.empty(steps.count, self._batch, size, like=self._like)
        return self._whole[to]

    # -- both -------------------------------------------------------------------------------------

    def _run(self, passed: Pass, kernel: LoopKernel, found: dict[str, Tensor], span: Span) -> None:
        """Runs a pass; what is not there yet, it leaves there."""
        steps = span[1] - span[0]
        sizes = {**self._structure.sizes, "T": steps, "T+1": steps + 1, "R": self._batch}
        given = arguments(kernel, passed)
        for argument in given:
            if argument.name not in found:
                found[argument.name] = self._room(argument, sizes)
        launch = launch_of(runner_of(self._steps), kernel, passed, self._like.dtype)
        launch([found[argument.name] for argument in given], steps, self._batch, sizes)

    def _room(self, argument: LoopArgument, sizes: Mapping[str, int]) -> Tensor:
        shape = [int(axis) if axis.isdigit() else sizes[axis] for axis in argument.axes]
        if argument.wide:
            return self._like.new_empty(shape, dtype=torch.float64)
        return self._steps.provider.empty(*shape, like=self._like)

    def _params_of(self, k: int) -> tuple[list[Tensor], list[Tensor]]:
        """Parameters and tables of a cell."""
        step, keys = self._structure.layers[k].step, self._steps.keys(self._structure.names[k])
        tables = [self._given[keys[table]].to(self._like.dtype) for table in step.tables]
        return [self._given[keys[param]] for param in step.params], tables

    @cached_property
    def _folded(self) -> dict[str, Tensor]:
        """The same of all cells, as a kernel reads them."""
        found = {}
        for k, layer in self._structure.layers.items():
            params, tables = self._params_of(k)
            for n, (name, param) in enumerate(zip(layer.step.params, params, strict=True)):
                found[f"p{n}_{k}"] = layer.fold_param(name, param).to(self._like.dtype)
            found |= {f"t{n}_{k}": table.contiguous() for n, table in enumerate(tables)}
        return found

    @cached_property
    def _turned(self) -> dict[str, Tensor]:
        """Weights ``[K, N]`` and biases, made up to whole vectors."""
        found = {}
        for k, product in self._products.items():
            weight, size = product.params["weight"], self._structure.sizes[f"P{k}"]
            found[f"w0_{k}"] = _wide(weight.t(), size)
            bias = product.params.get("bias", weight.new_zeros(len(weight)))
            found[f"b0_{k}"] = _wide(bias[None], size)
        for k in {*self._structure.kernel.weighted} - {*self._products}:
            name = self._structure.names[k]
            weight = self._given[self._steps.keys(name)["weight"]]
            found[f"w0_{k}"] = _wide(weight.t(), self._structure.sizes[f"P{k}"])
        return found

    @cached_property
    def _padded(self) -> dict[str, Tensor]:
        """Weights ``[N, K]``."""
        return {
            f"w0_{k}": _wide(product.params["weight"], self._structure.sizes[f"Q{k}"])
            for k, product in self._products.items()
        }


def _wide(matrix: Tensor, columns: int) -> Tensor:
    """With zeros behind each row."""
    found = matrix.new_zeros(len(matrix), columns)
    found[:, : matrix.shape[1]] = matrix
    return found


def _add(sums: dict[str, Tensor], name: str, grad: Tensor) -> None:
    sums[name] = sums[name] + grad if name in sums else grad


def _sum(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    return None if one is None or other is None else one + other


@lru_cache(maxsize=256)
def launch_of(provider: Any, kernel: LoopKernel, passed: Pass, dtype: torch.dtype) -> LoopLaunch:
    """One pass, compiled."""
    assert fuses(provider)
    return provider.loop(kernel, passed, dtype)
