"""``snnhw report``: what a network does on data, counted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from snnhw.cli.arguments import AsJson, Options, Read, parse_options, parse_settings
from snnhw.cli.console import err, out, print_json, table

if TYPE_CHECKING:
    from snnhw.ir import Params, Program
    from snnhw.metrics import NetworkReport
    from snnhw.metrics.tables import Rows

__all__ = ["command"]


def command(
    file: Annotated[
        Path, typer.Argument(help="A .snn file, one that an installed format reads, or a checkpoint.")
    ],
    *,
    data: Annotated[
        Path,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Inputs by name, [T, B, ...], and labels [B]: .npz, .safetensors; or .npy, the one input.",
        ),
    ],
    backend: Annotated[
        str | None, typer.Option(help="Its name.", show_default="the first that is ready")
    ] = None,
    option: Options = None,
    batch: Annotated[int, typer.Option(min=1, help="Samples that run at a time.")] = 64,
    time_steps: Annotated[
        int | None, typer.Option(min=1, help="T, where every input is static.", show_default=False)
    ] = None,
    decide: Annotated[
        str | None,
        typer.Option(
            metavar="WAY",
            help="How labels are read off the output: sum (of spikes or values), peak, or first (spike).",
            show_default="sum",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="A chip, such as loihi2: proxies for its energy.", show_default=False
        ),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write a page with pictures.", show_default=False)
    ] = None,
    network: Annotated[
        Path | None,
        typer.Option(help="The network that a checkpoint is of: a .snn file.", show_default=False),
    ] = None,
    read: Read = None,
    as_json: AsJson = False,
) -> None:
    """Count what a network does on data: spikes and operations.

    Accuracy, spikes of each layer, sparsity, memory. Synaptic operations are counted as NeuroBench counts
    them. For a chip, proxies for its energy: counts of its integers, and what is used of its limits.
    """
    from snnhw import reporting
    from snnhw.cli.choice import default_backend
    from snnhw.errors import InputError
    from snnhw.metrics.record import record
    from snnhw.verify.inputs import read_inputs

    program, params = _network(file, network, read)
    arrays = read_inputs(data, program)
    if decide is not None and "labels" not in arrays:
        raise InputError(f"--decide {decide}: '{data}' holds no labels to compare with; add 'labels', [B]")
    with err.status("running"):
        found = reporting.report(
            (program, params),
            arrays,
            backend=backend or default_backend(),
            batch=batch,
            time_steps=time_steps,
            decide=decide or "sum",
            target=target,
            options=parse_options(option),
        )
    if html is not None:
        from snnhw.ir import write_atomic
        from snnhw.metrics.page import page

        write_atomic(html, page(found, f"{file.name} on {data.name}").encode())
    if as_json:
        print_json({"file": str(file), "data": str(data), **record(found)})
    else:
        out.print(f"{file} on {data}, {_how(found)}\n", soft_wrap=True)
        _show(found)
        if html is not None:
            out.print(f"written: {html}", soft_wrap=True)


def _network(file: Path, network: Path | None, read: list[str] | None) -> tuple[Program, Params]:
    from snnhw import api
    from snnhw.cli.train.stood import SUFFIX, network_of
    from snnhw.errors import InputError

    if file.suffix == SUFFIX:
        return network_of(file, network)
    if network is not None:
        raise InputError(
            f"--network says whose parameters a checkpoint holds; '{file}' holds a network itself"
        )
    return api.load(file, **parse_settings(read, "--read"))


def _how(found: NetworkReport) -> str:
    label = f" ({found.label})" if found.label else ""
    return f"{found.backend}{label}: T={found.time_steps}, {found.samples} samples"


def _show(found: NetworkReport) -> None:
    from snnhw.metrics import tables

    _print(tables.network(found))
    _print(tables.layers(found), "rate: spikes of a neuron in a step; silent: neurons that never fired")
    _print(tables.weights(found))
    if found.proxies is not None:
        from snnhw.metrics.record import LABEL

        out.print(f"{found.proxies.target}: {found.proxies.label}", style="bold")
        out.print(LABEL, soft_wrap=True)
        _print(tables.populations(found.proxies), f"of one sample, in the mean of {found.proxies.samples}")
        _print(tables.limits(found.proxies))


def _print(rows: Rows, legend: str = "") -> None:
    out.print(table(rows.heads, rows.rows, right=rows.right))
    out.print(f"{legend}\n" if legend else "", soft_wrap=True)
