"""What the CPU backend would do with a program: its schedule, and the source of every kernel."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from snnhw.ir import FrozenMap, Input, Neuron, Pointwise, Program
from snnhw.passes import Layout, Request, ScanKernel, derive
from snnhw.plugin import Explanation, Run, Train
from snnhw.tensors.network import Network
from snnhw_cpu.network import network_of
from snnhw_cpu.paths import listed
from snnhw_cpu.source import backward_source, forward_source
from snnhw_torch.explain import explain as explain_schedule

__all__ = ["explain"]

VARYING: Layout = "neuron"
WORDS = {"scalar": "for the layer", "neuron": "for each neuron"}


def explain(program: Program, job: Run | Train) -> Explanation:
    """The schedule; a row for each pointwise node; its emitted sources, each structure once."""
    options = job.options
    network = network_of(program, precision=options.precision, limits=options.limits)
    network = network.trained() if isinstance(job, Train) else network
    rows: list[tuple[str, ...]] = [("node", "states", "values", "static", "forward", "backward")]
    sources: dict[str, str] = {}
    for name, op in program.nodes.items():
        if isinstance(op, (Neuron, Pointwise)):
            forward, backward = _kernels(network, name, op, job)
            files = [_file(sources, "forward", forward_source(forward, options.dtype))]
            files += [_file(sources, "backward", backward_source(k, options.dtype)) for k in backward]
            rows.append((name, *_facts(forward), *files, *["-"] * (2 - len(files))))
    tables = {
        **explain_schedule(network).tables,
        "kernels": tuple(rows),
        "paths": listed(options.paths, options.settled),
    }
    return Explanation(tables, sources)


def _kernels(
    network: Network, name: str, op: Neuron | Pointwise, job: Run | Train
) -> tuple[ScanKernel, list[ScanKernel]]:
    program, step = network.program, op.step()
    read = {edge.src for edge in program.edges} | set(job.record)
    if isinstance(job, Train):
        read |= {term.of for term in job.loss.terms if term.of}
    outputs = tuple(port for port in step.outputs if f"{name}.{port}" in read)
    static = {
        port
        for port in step.ports
        if all(edge.src in network.schedule.static for edge in program.into(name, port))
    }
    forward = Request(
        outputs=outputs,
        static=frozenset(static),
        layouts=FrozenMap(dict.fromkeys((p for p, shape in op.param_shapes.items() if shape), VARYING)),
        dt=program.time.dt,
    )
    if not isinstance(job, Train):
        return derive(step, forward), []
    keys = program.param_keys(name)
    backward = replace(
        forward,
        adjoints=outputs,
        input_grads=frozenset(p for p in step.ports if not _only_inputs(program, name, p)),
        param_grads=frozenset(param for param in step.params if keys.get(param) in program.trainable),
    )
    return derive(step, forward), [derive(step, backward)]


def _only_inputs(program: Program, name: str, port: str) -> bool:
    """Whether nothing before a port could be trained."""
    nodes = [program.nodes[edge.source.node] for edge in program.into(name, port)]
    return all(isinstance(node, Input) for node in nodes)


def _facts(kernel: ScanKernel) -> tuple[str, str, str]:
    counts = Counter(value.layout for value in kernel.values)
    values = ", ".join(f"{count} {WORDS[layout]}" for layout, count in counts.items())
    static = ", ".join(port for port, fixed in zip(kernel.inputs, kernel.static, strict=True) if fixed)
    return ", ".join(kernel.states) or "-", values or "-", static or "-"


def _file(sources: dict[str, str], name: str, text: str) -> str:
    """The file name under which a source is shown; equal sources share one."""
    for known, other in sources.items():
        if other == text:
            return known
    file = f"{name}_{len(sources)}.py"
    sources[file] = text
    return file
