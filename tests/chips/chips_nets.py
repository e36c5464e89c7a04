"""Networks for chips: random ones in a chip's integers, and float ones as users write them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from snnhw.ir import MODELS, Edge, FrozenMap, Input, Linear, Neuron, Op, Output, Params, Program
from snnhw.reference import execute
from snnhw.target import Array, ChipNetwork, Population, Projection
from snnhw_chips.loihi_program import integer_program, vendor_arrays

STEPS = 60


@dataclass(frozen=True)
class Case:
    """A network in integers: as a program, for the vendor, and its input ``[T, N]``."""

    program: Program
    params: Params
    vendor: dict[str, Array]
    inputs: dict[str, npt.NDArray[np.int64]]
    ports: dict[str, str]


def ran(case: Case) -> dict[str, Array]:
    """What the reference gives at every port, ``[T, N]``."""
    inputs = {name: x[:, None] for name, x in case.inputs.items()}
    found = execute(case.program, case.params, inputs, record=list(case.ports)).recordings
    return {port: array[:, 0] for port, array in found.items()}


def loihi_case(seed: int) -> Case:
    """Two layers, sometimes with two ways into the second and a loop; numbers at the ends of their ranges."""
    rng = np.random.default_rng(seed)
    sizes = {name: int(n) for name, n in zip(("in", "a", "b"), rng.integers(2, 6, 3), strict=True)}
    ways = [("in", "a"), ("a", "b")] + [("in", "b")] * (seed % 3 == 0) + [("b", "b")] * (seed % 2)
    projections, weights, exponents = [], {}, {}
    for source, to in ways:
        name = f"{source}_{to}"
        low, high = ((-256, 255), (0, 256), (-255, 1))[rng.integers(3)]
        drawn = rng.integers(low, high, (sizes[to], sizes[source]))
        mixed = drawn.min() < 0 < drawn.max()
        weights[name] = drawn - drawn % 2 if mixed else drawn
        exponents[name] = int(rng.integers(-3, 7))
        projections.append(Projection(name, source, to, weights[name], 1))
    cells = {name: _cells(rng, sizes[name]) for name in ("a", "b")}
    zeros = {name: np.zeros(sizes[name]) for name in cells}
    populations = {name: Population(name, z, z, z + 1, z, "zero") for name, z in zeros.items()}
    network = ChipNetwork({"in": (sizes["in"],)}, populations, tuple(projections), {"out": "b"})
    program, params = integer_program(network, weights, cells, exponents)
    inputs = {"in": (rng.random((STEPS, sizes["in"])) < rng.choice([0.1, 0.5])).astype(np.int64)}
    ports = {
        f"{name}.{ours}": f"{name}.{theirs}"
        for name in cells
        for ours, theirs in (("u", "u"), ("v", "v"), ("spk", "s"))
    }
    return Case(program, params, vendor_arrays(network, weights, cells, exponents), inputs, ports)


def _cells(rng: np.random.Generator, size: int) -> dict[str, Array]:
    mantissa = rng.integers(-4095, 4096, size) * (rng.random() < 0.5)
    return {
        "du": rng.choice([0, 1, 200, 1000, 4095], size),
        "dv": rng.choice([0, 1, 77, 1000, 4095], size),
        "vth": rng.choice([10, 500, 5000, 131_071], size),
        "bias": mantissa << int(rng.integers(0, 7)),
    }


def float_net(
    sizes: tuple[int, ...] = (6, 8, 3), kind: str = "Synaptic", *, skip: bool = False, gain: float = 0.8
) -> tuple[Program, Params]:
    """Linear layers and neurons that reset to 0 at once."""
    rng = np.random.default_rng(5)
    nodes: dict[str, Op] = {"in": Input((sizes[0],))}
    edges: list[Edge] = []
    params: Params = {}
    before = "in.y"
    for number, (n, m) in enumerate(pairwise(sizes), 1):
        fc, lif = f"fc{number}", f"lif{number}"
        nodes |= {fc: Linear(n, m, bias=False), lif: Neuron(MODELS[kind], reset="zero", timing="retest")}
        edges += [Edge(before, f"{fc}.x"), Edge(f"{fc}.y", f"{lif}.x")]
        params[f"{fc}.weight"] = rng.normal(0.1, gain / n**0.5, (m, n))
        values: dict[str, Any] = {"alpha": 0.75, "beta": 0.9, "threshold": 1.0}
        own = nodes[lif].params()
        params |= {f"{lif}.{key}": np.array(values[key]) for key in own}
        before = f"{lif}.spk"
    if skip:
        nodes["over"] = Linear(sizes[0], sizes[-1], bias=False)
        edges += [Edge("in.y", "over.x"), Edge("over.y", f"lif{len(sizes) - 1}.x")]
        params["over.weight"] = rng.normal(0.0, 0.2, (sizes[-1], sizes[0]))
    nodes["out"] = Output()
    edges.append(Edge(before, "out.x"))
    return Program(FrozenMap(nodes), tuple(edges)), params


def spikes(width: int = 6, steps: int = 40, batch: int = 3) -> dict[str, npt.NDArray[np.float64]]:
    return {"in": (np.random.default_rng(1).random((steps, batch, width)) < 0.3).astype(float)}
