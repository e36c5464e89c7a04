"""A report for machines: plain numbers and names, with all that follows from them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from snnhw.metrics.histogram import Histogram
from snnhw.metrics.records import LayerActivity, NetworkReport, Proxies, SynapticOperations

__all__ = ["LABEL", "record"]

LABEL = "proxies: counts of the integers, run here; nothing was measured on a chip"
"""What stands wherever a chip's proxies are shown."""


def record(report: NetworkReport) -> dict[str, Any]:
    """As JSON can hold it."""
    return {
        "schema": 1,
        "backend": report.backend,
        "label": report.label,
        "samples": report.samples,
        "time_steps": report.time_steps,
        "accuracy": report.accuracy,
        "spikes_per_sample": report.spikes,
        "activation_sparsity": report.activation_sparsity,
        "connection_sparsity": report.footprint.connection_sparsity,
        "synaptic_operations": {
            "effective_macs": report.effective_macs,
            "effective_acs": report.effective_acs,
            "dense": report.dense,
        },
        "footprint": asdict(report.footprint),
        "layers": [_layer(each) for each in report.layers],
        "synapses": [_synapses(each) for each in report.synapses],
        "weights": {name: _histogram(each) for name, each in report.weights.items()},
        "proxies": None if report.proxies is None else _proxies(report.proxies),
    }


def _layer(layer: LayerActivity) -> dict[str, Any]:
    return {
        "name": layer.name,
        "model": layer.model,
        "neurons": layer.neurons,
        "silent": layer.silent,
        "spikes_per_sample": layer.spikes,
        "rate": layer.rate,
        "sparsity": layer.sparsity,
        "spikes_per_step": layer.over_time,
        "membrane": None if layer.membrane is None else _histogram(layer.membrane),
    }


def _synapses(layer: SynapticOperations) -> dict[str, Any]:
    counts = {name: getattr(layer, name) / layer.samples for name in ("macs", "acs", "dense")}
    return {"name": layer.name, "op": layer.op, **counts}


def _histogram(found: Histogram) -> dict[str, Any]:
    return {"edges": found.edges, "counts": found.counts}


def _proxies(found: Proxies) -> dict[str, Any]:
    return {
        "what": LABEL,
        "target": found.target,
        "label": found.label,
        "samples": found.samples,
        "synaptic_operations_per_sample": found.operations,
        "layers": [{**asdict(layer), "spikes": layer.spikes} for layer in found.layers],
        "limits": [{**asdict(use), "fits": use.fits} for use in found.uses],
    }
