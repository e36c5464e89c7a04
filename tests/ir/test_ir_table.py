"""Tables keyed by class: rows that anyone may add, and rows that are missing."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from snnhw.errors import InputError, ProgramError
from snnhw.ir import Add, Flatten, Op, Table

Row = Callable[[int], int]


def double(x: int) -> int:
    return 2 * x


def made_again() -> Row:
    def row(x: int) -> int:
        return x

    return row


def table() -> Table[type[Op], Row]:
    rows: dict[type[Op], Row] = {Add: double}
    return Table("somewhere.ROWS", rows, otherwise="think of something")


def test_a_row_is_added_by_a_decorator_that_leaves_the_function_as_it_is() -> None:
    rows = table()
    assert rows.add(Flatten)(double) is double
    assert rows[Flatten] is double
    assert list(rows) == [Add, Flatten]


def test_a_row_that_is_missing_says_which_table_and_what_to_do() -> None:
    message = (
        r"somewhere\.ROWS has no row for snnhw\.ir\.ops\.shape\.Flatten; think of something, or add a row "
        r"with ROWS\.add\(Flatten\)"
    )
    with pytest.raises(ProgramError, match=message):
        table()[Flatten]
    with pytest.raises(ProgramError, match=r"Flatten; add a row with ROWS\.add\(Flatten\)$"):
        Table[type[Op], int]("ROWS", {Add: 1})[Flatten]


def test_whether_there_is_a_row_can_be_asked() -> None:
    assert Flatten not in table()
    assert table().get(Flatten) is None


def test_a_row_is_not_replaced_by_another() -> None:
    rows = table()
    with pytest.raises(InputError, match=r"ROWS has a row for Add already, .*double; a row is not replaced"):
        rows.add(Add)(made_again())
    assert rows[Add] is double


def test_the_same_definition_made_again_takes_its_place() -> None:
    """As when a notebook's cell runs twice."""
    rows, (first, second) = table(), (made_again(), made_again())
    rows.add(Flatten)(first)
    assert rows.add(Flatten)(second) is rows[Flatten] is second


def test_a_row_that_is_no_function_is_replaced_by_an_equal_one_alone() -> None:
    rows: Table[type[Op], Any] = Table("ROWS", {Add: {"plain": 1}})
    rows.add(Add)({"plain": 1})
    with pytest.raises(InputError, match=r"ROWS has a row for Add already, \{'plain': 1\}"):
        rows.add(Add)({"plain": 2})


@pytest.mark.parametrize(
    "place",
    [
        "snnhw.reference.RULES",
        "snnhw.tensors.network.OPERATIONS",
        "snnhw.tensors.network.TIMED",
        "snnhw_ipu.layers.LOWERINGS",
        "snnhw.parity.rounding.passing.ROUNDINGS",
        "snnhw.conformance.cases.making.examples.EXAMPLES",
        "snnhw.nn.capture.layers.MODULES",
    ],
)
def test_tables_of_meaning_can_be_added_to_and_stand_where_they_say(place: str) -> None:
    module, _, name = place.rpartition(".")
    found = getattr(import_module(module), name)
    assert isinstance(found, Table)
    assert found.name == place
    with pytest.raises(ProgramError, match=rf"{name} has no row for .*Unheard;? .*{name}\.add\(Unheard\)"):
        found[type("Unheard", (), {})]
