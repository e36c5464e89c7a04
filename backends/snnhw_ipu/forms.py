"""The forms in which one program goes to the device, each a recipe of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from snnhw.errors import InputError, Unsupported
from snnhw.ir import BatchNorm, Clock, Program
from snnhw.ir.inputs import check_steps
from snnhw.plugin import Run, Train
from snnhw_ipu.chunks import ChunkLowering
from snnhw_ipu.layers import LOWERINGS
from snnhw_ipu.lower import Lowering
from snnhw_ipu.options import IpuOptions
from snnhw_ipu.plans import Lowered, Plan

__all__ = ["Form", "Forms", "Use", "check_batch", "check_statistics", "chunks_of", "forms_of", "lower"]

Use = Literal["run", "evaluate", "train"]
Form = Literal["rest", "continued"]
Forms = Mapping[tuple[Use, Form], Lowered]


def forms_of(program: Program, job: Run | Train, options: IpuOptions) -> Forms:
    """Every recipe that the job may need: from rest, and from states that are handed over."""
    check_batch(job, options)
    chunks = chunks_of(job, options)
    outputs = tuple(dict.fromkeys(program.outputs().values()))
    uses: dict[Use, dict[str, Any]] = {"run": {"wanted": tuple(dict.fromkeys((*outputs, *job.record)))}}
    if isinstance(job, Train):
        check_statistics(program, options)
        check_steps(program, Clock(job.seed), job.time_steps, job.batch, training=True)
        everything = options.outputs == "all"
        back = {
            "wanted": outputs if everything else (),
            "finals": everything,
            "loss": job.loss,
            "training": True,
        }
        uses["train"] = {**back, "derivatives": True, "parts": options.parts(train=True)}
        uses["evaluate"] = {**back, "parts": options.parts(train=False)}
    forms: tuple[Form, ...] = ("rest", "continued")
    common = Plan(job.time_steps // chunks, job.batch, (), dtype=options.dtype, chunks=chunks)
    if chunks > 1:
        return _in_chunks(program, replace(common, continued=True), uses, options)
    return {
        (use, form): lower(program, replace(common, continued=form == "continued", **how))
        for use, how in uses.items()
        for form in forms
    }


def _in_chunks(
    program: Program, common: Plan, uses: Mapping[Use, Mapping[str, Any]], options: IpuOptions
) -> Forms:
    """States are always handed over, and what trains also evaluates."""
    found: dict[Use, Lowered] = {"run": lower(program, replace(common, **uses["run"]))}
    if "train" in uses:
        check_chunks(program, options)
        part = common.batch // options.parts(train=True)
        training = replace(common, **{**uses["train"], "finals": True, "batch": part})
        found["train"] = found["evaluate"] = lower(program, training)
    forms: tuple[Form, ...] = ("rest", "continued")
    return {(use, form): lowered for use, lowered in found.items() for form in forms}


def lower(program: Program, plan: Plan) -> Lowered:
    """The recipe of a valid program.

    Raises:
        Unsupported: an op that cannot be written.
    """
    reasons = [
        f"{name} ({type(op).__name__}): this kind of op is not supported"
        for name, op in program.nodes.items()
        if type(op) not in LOWERINGS
    ]
    if reasons:
        raise Unsupported("ipu", reasons)
    kind = ChunkLowering if plan.chunks > 1 and plan.training else Lowering
    return kind(program, plan).take()


def chunks_of(job: Run | Train, options: IpuOptions) -> int:
    """In how many chunks a program walks through its steps.

    Raises:
        InputError: they would not be of one length.
    """
    steps, chunk = job.time_steps, options.chunk
    if not chunk or chunk >= steps:
        return 1
    if steps % chunk:
        fitting = [size for size in range(1, steps + 1) if steps % size == 0]
        raise InputError(
            f"chunk is {chunk}, and {steps} steps cannot be cut into equal parts of so many; accepted: "
            f"{', '.join(map(str, fitting))}"
        )
    return steps // chunk


def check_chunks(program: Program, options: IpuOptions) -> None:
    """Raise where a step of training cannot be made of chunks."""
    if options.replication > 1:
        raise InputError(
            f"chunk is {options.chunk} and replication is {options.replication}: every IPU would need "
            "gradients of its own; train on one, or without chunk"
        )
    waiting = [
        name for name, op in program.nodes.items() if isinstance(op, BatchNorm) and op.stats == "folded"
    ]
    if waiting:
        reason = "it normalises by statistics of all steps, and a chunk has some of them; train without chunk"
        raise Unsupported("ipu", [f"{name}: {reason}" for name in waiting])


def check_statistics(program: Program, options: IpuOptions) -> None:
    """Raise `Unsupported` where statistics of a batch are asked for, and the device sees parts of it only."""
    parts = options.parts(train=True)
    measuring = [name for name, op in program.nodes.items() if isinstance(op, BatchNorm)]
    if measuring and parts > 1:
        raise Unsupported(
            "ipu",
            [
                f"{name}: it normalises by statistics of the batch, which the IPU takes in {parts} parts; "
                "train without replication and gradient_accumulation"
                for name in measuring
            ],
        )


def check_batch(job: Run | Train, options: IpuOptions) -> None:
    """Raise `InputError` unless the device can take a batch in as many parts as the options say."""
    for train in (False, True) if isinstance(job, Train) else (False,):
        parts = options.parts(train=train)
        if job.batch % parts:
            names = "replication x " + ("gradient_accumulation" if train else "device_iterations")
            raise InputError(f"a batch of {job.batch} cannot be cut into {names} = {parts} equal parts")
