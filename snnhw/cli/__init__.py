"""The ``snnhw`` command: one module here for each of its verbs.

What a verb needs is imported when it runs, so that ``snnhw --help`` stays quick.
"""

from __future__ import annotations

from typing import Annotated, Final

import typer

import snnhw
from snnhw.cli import backends, conformance, convert, demo, explain, export, inspect, report, train, verify
from snnhw.cli.answer import close_for_good
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

START, LOOK, PROVE = "Start here", "Look inside, write elsewhere", "Compare backends"

VERBS: Final = (
    ("demo", demo.command, START, "snnhw demo --epochs 5 --out first"),
    ("backends", backends.command, START, "snnhw backends --json"),
    ("train", train.train, START, "snnhw train examples/digits.toml"),
    ("resume", train.resume, START, "snnhw resume digits-run"),
    ("inspect", inspect.command, LOOK, "snnhw inspect model.snn"),
    ("explain", explain.command, LOOK, "snnhw explain model.snn --backend NAME"),
    ("convert", convert.command, LOOK, "snnhw convert model.snn model.nir --write target=NAME"),
    ("export", export.command, LOOK, "snnhw export model.snn OUT --target loihi2 --calibrate spikes.npz"),
    ("report", report.command, LOOK, "snnhw report model.snn --data test.npz --html report.html"),
    ("verify", verify.command, PROVE, "snnhw verify model.snn --on cpu,reference --inputs inputs.npz"),
    ("conformance", conformance.command, PROVE, "snnhw conformance NAME --json report.json"),
)
"""Name, command, heading in the help text, an example."""

for name, command, heading, example in VERBS:
    app.command(name, rich_help_panel=heading, epilog=f"Example: {example}")(command)


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
    try:
        app()
    finally:
        close_for_good()
