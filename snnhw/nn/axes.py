"""Which axis is time and which the batch: what can be told of it from sizes.

T and B are those that a network was compiled for. A backend may run other ones, so that a shape is refused
only where it can mean nothing else, and warned of where it likely means something else.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import nn

from snnhw.errors import CaptureError, InputError
from snnhw.ir import Input, Program, Shape
from snnhw.nn.capture.capture import Captured, capture
from snnhw.plugin import Run

__all__ = ["check_axes", "taken", "telling"]

FIRST = "time comes first here: give x.transpose(0, 1), or collate with Tonic's PadTensors(batch_first=False)"

BOTH = (
    "Of one sample, give x[:, None]; of an input that is the same at every step, compile with static=True, "
    "or give x.expand(T, *x.shape)."
)


def check_axes(name: str, shape: Shape, program: Program, job: Run, targets: Mapping[str, Any]) -> None:
    """Refuse an input whose axes stand in another order, and warn of one where they seem to.

    Args:
        targets: of the same call; class numbers count the samples.

    Raises:
        InputError: names both axes, and says what to do.
    """
    op = program.nodes.get(name)
    if name in program.time.static_inputs or not isinstance(op, Input):
        return
    steps, batch = job.time_steps, job.batch
    if len(shape) == len(op.shape) + 1 and shape[1:] == op.shape:
        raise InputError(
            f"input '{name}' has shape {list(shape)}; accepted: {_wanted(op)}. {_one_axis(shape, job)}"
        )
    if len(shape) != len(op.shape) + 2 or steps == batch:
        return
    given = shape[:2]
    if given == (batch, steps):
        raise InputError(
            f"input '{name}' has shape {list(shape)}: [B, T, ...] of the T={steps} and B={batch} that were "
            f"compiled, but {FIRST}. For {batch} steps of {steps} samples, compile with "
            f"time_steps={batch}"
        )
    counted = {len(y) for y in targets.values() if getattr(y, "ndim", 0) == 1}
    if given[0] != given[1] and counted == {given[0]}:
        raise InputError(
            f"input '{name}' has shape {list(shape)}, and the targets are of {given[0]} samples: the batch "
            f"stands first, but {FIRST}"
        )
    if steps not in given[:1] and batch not in given[1:] and (given[0] == batch or given[1] == steps):
        warnings.warn(
            f"input '{name}' has shape {list(shape)}, which runs as {given[0]} steps of {given[1]} samples; "
            f"T={steps} and B={batch} were compiled. If the batch stands first, {FIRST}",
            stacklevel=4,
        )


def _wanted(op: Input) -> str:
    return f"[{', '.join(['T', 'B', *map(str, op.shape)])}]"


def _one_axis(shape: Shape, job: Run) -> str:
    """What to do about a shape with one axis less."""
    steps, batch = job.time_steps, job.batch
    if shape[0] == steps == batch and len(shape) > 2:
        return (
            "If its axes are [T, B, ...], the sample that was compiled had the time axis, too: compile with "
            f"one step of it, x[0]. {BOTH}"
        )
    if shape[0] == steps != batch:
        return f"It has T={steps} steps without a batch: of one sample, give x[:, None]."
    if shape[0] == batch != steps:
        return (
            f"It has B={batch} samples without the time axis: give all steps, such as by torch.stack(steps); "
            "of an input that is the same at every step, compile with static=True."
        )
    return BOTH


def taken(net: nn.Module, sample: Any, time_steps: int | None) -> tuple[Captured, str]:
    """A module as a program, and what to say of a sample that may hold the time axis; "" where it does not.

    Raises:
        CaptureError: as `capture`; says of a sample with an axis too many or too few which one that is.
    """
    try:
        found = capture(net, sample)
    except CaptureError as error:
        told = _misread(net, sample, time_steps) or _without_batch(net, sample)
        if not told:
            raise
        raise CaptureError(f"{told}. As it is: {error}") from error
    return found, _misread(net, sample, time_steps)


@contextmanager
def telling(told: str) -> Iterator[None]:
    """Say so in what is refused within, and warn of it where nothing is."""
    try:
        yield
    except InputError as error:
        if not told:
            raise
        raise InputError(f"{told}. As it is: {error}") from error
    if told:
        warnings.warn(told, stacklevel=5)  # who calls compile


def _misread(net: nn.Module, sample: Any, time_steps: int | None) -> str:
    """What to say of a sample of which the module takes one step as well: it may be meant to."""
    if not isinstance(time_steps, int) or not _is_array(sample):
        return ""
    shape = list(sample.shape)
    told = (
        f"the sample of shape {shape} seems to hold the time axis, with the {time_steps} steps of time_steps"
    )
    if len(shape) > 2 and shape[0] == time_steps > 1 and shape[1] > 1 and _takes(net, sample[0]):
        return f"{told}, [T, B, ...], where a sample is one time step, [B, ...]: give x[0]"
    if len(shape) > 2 and shape[1] == time_steps > 1 and _takes(net, sample[:, 0]):
        return (
            f"{told}, [B, T, ...], where a sample is one time step, [B, ...]: give x[:, 0], and to step and "
            "run x.transpose(0, 1)"
        )
    return ""


def _without_batch(net: nn.Module, sample: Any) -> str:
    if not _is_array(sample) or len(sample.shape) < 2 or not _takes(net, sample[None]):
        return ""
    return f"the sample of shape {list(sample.shape)} has no batch, where a sample is [B, ...]: give x[None]"


def _is_array(sample: Any) -> bool:
    return hasattr(sample, "shape") and hasattr(sample, "__getitem__")


def _takes(net: nn.Module, sample: Any) -> bool:
    try:
        capture(net, sample)
    except CaptureError:
        return False
    return True
