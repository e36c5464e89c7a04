"""The page on what becomes of an equation shows what does become of it."""

from __future__ import annotations

import re
from pkgutil import resolve_name

from one_equation import SHOWN, filled, written
from source import ROOT


def test_the_page_shows_what_is_printed_today() -> None:
    assert filled(written()) == written(), "read the difference; then: python tests/one_equation.py"


def test_it_shows_every_stage_once() -> None:
    assert re.findall(r"<!-- shown: (\w+) -->", written()) == list(SHOWN)
    assert all(text().strip() for _, text in SHOWN.values())


def test_what_it_names_is_there() -> None:
    """Files and modules, as they are called on it."""
    files = set(re.findall(r"`((?:snnhw|snnhw_\w+|tests)/[\w/]+(?:\.py)?)`", written()))
    assert len(files) >= 3
    for name in files:
        assert (ROOT / name).exists() or (ROOT / "backends" / name).exists(), name
    modules = set(re.findall(r"`(snnhw(?:\.\w+)+)`", written()))
    assert len(modules) >= 6
    for name in modules:
        assert resolve_name(name) is not None
