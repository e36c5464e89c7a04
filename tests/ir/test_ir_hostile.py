"""Loading files from anywhere: one kind of error, in little memory, and without running code."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ir_mutants import good, mutants, packed

from snnhw.errors import LoadError
from snnhw.ir import check_params, load, save, validate
from snnhw.ir.codec import to_json
from snnhw.ir.limits import LIMITS, Limits


def verdict(path: Path, data: bytes) -> str:
    """``refused`` or ``loaded``; anything else that happens is a failure."""
    path.write_bytes(data)
    try:
        program, params = load(path)
    except LoadError as error:
        message = str(error)
    else:
        message = ""
        assert validate(program) == ()
        check_params(program, params)
        assert str(program)
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


SIZES: dict[str, tuple[Limits, str]] = {
    "the file": (Limits(file=1000), r"it holds \d+ bytes; at most 1000 are read"),
    "its header": (Limits(header=1000), "its header is cut off or too large"),
    "lines of expressions": (Limits(lines=5), "expressions are a list of at most 5 lines"),
    "nodes": (Limits(nodes=8), "nodes: 9 is not at most 8"),
    "edges": (Limits(edges=9), "edges: 10 is not at most 9"),
    "operations": (Limits(work=20), "its equations are too large: more than 20 operations together"),
}


@pytest.mark.parametrize("name", SIZES)
def test_what_asks_for_more_than_the_limits_is_refused(tmp_path: Path, name: str) -> None:
    """Sound files, under limits that are lowered for them."""
    limits, words = SIZES[name]
    path = tmp_path / "net.snn"
    save(path, *good())
    with pytest.raises(LoadError, match=words):
        load(path, limits=limits)


def test_each_limit_is_lowered_by_one_of_these() -> None:
    lowered = [
        name
        for limits, _ in SIZES.values()
        for name, usual in vars(LIMITS).items()
        if getattr(limits, name) < usual
    ]
    assert {*lowered} == {*vars(LIMITS)}


def test_many_superfluous_tensors(tmp_path: Path) -> None:
    program, params = good()
    data = packed(to_json(program), {**params, **{f"x{i}": np.zeros(0) for i in range(50)}})
    assert verdict(tmp_path / "net.snn", data) == "refused"


WATCHED = """
import sys, tracemalloc
from pathlib import Path
from ir_mutants import good, mutants, packed
from snnhw.errors import LoadError
from snnhw.ir import load
from snnhw.ir.codec import to_json

folder = Path(sys.argv[1])
corpus = [packed(to_json(good()[0]), good()[1]), *mutants(300, seed=2)]
paths = [folder / f"{number}.snn" for number in range(len(corpus))]
for path, data in zip(paths, corpus):
    path.write_bytes(data)
load(paths[0])  # the reader evaluates the type hints of its own classes, once

def hook(event, args):
    if event == "open":
        assert Path(args[0]) in allowed, args
    elif event.split(".")[0] in FORBIDDEN:
        events.append((event, args))
        raise RuntimeError(event)

FORBIDDEN = set("import exec compile pickle marshal code function".split())
FORBIDDEN |= set("os subprocess socket ctypes shutil urllib tempfile glob webbrowser mmap".split())
allowed, events, most = set(paths), [], 0
sys.addaudithook(hook)
tracemalloc.start()
for path, data in zip(paths, corpus):
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    try:
        load(path)
    except LoadError:
        pass
    most = max(most, (tracemalloc.get_traced_memory()[1] - before) / len(data))
print(events, most)
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
    events, bytes_a_byte = done.stdout.rsplit(maxsplit=1)
    assert events == "[]"
    print(f"memory: {bytes_a_byte} bytes for each of a file")
    assert float(bytes_a_byte) < 40
