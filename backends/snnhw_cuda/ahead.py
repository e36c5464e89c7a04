"""Kernels compiled ahead of time: machine code for a GPU that is not here, to be read and never run.

Triton specialises a launch on its arguments: pointers are aligned to 16 bytes, as torch's are, and a size
that is a multiple of 16 is known to be one, from which follow loads of several numbers at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from snnhw.passes import ScanLoop
from snnhw_cuda.kernel import functions_of, options
from snnhw_cuda.triton_pieces import array
from snnhw_cuda.triton_source import KEPT, parameters, source

__all__ = ["AMD", "NVIDIA", "Code", "ahead", "kernel_code"]

NVIDIA: Final = ("sm_80", "sm_90", "sm_100")
AMD: Final = ("gfx942",)

_SHORT: Final = {"float32": "fp32", "float64": "fp64", "bfloat16": "bf16", "float16": "fp16"}

_BYTES: Final = {"float32": 4, "float64": 8, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True)
class Code:
    """One kernel, compiled.

    Attributes:
        source: what was compiled.
        target: for which GPU, such as ``sm_90`` or ``gfx942``.
        each: neurons of a thread.
        itemsize: bytes of a number that is computed with; signal: of one in a signal.
        asm: stage -> its text; ``cubin`` and ``hsaco`` are machine code.
    """

    source: str
    target: str
    each: int
    itemsize: int
    signal: int
    asm: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The last stage that is text."""
        text: str = self.asm["ptx" if self.target in NVIDIA else "amdgcn"]
        return text


def kernel_code(
    loop: ScanLoop,
    target: str,
    *,
    dtype: str = "float32",
    signals: str = "full",
    group: int,
    block: int,
    aligned: bool = True,
) -> Code:
    """One pass of a scan.

    Args:
        target: of `NVIDIA` or `AMD`.
        dtype, signals: as in `snnhw_cuda.options.CudaOptions`.
        group, block: steps that are loaded at once, and neurons of a program, as in `snnhw_cuda.limits`.
        aligned: whether the columns of a row are a multiple of 16.
    """
    narrow = dtype if signals == "full" else signals
    arrays = {
        array(argument): f"*{'fp64' if argument.wide else _SHORT[narrow if argument.signal else dtype]}"
        for argument in loop.arguments
    }
    arrays[KEPT] = f"*{_SHORT[dtype]}"
    types = {"T": "i32", **{name: arrays.get(name, "i32") for name in parameters(loop)}}
    known = [name for name, kind in types.items() if kind[0] == "*" or (aligned and name == "C")]
    code = ahead(source(loop, dtype, group), loop.name, target, types=types, multiples=known, BLOCK=block)
    return replace(code, signal=_BYTES[narrow])


def ahead(
    source: str,
    name: str,
    target: str,
    *,
    types: Mapping[str, str],
    multiples: Sequence[str],
    **constants: int,
) -> Code:
    """One function of a source.

    Args:
        types: argument -> its type in Triton's words, in order, those of ``constants`` apart.
        multiples: arguments that are known to be multiples of 16.
    """
    number = target.removeprefix("sm_")
    gpu = GPUTarget("cuda", int(number), 32) if number != target else GPUTarget("hip", target, 64)
    chosen = options(constants["BLOCK"])
    if gpu.backend != "cuda":
        chosen.pop("maxnreg", None)  # a limit of NVIDIA's
    made = triton.compile(
        ASTSource(
            functions_of(source, name)[name],
            {**types, **dict.fromkeys(constants, "constexpr")},
            constants,
            {(place,): [["tt.divisibility", 16]] for place, known in enumerate(types) if known in multiples},
        ),
        target=gpu,
        options=chosen,
    )
    threads = made.metadata.num_warps * gpu.warp_size
    itemsize = 8 if "F = tl.constexpr(tl.float64)" in source else 4
    return Code(source, target, max(1, constants["BLOCK"] // threads), itemsize, itemsize, made.asm)
