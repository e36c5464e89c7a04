"""The entry point of the IPU backend. Importing it imports neither torch nor PopTorch."""

from __future__ import annotations

from typing import Final

from snnhw.ir import Optimizer, Params, Program
from snnhw.plugin import INTERFACE, Capabilities, Executable, Explanation, Probe, Run, Support, Train
from snnhw_ipu.equations import PRIMITIVE_RULES
from snnhw_ipu.layers import LOWERINGS
from snnhw_ipu.losses import LOSSES
from snnhw_ipu.optimizers import OPTIMIZERS
from snnhw_ipu.options import IpuOptions

__all__ = ["IpuBackend"]

DTYPES: Final = ("float32", "float16")


class IpuBackend:
    """Trains and runs programs on Graphcore's IPUs."""

    name = "ipu"
    interface = INTERFACE
    Options = IpuOptions

    def probe(self) -> Probe:
        from snnhw_ipu.probe import probe

        return probe(IpuOptions())

    def capabilities(self) -> Capabilities:
        return Capabilities(
            ops=dict.fromkeys(LOWERINGS, Support()),
            expressions=frozenset(PRIMITIVE_RULES),
            losses=frozenset(LOSSES),
            optimizers=frozenset[type[Optimizer]](OPTIMIZERS),
            dtypes=DTYPES,
            fixed_shapes=True,
            noise=True,
            lengths=True,
            alone="PopTorch replicates in one; start one, and give options={'replication': N} for N IPUs",
        )

    def compile(self, program: Program, params: Params, job: Run | Train) -> Executable:
        from snnhw_ipu.executable import IpuExecutable
        from snnhw_ipu.link import connect

        options = job.options if isinstance(job.options, IpuOptions) else IpuOptions()
        link = connect(options)
        try:
            return IpuExecutable(program, params, job, options, link)
        except BaseException:
            link.close()
            raise

    def explain(self, program: Program, job: Run | Train) -> Explanation:
        from snnhw_ipu.explain import explain

        return explain(program, job, job.options if isinstance(job.options, IpuOptions) else IpuOptions())
