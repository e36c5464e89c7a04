"""``snnhw.report``: a network on data, counted. Glue; what counts is `snnhw.metrics`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from typing import Any, Final

from snnhw import api, metrics, registry
from snnhw.deploy import deploy, target_of
from snnhw.errors import InputError
from snnhw.ir import Params, Program
from snnhw.metrics import NetworkReport
from snnhw.plugin import Array

__all__ = ["report"]

SIZE: Final = 64
"""Samples of arrays that run at a time."""


def report(
    net: Any,
    data: Any,
    labels: Array | None = None,
    *,
    backend: str,
    batch: int | None = None,
    static: bool = False,
    time_steps: int | None = None,
    decide: str = "sum",
    target: str | None = None,
    options: Mapping[str, object] | None = None,
) -> NetworkReport:
    """Run a network on data, and count: accuracy, spikes, sparsity, synaptic operations, memory.

    Args:
        net: a torch module that computes one time step; a `Program` with its parameters, as `snnhw.load`
            gives them; or a compiled model.
        data: an input ``[T, B, ...]``, static: ``[B, ...]``, or several by name; or an iterable of batches
            ``(x, y)``, such as a DataLoader, of which one is held at a time.
        labels: the class of each sample, ``[B]``; those of batches come with them.
        backend: its name; ``snnhw backends`` lists them.
        batch: how many samples run at a time; None: those of each batch as they are, and of arrays 64.
        static: whether inputs do not change over time.
        time_steps: T, where every input is static.
        decide: how the output is read: ``"sum"``, the most spikes or the largest sum; ``"peak"``, the largest
            value at any step; ``"first"``, the first spike.
        target: a chip, such as ``"loihi2"``, whose proxies for energy are counted, too: on the first batch.
        options: of the backend, by name.

    Raises:
        InputError: data or labels that do not fit, that are not finite, or none.
        UnknownPlugin: there is no such backend or target.
        Unsupported: the backend cannot run this network.
        ExportError: the chip cannot compute it, or it does not fit; every reason.
    """
    plugin = registry.backend(backend, options)
    chip = None if target is None else target_of(target)
    whole = isinstance(data, Mapping) or hasattr(data, "shape")
    given = iter([(data, labels)] if whole else data)
    first = next(given, None)
    if first is None:
        raise InputError("the data hold no batch; give one sample at least")
    program, params = _network(net, first, static)
    size = batch or (SIZE if whole else None)
    batches = metrics.batches(program, chain([first], given), size)
    start = next(batches)
    found = metrics.measure(
        program,
        params,
        chain([start], batches),
        plugin,
        time_steps=time_steps,
        decide=decide,
        options=options,
    )
    if chip is None:
        return found
    deployed = deploy(program, params, chip, start[0], allow_shifted=True)
    return replace(found, proxies=metrics.proxies(deployed, start[0]))


def _network(net: Any, first: Any, static: bool) -> tuple[Program, Params]:
    """Program and parameters; a module is captured with the first step of the first batch."""
    if hasattr(net, "executable"):  # a compiled model, whose class is not imported for this
        return net.program, net.params
    x = first[0] if isinstance(first, tuple | list) else first
    sample = _step(x, static)
    program, params, *_ = api.taken(net, sample, static)
    return program, params


def _step(x: Any, static: bool) -> Any:
    """One of them."""
    if isinstance(x, Mapping):
        return {name: _step(each, static) for name, each in x.items() if name != metrics.LABELS}
    return x if static else x[0]
