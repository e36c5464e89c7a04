"""A name holds the old content or all of the new, wherever it points and whatever goes wrong."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from snnhw.ir import write_atomic

POSIX = pytest.mark.skipif(os.name != "posix", reason="links, locks and permissions are those of posix")

AS_NOBODY = """
import json, os, shutil, stat, tempfile
from pathlib import Path
from snnhw.ir import write_atomic
if os.geteuid() == 0:
    os.setgroups([])
    os.setegid(65534)
    os.seteuid(65534)
folder = Path(tempfile.mkdtemp(dir="/tmp"))
said = None
try:
{body}
except OSError as error:
    said = str(error).replace(str(folder), "FOLDER")
folder.chmod(0o700)
print(json.dumps([said, {{p.name: p.read_text() for p in sorted(folder.iterdir())}}]))
shutil.rmtree(folder)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "net.snn"


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def as_nobody(*lines: str) -> Any:
    """What some lines of a user without privileges end with: the error if there was one, and the files."""
    body = "\n".join(f"    {line}" for line in lines)
    run = subprocess.run(
        [sys.executable, "-c", AS_NOBODY.format(body=body)], capture_output=True, text=True, check=True
    )
    return json.loads(run.stdout)


# -- Whole or not at all ----------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["fsync", "replace", "write"])
def test_a_crash_leaves_the_old_file_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    write_atomic(path, b"old")

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    data: Any = b"new" * 100_000
    if stage == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    elif stage == "replace":
        monkeypatch.setattr(Path, "replace", fail)
    else:
        data = "text, which a binary file refuses"
    with pytest.raises((KeyboardInterrupt, TypeError)):
        write_atomic(path, data)
    assert path.read_bytes() == b"old"
    assert names(path.parent) == ["net.snn"]


def test_an_existing_file_is_replaced(path: Path) -> None:
    path.write_bytes(b"old")
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(path.parent) == ["net.snn"]


def test_the_name_may_be_as_long_as_the_system_allows(tmp_path: Path) -> None:
    write_atomic(tmp_path / ("n" * 255), b"new")
    assert (tmp_path / ("n" * 255)).read_bytes() == b"new"


def test_without_room_the_old_file_stays_and_the_error_names_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(b"old")

    def no_room(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_room)
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_atomic(path, b"new")
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert names(path.parent) == ["net.snn"]


def test_a_name_longer_than_that_is_named_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="File name too long") as caught:
        write_atomic(tmp_path / ("n" * 256), b"new")
    assert caught.value.filename == str(tmp_path / ("n" * 256))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError) as caught:
        write_atomic(tmp_path, b"new")
    assert caught.value.filename == str(tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        write_atomic(tmp_path / "gone" / "net.snn", b"new")
    assert caught.value.filename == str(tmp_path / "gone" / "net.snn")


def test_two_writers_at_once_leave_one_whole_file(path: Path) -> None:
    texts = [bytes([65 + number]) * 100_000 for number in range(4)]
    threads = [threading.Thread(target=write_atomic, args=(path, text)) for text in texts * 5]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in texts
    assert names(path.parent) == ["net.snn"]


# -- Where a name points ----------------------------------------------------------------------------


@POSIX
@pytest.mark.parametrize("exists", [True, False], ids=["a file", "nothing"])
@pytest.mark.parametrize("hops", [1, 3])
def test_a_link_stays_and_what_it_points_to_is_written(tmp_path: Path, exists: bool, hops: int) -> None:
    store = tmp_path / "store"
    store.mkdir()
    target = store / "net.snn"
    if exists:
        target.write_bytes(b"old")
    links = [tmp_path / f"link{number}" for number in range(hops)]
    for link, to in zip(links, ["store/net.snn", *(link.name for link in links)], strict=False):
        link.symlink_to(to)
    write_atomic(links[-1], b"new")
    assert target.read_bytes() == b"new"
    assert all(link.is_symlink() for link in links)
    assert names(store) == ["net.snn"]
    assert names(tmp_path) == sorted(["store", *(link.name for link in links)])


@POSIX
def test_a_link_is_read_from_the_folder_it_lies_in(tmp_path: Path) -> None:
    """``..`` is that of the real folder, however one came there."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "c").symlink_to("a/b")
    (tmp_path / "a" / "b" / "link").symlink_to("../net.snn")
    write_atomic(tmp_path / "c" / "link", b"new")
    assert (tmp_path / "a" / "net.snn").read_bytes() == b"new"


@POSIX
def test_links_in_a_circle_are_an_error_and_stay(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.symlink_to("two")
    two.symlink_to("one")
    with pytest.raises(OSError, match="Too many levels of symbolic links") as caught:
        write_atomic(one, b"new")
    assert caught.value.filename == str(one)
    assert one.is_symlink()
    assert names(tmp_path) == ["one", "two"]


@POSIX
def test_a_link_to_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    with pytest.raises(IsADirectoryError):
        write_atomic(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()


@POSIX
@pytest.mark.parametrize("to", ["a pipe", "a file"])
def test_stdout_is_written_to_as_it_is(tmp_path: Path, to: str) -> None:
    script = "from snnhw.ir import write_atomic; write_atomic('/dev/stdout', b'new')"
    if to == "a pipe":
        run = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True)
        assert run.stdout == b"new"
        return
    with (tmp_path / "out").open("wb") as out:
        before = os.fstat(out.fileno()).st_ino
        subprocess.run([sys.executable, "-c", script], stdout=out, check=True)
    assert (tmp_path / "out").read_bytes() == b"new"
    assert (tmp_path / "out").stat().st_ino == before


@POSIX
def test_devices_are_written_to() -> None:
    write_atomic("/dev/null", b"new")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    if Path("/dev/full").exists():
        with pytest.raises(OSError, match="No space left on device") as caught:
            write_atomic("/dev/full", b"new")
        assert caught.value.filename == "/dev/full"


@POSIX
@pytest.mark.timeout(60)
def test_a_pipe_is_written_to_but_not_waited_for(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(OSError, match="it is a pipe or socket that nobody reads from") as caught:
        write_atomic(path, b"new")
    assert caught.value.filename == str(path)
    much = b"new" * 100_000  # more than a pipe holds
    copy = path.with_name("copy")
    with copy.open("wb") as out, subprocess.Popen(["cat", str(path)], stdout=out):
        while True:
            try:
                write_atomic(path, much)
                break
            except OSError:  # it has not opened it yet
                time.sleep(0.01)
    assert copy.read_bytes() == much
    assert stat.S_ISFIFO(path.stat().st_mode)


# -- Permissions ------------------------------------------------------------------------------------


@POSIX
def test_permissions_of_a_new_file_follow_the_umask(path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomic(path, b"new")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@POSIX
@pytest.mark.parametrize("mode", [0o600, 0o664, 0o755, 0o4755])
def test_permissions_of_an_old_file_stay_but_not_that_to_run_as_its_owner(path: Path, mode: int) -> None:
    path.write_bytes(b"old")
    path.chmod(mode)
    write_atomic(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == mode & 0o777


@POSIX
def test_what_is_secret_is_never_open_to_others(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_bytes(b"old")
    path.chmod(0o600)
    seen = []
    monkeypatch.setattr(os, "fsync", lambda handle: seen.append(os.fstat(handle).st_mode & 0o777))
    write_atomic(path, b"new")
    assert seen[0] == 0o600


@POSIX
def test_a_disk_without_permissions_is_no_failed_save(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fchown", refuse)
    monkeypatch.setattr(os, "fchmod", refuse)
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_file_that_is_read_only_stays(path: Path) -> None:
    path.write_bytes(b"old")
    path.chmod(0o444)
    with pytest.raises(
        PermissionError, match="it is read-only; make it writable, or choose another"
    ) as caught:
        write_atomic(path, b"new")
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert names(path.parent) == ["net.snn"]


@POSIX
def test_a_folder_that_cannot_be_listed_takes_files() -> None:
    found = as_nobody(
        "folder.chmod(0o300)",
        "write_atomic(folder / 'a', b'old')",
        "write_atomic(folder / 'a', b'new')",
    )
    assert found == [None, {"a": "new"}]


@POSIX
@pytest.mark.parametrize("mode", ["0o100", "0o500"])
def test_a_folder_that_takes_no_new_file_is_an_error(mode: str) -> None:
    """A file in it could only be overwritten in place, and be lost on the way."""
    found = as_nobody(
        "(folder / 'a').write_text('old')",
        f"folder.chmod({mode})",
        "write_atomic(folder / 'a', b'new')",
    )
    assert found == ["[Errno 13] Permission denied: 'FOLDER/a'", {"a": "old"}]


def test_a_folder_that_cannot_be_synced_is_no_failed_save(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []

    def fsync(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        synced.append(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert synced
