"""Runs one file in one simulator: a script for whatever interpreter has that simulator installed.

It imports nothing of snnhw. Arguments: simulator, file, inputs (.npy, ``[T, B, ...]``), where to write
(.npz), and the ports to record.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import nir
import numpy as np
import torch


def snntorch(graph: Any, dt: float) -> Any:
    """With its fixed step of 1e-4 s."""
    from snntorch.import_nir import import_from_nir

    assert dt == 1e-4
    return import_from_nir(graph)


def spikingjelly(graph: Any, dt: float) -> Any:
    """Told the step."""
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    return import_from_nir(graph, dt=dt)


def norse(graph: Any, dt: float) -> Any:
    """Told the step."""
    import norse.torch

    return norse.torch.from_nir(graph, dt=dt)


def sinabs(graph: Any, dt: float) -> Any:  # noqa: ARG001  # it takes no step: a tau is a number of steps
    """As it is. What it has no module for, it would leave out without a word."""
    from sinabs import from_nir

    if unread := sorted({type(node).__name__ for node in graph.nodes.values()} - SINABS):
        raise ValueError(f"sinabs reads no {', no '.join(unread)}, and would leave it out")
    return from_nir(graph, batch_size=1)


SINABS = {"Affine", "Conv1d", "Conv2d", "Flatten", "IF", "Input", "LI", "LIF", "Output", "SumPool2d"}
"""Types of node for which sinabs 3.1.3 has a module."""

SIMULATORS: dict[str, Callable[[Any, float], Any]] = {
    "norse": norse,
    "sinabs": sinabs,
    "snntorch": snntorch,
    "spikingjelly": spikingjelly,
}


def main(name: str, file: str, inputs: str, to: str, *ports: str) -> None:
    """Run it, sample by sample: not every simulator keeps the batch apart from what it flattens."""
    graph, x = nir.read(file), np.load(inputs)
    dt = float(graph.metadata["snnhw"]["dt"])
    found: dict[str, list[Any]] = {}
    for sample in range(x.shape[1]):
        for port, values in ran(SIMULATORS[name](graph, dt), x[:, sample : sample + 1], ports).items():
            found.setdefault(port, []).append(np.stack(values))
    made: dict[str, Any] = {port: np.stack(values, axis=1) for port, values in found.items()}
    np.savez(to, **made)


def ran(net: Any, x: Any, ports: tuple[str, ...]) -> dict[str, list[Any]]:
    """Port -> its spikes at every step, for those whose node is a module of its own."""
    found: dict[str, list[Any]] = {}
    modules, state = dict(net.named_modules()), None
    for port in ports:
        node, _, what = port.rpartition(".")
        module = modules.get(node, modules.get(node.replace(".", "_")))
        if module is not None and what == "spk":
            module.register_forward_hook(keeper(found.setdefault(port, [])))
    for now in torch.as_tensor(x):
        _, state = net(now) if state is None else net(now, state)
    return found


def keeper(kept: list[Any]) -> Callable[[Any, Any, Any], None]:
    """A hook that keeps what a module gives, without the batch of one."""

    def keep(module: Any, given: Any, made: Any) -> None:  # noqa: ARG001  # torch's signature
        spikes = made[0] if isinstance(made, tuple) else made
        kept.append(spikes.detach().numpy()[0].copy())

    return keep


if __name__ == "__main__":
    with torch.no_grad():
        main(*sys.argv[1:])
