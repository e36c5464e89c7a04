"""``snnhw report``: what a network does on data, counted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from snnhw.cli.arguments import AsJson, Options, Read, parse_options, parse_settings
from snnhw.cli.console import err, out, print_json, table

if TYPE_CHECKING:
    from snnhw.ir import Params, Program
    from snnhw.metrics import NetworkReport, Proxies

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
    if as_json:
        print_json({"file": str(file), "data": str(data), **record(found)})
    else:
        out.print(f"{file} on {data}, {_how(found)}\n", soft_wrap=True)
        _show(found)


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
    accuracy = "not known, the data hold no labels" if found.accuracy is None else f"{found.accuracy:.2%}"
    size = found.footprint
    rows = [
        ("accuracy", accuracy),
        ("spikes per sample", f"{found.spikes:,.1f}"),
        ("activation sparsity", f"{found.activation_sparsity:.2%} of neurons and steps are without a spike"),
        ("effective MACs per sample", f"{found.effective_macs:,.1f}"),
        ("effective ACs per sample", f"{found.effective_acs:,.1f}"),
        ("dense operations per sample", f"{found.dense:,.1f}"),
        ("connection sparsity", f"{size.connection_sparsity:.2%} of {size.weights:,} weights are 0"),
        ("parameters", f"{size.parameters:,} in {size.parameter_bytes:,} bytes"),
        ("states per sample", f"{size.state_bytes:,} bytes"),
    ]
    out.print(table(("of the network", ""), rows))
    out.print()
    heads = ("neurons", "silent", "spikes per sample", "rate", "sparsity")
    layers = [
        (
            each.name,
            each.model,
            f"{each.neurons:,}",
            f"{each.silent:,}",
            f"{each.spikes:,.1f}",
            f"{each.rate:.4f}",
            f"{each.sparsity:.2%}",
        )
        for each in found.layers
    ]
    out.print(table(("layer", "model", *heads), layers, right=heads))
    out.print("rate: spikes of a neuron in a step; silent: neurons that never fired\n")
    counts = ("MACs", "ACs", "dense", "effective of dense")
    weights = [
        (
            each.name,
            each.op,
            f"{each.macs / each.samples:,.1f}",
            f"{each.acs / each.samples:,.1f}",
            f"{each.dense / each.samples:,.1f}",
            f"{each.effective / (each.dense / each.samples):.2%}",
        )
        for each in found.synapses
    ]
    out.print(table(("weights", "op", *counts), weights, right=counts))
    if found.proxies is not None:
        _show_proxies(found.proxies)


def _show_proxies(found: Proxies) -> None:
    from snnhw.cli.export import show_limits
    from snnhw.metrics.record import LABEL

    out.print(f"\n{found.target}: {found.label}", style="bold")
    out.print(LABEL, soft_wrap=True)
    heads = ("neurons", "spikes per sample", "most in a step", "synaptic operations")
    rows = [
        (
            each.name,
            f"{each.neurons:,}",
            f"{each.spikes:,.1f}",
            f"{max(each.per_step):,.1f}",
            f"{each.operations:,.1f}",
        )
        for each in found.layers
    ]
    out.print(table(("layer", *heads), rows, right=heads))
    out.print(f"of one sample, in the mean of {found.samples}; in all {found.operations:,.1f} operations\n")
    show_limits(found.uses)
