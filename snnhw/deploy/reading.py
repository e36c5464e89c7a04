"""A program as populations and projections, which is what chips know."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np

from snnhw.errors import ExportError
from snnhw.ir import (
    Add,
    Flatten,
    Input,
    Linear,
    Neuron,
    Op,
    Output,
    Params,
    Program,
    Reshape,
    RoundedLinear,
    infer_shapes,
)
from snnhw.target import Array, ChipNetwork, Population, Projection, WeightGrid

__all__ = ["NEURONS", "read_network"]

Values = Mapping[str, Array]


@dataclass(frozen=True)
class _Cells:
    """A neuron's constants: ``u' = alpha u + gain x``, ``v' = beta v + drive u' + bias``, and what fires."""

    alpha: Any
    gain: Any
    beta: Any
    drive: Any
    bias: Any
    threshold: Any
    rest: Any = 0.0  # what a reset leads to


def _leaky(p: Values, _: float) -> _Cells:
    return _Cells(0.0, 1.0, np.clip(p["beta"], 0, 1), 1.0, 0.0, p["threshold"])


def _synaptic(p: Values, _: float) -> _Cells:
    alpha, beta = (np.clip(p[name], 0, 1) for name in ("alpha", "beta"))
    return _Cells(alpha, 1.0, beta, 1.0, 0.0, p["threshold"])


def _integrator(p: Values, dt: float) -> _Cells:
    return _Cells(0.0, p["r"] * dt, 1.0, 1.0, 0.0, p["v_threshold"], p["v_reset"])


def _share(tau: Array, dt: float, exact: bool) -> Array:
    """How much of the way a step goes."""
    return -np.expm1(-dt / tau) if exact else dt / tau


def _lif(exact: bool) -> Callable[[Values, float], _Cells]:
    def read(p: Values, dt: float) -> _Cells:
        share = _share(p["tau"], dt, exact)
        bias = share * p["v_leak"]
        return _Cells(0.0, p["r"] * share, 1 - share, 1.0, bias, p["v_threshold"], p["v_reset"])

    return read


def _cuba(exact: bool) -> Callable[[Values, float], _Cells]:
    def read(p: Values, dt: float) -> _Cells:
        current, share = _share(p["tau_syn"], dt, exact), _share(p["tau_mem"], dt, exact)
        gain, drive, bias = p["w_in"] * current, p["r"] * share, share * p["v_leak"]
        return _Cells(1 - current, gain, 1 - share, drive, bias, p["v_threshold"], p["v_reset"])

    return read


def _population_cells(p: Values, _: float) -> _Cells:
    return _Cells(p["alpha"], 1.0, p["beta"], 1.0, p["bias"], p["threshold"])


NEURONS: Final[Mapping[str, Callable[[Values, float], _Cells]]] = {
    "Leaky": _leaky,
    "Synaptic": _synaptic,
    "IF": _integrator,
    "LIF": _lif(exact=False),
    "LIFExponential": _lif(exact=True),
    "CubaLIF": _cuba(exact=False),
    "CubaLIFExponential": _cuba(exact=True),
    "Population": _population_cells,  # of `snnhw.deploy.floats`: prepared for a chip
    "ChipPopulation": _population_cells,  # the same, by the chip's own rule
}
"""Model -> its constants, from its parameters and the length of a step."""

RESETS: Final[Mapping[tuple[str, str], Literal["zero", "subtract"]]] = {
    ("zero", "retest"): "zero",
    ("to_value", "immediate"): "zero",
    ("zero", "immediate"): "zero",
    ("subtract", "immediate"): "subtract",
    ("subtract", "retest"): "subtract",
}
"""Reset and timing -> what happens within the step."""


KNOWN: Final = (Input, Output, Linear, RoundedLinear, Neuron, Add, Flatten, Reshape)


@dataclass
class _Found:
    """What has been read so far."""

    program: Program
    params: Params
    shapes: Mapping[str, tuple[int, ...]]
    problems: list[str] = field(default_factory=list)
    populations: dict[str, Population] = field(default_factory=dict)
    projections: list[Projection] = field(default_factory=list)
    gains: dict[str, Array] = field(default_factory=dict)  # population -> what its input is multiplied by
    notes: list[str] = field(default_factory=list)

    def values(self, name: str) -> dict[str, Array]:
        keys = self.program.param_keys(name)
        return {param: np.asarray(self.params[key], np.float64) for param, key in keys.items()}


def read_network(program: Program, params: Params) -> ChipNetwork:
    """Populations and projections of a program; gains of neurons become part of the weights before them.

    Raises:
        ExportError: with every reason why a chip of populations and projections cannot be given it.
    """
    found = _Found(program, params, infer_shapes(program).shapes)
    for key in sorted(program.params()):
        held = np.asarray(params[key])
        if not np.isfinite(held).all():
            odd = held[~np.isfinite(held)][0]
            found.problems.append(f"parameter '{key}' holds {odd}, which has no integer; give finite numbers")
    for name, op in program.nodes.items():
        if not isinstance(op, KNOWN):
            found.problems.append(
                f"{name}: a {type(op).__name__} is no population and no projection; use Linear and neurons"
            )
        if isinstance(op, Neuron):
            _population(found, name, op)
    for name in list(found.populations) if not found.problems else ():
        _arriving(found, name)
    outputs = {name: _spikes(found, port) for name, port in program.outputs().items()}
    for name, source in outputs.items():
        if source is None and not found.problems:
            found.problems.append(
                f"{name}: an output of a chip is the spikes of neurons; connect a 'spk' port"
            )
    if found.problems:
        raise ExportError(found.problems)
    inputs = {name: op.shape for name, op in program.nodes.items() if isinstance(op, Input)}
    return ChipNetwork(
        inputs,
        found.populations,
        tuple(found.projections),
        {name: source for name, source in outputs.items() if source is not None},
        tuple(found.notes),
    )


def _population(found: _Found, name: str, op: Neuron) -> None:
    reset = RESETS.get((op.reset, op.timing))
    known = NEURONS.get(op.model.name)
    if known is None:
        found.problems.append(
            f"{name}: chips have no {op.model.name}; use one of {', '.join(NEURONS)}, those whose "
            "membrane takes the new current"
        )
        return
    if reset is None:
        found.problems.append(
            f"{name}: reset '{op.reset}' with timing '{op.timing}' acts a step late or not at all; chips "
            "reset at once: give reset_delay=False, and reset_mechanism 'zero' or 'subtract'"
        )
        return
    if op.graded or op.quantised:
        found.problems.append(f"{name}: graded spikes and quantised states have no counterpart on the chip")
        return
    size = int(np.prod(found.shapes[f"{name}.spk"], dtype=int))
    p = {
        key: np.broadcast_to(x, found.shapes[f"{name}.spk"]).ravel() for key, x in found.values(name).items()
    }
    cells = known(p, found.program.time.dt)
    full = {key: np.broadcast_to(np.asarray(x, np.float64), (size,)) for key, x in vars(cells).items()}
    rest = full["rest"]
    # counted from where a reset leads to
    bias = full["bias"] + (full["beta"] - 1) * rest
    found.populations[name] = Population(
        name,
        full["alpha"],
        full["beta"],
        full["threshold"] - rest,
        bias,
        reset,
        int(p["most"].max()) if "most" in p else 1,
        p.get("unit"),
    )
    found.gains[name] = full["gain"] * full["drive"]
    if np.any(full["threshold"] - rest <= 0):
        found.problems.append(
            f"{name}: its threshold is not above what a reset leads to, so that it always fires"
        )


def _arriving(found: _Found, name: str) -> None:
    """Projections into a population, and what is constant in them."""
    cells, gain = found.populations[name], found.gains[name]
    bias = np.array(cells.bias)
    for at, delay in _upstream(found, name, "x", 0):
        op = found.program.nodes[at]
        if not isinstance(op, (Linear, RoundedLinear)):
            found.problems.append(f"{name}: {at} feeds it without weights; put a Linear between them")
            continue
        own = found.values(at)
        if "bias" in own and np.any(own["bias"]):
            if np.any(cells.alpha):
                found.notes.append(
                    f"{at}: its bias is a current that decays; the chip adds what that comes to, "
                    "bias / (1 - alpha), to the membrane at once, so that the first steps differ"
                )
            bias = bias + gain * own["bias"] / np.maximum(1 - cells.alpha, 1e-12)
        for edge in found.program.into(at, "x"):
            source = _spikes(found, edge.src)
            if source is None:
                found.problems.append(
                    f"{at}: what it multiplies are no spikes of neurons, nor an input: {edge.src}"
                )
                continue
            label = at if len(found.program.into(at, "x")) == 1 else f"{at}.{source}"
            weight = gain[:, None] * own["weight"]
            grid = None
            if isinstance(op, RoundedLinear):
                grid = WeightGrid(own["scale"][:, 0] / gain, op.low, op.high, op.step)
            found.projections.append(Projection(label, source, name, weight, delay + edge.delay, grid))
    changed = {**vars(cells), "bias": bias}
    found.populations[name] = Population(**changed)


def _upstream(found: _Found, node: str, port: str, delay: int) -> Iterator[tuple[str, int]]:
    """Nodes that feed a port, through sums and other shapes, and how late."""
    for edge in found.program.into(node, port):
        source = edge.source.node
        if isinstance(found.program.nodes[source], (Add, Flatten, Reshape)):
            yield from _upstream(found, source, "x", delay + edge.delay)
        else:
            yield source, delay + edge.delay


def _spikes(found: _Found, port: str) -> str | None:
    """The population or input whose spikes a port gives, in whatever shape; None: it gives something else."""
    node, _, what = port.rpartition(".")
    op: Op = found.program.nodes[node]
    if isinstance(op, (Flatten, Reshape)):
        edges = found.program.into(node, "x")
        return _spikes(found, edges[0].src) if len(edges) == 1 and not edges[0].delay else None
    return node if isinstance(op, Input) or (isinstance(op, Neuron) and what == "spk") else None
