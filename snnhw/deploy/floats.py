"""A network of populations as a float program: what a chip approximates, and what is trained for it."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np

from snnhw.ir import (
    ATan,
    Edge,
    Flatten,
    FrozenMap,
    Input,
    Linear,
    Neuron,
    NeuronModel,
    Op,
    Output,
    Param,
    Params,
    Program,
    RoundedLinear,
    maximum,
    minimum,
    model,
    variables,
)
from snnhw.target import ChipNetwork, Population, Projection

__all__ = ["cells", "float_program"]

u, v, x, alpha, beta, bias, threshold, most = variables("u v x alpha beta bias threshold most")

_CURRENT: Final = alpha * u + x


@lru_cache
def cells() -> NeuronModel:
    """A membrane behind a current, which may fire several times a step: as often as its threshold goes into
    it, strictly above."""
    count = minimum(-((-v) // threshold) - 1.0, most)
    return model(
        "Population",
        states="u v",
        params=(Param("alpha"), Param("beta"), Param("bias"), Param("threshold", 1.0), Param("most", 1.0)),
        integrate={"u": _CURRENT, "v": beta * v + _CURRENT + bias},
        fire=v - threshold * maximum(count, 1.0),
        count=count,
        membrane="v",
        post={"immediate": {"zero": {"v": v - minimum(spike, 1.0) * v}}},
    )


(spike,) = variables("spike")


def float_program(network: ChipNetwork, rule: NeuronModel | None = None) -> tuple[Program, Params]:
    """The program and its parameters, float64; ports of a population ``name.spk``, ``name.u``, ``name.v``.
    Weights that have a grid are rounded to it, and trained straight through.

    Args:
        rule: of the neurons, where that is a chip's (`snnhw.target.ChipTarget.trained`).
    """
    nodes: dict[str, Op] = {}
    edges: list[Edge] = []
    params: Params = {}
    for name, shape in network.inputs.items():
        nodes[name] = Input(shape)
    flat = {}
    for name, shape in network.inputs.items():
        flat[name] = f"{name}.y"
        if len(shape) != 1:
            nodes[f"{name}_flat"] = Flatten()
            edges.append(Edge(f"{name}.y", f"{name}_flat.x"))
            flat[name] = f"{name}_flat.y"
    for name, population in network.populations.items():
        nodes[name] = _neuron(population, rule)
        params |= {f"{name}.{key}": np.array(getattr(population, key)) for key in _varying(rule)}
        params[f"{name}.most"] = np.array(float(population.most))
    for each in network.projections:
        nodes[each.name] = _product(network, each)
        if each.grid is not None:
            params[f"{each.name}.scale"] = each.grid.scale[:, None]
        params[f"{each.name}.weight"] = np.array(each.weight)
        source = flat.get(each.source, f"{each.source}.spk")
        edges += [Edge(source, f"{each.name}.x", each.delay), Edge(f"{each.name}.y", f"{each.target}.x")]
    for name, source in network.outputs.items():
        nodes[name] = Output()
        edges.append(Edge(f"{source}.spk", f"{name}.x"))
    return Program(FrozenMap(nodes), tuple(edges)), params


def _varying(rule: NeuronModel | None) -> tuple[str, ...]:
    """Parameters of which every neuron has its own."""
    return ("alpha", "beta", "bias", "threshold", *(() if rule is None else ("unit",)))


def _neuron(population: Population, rule: NeuronModel | None) -> Neuron:
    shapes = dict.fromkeys(_varying(rule), (population.size,))
    return Neuron(
        rule or cells(),
        reset=population.reset,
        timing="immediate",
        surrogate=ATan(),
        param_shapes=FrozenMap(shapes),
    )


def _product(network: ChipNetwork, each: Projection) -> Linear | RoundedLinear:
    sizes, grid = (network.width(each.source), network.width(each.target)), each.grid
    if grid is None:
        return Linear(*sizes, bias=False)
    return RoundedLinear(*sizes, low=grid.low, high=grid.high, step=grid.step)
