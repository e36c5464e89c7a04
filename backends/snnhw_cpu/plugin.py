"""The entry point of the CPU backend. Importing it imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from snnhw.ir import Params, Program
from snnhw.passes import exact_float
from snnhw.plugin import INTERFACE, Capabilities, Executable, Explanation, Probe, Run, Train
from snnhw.tensors.execution.claims import torch_capabilities
from snnhw.tensors.execution.paths import forced, ways
from snnhw_cpu.claims import INTEGERS
from snnhw_cpu.limits import USUAL, Limits
from snnhw_cpu.paths import PATHS

__all__ = ["CpuBackend"]


@dataclass(frozen=True)
class CpuOptions:
    """Options of the CPU backend.

    Attributes:
        dtype: of signals, states and parameters while computing.
        precision: ``bf16`` rounds the operands of matrix products to bfloat16; neurons stay as they are.
        deterministic: keep to dense products, so that sums do not depend on how active the first batch was.
        paths: forces what is otherwise decided by measurement, size or threshold, as ``name:way`` with commas
            between, such as ``linear:skip,threads:one``. None of them changes what is computed, but some the
            order of sums. `snnhw explain` lists them.
    """

    dtype: Literal["float32", "float64"] = "float32"
    precision: Literal["full", "bf16"] = "full"
    deterministic: bool = False
    paths: str = ""

    def __post_init__(self) -> None:
        way = self.limits.way  # refuses what is no path
        if self.deterministic and way != "dense":
            raise ValueError("deterministic=true keeps to dense products; leave it out, or paths=linear:skip")

    @property
    def limits(self) -> Limits:
        """Where its paths begin and end."""
        return forced(PATHS, self.paths, replace(USUAL, way="dense" if self.deterministic else None))

    @property
    def settled(self) -> dict[str, str]:
        """Name of a decision that another option than ``paths`` makes -> what runs, in words."""
        said = {"deterministic=true": self.deterministic, "precision=bf16": self.precision == "bf16"}
        options = " and ".join(option for option, given in said.items() if given)
        return {"linear": f"dense, as of {options}"} if options else {}


class CpuBackend:
    """Runs programs on the host."""

    name = "cpu"
    interface = INTERFACE
    Options = CpuOptions

    def probe(self) -> Probe:
        try:
            import torch
        except ImportError as error:
            return Probe("missing", reason=str(error), install="pip install torch")
        except OSError as error:  # a library of torch's own does not load
            return Probe("broken", reason=str(error), install="pip install --force-reinstall torch")
        threads = torch.get_num_threads()
        return Probe("ready", version=f"torch {torch.__version__}", device=f"CPU, {threads} threads")

    def capabilities(self) -> Capabilities:
        return torch_capabilities(paths=ways(PATHS), integers=INTEGERS)

    def compile(self, program: Program, params: Params, job: Run | Train) -> Executable:
        import torch

        from snnhw.tensors.execution.calls import directly
        from snnhw.tensors.execution.executable import TorchExecutable
        from snnhw.tensors.execution.on_host import OnHost
        from snnhw.tensors.execution.repeated import Repeated
        from snnhw_cpu.kernel import LOG
        from snnhw_cpu.network import network_of
        from snnhw_cpu.threads import alone

        options = job.options if isinstance(job.options, CpuOptions) else CpuOptions()
        dtype = exact_float(program) or "int64" if program.formats else options.dtype
        limits = options.limits
        repeated = Repeated(OnHost(limits.listed, alone), warm=limits.warm, log=LOG)
        return TorchExecutable(
            network_of(program, precision=options.precision, limits=options.limits),
            params,
            job,
            device=torch.device("cpu"),
            dtype=getattr(torch, dtype),
            calls=repeated if limits.listed else directly,
            program=program,
        )

    def explain(self, program: Program, job: Run | Train) -> Explanation:
        from snnhw_cpu.explain import explain

        return explain(program, job)
