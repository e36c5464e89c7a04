"""Runs one file in one simulator: a script for whatever interpreter has that simulator installed.

It imports nothing of snnhw. The argument is a JSON object: ``simulator``, ``file``, ``dt`` in seconds,
``inputs`` (.npy, ``[T, B, ...]``), where to write ``to`` (.npz), and ``record``: name -> node, and which of
its values: ``out`` (what it gives to others), ``mem`` or ``syn``. It ends with `LOADING` where the simulator
does not take the file.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import nir
import numpy as np
import torch

LOADING = 3
"""How it ends where the simulator does not take the file."""

Record = Mapping[str, tuple[str, str]]


# -- Loading --------------------------------------------------------------------------------------


def snntorch(graph: Any, dt: float) -> Any:
    """With its fixed step of 1e-4 s."""
    from snntorch.import_nir import import_from_nir

    if dt != 1e-4:
        raise ValueError(f"snnTorch reads every file with a step of 1e-4 s, not {dt:g}")
    return import_from_nir(graph)


def spikingjelly(graph: Any, dt: float) -> Any:
    """Told the step."""
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    return import_from_nir(graph, dt=dt)


def norse(graph: Any, dt: float) -> Any:
    """Told the step. What it has no module for, it would leave out without a word."""
    import norse.torch

    _all_read("norse", graph, NORSE)
    return norse.torch.from_nir(graph, dt=dt)


def sinabs(graph: Any, dt: float) -> Any:  # noqa: ARG001  # it takes no step: a tau is a number of steps
    """As it is. What it has no module for, it would leave out without a word."""
    from sinabs import from_nir

    _all_read("sinabs", graph, SINABS)
    return from_nir(graph, batch_size=1)


def _all_read(name: str, graph: Any, known: set[str]) -> None:
    if unread := sorted({type(node).__name__ for node in _nodes(graph).values()} - known):
        raise ValueError(f"{name} reads no {', no '.join(unread)}, and would leave it out")


def _nodes(graph: Any, prefix: str = "") -> dict[str, Any]:
    """Dotted name -> node, of subgraphs, too."""
    found: dict[str, Any] = {}
    for name, node in graph.nodes.items():
        inner = isinstance(node, nir.NIRGraph)
        found |= _nodes(node, f"{prefix}{name}.") if inner else {prefix + name: node}
    return found


_ENDS = {"Input", "Output"}
NORSE = _ENDS | {"Affine", "Conv2d", "CubaLIF", "Flatten", "IF", "LIF", "Linear", "SumPool2d"}
SINABS = _ENDS | {"Affine", "Conv1d", "Conv2d", "Flatten", "IF", "LI", "LIF", "SumPool2d"}
"""Types of node for which norse 1.1.0 and sinabs 3.1.3 have a module."""

SIMULATORS: dict[str, Callable[[Any, float], Any]] = {
    "norse": norse,
    "sinabs": sinabs,
    "snntorch": snntorch,
    "spikingjelly": spikingjelly,
}


# -- States ---------------------------------------------------------------------------------------
# Each: the module, what it returned, its node, which state, and the step -> the state after the step, in the
# units of the file; None where there is none.


def _of_snntorch(module: Any, made: Any, node: Any, what: str, dt: float) -> Any:  # noqa: ARG001
    """Where the gain is not 1, it has divided the threshold by it, and computes in such units."""
    value = getattr(module, what, None)
    if value is None:
        return None
    cuba = hasattr(node, "tau_syn")
    gain = np.ravel(node.w_in * dt / node.tau_syn if cuba else node.r * dt / node.tau)[0]
    return value if np.isclose(gain, 1.0) else value * float(gain)


def _of_norse(module: Any, made: Any, node: Any, what: str, dt: float) -> Any:  # noqa: ARG001
    state = made[1]
    if isinstance(state, tuple) and len(state) == 2 and hasattr(state[0], "v"):  # of a current and a membrane
        state = state[what == "mem"]
    return getattr(state, "v", None)


def _of_spikingjelly(module: Any, made: Any, node: Any, what: str, dt: float) -> Any:  # noqa: ARG001
    names = list(getattr(module.module, "_memories", ()))
    return dict(zip(names, made[1], strict=False)).get({"mem": "v", "syn": "c"}[what])


def _of_sinabs(module: Any, made: Any, node: Any, what: str, dt: float) -> Any:  # noqa: ARG001
    return getattr(module, "v_mem", None) if what == "mem" else None


STATES: dict[str, Callable[[Any, Any, Any, str, float], Any]] = {
    "norse": _of_norse,
    "sinabs": _of_sinabs,
    "snntorch": _of_snntorch,
    "spikingjelly": _of_spikingjelly,
}


# -- Running --------------------------------------------------------------------------------------


def main(task: dict[str, Any]) -> None:
    """Run it, sample by sample: not every simulator keeps the batch apart from what it flattens."""
    x, name, dt = np.load(task["inputs"]), task["simulator"], task["dt"]
    found: dict[str, list[Any]] = {}
    for sample in range(x.shape[1]):
        try:  # anew for each, which resets it
            graph = nir.read(task["file"], type_check=False)
            nodes, net = _nodes(graph), SIMULATORS[name](graph, dt)
        except Exception:  # noqa: BLE001  # whatever it is, its last words are the message
            traceback.print_exc()
            sys.exit(LOADING)
        taken = Taker(STATES[name], nodes, dt)
        for port, values in taken.ran(net, x[:, sample : sample + 1], task["record"]).items():
            found.setdefault(port, []).append(np.stack(values))
    made: dict[str, Any] = {port: np.stack(values, axis=1) for port, values in found.items()}
    np.savez(task["to"], **made)


class Taker:
    """Takes down what modules give, step by step."""

    def __init__(self, state: Callable[[Any, Any, Any, str, float], Any], nodes: Any, dt: float) -> None:
        self.state, self.nodes, self.dt = state, nodes, dt

    def ran(self, net: Any, x: Any, record: Record) -> dict[str, list[Any]]:
        """Name -> its values at every step, for those whose node is a module of its own."""
        found: dict[str, list[Any]] = {}
        modules, state = dict(net.named_modules()), None
        for port, (node, what) in record.items():
            module = modules.get(node, modules.get(node.replace(".", "_")))
            if module is not None:
                module.register_forward_hook(self.keeper(found.setdefault(port, []), node, what))
        for now in torch.as_tensor(x):
            _, state = net(now) if state is None else net(now, state)
        return {port: values for port, values in found.items() if len(values) == len(x)}

    def keeper(self, kept: list[Any], node: str, what: str) -> Callable[[Any, Any, Any], None]:
        """A hook that keeps one value of a module, without the batch of one."""

        def keep(module: Any, given: Any, made: Any) -> None:  # noqa: ARG001  # torch's signature
            if what == "out":
                value = made[0] if isinstance(made, tuple) else made
            else:
                value = self.state(module, made, self.nodes.get(node), what, self.dt)
            if value is not None and np.ndim(value):
                kept.append(value.detach().numpy()[0].copy())

        return keep


if __name__ == "__main__":
    with torch.no_grad():
        main(json.loads(sys.argv[1]))
