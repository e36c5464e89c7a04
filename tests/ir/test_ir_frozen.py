"""A mapping that is a value."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import pytest

from snnhw.ir import FrozenMap

ONE = FrozenMap({"b": 1, "a": 2})


def test_reads_like_a_dict() -> None:
    assert ONE["a"] == 2
    assert list(ONE) == ["b", "a"]
    assert (len(ONE), "b" in ONE, ONE.get("c")) == (2, True, None)
    assert dict(ONE) == {"b": 1, "a": 2}
    assert repr(ONE) == "{'b': 1, 'a': 2}"
    with pytest.raises(KeyError):
        ONE["c"]


def test_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        ONE["a"] = 3  # type: ignore[index]  # that this is an error is the point
    source = {"a": 1}
    taken = FrozenMap(source)
    source["a"] = 2
    assert taken["a"] == 1


def test_compares_and_hashes_in_order() -> None:
    again = FrozenMap([("b", 1), ("a", 2)])
    assert again == ONE
    assert hash(again) == hash(ONE)
    assert FrozenMap({"a": 2, "b": 1}) != ONE
    assert FrozenMap({"b": 1}) != ONE
    assert ONE != {"b": 1, "a": 2}  # a dict cannot be hashed, so it is no equal


def test_a_union_is_a_new_map() -> None:
    assert FrozenMap({"b": 1, "a": 3, "c": 4}) == ONE | {"a": 3, "c": 4}
    assert ONE["a"] == 2


def test_copies_and_pickles() -> None:
    hash(ONE)
    for again in (copy.deepcopy(ONE), pickle.loads(pickle.dumps(ONE))):
        assert again == ONE
        assert list(again) == list(ONE)


def test_a_hash_is_not_carried_into_another_process() -> None:
    hash(ONE)
    script = (
        "import pickle, sys; from snnhw.ir import FrozenMap; m = pickle.load(sys.stdin.buffer);"
        "assert hash(m) == hash(FrozenMap({'b': 1, 'a': 2}))"
    )
    for seed in ("1", "2"):
        subprocess.run(
            [sys.executable, "-c", script], input=pickle.dumps(ONE), check=True, env={"PYTHONHASHSEED": seed}
        )
