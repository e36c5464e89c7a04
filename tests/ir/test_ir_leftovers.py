"""What killed saves leave beside a file, and who clears it away."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from snnhw.ir import write_atomic, writing

POSIX = pytest.mark.skipif(os.name != "posix", reason="locks are those of posix")

SLOW_WRITER = """
import os, sys, time
from snnhw.ir import write_atomic
def wait(handle):
    print("writing", flush=True)
    time.sleep(60)
os.fsync = wait
write_atomic(sys.argv[1], b"new" * 1000)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "net.snn"


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@POSIX
def test_what_a_killed_save_left_is_cleared_away_by_the_next_and_no_earlier(path: Path) -> None:
    other = path.with_name("other.snn")
    arguments = [sys.executable, "-c", SLOW_WRITER, str(path)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        (temporary,) = names(path.parent)
        write_atomic(other, b"while the first still writes")
        assert names(path.parent) == sorted([temporary, "other.snn"])
        process.kill()
    assert names(path.parent) == sorted([temporary, "other.snn"])
    write_atomic(other, b"after it was killed")
    assert names(path.parent) == ["other.snn"]


@POSIX
def test_only_files_of_ours_are_cleared_away(tmp_path: Path) -> None:
    mine = tmp_path / ".snnhw-0123456789abcdef.tmp"
    others = [".snnhw-0123.tmp", "net.tmp", ".0123456789abcdef.tmp", "x.snnhw-0123456789abcdef.tmp"]
    for name in others:
        (tmp_path / name).write_text("precious")
    folder, pipe, link = (tmp_path / f".snnhw-{digit * 16}.tmp" for digit in "abc")
    folder.mkdir()
    os.mkfifo(pipe)
    link.symlink_to("net.tmp")
    mine.write_text("left over")
    write_atomic(tmp_path / "net.snn", b"new")
    assert names(tmp_path) == sorted([*others, "net.snn", folder.name, pipe.name, link.name])
    assert (tmp_path / "net.tmp").read_text() == "precious"


def test_where_there_are_no_locks_age_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_locked", lambda _: None)
    old, young = (tmp_path / f".snnhw-{digit * 16}.tmp" for digit in "01")
    for left in (old, young):
        left.write_text("left over")
    before = old.stat().st_mtime - writing.DAY - 1
    os.utime(old, (before, before))
    write_atomic(tmp_path / "net.snn", b"new")
    assert names(tmp_path) == sorted([young.name, "net.snn"])


def test_a_file_cleared_away_before_it_was_locked_is_begun_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked, seen = writing._locked, list[str]()

    def too_late(handle: int) -> bool | None:
        if not seen:
            seen.extend(names(path.parent))
            (path.parent / seen[0]).unlink()
        return locked(handle)

    monkeypatch.setattr(writing, "_locked", too_late)
    write_atomic(path, b"new")
    assert seen
    assert path.read_bytes() == b"new"
