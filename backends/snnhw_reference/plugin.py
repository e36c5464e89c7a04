"""The entry point of the reference backend."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from snnhw.ir import PRIMITIVES, Neuron, Params, Pointwise, Program, infer_shapes
from snnhw.ir.whole import WHOLE
from snnhw.plugin import INTERFACE, Capabilities, Executable, Explanation, Probe, Run, Support, Train
from snnhw.reference import RULES, TERMS, UPDATES
from snnhw_reference.executable import ReferenceExecutable

__all__ = ["ReferenceBackend", "ReferenceOptions"]

DTYPES: Final = ("float64", "float32")


@dataclass(frozen=True)
class ReferenceOptions:
    """Options of the reference.

    Attributes:
        dtype: what every operation rounds to: ``float64`` for the meaning, ``float32`` for what a
            backend in single precision should give, bit by bit, where the language says so.
    """

    dtype: Literal["float64", "float32"] = "float64"


class ReferenceBackend:
    """Runs everything that has a meaning, slowly."""

    name = "reference"
    interface = INTERFACE
    Options = ReferenceOptions

    def probe(self) -> Probe:
        return Probe("ready", version=f"numpy {np.__version__}", device="CPU, one step after the other")

    def capabilities(self) -> Capabilities:
        return Capabilities(
            ops=dict.fromkeys(RULES, Support()),
            expressions=frozenset(PRIMITIVES),
            losses=frozenset(TERMS),
            optimizers=frozenset(UPDATES),
            dtypes=DTYPES,
            noise=True,
            lengths=True,
            integers=WHOLE,
            is_reference=True,
            alone="",
        )

    def compile(self, program: Program, params: Params, job: Run | Train) -> Executable:
        options = job.options if isinstance(job.options, ReferenceOptions) else ReferenceOptions()
        dtype = np.dtype(np.int64 if program.formats else options.dtype)
        return ReferenceExecutable(program, params, job, dtype)

    def explain(self, program: Program, job: Run | Train) -> Explanation:
        """The nodes, and the equations that are evaluated as they stand."""
        return Explanation(
            tables={
                "nodes": (("node", "op", "shape"), *_nodes(program)),
                "equations": (("node", "value", "equation"), *_equations(program)),
            }
        )


def _nodes(program: Program) -> Iterator[tuple[str, str, str]]:
    shapes = infer_shapes(program).shapes
    for name, op in program.nodes.items():
        found = {shapes[f"{name}.{port}"] for port in op.out_ports}
        yield name, op.summary(), " ".join(map(str, sorted(found)))


def _equations(program: Program) -> Iterator[tuple[str, str, str]]:
    for name, op in program.nodes.items():
        if isinstance(op, (Neuron, Pointwise)):
            step = op.equations()
            for value, equation in {**step.outputs, **step.updates}.items():
                yield name, value, repr(equation)
