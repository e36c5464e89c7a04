"""Whether a backend can run a program: every reason why not, before anything is compiled."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Real

from snnhw.errors import InputError
from snnhw.ir import Loss, Neuron, Opaque, Optimizer, Pointwise, Program, topological
from snnhw.ir.inputs import check_record
from snnhw.ir.optimizers import no_optimizer
from snnhw.passes import components, expand, lacking
from snnhw.plugin import Capabilities, Run, Train

__all__ = ["check_job", "prepared", "reasons_against"]


def reasons_against(program: Program, capabilities: Capabilities, job: Run | Train) -> tuple[str, ...]:
    """Why a backend with these capabilities cannot do this job, given the program as `prepared` for it; empty
    when it can."""
    program = prepared(program, capabilities)
    kinds = _integers if program.formats else _ops
    return (*kinds(program, capabilities, job), *_graph(program, capabilities), *_training(capabilities, job))


def _integers(program: Program, can: Capabilities, job: Run | Train) -> Iterator[str]:
    if not can.integers:
        yield "its numbers are integers (Program.formats), which are not supported"
    for name in program.nodes if can.integers else ():
        if type(program.nodes[name]) not in can.integers:
            yield f"{_label(program, name)}: this kind of op is not supported in a program of integers"
    if isinstance(job, Train):
        yield "its numbers are integers, which are not trained; train the network that it was made from"


def prepared(program: Program, capabilities: Capabilities) -> Program:
    """What a backend with these capabilities is given for a program: ops that it does not list, but what they
    are made of, are written as that."""
    given = expand(program, capabilities.integers if program.formats else capabilities.ops)
    return program if given is program else given.made_of(program)


def _ops(program: Program, can: Capabilities, job: Run | Train) -> Iterator[str]:
    for name, op in program.nodes.items():
        label = _label(program, name)
        support = can.ops.get(type(op))
        if support is None:
            yield f"{label}: this kind of op is not supported{_made_of(program, name, can)}"
            continue
        if isinstance(job, Train) and not support.train:
            yield f"{label}: it runs, but cannot be trained through"
        reason = support.why_not(op) if support.why_not else None
        if reason:
            yield f"{label}: {reason}"
        opaque = op.surrogate if isinstance(op, Neuron) and isinstance(op.surrogate, Opaque) else None
        if opaque and isinstance(job, Train) and not can.callables:
            yield f"{label}: {opaque.reason}"
        if isinstance(op, (Neuron, Pointwise)):
            used = {node.op for node in topological(op.equations().outputs.values())}
            step = op.equations()
            random = step.noise if isinstance(job, Train) else step.drawn
            if random and not can.noise:
                yield f"{label}: its equations draw random numbers, which is not supported"
            for primitive in sorted(used - can.expressions):
                yield f"{label}: its equations use '{primitive}', which is not supported"


def _label(program: Program, name: str) -> str:
    """A node as its user knows it: of a part, the node that is made of it."""
    written, kind = program.written, type(program.nodes[name]).__name__
    whole = name
    while whole not in written.nodes:
        whole = whole.rpartition(".")[0]
    own = type(written.nodes[whole]).__name__
    return f"{name} ({kind})" if own == kind else f"{whole} ({own}), as {kind}"


def _made_of(program: Program, name: str, can: Capabilities) -> str:
    """What is missing of an op's parts, where it has some."""
    found = [kind.__name__ for kind in lacking(program, name, can.ops)]
    own = found == [type(program.nodes[name]).__name__]
    return "" if own else f", nor, of what it is made of, {', '.join(found)}"


def _graph(program: Program, can: Capabilities) -> Iterator[str]:
    for component in components(program):
        if component.recurrent and not can.recurrence:
            yield f"{', '.join(component.nodes)}: recurrence is not supported"
    for edge in program.edges:
        if can.max_delay is not None and edge.delay > can.max_delay:
            yield f"edge {edge.key}: a delay of {edge.delay} is longer than the {can.max_delay} supported"


def _training(can: Capabilities, job: Run | Train) -> Iterator[str]:
    if not isinstance(job, Train):
        return
    if not can.train:
        yield "training is not supported"
        return
    for kind in dict.fromkeys(type(term.kind) for term in job.loss.terms):
        if kind not in can.losses:
            yield f"the loss term {kind.__name__} is not supported" + (kind.instead and f": {kind.instead}")
    if any(term.lengths for term in job.loss.terms) and not can.lengths:
        yield "a loss of samples of several lengths (Term.lengths) is not supported"
    if job.ranks and job.ranks.size > 1 and can.alone:
        yield f"{job.ranks.size} processes train together: {can.alone}"
    if type(job.optimizer) not in can.optimizers:
        yield f"the optimizer {type(job.optimizer).__name__} is not supported"


def check_job(program: Program, job: Run | Train) -> None:
    """Raise `InputError` for a job that makes no sense whatever the backend."""
    for name, value in (("time_steps", job.time_steps), ("batch", job.batch)):
        if type(value) is not int or value < 1:
            raise InputError(f"{name} is a whole number, 1 or more, not {value!r}")
    if type(job.seed) is not int or not 0 <= job.seed < 2**64:
        raise InputError(f"seed is a whole number from 0 to 2^64 - 1, not {job.seed!r}")
    check_record(program, job.record)
    if isinstance(job, Train):
        _check_training(program, job)


def _check_training(program: Program, job: Train) -> None:
    if not isinstance(job.loss, Loss):
        raise InputError(f"a loss is a value such as snnhw.functional.ce_rate_loss(), not {job.loss!r}")
    if not isinstance(job.optimizer, Optimizer):
        raise no_optimizer(job.optimizer)
    if not program.trainable:
        raise InputError("nothing in this program is trainable; mark parameters in Program.trainable")
    if type(job.accumulate) is not int or job.accumulate < 1:
        raise InputError(f"accumulate is a whole number, 1 or more, not {job.accumulate!r}")
    clip = job.clip_norm
    if clip is not None and not (isinstance(clip, Real) and not isinstance(clip, bool) and clip > 0):
        raise InputError(f"clip_norm is a number greater than 0, or None, not {job.clip_norm!r}")
