"""A loop is all that a printer has to know: one that goes through it in NumPy, and knows nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from kernel_pool import POOL, Pooled, run, tensors_of
from torch import Tensor

from snnhw.ir import FrozenMap, evaluate, numpy_namespace
from snnhw.passes import Argument, Body, Request, ScanKernel, ScanLoop, backward_loop, derive, forward_loop
from snnhw.tensors.scans.eager import EagerProvider
from snnhw.tensors.scans.printed import Grid, Launch, PrintedScan
from snnhw.tensors.scans.provider import UNMEASURED, Draw, Scan, Sizes, drawn_on_host

Arrays = dict[str, np.ndarray[Any, Any]]

STEPS = 7


@dataclass(frozen=True)
class NumpyPrinter:
    """Walks through a loop as it stands, all columns of a row at once.

    Attributes:
        by_sample: whether a row is a sample; else all samples are one row.
    """

    by_sample: bool
    sizes: Sizes = UNMEASURED

    def uniform(self, draw: Draw, device: torch.device) -> Tensor:
        return drawn_on_host(draw, device)

    def computed(self, signals: torch.dtype) -> torch.dtype:
        return signals

    def compile(self, kernel: ScanKernel, dtype: torch.dtype, device: torch.device) -> Scan:
        return PrintedScan(kernel, dtype, self)

    def empty(self, *shape: int, like: Tensor) -> Tensor:
        return like.new_full(shape, torch.nan)

    def grid(self, kernel: ScanKernel, batch: int, neurons: int) -> Grid:
        rows = batch if self.by_sample else 1
        return Grid(rows, batch * neurons // rows, blocks=2)

    def compiled(self, loop: ScanLoop, dtype: torch.dtype) -> Launch:
        def launch(tensors: Sequence[Tensor], steps: int, grid: Grid) -> None:
            sizes = {"T": steps, "R": grid.rows, "C": grid.columns, "blocks": grid.blocks}
            named = {
                argument.name: tensor.numpy().reshape([sizes.get(axis, -1) for axis in argument.axes])
                for argument, tensor in zip(loop.arguments, tensors, strict=True)
            }
            (_backward if loop.reverse else _forward)(loop, named, steps)

        return launch


def _values(body: Body, env: Arrays, like: Any) -> Arrays:
    """By name of a store; only what a body says that it reads is at hand."""
    read = {name: x for name, x in env.items() if name in body.reads or name.startswith("t")}
    found = evaluate(body.values, read, numpy_namespace(like.dtype))
    return {store.name: np.broadcast_to(x, like.shape) for store, x in zip(body.stores, found, strict=True)}


def _fixed(loop: ScanLoop, named: Arrays) -> Arrays:
    """What all steps read alike."""
    params = {a.name: named[a.name] for a in loop.kind("pt")}
    row = named["x0"].reshape(-1, named["x0"].shape[-1])[0]
    return params | _values(loop.once, params, row[:1].reshape(())) | _values(loop.columns, params, row)


def _at(arguments: Sequence[Argument], named: Arrays, step: int) -> Arrays:
    return {a.name: named[a.name][step] if "T" in a.axes else named[a.name] for a in arguments}


def _step(loop: ScanLoop, named: Arrays, fixed: Arrays, states: Arrays, step: int) -> Arrays:
    like = named["x0"].reshape(-1, *named["x0"].shape[-2:])[0]
    return _values(loop.step, fixed | _at(loop.kind("x"), named, step) | states, like)


def _renamed(found: Mapping[str, Any], old: str, new: str) -> Arrays:
    return {f"{new}{name[1:]}": x for name, x in found.items() if name[0] == old}


def _forward(loop: ScanLoop, named: Arrays, steps: int) -> None:
    fixed, states = _fixed(loop, named), {a.name: named[a.name] for a in loop.kind("s")}
    for step in range(steps):
        found = _step(loop, named, fixed, states, step)
        states = _renamed(found, "n", "s")
        for y in loop.kind("y"):
            named[y.name][step] = found[y.name]
    for name, x in states.items():
        named[f"f{name[1:]}"][...] = x


def _backward(loop: ScanLoop, named: Arrays, steps: int) -> None:
    assert loop.reverse is not None
    fixed, history = _fixed(loop, named), [{a.name: named[a.name] for a in loop.kind("s")}]
    for step in range(steps):
        history.append(_renamed(_step(loop, named, fixed, history[-1], step), "n", "s"))
    like = named["x0"].reshape(-1, *named["x0"].shape[-2:])[0]
    adjoints = {a.name: named[a.name] for a in loop.kind("a")}
    sums = {name: np.zeros_like(like) for name in loop.summed}
    for step in reversed(range(steps)):
        env = fixed | _at(loop.kind("xg"), named, step) | adjoints
        env |= history[step] | _renamed(history[step + 1], "s", "n")
        found = _values(loop.reverse, env, like)
        adjoints = {name: found[name] for name in adjoints}
        for store in loop.reverse.stores:
            if store.adds:
                sums[store.name] += found[store.name]
            elif store.name[0] == "X":
                named[store.name][step] = found[store.name]
    for name, x in adjoints.items():
        named[f"A{name[1:]}"][...] = x
    for argument in loop.kind("XV"):
        if argument.wide:  # sums of blocks, here of the first column and of all others
            wide = sums[argument.name].astype(np.float64)
            named[argument.name][...] = np.stack([wide[:, 0], wide[:, 1:].sum(1)], 1)
        elif argument.name in sums:
            named[argument.name][...] = sums[argument.name]


@pytest.mark.parametrize("by_sample", [True, False])
@pytest.mark.parametrize("name", POOL)
def test_a_printer_needs_nothing_but_the_loop(name: str, by_sample: bool) -> None:
    given = tensors_of(POOL[name], STEPS, torch.float64)
    ours = run(POOL[name], given, STEPS, NumpyPrinter(by_sample))
    plain = run(POOL[name], given, STEPS, EagerProvider())
    assert ours.keys() == plain.keys()
    for key, x in ours.items():
        assert x.dtype == torch.float64
        # sums over a layer are formed in another order, and libraries round exp, log and tanh differently
        torch.testing.assert_close(x, plain[key], rtol=1e-12, atol=1e-12, msg=key)


def requested(pooled: Pooled) -> ScanKernel:
    layouts = {name: "neuron" for name, value in pooled.params.items() if value == "neuron"}
    request = Request(
        outputs=pooled.outputs,
        adjoints=pooled.outputs,
        static=pooled.static,
        input_grads=frozenset(pooled.step.ports),
        param_grads=pooled.train,
        layouts=FrozenMap(layouts),  # type: ignore[arg-type]  # the literal is meant
    )
    return derive(pooled.step, request)


@pytest.mark.parametrize("name", POOL)
def test_names_say_which_argument_is_which(name: str) -> None:
    kernel = requested(POOL[name])
    for loop in (forward_loop(kernel), backward_loop(kernel)):
        names = [argument.name for argument in loop.arguments]
        assert len(set(names)) == len(names)
        for letter in "xptsyfgaXVA":
            numbers = [argument.number for argument in loop.kind(letter)]
            assert numbers == sorted(numbers)
        read = {name for body in (loop.step, loop.reverse) if body for name in body.reads}
        known = {*names, *(store.name for store in (*loop.once.stores, *loop.columns.stores))}
        assert {name for name in read if name[0] in "sxvg"} <= known
        stored = {store.name for store in loop.step.stores if store.name[0] == "y"}
        assert stored == {argument.name for argument in loop.kind("y")}


def test_the_order_is_inputs_parameters_tables_states_and_then_what_is_filled() -> None:
    pooled = POOL["synaptic"]
    forward, backward = forward_loop(requested(pooled)), backward_loop(requested(pooled))
    assert [a.name for a in forward.arguments] == ["x0", "p0", "p1", "p2", "s0", "s1", "y0", "y1", "f0", "f1"]
    assert [a.name for a in backward.arguments] == (
        ["x0", "p0", "p1", "p2", "s0", "s1", "g0", "g1", "a0", "a1", "X0", "V0", "V1", "A0", "A1"]
    )
    axes = {argument.name: argument.axes for argument in backward.arguments}
    assert (axes["x0"], axes["p0"], axes["p1"], axes["s0"]) == (("T", "R", "C"), (), ("C",), ("R", "C"))
    wide = {argument.name for argument in backward.arguments if argument.wide}
    assert wide == {"V0"}, "one number for the layer is summed in float64, one for each neuron is not"
    assert backward.summed == ("V0", "V1")


def test_a_static_input_is_read_once_and_its_adjoint_summed() -> None:
    loop = backward_loop(requested(POOL["leaky-static"]))
    assert {a.name: a.axes for a in loop.kind("xX")} == {"x0": ("R", "C"), "X0": ("R", "C")}
    assert loop.summed == ("X0",)
