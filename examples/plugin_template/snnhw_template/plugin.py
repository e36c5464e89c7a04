"""What the backend is and what it claims. Importing this imports no SDK: `probe` and `compile` do that."""

from __future__ import annotations

from snnhw.ir import (
    PRIMITIVES,
    Add,
    Flatten,
    Input,
    Linear,
    Neuron,
    Op,
    Output,
    Params,
    Pointwise,
    Program,
)
from snnhw.plugin import (
    Capabilities,
    Executable,
    Explanation,
    NoOptions,
    Probe,
    Run,
    Support,
    Train,
)

__all__ = ["TemplateBackend"]

RUNS: tuple[type[Op], ...] = (Add, Flatten, Input, Linear, Neuron, Output, Pointwise)


class TemplateBackend:
    """Runs programs in NumPy, one step after the other; it does not train."""

    name = "template"  # as in pyproject.toml
    interface = 2  # the version of snnhw.plugin that this was written for
    Options = NoOptions

    def probe(self) -> Probe:
        """Look for the SDK and the device here, and say in words what is missing."""
        import numpy as np

        return Probe("ready", version=f"numpy {np.__version__}", device="the host")

    def capabilities(self) -> Capabilities:
        """Everything that is listed is tested; everything that is not must be refused."""
        return Capabilities(
            ops=dict.fromkeys(RUNS, Support()),
            expressions=frozenset(PRIMITIVES),  # neurons are equations; these are the words in them
            dtypes=("float32",),
            train=False,
        )

    def compile(self, program: Program, params: Params, job: Run | Train) -> Executable:
        """Core has validated the program and checked it against `capabilities`."""
        from snnhw_template.executable import DTYPE, TemplateNetwork

        from snnhw.session import Inference

        return Inference(program, params, job, DTYPE, TemplateNetwork(program).run)

    def explain(self, program: Program, job: Run | Train) -> Explanation:
        """What `compile` would do; `snnhw explain` shows it."""
        rows = tuple((name, op.summary()) for name, op in program.nodes.items())
        return Explanation(tables={"every step, in this order": (("node", "op"), *rows)})
