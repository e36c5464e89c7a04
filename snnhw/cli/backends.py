"""``snnhw backends``: what is installed, and whether it can run here."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.text import Text

from snnhw.cli.arguments import AsJson
from snnhw.cli.console import err, out, print_json, table
from snnhw.cli.support import markdown, support_of

if TYPE_CHECKING:
    from snnhw.plugin import Probe

__all__ = ["command"]

STYLES: Final = {"ready": "green", "missing": "yellow", "no device": "yellow", "broken": "red"}


Supports = Annotated[
    bool,
    typer.Option("--supports", help="What each of them supports, as a table for a Markdown page."),
]


def command(as_json: AsJson = False, supports: Supports = False) -> None:
    """List the installed backends and whether they can run here."""
    from snnhw import registry
    from snnhw.plugin import BACKENDS, TARGETS

    if supports:
        every = {name: registry.load(BACKENDS, name).capabilities() for name in registry.names(BACKENDS)}
        sys.stdout.write(markdown(support_of(every)))
        return
    with err.status("asking every backend"):
        found = registry.survey(BACKENDS)
    chips = {name: registry.load(TARGETS, name) for name in registry.names(TARGETS)}
    if as_json:
        rows = [{"name": name, **asdict(probe)} for name, probe in found.items()]
        labels = [{"name": name, "label": chip.label} for name, chip in chips.items()]
        print_json({"schema": 1, "backends": rows, "chips": labels})
    else:
        _show(found)
        if chips:
            out.print()
            out.print(table(("chip", "integers"), [(name, chip.label) for name, chip in chips.items()]))


def _show(found: Mapping[str, Probe]) -> None:
    if not found:
        out.print("No backend is installed.")
        return
    rows = [
        (name, Text(probe.status, STYLES.get(probe.status, "")), probe.device, probe.version)
        for name, probe in found.items()
    ]
    out.print(table(("backend", "status", "device", "version"), rows))
    for name, probe in found.items():
        if probe.ready:
            continue
        out.print(f"{name}: {probe.reason or 'its probe gives no reason'}", soft_wrap=True)
        if probe.install:  # on a line of its own, to be copied
            out.print(f"    {probe.install}", soft_wrap=True)
