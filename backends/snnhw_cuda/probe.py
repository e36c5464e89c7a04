"""Whether kernels can run here, and if not, the line that mends it."""

from __future__ import annotations

import re
from importlib import metadata
from typing import TYPE_CHECKING, Final

from snnhw.plugin import Probe

if TYPE_CHECKING:
    from snnhw_cuda.options import CudaOptions

__all__ = ["RELEASES", "probe", "triton_found"]

RELEASES: Final = ((3, 6), (3, 9))
"""Of Triton, the first and the last that this was held to."""

TRITON: Final = 'pip install "triton>=3.6,<3.10"'

INTERPRET: Final = "or try it without a GPU: option interpret=true"


def probe(options: CudaOptions) -> Probe:
    """Torch first, then Triton, then a device; a device is not asked for where Triton interprets."""
    try:
        import torch
    except ImportError as error:
        return Probe("missing", reason=str(error), install="pip install torch")
    except OSError as error:  # a library of torch's own does not load
        return Probe("broken", reason=str(error), install="pip install --force-reinstall torch")
    found = triton_found()
    if found.status != "ready":
        return found
    version = f"torch {torch.__version__}, {found.version}"
    if options.interpret:
        return _interpreter(version)
    if torch.version.cuda is None:
        return Probe(
            "no device",
            reason="this torch has no CUDA",
            install=f"install a build of torch with CUDA   ({INTERPRET})",
            version=version,
        )
    if not torch.cuda.is_available():
        return Probe(
            "no device",
            reason="no NVIDIA GPU or driver",
            install=f"nvidia-smi says what the driver lacks   ({INTERPRET})",
            version=version,
        )
    return _device(options.device, torch.cuda.device_count(), version)


def triton_found() -> Probe:
    """Whether it is one that this was held to."""
    try:
        version = metadata.version("triton")
    except metadata.PackageNotFoundError:
        return Probe("missing", reason="Triton is not installed", install=TRITON)
    if not RELEASES[0] <= _release("triton") <= RELEASES[1]:
        first, last = (".".join(map(str, bound)) for bound in RELEASES)
        return Probe(
            "broken", reason=f"Triton {version} was not tried, {first} to {last} were", install=TRITON
        )
    try:
        import triton
    except (ImportError, OSError) as error:
        return Probe("broken", reason=f"Triton does not load: {error}", install=f"{TRITON} --force-reinstall")
    return Probe("ready", version=f"triton {triton.__version__}")


def _interpreter(version: str) -> Probe:
    """Triton 3.6 makes numbers of arrays with one element, which NumPy refuses from 2.4 on."""
    if _release("triton") < (3, 7) and _release("numpy") >= (2, 4):
        return Probe(
            "broken",
            reason="Triton 3.6 interprets nothing beside NumPy 2.4 or newer",
            install='pip install "triton>=3.7,<3.10"   (or "numpy<2.4")',
            version=version,
        )
    return Probe("ready", version=version, device="Triton's interpreter, on the CPU")


def _release(package: str) -> tuple[int, ...]:
    """Its first two numbers."""
    return tuple(int(part) for part in re.findall(r"\d+", metadata.version(package))[:2])


def _device(name: str, count: int, version: str) -> Probe:
    import torch

    number = int(name.partition(":")[2] or torch.cuda.current_device())
    if number >= count:
        found = "1 was found" if count == 1 else f"{count} were found"
        return Probe(
            "no device",
            reason=f"there is no {name}; {found}",
            install=f"device=cuda:0 to cuda:{count - 1}",
            version=version,
        )
    return Probe("ready", version=version, device=torch.cuda.get_device_name(number))
