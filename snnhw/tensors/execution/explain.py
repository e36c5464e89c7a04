"""What a torch backend would do with a program: its schedule, and the source of every kernel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import torch

from snnhw.passes import LoopKernel, Pass, ScanKernel, ScanLoop, backward_loop, forward_loop
from snnhw.plugin import Explanation, Run, Train
from snnhw.tensors.execution.learning import Learning
from snnhw.tensors.execution.paths import ALWAYS
from snnhw.tensors.network import KernelUse, Network, refusal, run_network, trial, uses
from snnhw.tensors.noting import Noting, Unrepeatable
from snnhw.tensors.scans.provider import fuses

__all__ = ["LoopSource", "Source", "explain", "why_not_listed"]

Source = Callable[[ScanLoop], str]
"""What is compiled for one pass of a kernel."""

LoopSource = Callable[[LoopKernel, Pass], str]
"""The same of a loop that is one kernel."""

_MEANING = {
    "once": "nothing in it changes over time",
    "folded": "all steps as one batch",
    "timed": "all steps at once, told apart",
    "scan": "one kernel over all steps",
    "stepped": "a loop over time",
    "chained": "as one; large signals a block at a time",
}

_LAYOUTS = {"scalar": "for the layer", "neuron": "for each neuron"}


def explain(
    network: Network, job: Run | Train, source: Source, loop_source: LoopSource | None = None
) -> Explanation:
    """The schedule, a row for each stage; how a step finds its derivatives; a row for each node that has
    kernels; their sources, each once.

    Args:
        network: as it evaluates; of a job that trains, `Executable.step` is explained.
        loop_source: of a backend that has loops as one kernel.
    """
    network = network.trained() if isinstance(job, Train) else network
    found: dict[str, list[KernelUse]] = {}
    for use in uses(network, job):
        found.setdefault(use.node, []).append(use)

    def printed(use: KernelUse) -> str:
        passed: Pass = "backward" if use.backward else "forward"
        if isinstance(use.kernel, LoopKernel):
            assert loop_source, "a backend whose loops are kernels prints them"
            return loop_source(use.kernel, passed)
        return source((backward_loop if use.backward else forward_loop)(use.kernel))

    sources: dict[str, str] = {}
    rows: list[tuple[str, ...]] = [("node", "states", "values", "static", "forward", "backward")]
    for node in network.program.nodes:
        if node in found:
            files = []
            for back in (False, True):
                texts = [printed(use) for use in found[node] if use.backward == back]
                name = "backward" if back else "forward"
                files.append(", ".join(dict.fromkeys(_file(sources, name, text) for text in texts)) or "-")
            rows.append((*_facts(network, node, found[node][0].kernel), *files))
    steps = {"step": _step(network, job)} if isinstance(job, Train) else {}
    return Explanation({"schedule": _schedule(network), **steps, "kernels": tuple(rows)}, sources)


def _step(network: Network, job: Train) -> tuple[tuple[str, ...], ...]:
    observed, _, params, inputs, sizes = trial(network, job)
    why = Learning(observed, job, params).why_recorded({"inputs": inputs, "state": {}}, sizes)
    row = ("autograd", why) if why else ("tape", "one for all steps of the same sizes")
    return ("derivatives", "because"), row


def why_not_listed(network: Network, job: Run | Train) -> str:
    """Why a call cannot be made again as a list of what it computes; "" where it can, as far as shows without
    its numbers.

    Args:
        network: as it evaluates.
    """
    if drawing := [name for name, op in network.program.nodes.items() if op.clocked]:
        return f"what {', '.join(drawing)} does depends on the call"
    network = network.trained() if isinstance(job, Train) else network
    observed, _, params, inputs, sizes = trial(network, job)
    try:
        with torch.no_grad(), Noting([*params.values(), *inputs.values()], ALWAYS):
            if isinstance(job, Train):
                Learning(observed, job, params).why_recorded({"inputs": inputs, "state": {}}, sizes)
            else:
                wanted = {*network.program.outputs().values(), *job.record}
                run_network(observed, params, inputs, state={}, sizes=sizes, wanted=wanted)
    except Unrepeatable as error:
        return str(error)
    return ""


def _schedule(network: Network) -> tuple[tuple[str, ...], ...]:
    rows = [("stage", "nodes", "runs", "because")]
    for number, stage in enumerate(network.stages):
        because = _MEANING[stage.mode]
        if stage.mode == "stepped" and fuses(network.provider):
            why = refusal(network, network.provider, stage.nodes)
            because += f", step by step: {why}" if why else ", in one kernel"
        rows.append((str(number), ", ".join(stage.nodes), stage.mode, because))
    return tuple(rows)


def _file(sources: dict[str, str], name: str, text: str) -> str:
    """The name of a source; equal ones share it."""
    known = {other: file for file, other in sources.items()}
    file = known.get(text, f"{name}_{len(sources)}.py")
    sources[file] = text
    return file


def _facts(network: Network, node: str, kernel: ScanKernel | LoopKernel) -> tuple[str, ...]:
    if isinstance(kernel, LoopKernel):
        (nodes,) = (stage.nodes for stage in network.stages if node in stage.nodes)
        states = [state for _, cell in kernel.cells for state in cell.scan.states]
        return ", ".join(nodes), ", ".join(states) or "-", "-", "-"
    counts = Counter(value.layout for value in kernel.values)
    values = ", ".join(f"{count} {_LAYOUTS[layout]}" for layout, count in counts.items())
    static = ", ".join(port for port, fixed in zip(kernel.inputs, kernel.static, strict=True) if fixed)
    return node, ", ".join(kernel.states) or "-", values or "-", static or "-"
