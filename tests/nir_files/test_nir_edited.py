"""Sound HDF5 files that hold something else here and there end in a program or in one error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from nir_calls import FORMAT, neuron

from snnhw.errors import InputError, LoadError
from snnhw.ir import Conv2d, Flatten, Input, SumPool2d, init_params, sequential

Edit = Callable[[Any, str, np.random.Generator], None]


def taken_away(file: Any, at: str, _: np.random.Generator) -> None:
    del file[at]


def replaced(file: Any, at: str, generator: np.random.Generator) -> None:
    """By something of another kind, shape or sign, or not finite."""
    shape = tuple(int(size) for size in generator.integers(0, 5, generator.integers(0, 4)))
    numbers = np.asarray(generator.normal(size=shape) * 10.0 ** generator.integers(-40, 39))
    others: list[Any] = [numbers, numbers.astype(np.float32), np.where(numbers > 0, np.nan, numbers)]
    others += [generator.integers(-3, 9, shape), numbers > 0, numbers + 1j, "LIF", "NIRGraph", ""]
    others += [np.array([["a", "b"]] * 3, h5py.string_dtype()), np.full(shape, 999), h5py.Empty("f4")]
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
    """Edited through h5py, so that the file stays sound."""
    with h5py.File(path, "r+") as file:
        for _ in range(generator.integers(1, 4)):
            if not (names := named(file)):  # all taken away
                return
            at = names[int(generator.integers(len(names)))]
            EDITS[int(generator.integers(len(EDITS)))](file, at, generator)


def outcome(path: Path, **options: Any) -> str:
    """What came of reading it, in one of three ways."""
    said = "read"
    try:
        FORMAT.read(path, **options)
    except LoadError as error:
        said = str(error)
    except InputError as error:
        said = str(error)
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
