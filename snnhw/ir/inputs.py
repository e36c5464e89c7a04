"""Whether arrays fit a program: inputs, states, recorded ports.

By shape and name only, so that every backend asks the same of its own kind of array. Each check
raises `InputError` at the first thing that does not fit, with what was given and what is accepted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from snnhw.errors import InputError
from snnhw.ir.memory import delay_lines
from snnhw.ir.noise import CLOCK, Clock
from snnhw.ir.ops import Input, Op, Shape
from snnhw.ir.program import Program
from snnhw.ir.shapes import infer_shapes
from snnhw.words import did_you_mean

__all__ = [
    "check_inputs",
    "check_record",
    "check_state",
    "check_steps",
    "state_shapes",
]


def check_inputs(
    program: Program, shapes: Mapping[str, Shape], time_steps: int | None = None
) -> tuple[int, int]:
    """Number of steps T and batch size B, when the inputs fit the program and each other.

    Args:
        shapes: input name -> shape: ``[B, ...]`` when the input is static, else ``[T, B, ...]``.
        time_steps: T when it is known; None: it is read off the inputs that are not static.
    """
    names = program.named(Input)
    _check_names("input", shapes, names)
    if time_steps is not None and (type(time_steps) is not int or time_steps < 1):
        raise InputError(f"time_steps is {time_steps!r}; give a whole number of steps, at least 1")
    sizes: dict[str, int] = {} if time_steps is None else {"T": time_steps}
    for name in names:
        sizes |= _sizes(program, name, tuple(shapes[name]), sizes)
    if "T" not in sizes:
        raise InputError(f"every input is static ({', '.join(names)}), so give time_steps")
    return sizes["T"], sizes["B"]


def _sizes(program: Program, name: str, given: Shape, known: Mapping[str, int]) -> dict[str, int]:
    """The sizes of the free axes of one input; those that are ``known`` must agree."""
    op = program.nodes[name]
    assert isinstance(op, Input)
    free = ("B",) if name in program.time.static_inputs else ("T", "B")
    wanted = [*(known.get(axis, axis) for axis in free), *op.shape]
    fits = len(given) == len(wanted) and all(
        size == want or (isinstance(want, str) and size > 0) for size, want in zip(given, wanted, strict=True)
    )
    if not fits:
        accepted = f"[{', '.join(map(str, wanted))}]"
        raise InputError(
            f"input '{name}' has shape {list(given)}; accepted: {accepted}{_why(free, known)}."
            f"{_hint(given, len(given) - len(op.shape), free)}"
        )
    return dict(zip(free, given, strict=False))


def _why(free: Iterable[str], known: Mapping[str, int]) -> str:
    agreed = [f"{axis}={known[axis]}" for axis in free if axis in known]
    return f" ({' and '.join(agreed)} elsewhere)" if agreed else ""


def _hint(given: Shape, extra_axes: int, free: tuple[str, ...]) -> str:
    if 0 in given:
        return " An axis of length 0 holds nothing: leave such a batch out."
    if free == ("B",) and extra_axes == 2:
        return " It is declared static: give it once, without the time axis."
    if free == ("T", "B") and extra_axes == 1:
        return (
            " An axis is missing: T, the steps, or B, the samples. An input that is the same at every step "
            "can be declared static, and is given once."
        )
    return ""


def state_shapes(program: Program, batch: int) -> dict[str, Shape]:
    """State key -> shape: ``"node.state"`` ``[B, ...]``; a delayed edge's key ``[delay, B, ...]``,
    oldest first; and where something depends on the number of the step, `snnhw.ir.CLOCK` ``[2]``."""
    ports = infer_shapes(program).shapes
    lines = {
        line.key: (*[line.length][: line.edge], batch, *ports[line.source]) for line in delay_lines(program)
    }
    return lines | ({CLOCK: (2,)} if program.clocked else {})


def check_state(program: Program, shapes: Mapping[str, Shape], batch: int) -> None:
    """A state to continue from is whole, and belongs to a batch of this size."""
    wanted = state_shapes(program, batch)
    _check_names("state", shapes, wanted)
    for key, shape in wanted.items():
        if tuple(shapes[key]) != shape:
            raise InputError(
                f"state '{key}' has shape {list(shapes[key])}; accepted for a batch of {batch}: "
                f"{list(shape)}. When the batch is another one, start from rest (state=None)."
            )


def check_steps(program: Program, clock: Clock, steps: int, batch: int, *, training: bool) -> None:
    """Every node can compute these steps of this batch."""
    asked = [name for name, op in program.nodes.items() if type(op).unfit is not Op.unfit]
    shapes = infer_shapes(program).shapes if asked else {}
    for name in asked:
        op = program.nodes[name]
        shape = shapes[f"{name}.{op.out_ports[0]}"]
        why = op.unfit(shape, first=clock.step, steps=steps, batch=batch, training=training)
        if why:
            raise InputError(f"{name} ({type(op).__name__}): {why}")


def check_record(program: Program, ports: Iterable[str]) -> None:
    """Every port to record is an output port of a node."""
    known = [f"{name}.{port}" for name, op in program.nodes.items() for port in op.out_ports]
    for port in ports:
        if port not in known:
            raise InputError(
                f"there is no port '{port}' to record.{did_you_mean(port, known)} Ports: {', '.join(known)}."
            )


def _check_names(what: str, given: Collection[str], wanted: Collection[str]) -> None:
    for name in given:
        if name not in wanted:
            raise InputError(
                f"the program has no {what} '{name}'.{did_you_mean(name, wanted)} "
                f"It has: {', '.join(wanted) or 'none'}."
            )
    for name in wanted:
        if name not in given:
            raise InputError(f"{what} '{name}' is missing; given: {', '.join(given) or 'none'}")
