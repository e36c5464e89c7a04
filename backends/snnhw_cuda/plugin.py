"""The entry point of the CUDA backend. Importing it imports neither torch nor Triton."""

from __future__ import annotations

from snnhw.errors import DeviceError
from snnhw.ir import Params, Program
from snnhw.plugin import INTERFACE, Capabilities, Executable, Explanation, Probe, Run, Train
from snnhw.tensors.execution.claims import torch_capabilities
from snnhw.tensors.execution.paths import ways
from snnhw_cuda.options import CudaOptions
from snnhw_cuda.paths import PATHS

__all__ = ["CudaBackend"]


class CudaBackend:
    """Trains and runs programs on an NVIDIA GPU."""

    name = "cuda"
    interface = INTERFACE
    Options = CudaOptions
    devices = ("gpu", "nvidia")

    def probe(self) -> Probe:
        return CudaOptions().probe()

    def capabilities(self) -> Capabilities:
        return torch_capabilities(paths=ways(PATHS))

    def compile(self, program: Program, params: Params, job: Run | Train) -> Executable:
        options = job.options if isinstance(job.options, CudaOptions) else CudaOptions()
        found = options.probe()
        if not found.ready:  # nobody has asked, where the interpreter takes the device's place
            raise DeviceError(f"backend 'cuda' cannot run here: {found.reason}. To mend it: {found.install}")
        import torch

        from snnhw.tensors.execution.calls import directly
        from snnhw.tensors.execution.executable import TorchExecutable
        from snnhw.tensors.execution.repeated import Repeated
        from snnhw_cuda.graphs import LOG, WARM, OnDevice
        from snnhw_cuda.network import network_of

        device = torch.device("cpu" if options.interpret else options.device)
        repeated = Repeated(OnDevice(device), warm=WARM, log=LOG)
        return TorchExecutable(
            network_of(program, options),
            params,
            job,
            device=device,
            dtype=getattr(torch, options.dtype),
            calls=repeated if options.records else directly,
        )

    def explain(self, program: Program, job: Run | Train) -> Explanation:
        from snnhw_cuda.explain import explain

        return explain(program, job)
