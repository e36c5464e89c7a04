"""Writing a file so that its name holds either the old content or all of the new.

New content is written beside the name and moved into place, so that an interrupted save leaves the old file
whole. What a killed save leaves beside it, the next one into that folder clears away: its writer held a lock,
which no longer holds.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]  # a module, where there is one

__all__ = ["write_atomic"]

OURS: Final = re.compile(r"\.snnhw-[0-9a-f]{16}\.tmp")
"""Names of files that are being written; others are not ours to clear away."""

DAY: Final = 24 * 3600.0
"""Seconds after which a file of ours is left over where locks do not say so."""

LINKS: Final = 40
"""As many links as Linux follows."""


def write_atomic(path: str | os.PathLike[str], data: bytes) -> None:
    """Write bytes so that the name always holds either the old content or all of the new.

    A symbolic link stays, and what it points to is written. An existing file keeps its permissions. Pipes and
    devices, such as ``/dev/stdout``, are written to as they are.

    Raises:
        OSError: naming ``path``; it holds what it held before. Among the reasons: it is a folder, it is
            read-only, its links lead in a circle, or its folder is not there or takes no new file.
    """
    try:
        target, opened = _pointed(Path(path))
        found = target.stat() if target.exists() else None
        if found is not None and stat.S_ISDIR(found.st_mode):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        if opened or not (found is None or stat.S_ISREG(found.st_mode)):
            _straight(target, data)
        else:
            _replace(target, data, found)
    except OSError as error:  # of the file that was asked for, not of the one beside it
        raise OSError(error.errno, error.strerror or str(error), os.fspath(path)) from error


def _pointed(path: Path) -> tuple[Path, bool]:
    """What a name stands for when its links are followed; whether it stands for a file that is open already,
    which has no name of its own to write to."""
    for _ in range(LINKS):
        if not path.is_symlink():
            return path, False
        if Path("/proc") in path.parent.resolve().parents:
            return path, True
        path = path.parent / path.readlink()
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _straight(target: Path, data: bytes) -> None:
    """Into a pipe or a device."""
    try:
        handle = os.open(target, os.O_WRONLY | os.O_TRUNC | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        if error.errno == errno.ENXIO:  # to wait for a reader may be to wait for ever
            raise OSError(errno.ENXIO, "it is a pipe or socket that nobody reads from") from error
        raise
    if hasattr(os, "O_NONBLOCK"):
        os.set_blocking(handle, True)
    with open(handle, "wb") as file:  # noqa: PTH123  # it has no name
        file.write(data)


def _replace(target: Path, data: bytes, found: os.stat_result | None) -> None:
    """``found``: what is there now."""
    if found is not None and not _writable(target, found):
        raise OSError(errno.EACCES, "it is read-only; make it writable, or choose another name")
    _clear(target.parent)
    with _beside(target) as (temporary, file):
        if found is not None and os.name == "posix":
            _permit(file.fileno(), found)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        if fcntl is None:  # Windows moves no open file
            file.close()
        temporary.replace(target)
    _sync_folder(target.parent)


def _writable(target: Path, found: os.stat_result) -> bool:
    """Not one that its owner has protected, which would stop neither `os.replace` nor root."""
    effective = os.access in os.supports_effective_ids
    return bool(found.st_mode & 0o222) and os.access(target, os.W_OK, effective_ids=effective)


@contextmanager
def _beside(target: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A new file in the same folder, hence on the same disk; removed unless it was moved away."""
    temporary, file = _new(target)
    try:
        with file:
            yield temporary, file
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _new(target: Path) -> tuple[Path, BinaryIO]:
    """A file of ours, with its lock."""
    while True:
        temporary = target.with_name(f".snnhw-{secrets.token_hex(8)}.tmp")
        file = temporary.open("xb")
        if _locked(file.fileno()) is not False and temporary.exists():
            return temporary, file
        file.close()  # another process took it for left over in the moment before it had its lock


def _permit(handle: int, found: os.stat_result) -> None:
    """Give a file the permissions of another, as far as this user may."""
    mode = stat.S_IMODE(found.st_mode) & 0o777
    for owner in ((-1, found.st_gid), (found.st_uid, -1)):
        with suppress(PermissionError):
            os.fchown(handle, *owner)
    if os.fstat(handle).st_gid != found.st_gid:
        mode &= ~0o070  # they were meant for another group
    with suppress(PermissionError):  # a disk without permissions
        os.fchmod(handle, mode)


def _sync_folder(folder: Path) -> None:
    """Make the new name outlive a power cut, where the system has a way to ask for that.

    The file is written by now. A folder that one may write to but not list cannot be asked; nor can some
    disks.
    """
    if os.name != "posix":
        return
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


# -- What killed saves leave ------------------------------------------------------------------------


def _clear(folder: Path) -> None:
    """Remove files of ours that nobody writes any more. What cannot be seen or removed is left there."""
    with suppress(OSError), os.scandir(folder) as entries:
        for name in [entry.name for entry in entries if OURS.fullmatch(entry.name)]:
            with suppress(OSError):
                _clear_one(folder / name)


def _clear_one(path: Path) -> None:
    handle = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            return
        free = _locked(handle)
        if free or (free is None and time.time() - found.st_mtime > DAY):
            path.unlink()
    finally:
        os.close(handle)


def _locked(handle: int) -> bool | None:
    """Take the lock of a file that is being written; False: another has it; None: there are no locks here."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
