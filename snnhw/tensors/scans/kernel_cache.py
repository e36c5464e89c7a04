"""Files of machine code, kept for this user: whole and as they were written, or as good as absent.

What is read here is unpickled and run. So the folder must belong to the user and be closed to others, and
a file counts only when its digest says that all of it was written under the key that is asked for. Anything
else that lies there, damaged, cut off or of another machine, is written anew. Where nothing can be kept,
every process compiles for itself, and says so once.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import stat
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from snnhw.errors import LoadError
from snnhw.ir import write_atomic
from snnhw.ir.files import read_bytes

__all__ = ["KernelCache"]

LOG = logging.getLogger("snnhw")

MOST: Final = 64 << 20
"""Bytes that are read of one file; a kernel takes some ten thousand."""

DIGEST: Final = hashlib.sha256().digest_size


@dataclass(frozen=True)
class KernelCache:
    """The files of one backend, in a folder that is named like it."""

    backend: str

    def kept(self, name: str, key: str) -> bytes | None:
        """What `keep` was given under this name and key; None where that is not known for certain.

        Args:
            name: what the file begins with, for people who look; key: everything that the content depends on.
        """
        folder = self.folder()
        try:
            if folder is None or not folder.exists():
                return None
            _check_private(folder)
            found = read_bytes(_file(folder, name, key), MOST)
        except OSError as error:
            _tell(str(folder), error.strerror)
            return None
        except LoadError as error:  # absent, or no regular file
            self._log.debug("%s is not kept: %s", name, error)
            return None
        digest, data = found[:DIGEST], found[DIGEST:]
        if digest != _digest(key, data):
            self._log.info("what is kept of %s is damaged, or belongs to another machine", name)
            return None
        return data

    def keep(self, name: str, key: str, data: bytes) -> bool:
        """Write for later processes; whether that was possible."""
        folder = self.folder()
        if folder is None:
            return False
        try:
            if not folder.exists():  # or not any more
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check_private(folder)
            file = _file(folder, name, key)
            _make_room(file)
            write_atomic(file, _digest(key, data) + data)
        except OSError as error:
            _tell(str(folder), error.strerror)
            return False
        return True

    def folder(self) -> Path | None:
        """``$SNNHW_CACHE_DIR``, or the user's cache folder as the XDG specification has it; None: unknown."""
        named = os.environ.get("SNNHW_CACHE_DIR")
        general = os.environ.get("XDG_CACHE_HOME", "")
        if not Path(general).is_absolute():  # unset, empty or relative: the specification's default
            general = "~/.cache"
        base = named or f"{general}/snnhw"
        try:
            found = Path(base).expanduser()
            return (found if found.is_absolute() else _at_first(found)) / self.backend
        except RuntimeError:
            _tell(base, "no home folder is known")
        except FileNotFoundError:
            _tell(base, "the working folder is gone")
        return None

    @property
    def _log(self) -> logging.Logger:
        return logging.getLogger(f"snnhw.{self.backend}")


def _file(folder: Path, name: str, key: str) -> Path:
    return folder / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:24]}.kernel"


def _make_room(file: Path) -> None:
    """Take away what cannot be written over: pipes, links that lead nowhere, files that are protected. A
    folder is set aside as it is, since somebody may miss what it holds."""
    plain = file.is_file() and file.stat().st_mode & stat.S_IWUSR
    if plain or not os.path.lexists(file):
        return
    if file.is_dir() and not file.is_symlink():
        file.rename(file.with_name(f"{file.name}-{secrets.token_hex(8)}"))
    else:
        file.unlink()


def _digest(key: str, data: bytes) -> bytes:
    """Of the key, too: a file of another machine or another kernel is whole, and not the one asked for."""
    return hashlib.sha256(hashlib.sha256(key.encode()).digest() + data).digest()


# -- Where ------------------------------------------------------------------------------------------


@lru_cache
def _at_first(relative: Path) -> Path:
    """The folder that this meant when it was first asked for: `os.chdir` moves no kernels."""
    return relative.absolute()


def _check_private(folder: Path) -> None:
    """Refuse a folder that others than this user can have written to."""
    found = folder.stat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(None, "it is no folder")
    if not hasattr(os, "getuid"):
        return  # Windows guards the profile folder itself
    if found.st_uid != os.getuid():
        raise PermissionError(None, "it belongs to another user")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(None, "others may write to it")


@lru_cache
def _tell(folder: str, why: str) -> None:
    """Once for each cause: who waits for a compiler at every start should know why."""
    LOG.warning(
        "snnhw: every process compiles its kernels anew, since the folder '%s' cannot be used (%s); "
        "name one of your own in SNNHW_CACHE_DIR",
        folder,
        why[:1].lower() + why[1:],
    )
