"""From emitted source to machine code, or from the cache.

numba's own cache needs the source in a file, unpickles whatever lies beside it, and fails where it cannot
write. Here a source is never read from a disk, and of machine code only what `KernelCache` vouches for.
"""

from __future__ import annotations

import hashlib
import linecache
import logging
import pickle
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import llvmlite
import numba
from numba.core import compiler, serialize, sigutils
from numba.core.ccallback import CFunc

from snnhw.tensors.scans.kernel_cache import KernelCache

__all__ = ["CACHE", "Compiled", "cfunc", "load_module"]

LOG = logging.getLogger("snnhw.cpu")

CACHE = KernelCache("cpu")

# Some releases of numba declare types, others do not.
dumps: Any = serialize.dumps
normalize_signature: Any = sigutils.normalize_signature
rebuild: Any = compiler.CompileResult._rebuild

PREFIX = "_snnhw_cpu_"


def load_module(source: str, name: str) -> ModuleType:
    """A source text as a module; what `cfunc` decorates in it is compiled, or taken from the cache."""
    module = ModuleType(f"{PREFIX}{name}_{hashlib.sha256(source.encode()).hexdigest()}")
    file = f"<{module.__name__}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)  # for tracebacks
    sys.modules[module.__name__] = module  # numba finds a kept function's module by this name
    exec(compile(source, file, "exec"), module.__dict__)  # noqa: S102  # it is our own
    return module


@dataclass
class Compiled:
    """A function of numba's for C.

    Attributes:
        function: numba's own object.
        fresh: whether it was compiled, because no cache held it.
        kept: whether later processes find it.
    """

    function: Any
    fresh: bool = True
    kept: bool = False


def cfunc(signature: str, **options: Any) -> Callable[[Callable[..., None]], Compiled]:
    """`numba.cfunc`, for sources that `load_module` runs."""

    def compiled(function: Callable[..., None]) -> Compiled:
        found = Compiled(CFunc(function, normalize_signature(signature), {}, options))
        if function.__module__.startswith(PREFIX):
            found.function._cache = _Cache(found, function)
        found.function.compile()
        return found

    return compiled


class _Cache:
    """What a `CFunc` asks before it compiles, and tells after it has."""

    def __init__(self, owner: Compiled, function: Callable[..., None]) -> None:
        self._owner = owner
        self._name = function.__name__
        self._source = f"{function.__module__}.{function.__qualname__}"  # holds the source's digest

    def load_overload(self, _: Any, context: Any) -> Any:
        """The compiled function; None where the cache has none."""
        context.refresh()
        data = CACHE.kept(self._name, self._key(context.codegen()))
        if data is None:
            return None
        try:
            found = rebuild(context, *pickle.loads(data))  # noqa: S301  # written by `keep`
        except Exception as error:  # noqa: BLE001  # whatever an unusual build of numba makes of it
            LOG.info("what is kept of %s cannot be used: %r", self._name, error)
            return None
        self._owner.fresh, self._owner.kept = False, True
        return found

    def save_overload(self, _: Any, result: Any) -> None:
        assert not result.library.has_dynamic_globals, "a kernel that holds addresses of this process"
        self._owner.kept = CACHE.keep(self._name, self._key(result.codegen), dumps(result._reduce()))

    def _key(self, codegen: Any) -> str:
        """Everything that machine code depends on."""
        made_by = (numba.__version__, llvmlite.__version__, platform.python_implementation(), sys.version)
        return repr((self._source, made_by, codegen.magic_tuple()))
