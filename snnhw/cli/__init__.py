"""The ``snnhw`` command: one module here for each of its verbs.

What a verb needs is imported when it runs, so that ``snnhw --help`` stays quick.
"""

from __future__ import annotations

from typing import Annotated, Final

import typer

import snnhw
from snnhw.cli import backends, conformance, demo, explain, inspect
from snnhw.cli.guard import Guarded

__all__ = ["app", "main"]

app: Final = typer.Typer(
    name="snnhw",
    cls=Guarded,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

START, LOOK, PROVE = "Start here", "Look inside", "Compare backends"

app.command("demo", rich_help_panel=START, epilog="Example: snnhw demo --epochs 5 --out first")(demo.command)
app.command("backends", rich_help_panel=START, epilog="Example: snnhw backends --json")(backends.command)
app.command("inspect", rich_help_panel=LOOK, epilog="Example: snnhw inspect model.snn")(inspect.command)
app.command("explain", rich_help_panel=LOOK, epilog="Example: snnhw explain model.snn --backend NAME")(
    explain.command
)
app.command("conformance", rich_help_panel=PROVE, epilog="Example: snnhw conformance cuda --json report.json")(
    conformance.command
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"snnhw {snnhw.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version),
    ] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", envvar="SNNHW_DEBUG", help="Show where an error came from.")
    ] = False,
) -> None:
    """Spiking networks written once: trained, compared and looked into on any backend."""


def main() -> None:
    """The console script."""
    app()
