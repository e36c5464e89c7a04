"""``snnhw export``: a network in a chip's integers, with a report and what the vendor's tools take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snnhw.cli.arguments import AsJson, Read, parse_settings
from snnhw.cli.console import err, out, print_json, table

__all__ = ["command"]


def command(
    file: Annotated[Path, typer.Argument(help="A .snn file, or one that an installed format reads.")],
    to: Annotated[Path, typer.Argument(help="A folder to write, which is not there yet.")],
    *,
    target: Annotated[str, typer.Option(metavar="NAME", help="The chip, such as loihi2.")],
    calibrate: Annotated[
        Path,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Spikes by input name, [T, B, ...], like those in use: .npz, .safetensors, or .npy.",
        ),
    ],
    allow_shifted: Annotated[
        bool, typer.Option(help="Accept that ways of different delay shift spikes against each other.")
    ] = False,
    read: Read = None,
    as_json: AsJson = False,
) -> None:
    """Quantise a network for a chip, and write it.

    A folder with the integers, what the vendor's tools take, and a report.
    """
    from snnhw import api
    from snnhw.deploy import deploy, target_of, write
    from snnhw.deploy.writing import report
    from snnhw.verify.inputs import read_inputs

    chip = target_of(target)
    program, params = api.load(file, **parse_settings(read, "--read"))
    with err.status("quantising"):
        found = deploy(program, params, chip, read_inputs(calibrate, program), allow_shifted=allow_shifted)
        names = write(found, to)
    told = report(found)
    if as_json:
        print_json({**told, "folder": str(to), "files": list(names)})
        return
    out.print(f"{to}: {', '.join(names)}", soft_wrap=True)
    out.print(f"{chip.name}: {chip.label}; it answers {told['answers_late']} steps late", soft_wrap=True)
    rows = [(name, *row.values()) for name, row in found.quantised.rows.items()]
    heads = next(iter(found.quantised.rows.values()))
    out.print(table(("layer", *heads), rows))
    show_limits(found.quantised.uses)
    for line in (*found.quantised.lost, *found.timed.shifted):
        out.print(f"changed: {line}", soft_wrap=True)


def show_limits(uses: object) -> None:
    """What is used of what there is."""
    from snnhw.target import Use

    assert isinstance(uses, tuple)
    rows = [
        (
            use.limit.name,
            f"{use.used:,.0f}",
            f"{use.limit.value:,.0f}",
            use.limit.unit,
            use.node,
            "yes" if use.limit.checked else "no",
        )
        for use in uses
        if isinstance(use, Use)
    ]
    out.print(table(("limit", "used", "available", "of", "node", "vendor checks it"), rows))
