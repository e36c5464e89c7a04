"""``snnhw inspect``: what a file holds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snnhw.cli.arguments import AsJson
from snnhw.cli.console import out, print_json, table

if TYPE_CHECKING:
    from snnhw.ir import Program
    from snnhw.ir.equations import NodeEquations

__all__ = ["command"]


def command(
    file: Annotated[Path, typer.Argument(help="A .snn file, or one that an installed format reads.")],
    as_json: AsJson = False,
) -> None:
    """Show what a file holds: program, equations, parameters."""
    from snnhw.api import load
    from snnhw.ir.equations import equations

    program, params = load(file)
    found = _Contents(
        program=str(program),
        neurons=_neurons(program),
        parameters=sum(array.size for array in params.values()),
        trainable=sum(params[key].size for key in program.trainable),
        equations=equations(program),
        arrays=[_summary(key, params[key], key in program.trainable) for key in program.params()],
    )
    if as_json:
        print_json({"schema": 1, "file": str(file), **asdict(found)})
    else:
        _show(found)


@dataclass(frozen=True)
class _Array:
    """One parameter, in a line."""

    key: str
    shape: tuple[int, ...]
    dtype: str
    low: float
    high: float
    trainable: bool


@dataclass(frozen=True)
class _Contents:
    """What is shown; the fields of the JSON form."""

    program: str
    neurons: int
    parameters: int
    trainable: int
    equations: list[NodeEquations]
    arrays: list[_Array]


def _summary(key: str, array: Any, trainable: bool) -> _Array:
    return _Array(key, array.shape, array.dtype.name, float(array.min()), float(array.max()), trainable)


def _neurons(program: Program) -> int:
    """Of all layers together."""
    from snnhw.ir import Neuron, infer_shapes

    shapes = infer_shapes(program).shapes
    return sum(prod(shapes[f"{name}.{program.nodes[name].out_ports[0]}"]) for name in program.named(Neuron))


def _show(found: _Contents) -> None:
    from snnhw.ir.equations import shown

    out.print(found.program, soft_wrap=True)
    for group in found.equations:
        out.print(f"\n{', '.join(group.nodes)}: {group.title}", style="bold", soft_wrap=True)
        for line in group.lines:
            out.print(f"  {shown(line)}", soft_wrap=True)
    out.print()
    rows = [
        (
            array.key,
            str(array.shape),
            array.dtype,
            f"{array.low:.4g}" if array.low == array.high else f"{array.low:.4g} to {array.high:.4g}",
            "yes" if array.trainable else "no",
        )
        for array in found.arrays
    ]
    out.print(table(("parameter", "shape", "dtype", "values", "trainable"), rows))
    trainable = f"{found.trainable:,} of them trainable"
    out.print(f"{found.neurons:,} neurons, {found.parameters:,} parameters, {trainable}")
