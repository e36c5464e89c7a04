"""A program's kernels as machine code, in figures. They are compiled for it, and never run."""

from __future__ import annotations

from typing import Final

from snnhw.passes import ScanLoop
from snnhw_cuda.ahead import AMD, NVIDIA, kernel_code
from snnhw_cuda.options import CudaOptions
from snnhw_cuda.provider import TritonProvider
from snnhw_cuda.reading import Reading, read

__all__ = ["HEADINGS", "figures", "rows_of"]

HEADINGS: Final = (
    "kernel",
    "GPU",
    "registers",
    "spilled bytes",
    "bytes of an access",
    "steps in flight",
    "bytes of a neuron and step",
)


def rows_of(
    file: str, loop: ScanLoop, batch: int, neurons: int, options: CudaOptions
) -> list[tuple[str, ...]]:
    """One kernel on each GPU, as it is launched for a batch of such a layer."""
    provider = TritonProvider(options.limits)
    columns = provider.grid_of(any(p.axes for p in loop.kind("p")), batch, neurons).columns
    return [
        (
            file,
            target,
            *figures(
                read(
                    kernel_code(
                        loop,
                        target,
                        dtype=options.dtype,
                        signals=options.signals,
                        group=options.limits.group,
                        block=provider.block(columns),
                        aligned=columns % 16 == 0,
                    ),
                    loop,
                    options.limits.group,
                )
            ),
        )
        for target in (*NVIDIA, *AMD)
    ]


def figures(found: Reading) -> tuple[str, ...]:
    """The cells of a reading."""
    loops = ", ".join(map(str, found.loops))
    cells = (found.registers, found.spilled, found.width or "-", f"{found.flight:g}", loops)
    return tuple(map(str, cells if found.loops else (*cells[:2], "-", "-", "-")))
