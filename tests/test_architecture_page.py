"""The page on the architecture shows the tables that hold it."""

from __future__ import annotations

import re

from architecture_page import PAGE, drawn, filled
from source import ROOT
from test_architecture import COMMON, CORE, LAYERS


def test_the_picture_shows_the_layers() -> None:
    page = PAGE.read_text()
    assert filled(page, drawn(LAYERS, COMMON)) == page, "draw it anew: python tests/architecture_page.py"


def test_the_page_names_every_folder_and_no_other() -> None:
    """Under Rooms: each that is there, by its path."""
    table = PAGE.read_text().split("## Rooms")[1].split("## ")[0]
    named = set(re.findall(r"^\| `([^`|]+)` \|", table, re.MULTILINE))
    layers = {module.layer for module in CORE if (ROOT / "snnhw" / module.layer).is_dir()}
    assert named >= {f"snnhw/{layer}" for layer in layers & (LAYERS.keys() | {"nn", "cli"})}
    assert all((ROOT / name).exists() or any(ROOT.glob(name)) for name in named)
