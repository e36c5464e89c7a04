"""Arguments that several commands share."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from snnhw.cli.answer import kept_for_json

__all__ = ["AsJson", "Options", "Read", "parse_options", "parse_settings"]


def _keep_stdout(ctx: typer.Context, value: bool) -> bool:
    """Before anything of the command runs, and until it has ended."""
    if value and not ctx.resilient_parsing:
        ctx.with_resource(kept_for_json())
    return value


AsJson = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print one JSON object on stdout and nothing else; what plugins print goes to stderr.",
        callback=_keep_stdout,
    ),
]

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


def parse_options(given: list[str] | None, hint: str = "-o") -> dict[str, str]:
    """``["dtype=float64"]`` as a mapping; the backend's own options decide what a value means."""
    found: dict[str, str] = {}
    for item in given or []:
        key, equals, value = item.partition("=")
        if not key or not equals:
            raise typer.BadParameter(f"{item!r} is no KEY=VALUE, such as dtype=float64", param_hint=hint)
        if key in found:
            raise typer.BadParameter(f"'{key}' is given twice", param_hint=hint)
        found[key] = value
    return found


GIVEN: Final = ("self", "net", "path", "program", "params", "sample")
"""Names of arguments that formats are called with besides their options."""


def parse_settings(given: list[str] | None, hint: str) -> dict[str, object]:
    """Options of a format, which declares no types: what looks like a number is one.

    Args:
        hint: the option of the command that they come from.
    """
    from snnhw.options import numbers

    found = numbers(parse_options(given, hint))
    for name in found:
        if name in GIVEN:
            raise typer.BadParameter(f"'{name}' cannot be given here", param_hint=hint)
    return found
