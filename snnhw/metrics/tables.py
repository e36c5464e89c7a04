"""What a report says in words and columns, for a terminal and for a page alike."""

from __future__ import annotations

from typing import NamedTuple

from snnhw.metrics.records import NetworkReport, Proxies

__all__ = ["Rows", "layers", "limits", "network", "populations", "weights"]


class Rows(NamedTuple):
    """A table.

    Attributes:
        heads: of the columns; rows: a cell for each; right: heads of columns of numbers.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: tuple[str, ...] = ()


def network(found: NetworkReport) -> Rows:
    """The whole of it."""
    size = found.footprint
    accuracy = "not known, the data hold no labels" if found.accuracy is None else f"{found.accuracy:.2%}"
    rows = (
        ("accuracy", accuracy),
        ("spikes per sample", f"{found.spikes:,.1f}"),
        ("activation sparsity", f"{found.activation_sparsity:.2%} of neurons and steps are without a spike"),
        ("effective MACs per sample", f"{found.effective_macs:,.1f}"),
        ("effective ACs per sample", f"{found.effective_acs:,.1f}"),
        ("dense operations per sample", f"{found.dense:,.1f}"),
        ("connection sparsity", f"{size.connection_sparsity:.2%} of {size.weights:,} weights are 0"),
        ("parameters", f"{size.parameters:,} in {size.parameter_bytes:,} bytes"),
        ("states per sample", f"{size.state_bytes:,} bytes"),
    )
    return Rows(("of the network", ""), rows)


def layers(found: NetworkReport) -> Rows:
    """Those that fire."""
    numbers = ("neurons", "silent", "spikes per sample", "rate", "sparsity")
    rows = tuple(
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
    )
    return Rows(("layer", "model", *numbers), rows, numbers)


def weights(found: NetworkReport) -> Rows:
    """Layers of weights."""
    numbers = ("MACs", "ACs", "dense", "effective of dense")
    rows = tuple(
        (
            each.name,
            each.op,
            f"{each.macs / each.samples:,.1f}",
            f"{each.acs / each.samples:,.1f}",
            f"{each.dense / each.samples:,.1f}",
            f"{each.effective / (each.dense / each.samples):.2%}" if each.dense else "",
        )
        for each in found.synapses
    )
    return Rows(("weights", "op", *numbers), rows, numbers)


def populations(found: Proxies) -> Rows:
    """A chip's layers."""
    numbers = ("neurons", "spikes per sample", "most in a step", "synaptic operations")
    rows = tuple(
        (
            each.name,
            f"{each.neurons:,}",
            f"{each.spikes:,.1f}",
            f"{max(each.per_step):,.1f}",
            f"{each.operations:,.1f}",
        )
        for each in found.layers
    )
    whole = ("all", "", f"{sum(each.spikes for each in found.layers):,.1f}", "", f"{found.operations:,.1f}")
    return Rows(("layer", *numbers), (*rows, whole), numbers)


def limits(found: Proxies) -> Rows:
    """What is used of what there is."""
    numbers = ("used", "available")
    rows = tuple(
        (
            use.limit.name,
            f"{use.used:,.0f}",
            f"{use.limit.value:,.0f}",
            use.limit.unit,
            use.node,
            "yes" if use.limit.checked else "no",
        )
        for use in found.uses
    )
    return Rows(("limit", *numbers, "of", "node", "vendor checks it"), rows, numbers)
