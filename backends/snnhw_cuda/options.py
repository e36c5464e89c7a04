"""Options of the CUDA backend. What cannot be is refused here, before anything is compiled."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from snnhw.tensors.execution.paths import forced
from snnhw.words import brief
from snnhw_cuda.limits import INTERPRETED, USUAL, Limits
from snnhw_cuda.paths import PATHS

if TYPE_CHECKING:
    from snnhw.plugin import Probe

__all__ = ["CudaOptions"]


@dataclass(frozen=True)
class CudaOptions:
    """Options of the CUDA backend.

    Attributes:
        device: the GPU: ``cuda`` for the one that torch has as its current one, or ``cuda:1``.
        interpret: run the kernels in Triton's interpreter, in main memory, in place of a GPU; slow, and for
            checking what they compute.
        dtype: of signals, states and parameters while computing.
        signals: ``bfloat16`` or ``float16``: in what all that passes between layers lies in memory, which is
            half of it: inputs, currents, spikes, and their adjoints. Neurons compute in ``dtype``, where
            states and parameters stay; products multiply what is as narrow and sum what is not. Small
            adjoints fall out of the range of float16.
        precision: ``bf16`` rounds the operands of matrix products to bfloat16; neurons stay as they are. TF32
            is torch's to decide (``torch.set_float32_matmul_precision``).
        graphs: record calls that repeat as CUDA graphs, which launch one thing in place of hundreds. What is
            recorded keeps the memory of all that it computes until the model is closed.
        paths: forces what is otherwise decided by size or threshold, as ``name:way`` with commas between,
            such as ``chunks:small,groups:single``. `snnhw explain` lists them.
    """

    device: str = "cuda"
    interpret: bool = False
    dtype: Literal["float32", "float64"] = "float32"
    signals: Literal["full", "bfloat16", "float16"] = "full"
    precision: Literal["full", "bf16"] = "full"
    graphs: bool = True
    paths: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"cuda(:\d+)?", self.device):
            raise ValueError(
                f"device: {brief(self.device)} is no NVIDIA GPU as torch names them; accepted: cuda or, of "
                "several, cuda:0, cuda:1, ..."
            )
        if self.signals != "full" and self.dtype != "float32":
            raise ValueError(
                f"signals={self.signals} is beside states in float32; leave out dtype={self.dtype}, or it"
            )
        self.limits  # noqa: B018  # refuses what is no path

    @property
    def usual(self) -> Limits:
        """Where its paths begin and end, unless forced."""
        return INTERPRETED if self.interpret else USUAL

    @property
    def limits(self) -> Limits:
        """As ``paths`` has them."""
        return forced(PATHS, self.paths, self.usual)

    @property
    def records(self) -> bool:
        """Whether there is a device that records."""
        return self.graphs and not self.interpret

    @property
    def label(self) -> str:
        """What marks its results."""
        return "interpreted" if self.interpret else ""

    def probe(self) -> Probe:
        """Whether it can run where these options say."""
        from snnhw_cuda.probe import probe

        return probe(self)
