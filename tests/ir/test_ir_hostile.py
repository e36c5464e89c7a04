"""Loading files from anywhere: one kind of error, soon, in little memory, and without running code."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ir_mutants import BOMBS, bomb, good, mutants, packed

from snnhw.errors import LoadError
from snnhw.ir import check_params, load, validate
from snnhw.ir.codec import to_json

SECONDS = 2.0  # that any one file may take


def verdict(path: Path, data: bytes) -> str:
    """``refused`` or ``loaded``; anything else that happens is a failure."""
    path.write_bytes(data)
    start = time.process_time()
    try:
        program, params = load(path)
    except LoadError as error:
        message = str(error)
    else:
        message = ""
        assert validate(program) == ()
        check_params(program, params)
        assert str(program)
    assert time.process_time() - start < SECONDS
    assert len(message) < 40_000  # twenty problems, each of which may quote a long name
    return "refused" if message else "loaded"


def test_the_good_file_is_good(tmp_path: Path) -> None:
    program, params = good()
    assert verdict(tmp_path / "net.snn", packed(to_json(program), params)) == "loaded"


def test_mutants_are_refused_or_mean_something(tmp_path: Path) -> None:
    found = Counter(verdict(tmp_path / "net.snn", data) for data in mutants(2000, seed=0))
    assert found["refused"] > 1000
    assert found["loaded"] > 100  # so that the edits reach beyond the first check


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_more_mutants(tmp_path: Path) -> None:
    found = Counter(verdict(tmp_path / "net.snn", data) for data in mutants(100_000, seed=1))
    assert found.total() == 100_000


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(tmp_path: Path, name: str) -> None:
    assert verdict(tmp_path / "net.snn", bomb(name)) == "refused"


def test_many_superfluous_tensors(tmp_path: Path) -> None:
    program, params = good()
    data = packed(to_json(program), {**params, **{f"x{i}": np.zeros(0) for i in range(5000)}})
    assert verdict(tmp_path / "net.snn", data) == "refused"


WATCHED = """
import resource, sys
from pathlib import Path
from ir_mutants import BOMBS, bomb, good, mutants, packed
from snnhw.errors import LoadError
from snnhw.ir import load
from snnhw.ir.codec import to_json

folder = Path(sys.argv[1])
corpus = [packed(to_json(good()[0]), good()[1]), *mutants(300, seed=2), *map(bomb, BOMBS)]
paths = [folder / f"{number}.snn" for number in range(len(corpus))]
for path, data in zip(paths, corpus):
    path.write_bytes(data)
load(paths[0])  # the reader evaluates the type hints of its own classes, once
largest = max(map(len, corpus))
del corpus

def hook(event, args):
    if event == "open":
        assert Path(args[0]) in allowed, args
    elif event.split(".")[0] in FORBIDDEN:
        events.append((event, args))
        raise RuntimeError(event)

FORBIDDEN = set("import exec compile pickle marshal code function".split())
FORBIDDEN |= set("os subprocess socket ctypes shutil urllib tempfile glob webbrowser mmap".split())
allowed, events = set(paths), []
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
sys.addaudithook(hook)
for path in paths:
    try:
        load(path)
    except LoadError:
        pass
print(events, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, largest)
"""


def test_loading_runs_no_code_and_takes_little_memory(tmp_path: Path) -> None:
    here = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([here, *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    events, kilobytes, largest = done.stdout.rsplit(maxsplit=2)
    assert events == "[]"
    assert int(kilobytes) * 1024 < 40 * int(largest)
