"""A loop as a `LoopKernel`: which number stands for what, and what keeps a loop from being one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from math import prod
from typing import Any, Final, NamedTuple

from snnhw.ir import (
    Add,
    Edge,
    FrozenMap,
    Linear,
    Neuron,
    Op,
    Pointwise,
    SaturatingLinear,
    Scale,
    Slice,
    StepEquations,
    var,
)
from snnhw.passes import (
    CellPart,
    Layout,
    LoopKernel,
    Part,
    Port,
    Product,
    Request,
    Saturating,
    ScanKernel,
    Section,
    Wire,
    derive,
)
from snnhw.tensors.network.loops.steps import Steps, called
from snnhw.tensors.network.network import Network
from snnhw.tensors.network.walk import Tensors
from snnhw.tensors.scans.provider import Provider, fuses
from snnhw.tensors.scans.site import ScanSite, site_of

__all__ = ["Structure", "refusal", "runner_of", "structure_of"]

WEIGHTED: Final = (Linear, SaturatingLinear)
"""Ops that multiply by a weight."""

_IDENTITY: Final = Pointwise(FrozenMap({"y": var("x")})).equations()

_CELLS: Final[Mapping[type[Op], Callable[[Any], StepEquations]]] = {
    Neuron: lambda op: op.equations(),
    Pointwise: lambda op: op.equations(),
    Add: lambda op: _IDENTITY,
    Scale: lambda op: op.parts({})[""].op.equations(),
}
"""Ops whose step is one of equations, element by element."""


class Structure(NamedTuple):
    """Attributes:
    kernel: where an adjoint may arrive through every port that leaves the loop.
    outside, lines: keys of what comes from outside, and of edges with a delay, in the kernel's order.
    names, ports: of each part, the node, and what it gives.
    layers: part -> a cell's geometry.
    products: parts that are products.
    sizes: axis -> how long it is.
    """

    kernel: LoopKernel
    outside: tuple[str, ...]
    lines: tuple[str, ...]
    names: tuple[str, ...]
    ports: tuple[tuple[str, ...], ...]
    layers: Mapping[int, ScanSite]
    products: tuple[int, ...]
    sizes: Mapping[str, int]
    requests: Mapping[int, Request]

    def seeded(self, ports: frozenset[str]) -> LoopKernel:
        """The kernel where adjoints arrive through these alone."""
        seeds = frozenset(
            (k, n) for k, names in enumerate(self.ports) for n, name in enumerate(names) if name in ports
        )
        return _seeded(self.kernel, seeds, tuple(self._derived(seeds).items()))

    def _derived(self, seeds: frozenset[Port]) -> dict[int, ScanKernel]:
        return {
            k: _back(layer.step, self.requests[k], self.kernel, k, seeds) for k, layer in self.layers.items()
        }


def runner_of(steps: Steps) -> Provider:
    """Who runs a loop as one kernel, if anybody does: whoever runs its first node."""
    return steps.walk.provider(steps.nodes[0])


def refusal(network: Network, provider: Provider, nodes: tuple[str, ...], itemsize: int = 4) -> str | None:
    """Why a loop runs step by step, in words; None where it is one kernel.

    Args:
        itemsize: bytes of a number.
    """
    sizes = network.sizes
    if not (sizes.derived and sizes.fused and fuses(provider)):
        return "no kernel takes all steps"
    if network.signals or network.program.formats:
        return "signals are not of what is computed in" if network.signals else "it computes in integers"
    for name in nodes:
        if why := _refused(network, name):
            return f"{name} {why}"
    ops = [network.program.nodes[name] for name in nodes]
    weights = sum(op.in_features * op.out_features for op in ops if isinstance(op, WEIGHTED))
    return "weights are large" if weights * itemsize > sizes.fused else None


def _refused(network: Network, name: str) -> str | None:
    op, shapes, program = network.program.nodes[name], network.shapes, network.program
    arriving = {shapes[edge.src] for port in op.in_ports for edge in program.into(name, port)}
    if type(op) in _CELLS:
        step = _CELLS[type(op)](op)
        if step.noise:
            return "draws random numbers"
        if step.opaque is not None:
            return "has a surrogate that only torch can differentiate"
        given = {shapes[f"{name}.{port}"] for port in op.out_ports}
        return None if arriving == given else "is given signals of several shapes"
    if not isinstance(op, (Linear, SaturatingLinear, Slice)):
        return f"is a {type(op).__name__}"
    if name in network.layers and name not in network.remembering:  # as one in bfloat16
        return "runs in a way of its own"
    return None if all(len(shape) == 1 for shape in arriving) else "has samples of several axes"


def structure_of(steps: Steps, given: Tensors) -> Structure:
    """Of a loop that nothing speaks against."""
    number = {name: k for k, name in enumerate(steps.nodes)}
    ports = tuple(tuple(f"{name}.{port}" for port in _outputs(steps, name)) for name in steps.nodes)
    outside = tuple(sorted(steps.outside))
    lines: list[Edge] = []

    def wire(edge: Edge) -> Wire:
        key = called(edge)
        if key in steps.outside:
            return Wire(outside=outside.index(key))
        k = number[edge.source.node]
        source = k, ports[k].index(edge.src)
        if not edge.delay:
            return Wire(source=source)
        lines.append(edge)
        return Wire(source=source, line=len(lines) - 1)

    inputs = [
        tuple(tuple(wire(edge) for edge in into) for _, _, into in steps.into[name]) for name in steps.nodes
    ]
    layers = {k: _layer(steps, name) for k, name in enumerate(steps.nodes) if type(steps.op(name)) in _CELLS}
    requests = {k: _request(steps, given, steps.nodes[k], layer) for k, layer in layers.items()}
    parts = tuple(
        _part(steps, name, into, layers.get(k), requests.get(k))
        for k, (name, into) in enumerate(zip(steps.nodes, inputs, strict=True))
    )
    wanted = frozenset(
        (k, n) for k, names in enumerate(ports) for n, name in enumerate(names) if name in steps.ports
    )
    trained = frozenset(n for n, key in enumerate(outside) if key in steps.trained)
    kernel = LoopKernel(
        parts,
        tuple(key in steps.fixed for key in outside),
        tuple(edge.delay for edge in lines),
        wanted,
        trained,
    )
    sizes: dict[str, int] = {}
    for k, name in enumerate(steps.nodes):
        sizes |= _sizes(steps, given, k, name)
    found = Structure(
        kernel,
        outside,
        tuple(edge.key for edge in lines),
        steps.nodes,
        ports,
        layers,
        tuple(k for k, part in enumerate(parts) if isinstance(part, Product)),
        {
            size: value
            for k, name in enumerate(steps.nodes)
            for size, value in _sizes(steps, given, k, name).items()
        },
        requests,
    )
    return found._replace(kernel=found.seeded(frozenset(steps.ports))) if steps.trained else found


def _outputs(steps: Steps, name: str) -> tuple[str, ...]:
    layer = steps.layers.get(name)
    return layer.outputs if layer else ("y",)


def _layer(steps: Steps, name: str) -> ScanSite:
    if name in steps.layers:
        return steps.layers[name]
    network, step = steps.walk.network, _CELLS[type(steps.op(name))](steps.op(name))
    shape = (steps.walk.batch, *network.shapes[f"{name}.y"])
    dt = network.program.time.dt
    return site_of(step, shape, 1, ("y",), static=(True,) * len(step.ports), dt=dt, single=True)


def _request(steps: Steps, given: Tensors, name: str, layer: ScanSite) -> Request:
    """What is wanted of a cell, but for the ports through which an adjoint arrives."""
    step, keys = layer.step, steps.keys(name)
    layouts: dict[str, Layout] = {param: "neuron" for param in step.params if given[keys[param]].numel() > 1}
    return Request(
        outputs=layer.outputs,
        input_grads=frozenset(steps.wanted[name]) & frozenset(step.ports),
        param_grads=frozenset(param for param in step.params if keys[param] in steps.trained),
        layouts=FrozenMap(layouts),
        dt=layer.dt,
    )


def _part(
    steps: Steps,
    name: str,
    inputs: tuple[tuple[Wire, ...], ...],
    layer: ScanSite | None,
    request: Request | None,
) -> Part:
    if layer and request:
        forward = Request(request.outputs, layouts=request.layouts, dt=request.dt)
        return CellPart(inputs, derive(layer.step, forward))
    if isinstance(steps.op(name), Slice):
        return Section(inputs)
    if isinstance(steps.op(name), SaturatingLinear):
        return Saturating(inputs, steps.op(name).bits)
    return Product(inputs, trained=any(key in steps.trained for key in steps.keys(name).values()))


def _sizes(steps: Steps, given: Tensors, k: int, name: str) -> dict[str, int]:
    op, shapes = steps.op(name), steps.walk.network.shapes
    found = {f"N{k}": prod(shapes[f"{name}.{op.out_ports[0]}"])}
    if isinstance(op, WEIGHTED):
        found[f"K{k}"] = op.in_features
        provider = runner_of(steps)
        lanes = provider.lanes if fuses(provider) else 1
        found |= {f"P{k}": -(-op.out_features // lanes) * lanes, f"Q{k}": -(-op.in_features // lanes) * lanes}
    elif isinstance(op, Slice):
        ((source,),) = {shapes[edge.src] for _, _, into in steps.into[name] for edge in into}
        found |= {f"K{k}": source, f"B{k}": op.start}
    elif name in steps.layers:
        tables = steps.layers[name].step.tables
        found |= {f"L{n}_{k}": len(given[steps.keys(name)[table]]) for n, table in enumerate(tables)}
    return found


@lru_cache(maxsize=1024)
def _back(
    step: StepEquations, request: Request, kernel: LoopKernel, k: int, seeds: frozenset[Port]
) -> ScanKernel:
    """A cell's way back, where adjoints arrive through these ports and through all that the loop reads."""
    read = {wire.source for _, wire in kernel.wires()}
    ports = tuple(port for n, port in enumerate(request.outputs) if (k, n) in seeds or (k, n) in read)
    wanted = Request(
        ports, ports, frozenset(), request.input_grads, request.param_grads, request.layouts, request.dt
    )
    return derive(step, wanted)


@lru_cache(maxsize=1024)
def _seeded(
    kernel: LoopKernel, seeds: frozenset[Port], backs: tuple[tuple[int, ScanKernel], ...]
) -> LoopKernel:
    found = dict(backs)
    parts = tuple(
        CellPart(part.inputs, part.scan, found[k]) if isinstance(part, CellPart) else part
        for k, part in enumerate(kernel.parts)
    )
    return LoopKernel(parts, kernel.static, kernel.delays, kernel.wanted, kernel.trained, seeds)
