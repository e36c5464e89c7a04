"""``snnhw convert``: a network in another format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snnhw.cli.arguments import Read, parse_settings
from snnhw.cli.console import out

__all__ = ["command"]

Wanted = Annotated[
    list[str] | None,
    typer.Option("--write", metavar="KEY=VALUE", help="How to write: such as target=NAME; may be repeated."),
]


def command(
    file: Annotated[Path, typer.Argument(help="A .snn file, or one that an installed format reads.")],
    to: Annotated[Path, typer.Argument(help="Where to write; its ending names the format.")],
    read: Read = None,
    write: Wanted = None,
) -> None:
    """Write a network in another format, and say what that format cannot carry."""
    from snnhw import api

    written = parse_settings(write, "--write")
    net = api.load(file, **parse_settings(read, "--read"))
    if to.suffix != api.SUFFIX:
        for note in api.export(net, to, **written).notes:
            out.print(f"- {note}", soft_wrap=True)
        return
    if written:
        raise typer.BadParameter(f"{api.SUFFIX} files are written without options", param_hint="--write")
    api.save(to, net)
