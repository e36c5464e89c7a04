"""What a torch backend would do with a program: its schedule, and the source of every kernel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from snnhw.passes import ScanKernel, ScanLoop, backward_loop, forward_loop
from snnhw.plugin import Explanation, Run, Train
from snnhw.tensors.execution.learning import Learning
from snnhw.tensors.network import KernelUse, Network, trial, uses

__all__ = ["Source", "explain"]

Source = Callable[[ScanLoop], str]
"""What is compiled for one pass of a kernel."""

_MEANING = {
    "once": "nothing in it changes over time",
    "folded": "all steps as one batch",
    "timed": "all steps at once, told apart",
    "scan": "one kernel over all steps",
    "stepped": "a loop over time",
    "chained": "as one; large signals a block at a time",
}

_LAYOUTS = {"scalar": "for the layer", "neuron": "for each neuron"}


def explain(network: Network, job: Run | Train, source: Source) -> Explanation:
    """The schedule, a row for each stage; how a step finds its derivatives; a row for each node that has
    kernels; their sources, each once.

    Args:
        network: as it evaluates; of a job that trains, `Executable.step` is explained.
    """
    network = network.trained() if isinstance(job, Train) else network
    found: dict[str, list[KernelUse]] = {}
    for use in uses(network, job):
        found.setdefault(use.node, []).append(use)
    sources: dict[str, str] = {}
    rows: list[tuple[str, ...]] = [("node", "states", "values", "static", "forward", "backward")]
    for node in network.program.nodes:
        if node in found:
            files = [_files(sources, found[node], source, backward=back) for back in (False, True)]
            rows.append((node, *_facts(found[node][0].kernel), *files))
    steps = {"step": _step(network, job)} if isinstance(job, Train) else {}
    return Explanation({"schedule": _schedule(network), **steps, "kernels": tuple(rows)}, sources)


def _step(network: Network, job: Train) -> tuple[tuple[str, ...], ...]:
    observed, _, params, inputs, sizes = trial(network, job)
    why = Learning(observed, job, params).why_recorded({"inputs": inputs, "state": {}}, sizes)
    row = ("autograd", why) if why else ("tape", "one for all steps of the same sizes")
    return ("derivatives", "because"), row


def _schedule(network: Network) -> tuple[tuple[str, ...], ...]:
    rows = [("stage", "nodes", "runs", "because")]
    for number, stage in enumerate(network.stages):
        rows.append((str(number), ", ".join(stage.nodes), stage.mode, _MEANING[stage.mode]))
    return tuple(rows)


def _files(sources: dict[str, str], found: list[KernelUse], source: Source, *, backward: bool) -> str:
    """Names of the files that a node's kernels of one pass stand in."""
    name, loop = ("backward", backward_loop) if backward else ("forward", forward_loop)
    files = [_file(sources, name, source(loop(use.kernel))) for use in found if use.backward == backward]
    return ", ".join(dict.fromkeys(files)) or "-"


def _file(sources: dict[str, str], name: str, text: str) -> str:
    """The name of a source; equal ones share it."""
    known = {other: file for file, other in sources.items()}
    file = known.get(text, f"{name}_{len(sources)}.py")
    sources[file] = text
    return file


def _facts(kernel: ScanKernel) -> tuple[str, str, str]:
    counts = Counter(value.layout for value in kernel.values)
    values = ", ".join(f"{count} {_LAYOUTS[layout]}" for layout, count in counts.items())
    static = ", ".join(port for port, fixed in zip(kernel.inputs, kernel.static, strict=True) if fixed)
    return ", ".join(kernel.states) or "-", values or "-", static or "-"
