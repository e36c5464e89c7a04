"""Tables of classes: two of one name would make files ambiguous."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from snnhw.errors import InputError
from snnhw.ir import LOSS_TERMS, OPS, OPTIMIZERS, SURROGATES
from snnhw.ir.losses import kind
from snnhw.ir.ops.base import op
from snnhw.ir.optimizers import optimizer
from snnhw.ir.surrogates.base import surrogate

DOORS: Mapping[str, tuple[Any, dict[str, Any]]] = {
    "Linear": (op, OPS),
    "ATan": (surrogate, SURROGATES),
    "CERate": (kind, LOSS_TERMS),
    "SGD": (optimizer, OPTIMIZERS),
}


@pytest.mark.parametrize(
    ("name", "door", "table"), [(name, *where) for name, where in DOORS.items()], ids=DOORS
)
def test_a_name_that_is_taken(name: str, door: Any, table: dict[str, Any]) -> None:
    before = table[name]
    with pytest.raises(InputError, match=rf"is already registered as '{name}'; choose another name for "):
        door(type(name, (before,), {"__module__": "elsewhere"}))
    assert table[name] is before


def test_the_same_definition_made_again_takes_its_place() -> None:
    """As when a notebook's cell runs twice."""
    before = OPS["Linear"]
    again = type("Linear", (before,), {"__module__": before.__module__})
    try:
        assert op(again) is again
        assert OPS["Linear"] is again
    finally:
        OPS["Linear"] = before
