"""Printed kernels as something that is launched: compiled by Triton, or run by its interpreter."""

from __future__ import annotations

import hashlib
import linecache
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from types import ModuleType
from typing import Any, Final

import numpy as np
import triton
from torch import Tensor
from triton import language as tl
from triton.runtime.interpreter import InterpretedFunction
from triton.runtime.jit import JITFunction

from snnhw.errors import DeviceError
from snnhw.words import sentence
from snnhw_cuda.limits import EACH

__all__ = ["Kernel", "compiled", "functions_of", "kernel_of", "options"]

PREFIX: Final = "_snnhw_cuda_"

LANES: Final = 32
"""Threads of a warp."""

MOST: Final = 255
"""Registers that a thread of an NVIDIA GPU can have."""


def options(block: int) -> dict[str, int | bool]:
    """What Triton compiles a kernel with, whose programs take so many neurons each.

    A product and a sum are rounded apart, as the language says. Allowed all registers, NVIDIA's assembler
    lets the loads of a group of steps stand before the first of them; else it moves some behind it.
    """
    warps = max(1, block // (LANES * EACH))
    return {"num_warps": warps, "enable_fp_fusion": False, "maxnreg": MOST}


def functions_of(source: str, name: str) -> dict[str, Any]:
    """A source text as a module's names, as Triton decorates them."""
    module = ModuleType(f"{PREFIX}{name}_{hashlib.sha256(source.encode()).hexdigest()}")
    file = f"<{module.__name__}>"
    # Triton reads it there.
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    sys.modules[module.__name__] = module
    exec(compile(source, file, "exec"), module.__dict__)  # noqa: S102  # it is our own
    return module.__dict__


def kernel_of(source: str, name: str, *, interpreted: bool) -> Any:
    """The kernel of a source, to be indexed with a grid and called."""
    names = functions_of(source, name)
    if not interpreted:
        return names[name]
    kernel = names[name]
    for known, function in list(names.items()):
        if isinstance(function, JITFunction | InterpretedFunction):
            names[known] = function.fn  # what a kernel calls is Python to the interpreter
    if "plus" in names:
        names["plus"] = tl.standard._sum_combine  # known to it, and otherwise called for every number
    return InterpretedFunction(kernel.fn)


@dataclass(frozen=True)
class Kernel:
    """One function of a source, for one way of running."""

    source: str
    name: str
    function: Any
    interpreted: bool

    def __call__(self, programs: int, arguments: Sequence[Tensor | int], **constants: int) -> None:
        """Launch so many programs, on the device where the tensors lie.

        Raises:
            DeviceError: Triton does not compile it, or the device has no room for it.
        """
        if not programs:
            return
        launch = self.function[programs,]
        if self.interpreted:
            with np.errstate(all="ignore"):  # a GPU does not tell of infinite numbers either
                launch(*arguments, **constants)
            return
        try:
            launch(*arguments, **constants, **options(constants["BLOCK"]))
        except (triton.TritonError, RuntimeError) as error:
            raise DeviceError(self._refused(error)) from error

    @cached_property
    def _file(self) -> str:
        """Where the source lies, to be looked at; written when it is first asked for."""
        with tempfile.NamedTemporaryFile("w", suffix=f"_{self.name}.py", delete=False) as file:
            file.write(self.source)
        return file.name

    def _refused(self, error: Exception) -> str:
        return (
            f"Triton {triton.__version__} does not run this {self.name} kernel, whose source is now in "
            f"'{self._file}': {sentence(f'{type(error).__name__}: {error}')} Please report it with that "
            "file; backend='cpu' runs the same program meanwhile"
        )


_LOCK = Lock()

_KERNELS: dict[tuple[str, str, bool], Kernel] = {}


def compiled(source: str, name: str, *, interpreted: bool = False) -> Kernel:
    """One function of a source; equal sources share it. Triton compiles when it is first launched, and keeps
    what it made for later processes."""
    with _LOCK:
        key = (source, name, interpreted)
        if key not in _KERNELS:
            _KERNELS[key] = Kernel(
                source, name, kernel_of(source, name, interpreted=interpreted), interpreted
            )
        return _KERNELS[key]
