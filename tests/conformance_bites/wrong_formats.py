"""Formats that are wrong on purpose: snnhw's own files, one thing in them spoilt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from snnhw.errors import ExportError
from snnhw.ir import FrozenMap, Neuron, Params, Program
from snnhw.ir.files import load, save
from snnhw.plugin import INTERFACE, Probe, Report

__all__ = ["WRONG", "WrongFormat", "half", "leaves_a_file", "no_reason", "undelayed"]

Net = tuple[Program, Params]


@dataclass(frozen=True)
class WrongFormat:
    """A format; ``spoil`` changes what is written, and the report lists ``lost``."""

    spoil: Callable[[Program, Params], Net] = lambda program, params: (program, params)
    lost: tuple[str, ...] = ()
    name: str = "wrong"
    interface: int = INTERFACE
    suffixes: tuple[str, ...] = (".wrong",)

    def probe(self) -> Probe:
        return Probe("ready")

    def capabilities(self) -> dict[str, Any]:
        return {}

    def write(self, program: Program, params: Params, path: Path, **_: Any) -> Report:
        if self.spoil is leaves_a_file:
            path.write_text("half of it")
        save(path, *self.spoil(program, params))
        return Report(self.lost, self.lost)

    def read(self, path: Path, **_: Any) -> tuple[Program, Params, Report]:
        return *load(path), Report()


def half(program: Program, params: Params) -> Net:
    """Values in half precision, as if that were enough."""
    rounded = {key: np.asarray(array, np.float16) for key, array in params.items()}
    return program, {key: np.asarray(array, np.float32) for key, array in rounded.items()}


def undelayed(program: Program, params: Params) -> Net:
    """Every reset at once, as if it were the same."""
    nodes = {
        name: replace(op, timing="immediate") if isinstance(op, Neuron) else op
        for name, op in program.nodes.items()
    }
    return replace(program, nodes=FrozenMap(nodes)), params


def untrainable(program: Program, params: Params) -> Net:
    """Whoever reads it cannot train it on."""
    return replace(program, trainable=frozenset()), params


def untyped(program: Program, params: Params) -> Net:
    """The same values in another dtype."""
    return program, {key: np.asarray(array, np.float64) for key, array in params.items()}


def no_reason(program: Program, params: Params) -> Net:  # noqa: ARG001  # it does not look
    raise ExportError([])


def leaves_a_file(program: Program, params: Params) -> Net:
    raise ExportError([f"{len(program.nodes)} nodes and {len(params)} parameters are too much"])


def crashes(program: Program, params: Params) -> Net:  # noqa: ARG001  # it does not get that far
    raise RuntimeError("no such thing")


LINEAR = "format/op/Linear-bias"
LEAKY = "format/neuron/Leaky-subtract-delayed"
SILENT = "it reads back something else, and its reports list nothing as lost: "

WRONG: dict[str, tuple[Callable[[Program, Params], Net], str, str]] = {
    "rounds": (half, LINEAR, SILENT + "parameter 'subject.weight' is not the same in every bit"),
    "resets at once": (undelayed, LEAKY, SILENT + "node 'subject' was Leaky subtract delayed"),
    "forgets what is trained": (untrainable, LEAKY, SILENT + "trainable: frozenset("),
    "changes dtypes": (untyped, LEAKY, SILENT + "parameter 'subject."),
    "refuses without a reason": (no_reason, LEAKY, "it refuses without a reason"),
    "refuses and leaves a file": (leaves_a_file, LEAKY, "it refuses, but leaves a file"),
    "crashes": (crashes, LEAKY, "RuntimeError: no such thing"),
}
"""What is wrong -> how, the case that notices, and how its reason begins."""
