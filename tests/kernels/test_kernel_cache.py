"""Where machine code is kept, and what must not be trusted."""

from __future__ import annotations

import errno
import logging
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from snnhw.tensors.scans import kernel_cache as cache
from snnhw_cpu import compiling

keep, kept = compiling.CACHE.keep, compiling.CACHE.kept

SOURCE = """
from snnhw_cpu.compiling import cfunc

@cfunc("void(intp)")
def probe(x):
    pass
"""

SCRIPT = f"""
import os, sys
from snnhw_cpu.compiling import load_module
for step in sys.argv[1:]:
    if step == "compile":
        print(load_module({SOURCE!r}, "probe").probe.fresh)
    else:
        os.chdir(step)
"""


def start(*steps: str, cwd: Path | None = None, **environment: str | None) -> subprocess.Popen[str]:
    """A new process that compiles, or changes its folder; a variable that is None is not set."""
    wanted = {**os.environ, **environment}
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *steps],
        cwd=cwd,
        env={name: value for name, value in wanted.items() if value is not None},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def compiles(*steps: str, cwd: Path | None = None, **environment: str | None) -> list[bool]:
    """For each time it was asked to: whether it had to compile."""
    with start(*(steps or ("compile",)), cwd=cwd, **environment) as process:
        said, complaint = process.communicate()
    assert process.returncode == 0, complaint
    return [line == "True" for line in said.splitlines()]


def fresh() -> bool:
    """Whether this process has to compile, asked once more."""
    found = compiling.load_module(SOURCE, "probe").probe
    assert found.function.address
    return bool(found.fresh)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache of its own; it holds nothing yet."""
    base = tmp_path / "cache"
    monkeypatch.setenv("SNNHW_CACHE_DIR", str(base))
    cache._tell.cache_clear()
    yield base / "cpu"
    cache._tell.cache_clear()


# -- What lies there --------------------------------------------------------------------------------


def test_a_second_process_compiles_nothing(tmp_path: Path) -> None:
    assert compiles(SNNHW_CACHE_DIR=str(tmp_path)) == [True]
    assert compiles(SNNHW_CACHE_DIR=str(tmp_path)) == [False]


def test_what_was_kept_is_found_under_its_key_alone(folder: Path) -> None:
    assert kept("probe", "a key") is None
    assert keep("probe", "a key", b"code")
    assert kept("probe", "a key") == b"code"
    assert kept("probe", "another key") is None
    assert [path.suffix for path in folder.iterdir()] == [".kernel"]


@pytest.mark.parametrize("place", [0, 31, 32, -1])
@pytest.mark.parametrize("bit", [1, 128])
def test_a_single_flipped_bit_is_noticed(folder: Path, place: int, bit: int) -> None:
    keep("probe", "a key", bytes(range(200)))
    (file,) = folder.iterdir()
    data = bytearray(file.read_bytes())
    data[place] ^= bit
    file.write_bytes(data)
    assert kept("probe", "a key") is None


def test_a_file_of_another_key_is_not_taken_under_this_name(folder: Path) -> None:
    keep("probe", "of another processor", b"code")
    (other,) = folder.iterdir()
    keep("probe", "a key", b"code of ours")
    (file,) = set(folder.iterdir()) - {other}
    shutil.copy(other, file)
    assert kept("probe", "a key") is None


def empty(file: Path) -> None:
    file.write_bytes(b"")


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def only_a_digest(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:32])


def text(file: Path) -> None:
    file.write_text("def probe(x): raise SystemExit\n" * 9)


def gone(file: Path) -> None:
    file.unlink()


def folder_gone(file: Path) -> None:
    shutil.rmtree(file.parent.parent)


def link_to_nothing(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.with_name("nothing"))


def link_to_no_folder(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.parent.parent / "no" / "folder")


def link_to_itself(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.name)


def link_to_a_folder(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.parent.parent)


def empty_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def protected(file: Path) -> None:
    cut(file)
    file.chmod(0o444)


def pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def too_large(file: Path) -> None:
    os.truncate(file, cache.MOST + 1)  # a hole, which takes no room


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "damage",
    [
        *(empty, cut, only_a_digest, text, gone, folder_gone, too_large, protected, empty_folder),
        *(link_to_nothing, link_to_no_folder, link_to_itself, link_to_a_folder),
    ],
)
def test_what_is_not_whole_is_compiled_anew_and_mended(folder: Path, damage: Callable[[Path], None]) -> None:
    assert fresh()
    assert not fresh()
    (file,) = folder.iterdir()
    damage(file)
    assert fresh()
    assert not fresh()


def test_a_folder_in_the_way_keeps_what_it_holds(folder: Path) -> None:
    keep("probe", "a key", b"code")
    (file,) = folder.iterdir()
    empty_folder(file)
    (file / "notes").write_text("somebody's")
    assert kept("probe", "a key") is None
    assert keep("probe", "a key", b"code")
    assert kept("probe", "a key") == b"code"
    assert [path.read_text() for path in folder.glob("*/notes")] == ["somebody's"]


@pytest.mark.timeout(60)
@pytest.mark.skipif(os.name != "posix", reason="pipes are those of posix")
def test_a_pipe_in_the_way_is_not_waited_for(folder: Path) -> None:
    assert fresh()
    (file,) = folder.iterdir()
    pipe(file)
    assert fresh()
    assert not fresh()


@pytest.mark.parametrize(
    "data",
    [b"", b"no pickle", pickle.dumps(()), pickle.dumps(None), b"cno.such.module\nname\n.", b"."],
    ids=["nothing", "no pickle", "no parts", "None", "of a module that is not there", "an empty stack"],
)
def test_what_this_numba_cannot_use_is_compiled_anew(
    folder: Path, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    monkeypatch.setattr(cache.KernelCache, "kept", lambda *_: data)
    assert fresh()
    monkeypatch.undo()
    monkeypatch.setenv("SNNHW_CACHE_DIR", str(folder.parent))
    assert not fresh()


def test_no_source_is_run_from_a_disk(folder: Path, tmp_path: Path) -> None:
    assert fresh()
    for name in ("probe.py", "compiling.py", "numba.py"):
        (folder / name).write_text("raise SystemExit('run from a disk')")
    assert not fresh()
    assert not list(tmp_path.rglob("__pycache__"))


@pytest.mark.timeout(120)
def test_many_processes_may_compile_the_same_at_once_and_be_killed(folder: Path) -> None:
    running = [start("compile", SNNHW_CACHE_DIR=str(folder.parent)) for _ in range(4)]
    running[0].kill()
    found = [process.communicate() for process in running]
    assert [process.returncode for process in running[1:]] == [0, 0, 0], found
    assert [file.suffix for file in folder.iterdir()] == [".kernel"]
    assert compiles(SNNHW_CACHE_DIR=str(folder.parent)) == [False]


# -- Where ------------------------------------------------------------------------------------------


def test_a_relative_folder_stays_where_it_was(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    steps = ("compile", "elsewhere", "compile", "compile")
    assert compiles(*steps, cwd=tmp_path, SNNHW_CACHE_DIR="kernels") == [True, False, False]
    assert [path.name for path in tmp_path.iterdir() if path.name != "elsewhere"] == ["kernels"]
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ({"SNNHW_CACHE_DIR": "{}/own"}, "own/cpu"),
        ({"SNNHW_CACHE_DIR": "~/own"}, "home/own/cpu"),
        ({"SNNHW_CACHE_DIR": "", "XDG_CACHE_HOME": "{}/xdg"}, "xdg/snnhw/cpu"),
        ({"XDG_CACHE_HOME": "{}/xdg"}, "xdg/snnhw/cpu"),
        ({"XDG_CACHE_HOME": ""}, "home/.cache/snnhw/cpu"),
        ({"XDG_CACHE_HOME": "relative/path"}, "home/.cache/snnhw/cpu"),
        ({}, "home/.cache/snnhw/cpu"),
    ],
)
def test_the_folder_is_the_one_that_is_named_or_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], place: str
) -> None:
    for name in ("SNNHW_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name, value in environment.items():
        monkeypatch.setenv(name, value.format(tmp_path))
    assert keep("probe", "a key", b"code")
    (file,) = (tmp_path / place).iterdir()
    assert file.suffix == ".kernel"
    assert (tmp_path / place).stat().st_mode & 0o077 == 0


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """What was said since, which is one sentence."""

    def sentence() -> str:
        (found,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        return found

    return sentence


def complaint(folder: Path | str, why: str) -> str:
    return (
        f"snnhw: every process compiles its kernels anew, since the folder '{folder}' cannot be used "
        f"({why}); name one of your own in SNNHW_CACHE_DIR"
    )


def no_room(*_: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_without_room_on_the_disk_it_compiles_and_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch, said: Callable[[], str]
) -> None:
    monkeypatch.setattr(os, "fsync", no_room)
    assert fresh()
    assert fresh()
    assert said() == complaint(folder, "no space left on device")
    assert not list(folder.iterdir())


@pytest.mark.usefixtures("folder")
def test_without_a_home_it_compiles_and_says_so(
    monkeypatch: pytest.MonkeyPatch, said: Callable[[], str]
) -> None:
    def no_home(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("SNNHW_CACHE_DIR")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "expanduser", no_home)
    assert fresh()
    assert said() == complaint("~/.cache/snnhw", "no home folder is known")


def test_a_working_folder_that_is_gone(tmp_path: Path) -> None:
    before = "import os, snnhw_cpu.compiling"  # Python 3.13.0 imports nothing without a folder
    script = f"{before}; os.chdir({str(tmp_path)!r}); os.rmdir({str(tmp_path)!r})\n{SCRIPT}"
    run = subprocess.run(
        [sys.executable, "-c", script, "compile"],
        env={**os.environ, "SNNHW_CACHE_DIR": "kernels"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == "True\n"
    assert run.stderr == complaint("kernels", "the working folder is gone") + "\n"


def test_a_file_where_the_folder_should_be(folder: Path, said: Callable[[], str]) -> None:
    folder.parent.mkdir()
    folder.write_text("")
    assert fresh()
    assert said() == complaint(folder, "it is no folder")


def test_a_file_on_the_way_to_the_folder(folder: Path, said: Callable[[], str]) -> None:
    folder.parent.write_text("")
    assert fresh()
    assert said() == complaint(folder, "not a directory")


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of posix")
def test_a_folder_that_others_may_write_is_neither_read_nor_written(
    folder: Path, said: Callable[[], str]
) -> None:
    assert fresh()
    (file,) = folder.iterdir()
    folder.chmod(0o777)
    before = file.stat()
    assert fresh()
    assert file.stat() == before
    assert said() == complaint(folder, "others may write to it")


def test_a_folder_of_another_user_is_neither_read_nor_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch, said: Callable[[], str]
) -> None:
    assert fresh()
    monkeypatch.setattr(os, "getuid", lambda: 12345, raising=False)
    assert fresh()
    assert said() == complaint(folder, "it belongs to another user")


def test_a_folder_that_is_read_only_is_still_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch, said: Callable[[], str]
) -> None:
    assert fresh()

    def read_only(*_: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "a temporary file")

    monkeypatch.setattr(cache, "write_atomic", read_only)
    assert not fresh()
    assert not keep("probe", "a key", b"code")
    assert said() == complaint(folder, "permission denied")
