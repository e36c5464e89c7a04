"""What pyproject.toml accepts stands in the table of CONTRIBUTING.md, which says how much of it was run."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from source import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
COLUMNS = ("python", "torch", "numpy", "numba")


def table() -> list[dict[str, str]]:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (inside,) = re.findall(r"<!-- releases -->\n(.*?)<!-- /releases -->", text, re.DOTALL)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in inside.strip().splitlines()[2:]]
    assert all(re.match(r"(passed|open)\b", row[4]) for row in rows), rows
    return [dict(zip(COLUMNS, row[:4], strict=True)) for row in rows]


def release(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


def lowest(name: str) -> str:
    return min((row[name] for row in table()), key=release)


def test_the_lowest_release_of_each_package_is_in_the_table() -> None:
    bounds = {name: bound for each in PROJECT["dependencies"] for name, bound in [each.split(">=")]}
    for name in COLUMNS[1:]:
        assert release(lowest(name))[: len(release(bounds[name]))] == release(bounds[name]), name


def test_every_python_that_is_named_is_in_the_table() -> None:
    named = {each.rpartition(" ")[2] for each in PROJECT["classifiers"] if ":: Python :: 3." in each}
    assert named == {row["python"] for row in table()}
    assert PROJECT["requires-python"] == f">={min(named, key=release)}"


def test_what_the_second_command_pins_is_in_the_table() -> None:
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split())
    extra = pins.pop("triton")
    assert pins in [{name: row[name] for name in pins} for row in table()]
    (bounds,) = re.findall(r"triton>=([\d.]+),<([\d.]+)", PROJECT["optional-dependencies"]["cuda"][0])
    assert release(bounds[0]) <= release(extra) < release(bounds[1])


def test_the_commands_take_these_releases_as_they_say() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "\npip install . && snnhw demo\n" in readme
    assert '\npip install -c constraints.txt -e ".[dev]" && ' in readme
    continuous = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "unset PIP_CONSTRAINT" in continuous
