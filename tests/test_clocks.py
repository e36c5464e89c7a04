"""No test compares what a clock says with a number: on a busy machine that says nothing about the code.

What must be linear is counted (`work`), or the shortest of several runs is divided by that of another size.
What must end is left to pytest's own limit.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

import pytest
from source import ROOT

CLOCKS = {
    f"{name}{unit}"
    for name in ("clock_gettime", "monotonic", "perf_counter", "process_time", "thread_time", "time")
    for unit in ("", "_ns")
} | {"now", "today", "utcnow", "timeit", "times", "getrusage", "elapsed_time"}
"""Functions of Python, and of torch's events, that tell the time, or how much of it was taken."""

Kind = Literal["number", "time", "limit"]
"""What an expression is: a number; a reading of a clock, or a sum, difference or selection of such; or one
that a number was added to or taken from, as a deadline is."""


class _Kinds:
    """What the names of a file stand for, as far as the file itself says."""

    def __init__(self, tree: ast.Module) -> None:
        self.names: dict[str, Kind] = {}
        while self._learn(tree):  # a name may be used above the line that gives it a value
            pass

    def _learn(self, tree: ast.Module) -> bool:
        before = dict(self.names)
        for node in ast.walk(tree):
            if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.NamedExpr)):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in targets:
                    self._give(target, node.value)
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                for each in ast.walk(node):
                    if isinstance(each, ast.Return):
                        self._give(ast.Name(node.name), each.value)
            elif isinstance(node, ast.comprehension):
                self._give(node.target, node.iter)
            elif isinstance(node, ast.Call) and _called(node.func) in {"append", "add", "extend"}:
                self._give(getattr(node.func, "value", node.func), node.args[0])
        return before != self.names

    def _give(self, target: ast.expr, value: ast.expr | None) -> None:
        if isinstance(target, ast.Tuple):
            values = value.elts if isinstance(value, ast.Tuple) else [value] * len(target.elts)
            for each, its in zip(target.elts, values, strict=False):
                self._give(each, its)
        elif isinstance(target, ast.Name) and value is not None and self.of(value) != "number":
            self.names.setdefault(target.id, self.of(value))

    def of(self, node: ast.expr) -> Kind:
        if isinstance(node, ast.Name):
            return self.names.get(node.id, "number")
        if isinstance(node, ast.Constant):
            return "number"
        if isinstance(node, ast.Call) and _called(node.func) in CLOCKS:
            return "time"
        if isinstance(node, ast.BinOp):
            return self._combined(node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):  # of this file, or min, max, sum
            return self.of(node.func) if node.func.id in self.names else self._any(node.args)
        return self._any([each for each in ast.iter_child_nodes(node) if isinstance(each, ast.expr)])

    def _any(self, parts: list[ast.expr]) -> Kind:
        kinds = [self.of(part) for part in parts]
        return next((kind for kind in kinds if kind != "number"), "number")

    def _combined(self, node: ast.BinOp) -> Kind:
        left, right = self.of(node.left), self.of(node.right)
        if isinstance(node.op, (ast.Div, ast.FloorDiv)):  # two times give how often one is in the other
            return left if right == "number" else "number"
        if isinstance(node.op, (ast.Add, ast.Sub)) and left != right and "number" in {left, right}:
            return "limit"
        return left if left != "number" else right


def _called(function: ast.expr) -> str:
    return str(getattr(function, "attr", None) or getattr(function, "id", ""))


def offences(text: str) -> Iterator[int]:
    """Lines of an assert that compares a time with a number."""
    tree = ast.parse(text)
    kinds = _Kinds(tree)
    for outer in ast.walk(tree):
        if isinstance(outer, ast.Assert):
            for node in ast.walk(outer.test):
                if isinstance(node, ast.Compare):
                    sides = [kinds.of(side) for side in (node.left, *node.comparators)]
                    if any("limit" in pair or len({*pair}) == 2 for pair in pairwise(sides)):
                        yield node.lineno


@pytest.mark.parametrize(
    "text",
    [
        "assert time.perf_counter() - start < 5",
        "start = time.process_time()\nwork()\nassert time.process_time() - start <= SECONDS",
        "start = perf_counter()\ntook = perf_counter() - start\nassert 5 > took",
        "took = min(measured() for _ in range(3))\nassert took < 1\ndef measured():\n    return timeit(work)",
        "until = monotonic() + 5\nassert monotonic() < until",
        "a = clock.perf_counter_ns()\nb = (clock.perf_counter_ns() - a) / 1e9\nassert 0 < b < 2",
        "took = []\ntook.append(time.time() - start)\nassert max(took) < 3",
        "start, end = time.time(), time.time()\nassert done and end - start < 3",
    ],
)
def test_a_time_beside_a_number_is_found(text: str) -> None:
    assert len([*offences(text)]) == 1


@pytest.mark.parametrize(
    "text",
    [
        "start = time.perf_counter()\nprint(time.perf_counter() - start)\nassert found == 3",
        "def best(n):\n    return min(timeit(work(n)) for _ in range(5))\nassert best(80) / best(10) < 20",
        "one, two = perf_counter(), perf_counter()\nassert one <= two",
        "assert lines(call) < 1.1 * lines(other)",
        "while time.monotonic() < until:\n    wait()\nassert done",
    ],
)
def test_what_is_counted_shown_or_divided_is_none(text: str) -> None:
    assert [*offences(text)] == []


def test_no_test_asserts_a_time() -> None:
    paths = sorted((ROOT / "tests").rglob("*.py"))
    assert len(paths) > 100
    found = [
        f"{path.relative_to(ROOT)}:{line}: compares what a clock says with a number"
        for path in paths
        for line in offences(path.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(["", *found])
