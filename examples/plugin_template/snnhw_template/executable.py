"""A compiled program. It owns the device: here, nothing but NumPy arrays at float32."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from graphlib import TopologicalSorter
from typing import Any

import numpy as np

from snnhw.arrays import hosts
from snnhw.errors import Unsupported
from snnhw.ir import (
    Add,
    Flatten,
    Input,
    Linear,
    Neuron,
    Op,
    Optimizer,
    Output,
    Params,
    Pointwise,
    Program,
    const,
    evaluate,
    infer_shapes,
    numpy_namespace,
    substitute,
)
from snnhw.ir.inputs import check_inputs, check_state, state_shapes
from snnhw.plugin import Arrays, Result, Run, StepResult, Train
from snnhw.session import Session

__all__ = ["RULES", "TemplateExecutable"]

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
    step = op.step()
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


class TemplateExecutable:
    """See `snnhw.plugin.Executable`. Takes any number of steps and any batch."""

    def __init__(self, program: Program, params: Params, job: Run | Train) -> None:
        # Core asks `capabilities` first; this is for those who do not.
        if isinstance(job, Train):
            raise Unsupported("template", ["training is not supported"])
        strange = [
            type(op).__name__ for op in program.nodes.values() if type(op) not in {*RULES, Input, Output}
        ]
        if strange:
            raise Unsupported("template", [f"{name} is not supported" for name in strange])
        self._program, self._job = program, job
        self._session = Session(program, params, job, DTYPE)  # what every executable does alike
        self._params = {key: np.array(array, DTYPE) for key, array in params.items()}
        self._shapes = infer_shapes(program).shapes
        self._order = _order(program)

    def run(self, inputs: Arrays, state: Arrays | None = None) -> Result:
        """T, B and the shapes are the inputs'; a static input is the same at every step."""
        self._session.check_open()
        given = _copies("input", inputs)
        static = self._program.time.static_inputs
        known = self._job.time_steps if set(given) <= set(static) else None
        steps, batch = check_inputs(self._program, {name: x.shape for name, x in given.items()}, known)
        memory = self._rest(batch) if state is None else self._continued(state, batch)
        outputs = self._program.outputs()
        kept: dict[str, list[Array]] = {port: [] for port in (*outputs.values(), *self._job.record)}
        for step in range(steps):
            now = {name: x if name in static else x[step] for name, x in given.items()}
            values = self._step(now, memory)
            memory = self._carried(values, memory)
            for port, list_of in kept.items():
                list_of.append(values[port])
        seen = {port: np.stack(arrays) for port, arrays in kept.items()}
        return Result(
            {name: seen[port].copy() for name, port in outputs.items()},
            {port: seen[port] for port in self._job.record},
            memory,
        )

    def _step(self, inputs: Mapping[str, Array], memory: Mapping[str, Array]) -> dict[str, Array]:
        """Every port's value, ``[B, ...]``."""
        values: dict[str, Array] = {f"{name}.y": x for name, x in inputs.items()}
        batch = len(next(iter(inputs.values())))
        for name in self._order:
            op = self._program.nodes[name]
            if type(op) not in RULES:
                continue
            env = {param: self._params[key] for param, key in self._program.param_keys(name).items()}
            if isinstance(op, Neuron):
                env |= {state.name: memory[f"{name}.{state.name}"] for state in op.model.states}
            for port in op.in_ports:  # in listed order: in float32 another order gives other bits
                edges = self._program.into(name, port)
                arriving = [memory[edge.key][0] if edge.delay else values[edge.src] for edge in edges]
                env[port] = sum(arriving[1:], start=arriving[0])
            for port, value in RULES[type(op)](op, env, self._program.time.dt).items():
                values[f"{name}.{port}"] = np.broadcast_to(value, (batch, *self._shapes[f"{name}.{port}"]))
        return values

    # -- what is remembered: states ``[B, ...]``, delayed edges ``[delay, B, ...]``, oldest first ------

    def _rest(self, batch: int) -> dict[str, Array]:
        """What a run starts from that continues none: a number, or a parameter."""
        keyed = self._program.param_keys
        starts: dict[str, float | str] = {
            f"{name}.{state.name}": keyed(name)[state.init] if isinstance(state.init, str) else state.init
            for name, op in self._program.nodes.items()
            for state in (op.model.states if isinstance(op, Neuron) else ())
        }
        starts |= {edge.key: edge.init for edge in self._program.edges if edge.delay}
        return {
            key: np.broadcast_to(
                self._params[start] if isinstance(start := starts[key], str) else DTYPE(start), shape
            ).copy()
            for key, shape in state_shapes(self._program, batch).items()
        }

    def _continued(self, state: Arrays, batch: int) -> dict[str, Array]:
        found = _copies("state", state)
        check_state(self._program, {key: x.shape for key, x in found.items()}, batch)
        return found

    def _carried(self, values: Mapping[str, Array], memory: Mapping[str, Array]) -> dict[str, Array]:
        delayed = {edge.key: edge.src for edge in self._program.edges if edge.delay}
        return {
            key: np.concatenate([x[1:], values[delayed[key]][None]]) if key in delayed else values[key].copy()
            for key, x in memory.items()
        }

    # -- parameters -----------------------------------------------------------------------------------

    # What is new is made first, and then takes the place of the old in one assignment: whatever interrupts
    # finds one or the other.

    def get_params(self) -> Params:
        self._session.check_open()
        return {key: array.copy() for key, array in self._params.items()}

    def set_params(self, params: Params) -> None:
        self._params = {**self._params, **self._session.taken(params, self._params)}

    def save_state(self) -> Arrays:
        self._session.check_open()
        return self._session.save(self._params, self._session.start)

    def load_state(self, arrays: Arrays) -> None:
        self._params, _ = self._session.load(arrays)

    def step(self, inputs: Arrays, targets: Arrays, state: Arrays | None = None) -> StepResult:
        self._session.training()  # says that this was compiled to run only
        raise AssertionError("a job that trains is refused above")

    def set_optimizer(self, optimizer: Optimizer) -> None:
        self._session.check_optimizer(optimizer)

    # -- the device is given back -----------------------------------------------------------------------

    def close(self) -> None:
        self._session.close()
        self._params = {}

    def __enter__(self) -> TemplateExecutable:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


def _order(program: Program) -> list[str]:
    """Nodes, each after those that it reads within the step."""
    reads: dict[str, list[str]] = {name: [] for name in program.nodes}
    for edge in program.edges:
        if not edge.delay:
            reads[edge.target.node].append(edge.source.node)
    return list(TopologicalSorter(reads).static_order())


def _copies(what: str, arrays: Arrays) -> dict[str, Array]:
    """Any arrays in main memory, as copies of one's own."""
    return {name: np.array(array, DTYPE) for name, array in hosts(what, arrays).items()}
