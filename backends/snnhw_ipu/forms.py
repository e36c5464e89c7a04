"""The forms in which one program goes to the device, each a recipe of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from snnhw.errors import InputError, Unsupported
from snnhw.ir import BatchNorm, Clock, Program
from snnhw.ir.inputs import check_steps
from snnhw.plugin import Run, Train
from snnhw_ipu.lower import Lowered, Plan, lower
from snnhw_ipu.options import IpuOptions

__all__ = ["Form", "Forms", "Use", "check_batch", "check_statistics", "forms_of"]

Use = Literal["run", "evaluate", "train"]
Form = Literal["rest", "continued"]
Forms = Mapping[tuple[Use, Form], Lowered]


def forms_of(program: Program, job: Run | Train, options: IpuOptions) -> Forms:
    """Every recipe that the job may need: from rest, and from states that are handed over."""
    check_batch(job, options)
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
    common = Plan(job.time_steps, job.batch, (), dtype=options.dtype)
    return {
        (use, form): lower(program, replace(common, continued=form == "continued", **how))
        for use, how in uses.items()
        for form in forms
    }


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
