"""Which backend is taken when none is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from snnhw import registry
from snnhw.cli.choice import default_backend
from snnhw.errors import PluginUnavailable
from snnhw.plugin import Capabilities, Probe

USUAL = Capabilities(ops={}, expressions=frozenset())
DOUBLE = replace(USUAL, dtypes=("float64", "float32"))
EMULATED = replace(USUAL, label="emulated")
RUNS_ONLY = replace(USUAL, train=False)


class Plugin:
    def __init__(self, can: Capabilities) -> None:
        self.can = can

    def capabilities(self) -> Capabilities:
        return self.can


@pytest.mark.parametrize(
    ("offered", "taken"),
    [
        ({"b": USUAL, "c": USUAL}, "b"),
        ({"a": EMULATED, "b": RUNS_ONLY, "c": USUAL}, "c"),
        ({"a": DOUBLE, "b": USUAL}, "b"),
        ({"a": DOUBLE, "b": EMULATED}, "a"),
        ({"a": None, "b": USUAL}, "b"),
        ({"absent": USUAL, "b": USUAL}, "b"),
        ({"absent": USUAL, "b": DOUBLE}, "b"),
    ],
)
def test_the_first_that_trains_in_earnest(
    offered: dict[str, Capabilities | None], taken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(offered, monkeypatch)
    assert default_backend() == taken


def test_there_may_be_none(monkeypatch: pytest.MonkeyPatch) -> None:
    install({"absent": USUAL, "b": EMULATED}, monkeypatch)
    with pytest.raises(PluginUnavailable, match="no installed backend is ready to train"):
        default_backend()


def test_here_it_is_a_fast_one() -> None:
    assert default_backend() != "reference"


def install(offered: dict[str, Capabilities | None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Backends of which the one named ``absent`` is not ready, and one without capabilities is broken."""

    def load(_group: str, name: str) -> Any:
        can = offered[name]
        if can is None:
            raise PluginUnavailable(name)
        return Plugin(can)

    monkeypatch.setattr(registry, "names", lambda group: tuple(offered))
    monkeypatch.setattr(registry, "load", load)
    monkeypatch.setattr(
        registry, "probe", lambda group, name: Probe("missing" if name == "absent" else "ready")
    )
