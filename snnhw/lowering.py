"""From a program to an executable: a job in a backend's terms, what speaks against it, and the backend's
`compile`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from snnhw import registry
from snnhw.check import check_job, prepared, reasons_against
from snnhw.errors import InputError, SnnhwError, Unsupported
from snnhw.ir import Input, Loss, Optimizer, Params, Program, check_params, require_valid
from snnhw.passes import became, resolve_loss
from snnhw.plugin import BACKENDS, Backend, Executable, Explanation, Ranks, Run, Train

__all__ = ["explain", "lower", "make_job", "require_supported"]


def make_job(
    plugin: Backend,
    program: Program,
    *,
    time_steps: int,
    batch: int,
    loss: Loss | None = None,
    optimizer: Optimizer | None = None,
    record: Sequence[str] = (),
    seed: int = 0,
    options: Mapping[str, object] | None = None,
    clip_norm: float | None = None,
    accumulate: int = 1,
    ranks: Ranks | None = None,
) -> Run | Train:
    """The job in a backend's terms: its own options, and a loss that names its ports."""
    if (loss is None) != (optimizer is None):
        raise InputError("training needs both a loss and an optimizer; give both, or neither to only run")
    if loss is None and not (clip_norm is None and accumulate == 1):
        raise InputError("clip_norm and accumulate are of training; give a loss and an optimizer, too")
    shapes = {name: op.shape for name, op in program.nodes.items() if isinstance(op, Input)}
    run = Run(
        time_steps,
        shapes,
        batch,
        tuple(record),
        registry.build_options(plugin, {} if options is None else options),
        seed,
    )
    if loss is None or optimizer is None:
        return run
    return Train(
        run.time_steps,
        run.sample_shapes,
        run.batch,
        run.record,
        run.options,
        run.seed,
        loss=resolve_loss(program, loss),
        optimizer=optimizer,
        clip_norm=clip_norm,
        accumulate=accumulate,
        ranks=ranks,
    )


def lower(plugin: Backend, program: Program, params: Params, job: Run | Train) -> Executable:
    """Validate, check against the backend's capabilities, compile; ranks begin with rank 0's parameters."""
    require_valid(program)
    check_params(program, params)
    require_supported(plugin, program, job)
    if isinstance(job, Train) and job.ranks:
        params = job.ranks.first({key: np.asarray(array) for key, array in params.items()})
    with _others_named(plugin, program, job):
        return plugin.compile(prepared(program, plugin.capabilities()), params, job)


def explain(plugin: Backend, program: Program, job: Run | Train) -> Explanation:
    """What the backend would do; raises as `lower` does."""
    require_supported(plugin, program, job)
    with _others_named(plugin, program, job):
        given = prepared(program, plugin.capabilities())
        found = plugin.explain(given, job)
    if isinstance(job, Train) and job.ranks:
        found = replace(found, tables={**found.tables, "ranks": _reduces(program, job, job.ranks.size)})
    if given is program:
        return found
    rows = [(name, program.nodes[name].summary(), ", ".join(made)) for name, made in became(program, given)]
    table = (("node", "op", "runs as"), *rows)
    return replace(found, tables={"ops made of others": table, **found.tables})


def _reduces(program: Program, job: Train, size: int) -> tuple[tuple[str, ...], ...]:
    """When the processes of a job wait for each other, in every call of a step."""
    trained, measured = len(program.trainable), len(program.statistics())
    reduced = f"loss, gradients of {trained} parameters, {measured} running statistics"
    often = "" if job.accumulate == 1 else f", in each of {job.accumulate} calls"
    return (
        ("when", f"what is added up over {size} processes"),
        ("before forward", "numbers of samples, and what loss terms are divided by"),
        (f"between backward and update{often}", reduced),
    )


@contextmanager
def _others_named(plugin: Backend, program: Program, job: Run | Train) -> Iterator[None]:
    """A plugin that refuses more than its capabilities say knows of no other; core does."""
    try:
        yield
    except Unsupported as error:
        raise Unsupported(plugin.name, error.reasons, _others(plugin.name, program, job)) from error


def require_supported(plugin: Backend, program: Program, job: Run | Train) -> None:
    """Raise `Unsupported`, with every reason and who else could, or `InputError` for a job without sense."""
    check_job(program, job)
    reasons = reasons_against(program, plugin.capabilities(), job)
    if reasons:
        raise Unsupported(plugin.name, reasons, _others(plugin.name, program, job))


def _others(name: str, program: Program, job: Run | Train) -> tuple[str, ...]:
    """Installed backends that could do the job; a broken one is passed over, it is no answer."""
    found = []
    for other in registry.names(BACKENDS):
        if other == name:
            continue
        try:
            reasons = reasons_against(program, registry.load(BACKENDS, other).capabilities(), job)
        except SnnhwError:
            continue
        if not reasons:
            found.append(other)
    return tuple(found)
