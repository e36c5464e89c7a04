"""Arguments that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["AsJson", "Options", "Read", "parse_options"]

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")]

Options = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        "-o",
        metavar="KEY=VALUE",
        help="An option of the backend; may be repeated. A wrong name lists the right ones.",
        show_default=False,
    ),
]

Read = Annotated[
    list[str] | None,
    typer.Option(
        "--read",
        metavar="KEY=VALUE",
        help="How to read the file: such as dt=1e-4; may be repeated.",
        show_default=False,
    ),
]


def parse_options(given: list[str] | None) -> dict[str, str]:
    """``["dtype=float64"]`` as a mapping; the backend's own options decide what a value means."""
    found: dict[str, str] = {}
    for item in given or []:
        key, equals, value = item.partition("=")
        if not key or not equals:
            raise typer.BadParameter(f"{item!r} is no KEY=VALUE, such as dtype=float64", param_hint="-o")
        if key in found:
            raise typer.BadParameter(f"'{key}' is given twice", param_hint="-o")
        found[key] = value
    return found
