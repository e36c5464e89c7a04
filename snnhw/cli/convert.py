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


Sample = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="One step of input by name, [B, ...]: .npz, .safetensors, or .npy when there is one input. "
        "On it is measured how many spikes change, where the format cannot say the network as it is.",
    ),
]


def command(
    file: Annotated[Path, typer.Argument(help="A .snn file, or one that an installed format reads.")],
    to: Annotated[Path, typer.Argument(help="Where to write; its ending names the format.")],
    read: Read = None,
    write: Wanted = None,
    sample: Sample = None,
) -> None:
    """Write a network in another format, and say what that format cannot carry."""
    from snnhw import api
    from snnhw.verify.inputs import read_inputs

    written = parse_settings(write, "--write")
    net = api.load(file, **parse_settings(read, "--read"))
    if to.suffix != api.SUFFIX:
        step = read_inputs(sample, net[0]) if sample else None
        for note in str(api.export(net, to, step, **written)).splitlines():
            out.print(f"- {note}", soft_wrap=True)
        return
    if sample:
        raise typer.BadParameter(
            f"{api.SUFFIX} files hold all of a network; leave it out", param_hint="--sample"
        )
    if written:
        raise typer.BadParameter(f"{api.SUFFIX} files are written without options", param_hint="--write")
    api.save(to, net)
