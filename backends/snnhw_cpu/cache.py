"""Emitted sources and their machine code, kept for this user.

numba caches only code that lives in a file, and reads its cache with pickle; so the folder must belong
to the user and be closed to others, or a private temporary one is used instead.
"""

from __future__ import annotations

import atexit
import hashlib
import importlib.util
import os
import shutil
import stat
import sys
import tempfile
from functools import lru_cache
from pathlib import Path
from types import ModuleType

from snnhw.ir import write_atomic

__all__ = ["load_module"]


def load_module(source: str, name: str) -> ModuleType:
    """A source text as a module, in a file of its own so that numba keeps its machine code."""
    digest = hashlib.sha256(source.encode()).hexdigest()[:24]
    path = _folder() / f"{name}_{digest}.py"
    if not path.exists() or path.read_text() != source:
        write_atomic(path, source.encode())
    spec = importlib.util.spec_from_file_location(f"_snnhw_cpu_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # numba's cache finds a function's module by this name
    spec.loader.exec_module(module)
    return module


@lru_cache(maxsize=1)
def _folder() -> Path:
    """``$SNNHW_CACHE_DIR`` or the user's cache folder, by version of what made the code."""
    import numba

    base = os.environ.get("SNNHW_CACHE_DIR")
    root = Path(base) if base else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "snnhw"
    version = f"cpu-numba{numba.__version__}-py{sys.version_info.major}{sys.version_info.minor}"
    folder = root / version
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _is_private(folder) and os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass  # a read-only home is no reason to fail: compile again in every process
    return _temporary()


def _is_private(folder: Path) -> bool:
    """Whether only this user can have written what lies here."""
    if not hasattr(os, "getuid"):
        return True  # Windows guards the profile folder itself
    found = folder.stat()
    return found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _temporary() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="snnhw-cpu-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
