"""What the backend computes: here, NumPy at float32. Everything around it is `snnhw.session.Inference`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from snnhw.ir import (
    Add,
    Flatten,
    Input,
    Linear,
    Neuron,
    Op,
    Output,
    Pointwise,
    Program,
    const,
    delay_lines,
    evaluate,
    infer_shapes,
    numpy_namespace,
    substitute,
)
from snnhw.passes import components
from snnhw.session import Evaluation, Given

__all__ = ["DTYPE", "RULES", "TemplateNetwork"]

Array = np.ndarray[Any, Any]
DTYPE = np.float32

# -- What each kind of op computes --------------------------------------------------------------------


def linear(op: Linear, env: Mapping[str, Array], _dt: float) -> dict[str, Array]:
    """``y = W x + b``, over the last axis."""
    y = env["x"] @ env["weight"].T
    return {"y": y + env["bias"] if op.bias else y}


def flatten(op: Flatten, env: Mapping[str, Array], _dt: float) -> dict[str, Array]:
    """Some axes of a sample as one."""
    (shape,) = op.infer({"x": env["x"].shape[1:]}).values()
    return {"y": env["x"].reshape(len(env["x"]), *shape)}


def add(_op: Add, env: Mapping[str, Array], _dt: float) -> dict[str, Array]:
    """The edges into a port are added up already."""
    return {"y": env["x"]}


def pointwise(op: Neuron | Pointwise, env: Mapping[str, Array], dt: float) -> dict[str, Array]:
    """Every neuron there is: its equations, in the order in which they are written."""
    step = op.equations()
    rank = max(env[port].ndim for port in op.in_ports)
    seen = {**env, **{port: _lifted(env[port], rank) for port in op.in_ports}}
    roots = substitute(list(step.outputs.values()), {"dt": const(dt)})
    with np.errstate(all="ignore"):  # infinities and NaN are values here
        return dict(zip(step.outputs, evaluate(roots, seen, numpy_namespace(DTYPE)), strict=True))


def _lifted(x: Array, rank: int) -> Array:
    """Samples broadcast from the right, but the batch axis stays in front."""
    return x.reshape(len(x), *[1] * (rank - x.ndim), *x.shape[1:])


RULES: Mapping[type[Op], Callable[[Any, Mapping[str, Array], float], dict[str, Array]]] = {
    Linear: linear,
    Flatten: flatten,
    Add: add,
    Neuron: pointwise,
    Pointwise: pointwise,
}


# -- Running ------------------------------------------------------------------------------------------


class TemplateNetwork:
    """A program, one step after the other."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._shapes = infer_shapes(program).shapes
        self._lines = delay_lines(program)  # what is carried from step to step
        self._order = [name for component in components(program) for name in component.nodes]

    def run(self, given: Given, ports: tuple[str, ...]) -> Evaluation:
        """All steps, for `snnhw.session.Inference`."""
        memory, static = dict(given.memory), self._program.time.static_inputs
        kept: dict[str, list[Array]] = {port: [] for port in ports}
        for step in range(given.steps):
            values = {f"{name}.y": x if name in static else x[step] for name, x in given.inputs.items()}
            for name in self._order:
                values |= self._node(name, values, memory, given)
            for line in self._lines:
                last, held = values[line.source], memory[line.key]
                memory[line.key] = np.concatenate([held[1:], last[None]]) if line.edge else last.copy()
            for port, steps in kept.items():
                steps.append(values[port])
        return Evaluation({port: np.stack(steps) for port, steps in kept.items()}, memory)

    def _node(
        self, name: str, values: Mapping[str, Array], memory: Mapping[str, Array], given: Given
    ) -> dict[str, Array]:
        """Its ports at one step, ``[B, ...]``."""
        program, op = self._program, self._program.nodes[name]
        if isinstance(op, (Input, Output)):
            return {}
        env = {param: given.params[key] for param, key in program.param_keys(name).items()}
        if isinstance(op, Neuron):
            env |= {state.name: memory[f"{name}.{state.name}"] for state in op.model.states}
        for port in op.in_ports:  # in listed order: in float32 another order gives other bits
            edges = program.into(name, port)
            first, *others = [memory[e.key][0] if e.delay else values[e.src] for e in edges]
            env[port] = sum(others, start=first)
        found = RULES[type(op)](op, env, program.time.dt)
        shapes = {port: (given.batch, *self._shapes[f"{name}.{port}"]) for port in found}
        return {f"{name}.{port}": np.broadcast_to(y, shapes[port]) for port, y in found.items()}
