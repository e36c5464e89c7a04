"""Files from anywhere end in a program or in one error.

No file here asks for much, or leads outside: the limits are set low instead. What no sound file can hold
is given to the guard's own functions, and stands in no file.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
from nir_calls import FORMAT, dense, load

from snnhw.errors import LoadError
from snnhw_nir.files import heaps
from snnhw_nir.files.file import read_graph
from snnhw_nir.files.guard import _Walk
from snnhw_nir.files.heaps import check_heaps, room
from snnhw_nir.files.limits import LIMITS, Limits
from snnhw_nir.graph import MAX_DEPTH, Graph, from_tree
from snnhw_nir.wires import WIRE, without_wires

WEIGHT = "node/nodes/fc1/weight"


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.nir"
    FORMAT.write(*dense(), path)
    return path


# -- Limits: each set just below what a small, sound file asks for ------------------------------------


def plain(_: Any) -> None:
    """The file as it was written."""


def weight(**settings: Any) -> Callable[[Any], None]:
    """The weight as a dataset made in another way."""

    def change(file: Any) -> None:
        del file[WEIGHT]
        made = file.create_dataset(WEIGHT, dtype="f4", **settings)
        if not settings.get("fillvalue"):
            made[...] = np.ones(made.shape)

    return change


def wide_text(file: Any) -> None:
    del file["node/type"]
    file.create_dataset("node/type", data=np.array([b"NIRGraph"] * 4, "S64"))


UNPACKED = "unpacked, the file takes more bytes than are accepted (max_bytes=)"

ASKING: dict[str, tuple[Callable[[Any], None], Limits, str]] = {
    "bytes of the file": (plain, Limits(bytes=100), "bytes; at most 100 are read (max_bytes=)"),
    "objects of a group": (plain, Limits(objects=2), "'/node' holds 4 objects; at most 2 are read"),
    "objects of the file": (plain, Limits(objects=6), "it holds more than 6 objects"),
    "depth": (plain, Limits(depth=2), "'/node/metadata/snnhw': groups are nested deeper than 2"),
    "a name": (plain, Limits(name=5), "has a name of 8 characters; at most 5"),
    "texts": (plain, Limits(texts=3), "'/node/edges' holds 10 texts; at most 3 are read"),
    "a heap": (plain, Limits(heap=3), "its heaps hold more than 3 objects"),
    "what is stored": (
        weight(shape=(6, 4), chunks=(6, 4), fillvalue=1.0),
        Limits(small=50),
        f"'/{WEIGHT}' claims 96 bytes, but the file stores 0 for it",
    ),
    "what is packed": (
        weight(shape=(60, 4), compression="gzip"),
        Limits(small=50, ratio=2),
        f"'/{WEIGHT}' claims 960 bytes, but the file stores",
    ),
}


@pytest.mark.parametrize("name", ASKING)
def test_what_asks_for_more_than_the_limits_is_refused(good: Path, name: str) -> None:
    change, limits, words = ASKING[name]
    with h5py.File(good, "r+") as file:
        change(file)
    assert good.stat().st_size < 100_000  # h5py gives a page to every group
    with pytest.raises(LoadError) as caught:
        read_graph(good, limits)
    assert str(caught.value).startswith(f"cannot load '{good}': ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("change", "at", "size"),
    [
        (weight(shape=(600, 4)), f"/{WEIGHT}", 9600),
        (weight(shape=(6, 4), maxshape=(None, None), chunks=(64, 64)), f"/{WEIGHT}", 16384),
        (wide_text, "/node/type", 256),
    ],
    ids=["numbers", "a chunk, whole", "texts"],
)
def test_all_that_is_unpacked_is_counted_before_it_is(
    good: Path, change: Callable[[Any], None], at: str, size: int
) -> None:
    """At the limit it is read; with one byte less it is not."""
    with h5py.File(good, "r+") as file:
        change(file)
        item, walk = file[at], _Walk(h5py, b"", Limits(bytes=size))
        walk.dataset(item, at)
        assert walk.spent == size
        with pytest.raises(LoadError, match=re.escape(f"'{at}': {UNPACKED}")):
            _Walk(h5py, b"", Limits(bytes=size - 1)).dataset(item, at)


def test_each_limit_is_lowered_by_one_of_these() -> None:
    lowered = [
        name
        for _, limits, _ in ASKING.values()
        for name, usual in vars(LIMITS).items()
        if getattr(limits, name) < usual
    ]
    assert {*lowered} == {*vars(LIMITS)}


def test_whoever_reads_a_file_may_lower_its_bytes(good: Path) -> None:
    size = good.stat().st_size
    load(good, max_bytes=size)
    with pytest.raises(LoadError, match=rf"it holds {size} bytes; at most {size - 1} are read"):
        load(good, max_bytes=size - 1)


# -- Kinds: sound files of what NIR does not need, or whose numbers make no network -------------------


def soft_link(file: Any) -> None:
    del file[WEIGHT]
    file[WEIGHT] = h5py.SoftLink("/node/nodes/fc1/bias")


def twice(file: Any) -> None:
    file["node/nodes/fc3"] = file["node/nodes/fc1"]


def strange_filter(file: Any) -> None:
    del file[WEIGHT]
    file.create_dataset(WEIGHT, data=np.ones((6, 4)), chunks=(6, 4), scaleoffset=4)


def no_numbers(file: Any) -> None:
    del file[WEIGHT]
    file[WEIGHT] = h5py.Empty("f4")


def field(name: str, value: Any) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        if name in file:
            del file[name]
        if value is not None:
            file[name] = value

    return change


STRANGE = {
    "soft link": (soft_link, f"'/{WEIGHT}' is a SoftLink to elsewhere"),
    "two names": (twice, "is another name of an object that stands elsewhere in the file"),
    "filter": (strange_filter, f"'/{WEIGHT}' needs filter 6; accepted: deflate, shuffle"),
    "nothing": (no_numbers, f"'/{WEIGHT}' holds nothing"),
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
    "named type": (
        field("node/kind", np.dtype("f4")),
        "'/node/kind' is a Datatype, neither group nor dataset",
    ),
    "no edges": (field("node/edges", None), "the graph: a graph holds nodes and edges, and nothing else"),
}


@pytest.mark.parametrize("name", STRANGE)
def test_what_a_network_does_not_need_is_refused(good: Path, name: str) -> None:
    change, words = STRANGE[name]
    with h5py.File(good, "r+") as file:
        change(file)
    with pytest.raises(LoadError) as caught:
        load(good)
    assert str(caught.value).startswith(f"cannot load '{good}': ")
    assert words in str(caught.value)


def test_what_is_no_file(tmp_path: Path) -> None:
    for path, words in ((tmp_path, "it is not a regular file"), (tmp_path / "none", "No such file")):
        with pytest.raises(LoadError, match=words):
            load(path)
    (tmp_path / "text").write_text("hello")
    with pytest.raises(LoadError, match="it is no HDF5 file"):
        load(tmp_path / "text")


# -- What no sound file holds: the guard's own functions, without a file ------------------------------


@pytest.mark.parametrize(
    ("external", "layout", "words"),
    [
        (1, h5py.h5d.CONTIGUOUS, "takes its bytes from another file; only what the file itself holds is"),
        (0, h5py.h5d.VIRTUAL, "is put together from other datasets, which are not read"),
    ],
    ids=["elsewhere", "virtual"],
)
def test_numbers_that_stand_elsewhere_are_not_fetched(external: int, layout: int, words: str) -> None:
    made = SimpleNamespace(get_external_count=lambda: external, get_layout=lambda: layout)
    item = SimpleNamespace(id=SimpleNamespace(get_create_plist=lambda: made))
    with pytest.raises(LoadError, match=f"^'w' {words}"):
        _Walk(h5py, b"", LIMITS).dataset(item, "w")


def texts(stands_at: int | None) -> Any:
    """A dataset of texts whose references stand there in the bytes of the file."""
    return SimpleNamespace(id=SimpleNamespace(get_offset=lambda: stands_at))


def test_a_text_is_no_longer_than_the_file_it_stands_in() -> None:
    references = b"".join(length.to_bytes(4, "little") + bytes(12) for length in (8, 33))
    walk = _Walk(h5py, references, LIMITS)
    walk.check_lengths(texts(0), "name", 1)
    assert walk.spent == 8
    with pytest.raises(LoadError, match="'name' claims a text of 33 bytes, in a file of 32"):
        walk.check_lengths(texts(0), "name", 2)
    for stands_at, count in ((None, 1), (0, 3), (17, 1)):
        with pytest.raises(LoadError, match="'name' holds texts that are not stored one after the other"):
            walk.check_lengths(texts(stands_at), "name", count)


@pytest.mark.parametrize(
    ("index", "size", "taken"),
    [(1, 0, 16), (1, 1, 24), (1, 8, 24), (2, 9, 32), (0, 40, 40), (0, 16, 16), (0, 15, None), (0, 0, None)],
)
def test_every_object_of_a_heap_takes_at_least_its_header(index: int, size: int, taken: int | None) -> None:
    """So that a walk from one to the next comes to an end."""
    assert room(index, size) == taken


def test_a_heap_that_cannot_be_walked_is_refused(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = good.read_bytes()
    at = data.find(heaps.HEAP)
    assert at > 0
    check_heaps(data)
    with pytest.raises(LoadError, match=f"its heap at byte {at} reaches beyond the file"):
        check_heaps(data[: at + 64])
    for taken in (None, len(data)):
        monkeypatch.setattr(heaps, "room", lambda index, size, taken=taken: taken)
        with pytest.raises(LoadError, match=f"its heap at byte {at} is broken"):
            check_heaps(data)


def test_addresses_of_another_width_are_refused(good: Path) -> None:
    data = bytearray(good.read_bytes()[:100])
    for text, words in ((bytes(data[:47]), "it is no HDF5 file"), (b"x" * 100, "it is no HDF5 file")):
        with pytest.raises(LoadError, match=words):
            check_heaps(text)
    widths = slice(13, 15) if data[8] < 2 else slice(9, 11)
    data[widths] = b"\x04\x04"
    with pytest.raises(LoadError, match=r"its addresses and lengths take \(4, 4\) bytes, where 8 are"):
        check_heaps(bytes(data))


def test_graphs_within_graphs_have_a_limit_of_their_own() -> None:
    graph = {"type": "NIRGraph", "nodes": {}, "edges": []}
    assert isinstance(from_tree(graph, "a", depth=MAX_DEPTH), Graph)
    with pytest.raises(LoadError, match=f"^node 'a': graphs are nested deeper than {MAX_DEPTH}"):
        from_tree(graph, "a", depth=MAX_DEPTH + 1)


def test_wires_that_multiply_edges_have_a_limit() -> None:
    ends = [(f"in{number}", "wire") for number in range(3)] + [
        ("wire", f"out{number}") for number in range(3)
    ]
    assert len(without_wires({"wire": WIRE}, ends, most=9)[1]) == 9
    for most in (2, 8):
        with pytest.raises(LoadError, match=f"more than {most} edges come of its subgraphs"):
            without_wires({"wire": WIRE}, ends, most=most)
