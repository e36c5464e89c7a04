"""A program inside a module that is captured: its nodes become part of the whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from snnhw.errors import CaptureError
from snnhw.ir import Edge, FrozenMap, Input, Output, infer_shapes
from snnhw.nn.capture.building import Building
from snnhw.nn.capture.layers import host
from snnhw.nn.capture.signals import Signal, described
from snnhw.nn.program import ProgramStep, key_names

__all__ = ["place_program"]


def place_program(
    building: Building, path: str, module: ProgramStep, given: list[Any], named: Mapping[str, Any]
) -> Any:
    """Add the nodes of a module's program under its path; returns what a call of it returns.

    Raises:
        CaptureError: it is called twice, or with something else than its inputs.
    """
    program = module.program
    signals = dict(zip(program.named(Input), given, strict=False)) | dict(named)
    _check_signals(path, module, signals)
    if any(name.startswith(f"{path}.") for name in building.nodes):
        raise CaptureError(f"'{path}' is called twice within a step, but has one state; use two of them")
    inner = [name for name, op in program.nodes.items() if not isinstance(op, (Input, Output))]
    shapes = infer_shapes(program).shapes
    source = {f"{name}.y": signal.port for name, signal in signals.items()}
    for name in inner:
        op = program.nodes[name]
        keys = {param: f"{path}.{key}" for param, key in op.keys.items()}
        building.nodes[f"{path}.{name}"] = replace(op, keys=FrozenMap(keys))
        ports = {port: f"{name}.{port}" for port in op.out_ports}.values()
        building.shapes |= {f"{path}.{port}": shapes[port] for port in ports}
        source |= {port: f"{path}.{port}" for port in ports}
    for edge in program.edges:
        if edge.target.node in inner:
            init = f"{path}.{edge.init}" if isinstance(edge.init, str) else edge.init
            building.edges.append(Edge(source[edge.src], f"{path}.{edge.dst}", edge.delay, init))
    for key, attribute in key_names(program).items():
        building.params[f"{path}.{key}"] = host(module, attribute)
        building.names[f"{path}.{key}"] = f"{path}.{attribute}"
    building.trainable |= {f"{path}.{key}" for key in program.trainable}
    batch = next(iter(signals.values())).batch
    outputs = program.outputs()
    returned = [
        Signal(source[port], building.shapes[source[port]], batch)
        for port in (outputs[name] for name in program.named(Output))
    ]
    outputs_alone = returned[0] if len(returned) == 1 else tuple(returned)
    return (outputs_alone, None) if module.returns_state else outputs_alone


def _check_signals(path: str, module: ProgramStep, signals: Mapping[str, Any]) -> None:
    names = module.program.named(Input)
    if set(signals) != set(names):
        raise CaptureError(
            f"'{path}' takes {', '.join(names)}, but is given {', '.join(signals) or 'nothing'}"
        )
    for name, signal in signals.items():
        op = module.program.nodes[name]
        assert isinstance(op, Input)
        if not isinstance(signal, Signal) or signal.shape != op.shape:
            shown = list(signal.shape) if isinstance(signal, Signal) else described(signal)
            raise CaptureError(f"'{path}' takes samples of shape {list(op.shape)} as '{name}', not {shown}")
