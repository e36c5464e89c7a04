"""Reading tables of the documentation, which tests hold to what they say."""

from __future__ import annotations

from source import ROOT

__all__ = ["rows"]


def rows(page: str, table: str) -> list[str]:
    """The first cells of the table between ``<!-- table -->`` and ``<!-- /table -->`` of a page."""
    text = (ROOT / "docs" / page).read_text()
    lines = text.split(f"<!-- {table} -->")[1].split(f"<!-- /{table} -->")[0].strip().splitlines()
    return [line.split(" | ")[0].removeprefix("| ") for line in lines[2:]]
