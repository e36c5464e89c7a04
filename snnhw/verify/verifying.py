"""Each of them run, and held to the reference and to the first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from time import perf_counter

import numpy as np

from snnhw.errors import InputError
from snnhw.ir import Params, Program
from snnhw.ir.inputs import check_inputs
from snnhw.parity.arrays import Array, Arrays, batch_of
from snnhw.parity.comparison import Parity, compared, neuron_ports, summary
from snnhw.parity.result import Disagreement
from snnhw.parity.tally import Judged
from snnhw.verify.records import Held, Pair, Verification
from snnhw.verify.running import Ran, Source, Task, found_on, plugin_of

__all__ = ["verify"]

Options = Mapping[str, Mapping[str, object]]
"""Backend -> its options."""


def verify(
    program: Program,
    params: Params,
    inputs: Arrays,
    on: Sequence[str],
    *,
    time_steps: int,
    source: Source | None = None,
    options: Options | None = None,
    on_start: Callable[[str], None] | None = None,
) -> Verification:
    """Run a network on several backends and compare every neuron of it.

    A reader that does not take the file, or fails at it, is a result; a backend that fails is an error.

    Args:
        inputs: input name -> ``[T, B, ...]``, or ``[B, ...]`` when static.
        on: names of backends, or ``reader@format``.
        source: the file that the network came from: what readers of its format are given, as it is.
        options: backend -> its options.
        on_start: called with each name before it runs.

    Raises:
        InputError: nothing to run on, or the reference alone; the same name twice; inputs that do not fit.
        PluginError: a name that is not installed, or cannot run here.
        Unsupported: a backend that cannot run this network.
        Disagreement: a recording of the wrong shape.
    """
    options = options or {}
    _check_names(on, options)
    check_inputs(program, {name: np.shape(x) for name, x in inputs.items()}, time_steps)
    task = Task(program, params, inputs, time_steps, neuron_ports(program), source)
    if not task.ports:
        raise InputError("this network has no neurons, so that there is nothing to compare")
    ready = {name: plugin_of(name, options.get(name, {})) for name in on}
    seen: dict[str, Ran] = {}
    held = []
    for name, plugin in ready.items():
        if on_start:
            on_start(name)
        before = perf_counter()
        found = found_on(task, plugin, options.get(name, {}))
        seconds = perf_counter() - before
        if not found.failure:
            seen[name] = found
        held.append(_held(task, name, found, seconds))
    others = [name for name, ran in seen.items() if not ran.is_reference]
    if len(held) == len(seen) and not others:
        raise InputError(
            f"'{held[0].name}' is the reference itself, so that nothing is compared; name another besides it"
        )
    pairs = [
        Pair(other, first, _pair(task, seen[other], seen[first])) for first, other in _with_first(others)
    ]
    return Verification(time_steps, batch_of(program, inputs), tuple(held), tuple(pairs))


def _with_first(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    first, *others = [*names, ""]
    yield from ((first, other) for other in others if other)


def _check_names(on: Sequence[str], options: Options) -> None:
    if not on:
        raise InputError("name at least one backend to compare with the reference")
    for name in on:
        if on.count(name) > 1:
            raise InputError(f"'{name}' is named twice; each run is compared with the others, once")
    for name in options:
        if name not in on:
            raise InputError(f"options are given for '{name}', which is not among {', '.join(on)}")


def _held(task: Task, name: str, found: Ran, seconds: float) -> Held:
    layers = dict.fromkeys(port.rpartition(".")[0] for port in task.ports)
    compares = not found.failure and not found.is_reference
    judged = _judged(task, name, found.seen, ruled=_by_rule(found)) if compares else []
    return Held(
        name=name,
        label=found.label,
        dtype=" ".join(sorted({array.dtype.name for array in found.seen.values()})),
        seconds=seconds,
        parity=summary(judged, task.time_steps),
        layers={node: summary(judged, task.time_steps, node) for node in layers},
        missing=tuple(port for port in task.ports if port not in found.seen) if not found.failure else (),
        loads=found.loads,
        runs=not found.failure,
        failure=found.failure,
        known=found.known,
        is_reference=found.is_reference,
    )


def _pair(task: Task, seen: Ran, against: Ran) -> Parity:
    """What a rule of either explains, rounding does not."""
    common = [port for port in task.ports if port in seen.seen and port in against.seen]
    mine, theirs = ({port: ran.seen[port] for port in common} for ran in (seen, against))
    ruled = _by_rule(against)
    for port, where in _by_rule(seen).items():
        ruled[port] = where | ruled.get(port, False)
    return summary(_judged(task, "", mine, theirs, ruled), task.time_steps)


def _by_rule(found: Ran) -> dict[str, Array]:
    """Port -> where it gave what a known rule of its own gives, and the file does not say."""
    return {port: found.seen[port] == array for port, array in found.ruled.items() if port in found.seen}


def _judged(
    task: Task, name: str, seen: Arrays, against: Arrays | None = None, ruled: Arrays | None = None
) -> list[Judged]:
    try:
        return compared(
            task.program,
            task.params,
            task.inputs,
            seen,
            time_steps=task.time_steps,
            against=against,
            ruled=ruled,
        )
    except Disagreement as error:
        raise InputError(f"what '{name}' returned cannot be compared: {error}") from error
