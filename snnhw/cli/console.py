"""Where output goes: results to stdout; progress of machine-readable runs, and errors, to stderr."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from snnhw.cli import answer

__all__ = ["as_json", "complain", "err", "nowhere", "out", "print_json", "table"]

out: Final = Console(markup=False, highlight=False, emoji=False)
"""For results. Nothing printed is taken for markup: ``[T, B]`` is text."""

err: Final = Console(stderr=True, markup=False, highlight=False, emoji=False)
"""For what is said about them."""

nowhere: Final = Console(quiet=True)
"""For what another process says already."""


Cell = str | Text


def table(headings: Sequence[str], rows: Iterable[Sequence[Cell]], *, right: Sequence[str] = ()) -> Table:
    """A table in the one style of this command; columns named in ``right`` are aligned to the right."""
    made = Table(box=box.SIMPLE_HEAD, header_style="bold", show_edge=False, pad_edge=False)
    for heading in headings:
        made.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


def as_json(value: Mapping[str, object]) -> str:
    """One JSON object, as people and machines can read it."""
    return json.dumps(value, indent=2) + "\n"


def print_json(value: Mapping[str, object]) -> None:
    """One JSON object, alone, on stdout."""
    answer.print_json(as_json(value))


def complain(message: str) -> None:
    """An error, on stderr, as it was worded: not folded, so that what it says to copy can be copied."""
    err.print(Text.assemble(("error: ", "bold red"), message), soft_wrap=True)
