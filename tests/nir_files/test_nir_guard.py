"""Files from anywhere end in a program or in one error, soon, and touch no other file."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from nir_calls import FORMAT, dense, load, neuron

from snnhw.errors import InputError, LoadError
from snnhw.ir import Conv2d, Flatten, Input, SumPool2d, init_params, sequential

SECRET = "nobody may read this"


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.nir"
    FORMAT.write(*dense(), path)
    return path


def external_link(file: Any, other: Path) -> None:
    with h5py.File(other, "w") as target:
        target["w"] = np.ones((6, 4), np.float32)
    del file["node/nodes/fc1/weight"]
    file["node/nodes/fc1/weight"] = h5py.ExternalLink(str(other), "/w")


def external_storage(file: Any, other: Path) -> None:
    other.write_text(SECRET)
    del file["node/nodes/fc1/weight"]
    file.create_dataset("node/nodes/fc1/weight", shape=(20,), dtype="u1", external=[(str(other), 0, 20)])


def soft_link(file: Any, _: Path) -> None:
    del file["node/nodes/fc1/weight"]
    file["node/nodes/fc1/weight"] = h5py.SoftLink("/node/nodes/fc1/bias")


def virtual(file: Any, other: Path) -> None:
    layout = h5py.VirtualLayout((6, 4), np.float32)
    layout[:] = h5py.VirtualSource(str(other), "w", (6, 4))
    del file["node/nodes/fc1/weight"]
    file.create_virtual_dataset("node/nodes/fc1/weight", layout)


def ring(file: Any, _: Path) -> None:
    file["node/nodes/fc1/metadata"] = file["node"]


def twice(file: Any, _: Path) -> None:
    file["node/nodes/fc3"] = file["node/nodes/fc1"]


def deep(file: Any, _: Path) -> None:
    file.create_group("node/metadata/" + "/".join("a" * 200))


def promised(file: Any, _: Path) -> None:
    del file["node/nodes/fc1/weight"]
    file.create_dataset("node/nodes/fc1/weight", shape=(10**6, 10**6), dtype="f4", chunks=(1000, 1000))


def bomb(file: Any, _: Path) -> None:
    del file["node/nodes/fc1/weight"]
    file.create_dataset("node/nodes/fc1/weight", data=np.zeros(10**8, np.uint8), compression="gzip")


def chunk_bomb(file: Any, _: Path) -> None:
    """A few numbers, in a chunk that takes a gigabyte to unpack."""
    del file["node/nodes/fc1/weight"]
    shape = {"shape": (6, 4), "maxshape": (None, None), "chunks": (1 << 13, 1 << 12)}
    made = file.create_dataset("node/nodes/fc1/weight", dtype="f4", compression="gzip", **shape)
    made[...] = 1.0


def text_bomb(file: Any, _: Path) -> None:
    del file["node/type"]
    shape = {"shape": (1 << 19,), "dtype": "S256", "chunks": (1 << 12,)}
    file.create_dataset("node/type", compression="gzip", **shape)


def strange_filter(file: Any, _: Path) -> None:
    del file["node/nodes/fc1/weight"]
    file.create_dataset("node/nodes/fc1/weight", data=np.ones((6, 4)), chunks=(6, 4), scaleoffset=4)


def field(name: str, value: Any) -> Callable[[Any, Path], None]:
    def change(file: Any, _: Path) -> None:
        if name in file:
            del file[name]
        if value is not None:
            file[name] = value

    return change


HOSTILE = {
    "external link": (external_link, "'/node/nodes/fc1/weight' is a ExternalLink to elsewhere"),
    "external storage": (external_storage, "'/node/nodes/fc1/weight' takes its bytes from another file"),
    "soft link": (soft_link, "'/node/nodes/fc1/weight' is a SoftLink to elsewhere"),
    "virtual dataset": (virtual, "'/node/nodes/fc1/weight' is put together from other datasets"),
    "ring": (ring, "is another name of an object that stands elsewhere in the file"),
    "two names": (twice, "is another name of an object that stands elsewhere in the file"),
    "depth": (deep, "groups are nested deeper than 100"),
    "promise": (promised, "unpacked, the file takes more bytes than are accepted"),
    "bomb": (bomb, "unpacked, the file takes more bytes than are accepted"),
    "chunk bomb": (chunk_bomb, "'/node/nodes/fc1/weight': unpacked, the file takes more bytes than are"),
    "text bomb": (text_bomb, "'/node/type': unpacked, the file takes more bytes than are accepted"),
    "filter": (strange_filter, "'/node/nodes/fc1/weight' needs filter 6; accepted: deflate, shuffle"),
    "complex": (field("node/nodes/fc1/weight", np.ones((6, 4), complex)), "is of dtype complex128; accepted"),
    "text": (
        field("node/nodes/fc1/weight", "w"),
        "node 'fc1' (Affine), weight: 'w' of dtype <U1 is not real",
    ),
    "nan": (
        field("node/nodes/fc1/bias", [np.nan] * 6),
        "node 'fc1' (Affine), bias: it holds values that are",
    ),
    "tau": (
        field("node/nodes/lif1/tau", [0.0] * 6),
        "node 'lif1' (LIF), tau: it holds 0.0, but must be greater",
    ),
    "count": (field("node/nodes/input/shape", [-4]), "node 'input' (Input), shape: it holds -4, but must be"),
    "type": (field("node/nodes/fc1/type", "Sigmoid"), "node 'fc1' is of type 'Sigmoid', which is not known"),
    "missing": (field("node/nodes/fc1/bias", None), "node 'fc1' (Affine): the field 'bias' is missing"),
    "stray": (field("node/nodes/fc1/extra", 1.0), "node 'fc1' (Affine) has the unknown field 'extra'"),
    "edge": (field("node/edges", [["fc1", "fc9"]]), "the graph: edge 'fc1' -> 'fc9': there is no node 'fc9'"),
    "no graph": (field("node", None), "the graph is None, not a group of fields"),
    "no edges": (field("node/edges", None), "the graph: a graph holds nodes and edges, and nothing else"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(good: Path, tmp_path: Path, name: str) -> None:
    change, words = HOSTILE[name]
    with h5py.File(good, "r+") as file:
        change(file, tmp_path / "other.h5")
    start = time.perf_counter()
    with pytest.raises(LoadError) as caught:
        load(good, max_bytes=50 << 20)
    assert str(caught.value).startswith(f"cannot load '{good}': ")
    assert words in str(caught.value)
    assert SECRET not in str(caught.value)
    assert time.perf_counter() - start < 5


def test_what_is_no_file(tmp_path: Path) -> None:
    for path, words in ((tmp_path, "it is not a regular file"), (tmp_path / "none", "No such file")):
        with pytest.raises(LoadError, match=words):
            load(path)
    (tmp_path / "text").write_text("hello")
    with pytest.raises(LoadError, match="it is no HDF5 file"):
        load(tmp_path / "text")


def test_a_heap_without_end(good: Path) -> None:
    """An object of no size: HDF5 itself would look at it for ever."""
    data = bytearray(good.read_bytes())
    at = data.find(b"GCOL")
    data[at + 16 : at + 32] = bytes(16)
    good.write_bytes(bytes(data))
    with pytest.raises(LoadError, match=f"its heap at byte {at} is broken"):
        load(good)


def test_a_text_that_claims_more_than_there_is(good: Path) -> None:
    """HDF5 would make room for all of it first."""
    with h5py.File(good, "r") as file:
        place = file["node/type"].id.get_offset()
    data = bytearray(good.read_bytes())
    data[place : place + 4] = b"\xff" * 4
    good.write_bytes(bytes(data))
    with pytest.raises(LoadError, match=f"'/node/type' claims a text of {2**32 - 1} bytes, in a file of"):
        load(good)


def mutated(data: bytes, generator: np.random.Generator) -> bytes:
    """The bytes with some set, flipped, blown up or copied elsewhere; sometimes cut off."""
    found = bytearray(data)
    kind = generator.integers(4)
    for _ in range(generator.integers(1, 9)):
        at, length = int(generator.integers(len(found))), int(generator.integers(1, 64))
        if kind == 0:
            found[at] = int(generator.integers(256))
        elif kind == 1:
            found[at] ^= 1 << int(generator.integers(8))
        elif kind == 2:
            found[at : at + 8] = b"\xff" * len(found[at : at + 8])
        else:
            start = int(generator.integers(len(found) - length))
            found[at : at + length] = found[start : start + len(found[at : at + length])]
    return bytes(found[: int(generator.integers(len(found)))] if generator.integers(10) == 0 else found)


Edit = Callable[[Any, str, np.random.Generator], None]


def taken_away(file: Any, at: str, _: np.random.Generator) -> None:
    del file[at]


def replaced(file: Any, at: str, generator: np.random.Generator) -> None:
    """By something of another kind, shape or sign, or not finite."""
    shape = tuple(int(size) for size in generator.integers(0, 5, generator.integers(0, 4)))
    numbers = np.asarray(generator.normal(size=shape) * 10.0 ** generator.integers(-40, 39))
    others: list[Any] = [numbers, numbers.astype(np.float32), np.where(numbers > 0, np.nan, numbers)]
    others += [generator.integers(-3, 9, shape), numbers > 0, numbers + 1j, "LIF", "NIRGraph", ""]
    others += [np.array([["a", "b"]] * 3, h5py.string_dtype()), np.full(shape, 2**63 - 1), h5py.Empty("f4")]
    del file[at]
    file[at] = others[int(generator.integers(len(others)))]


def moved(file: Any, at: str, generator: np.random.Generator) -> None:
    """To another place, or under another name."""
    targets = [
        f"{at}_",
        f"{at}.x",
        "node/nodes/" + at.rpartition("/")[2],
        "node/" + at.rpartition("/")[2],
        "é\n",
    ]
    target = targets[int(generator.integers(len(targets)))]
    there = file.get(target.rpartition("/")[0] or "/")  # no group, after other edits
    if isinstance(there, h5py.Group) and target not in file:
        file.move(at, target)


def copied(file: Any, at: str, generator: np.random.Generator) -> None:
    """One object in the place of another."""
    source = named(file)[int(generator.integers(len(named(file))))]
    if not (source == at or source.startswith(f"{at}/") or at.startswith(f"{source}/")):
        del file[at]
        file.copy(source, at)


EDITS: tuple[Edit, ...] = (taken_away, replaced, replaced, replaced, moved, copied)


def named(file: Any) -> list[str]:
    found: list[str] = []
    file.visit(found.append)
    return found


def edited(path: Path, generator: np.random.Generator) -> None:
    """A sound HDF5 file that holds something else here and there."""
    with h5py.File(path, "r+") as file:
        for _ in range(generator.integers(1, 4)):
            if not (names := named(file)):  # all taken away
                return
            at = names[int(generator.integers(len(names)))]
            EDITS[int(generator.integers(len(EDITS)))](file, at, generator)


def outcome(path: Path, **options: Any) -> str:
    """What came of reading it: soon, and in one of three ways."""
    start, said = time.perf_counter(), "read"
    try:
        FORMAT.read(path, **options)
    except LoadError as error:
        said = str(error)
    except InputError as error:
        said = str(error)
    assert time.perf_counter() - start < 10
    asked = f"'{path}': NIR files do not say "
    assert said == "read" or said.startswith((f"cannot load '{path}': ", asked))
    return said if said == "read" else "refused"


def check_edits(path: Path, count: int, seed: int) -> None:
    nodes = {"input": Input((2, 5, 5)), "m.conv": Conv2d(2, 3, (3, 3)), "m.lif": neuron("Leaky")}
    program = sequential(
        {**nodes, "m.pool": SumPool2d((3, 3), (3, 3)), "flat": Flatten(), "last": neuron("RLeaky")}
    )
    given = {"m.lif.beta": 0.9, "last.beta": 0.5}
    FORMAT.write(program, init_params(program, given=given), path, nested=True)
    data, generator, outcomes = path.read_bytes(), np.random.default_rng(seed), set()
    for _ in range(count):
        path.write_bytes(data)
        edited(path, generator)
        for options in ({}, {"dt": 1e-4, "scheme": "euler"}):
            outcomes.add(outcome(path, **options))
    assert outcomes >= {"read", "refused"}


def test_edited_files_end_in_one_error(tmp_path: Path) -> None:
    check_edits(tmp_path / "net.nir", 150, seed=2)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_thousands_of_edited_files_end_in_one_error(tmp_path: Path) -> None:
    check_edits(tmp_path / "net.nir", 5_000, seed=3)


def check_mutants(good: Path, count: int, seed: int) -> None:
    data, generator = good.read_bytes(), np.random.default_rng(seed)
    outcomes = set()
    for _ in range(count):
        good.write_bytes(mutated(data, generator))
        outcomes.add(outcome(good))
    assert outcomes >= {"read", "refused"}


def test_mutated_files_end_in_one_error(good: Path) -> None:
    check_mutants(good, 200, seed=0)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_thousands_of_mutated_files_end_in_one_error(good: Path) -> None:
    check_mutants(good, 10_000, seed=1)
