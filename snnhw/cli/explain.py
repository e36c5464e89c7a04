"""``snnhw explain``: what a backend would do with a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from snnhw.cli.arguments import Options, parse_options
from snnhw.cli.console import out, table

if TYPE_CHECKING:
    from snnhw.plugin import Explanation

__all__ = ["command"]


def command(
    file: Annotated[Path, typer.Argument(help="A .snn file, or one that an installed format reads.")],
    backend: Annotated[str, typer.Option("--backend", "-b", help="Its name; `snnhw backends` lists them.")],
    *,
    option: Options = None,
    time_steps: Annotated[int, typer.Option(min=1, help="How many steps it would run.")] = 25,
    batch: Annotated[int, typer.Option(min=1, help="How many samples at once.")] = 1,
    train: Annotated[
        bool, typer.Option("--train", help="Explain a step of training: cross-entropy of rates, Adam.")
    ] = False,
) -> None:
    """Show what a backend would do: its plan, and its sources.

    Neither the device nor its SDK is needed.
    """
    from snnhw import api, lowering, registry
    from snnhw.ir import Adam, CERate, Loss, Term
    from snnhw.plugin import BACKENDS

    program, _ = api.load(file)
    plugin = registry.load(BACKENDS, backend)
    job = lowering.make_job(
        plugin,
        program,
        time_steps=time_steps,
        batch=batch,
        loss=Loss((Term(CERate()),)) if train else None,
        optimizer=Adam() if train else None,
        options=parse_options(option),
    )
    _show(lowering.explain(plugin, program, job))


def _show(found: Explanation) -> None:
    for title, (headings, *rows) in found.tables.items():
        out.print(title, style="bold")
        out.print(table(headings, rows))
        out.print()
    for name, text in found.sources.items():
        out.rule(name)
        out.print(text, soft_wrap=True)
    if not found.tables and not found.sources:
        out.print("This backend explains nothing.")
