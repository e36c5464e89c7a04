"""A program over all its steps on torch tensors; differentiable to inputs, parameters and state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from torch import Tensor

from snnhw.ir import CLOCK, Clock
from snnhw.ir.inputs import check_steps
from snnhw.tensors.network.blocks import joins, run_chain
from snnhw.tensors.network.loops import run_loop
from snnhw.tensors.network.memo import Memo
from snnhw.tensors.network.room import FAILURES, told
from snnhw.tensors.network.schedule import Mode, Stage
from snnhw.tensors.network.spans import Gathering, span_steps, spans
from snnhw.tensors.network.walk import Network, Pass, Tensors, Walk
from snnhw.tensors.scans.provider import wide
from snnhw.tensors.scans.scan import run_use
from snnhw.tensors.watched import watched

__all__ = ["Network", "Pass", "run_network"]


def run_network(
    network: Network,
    params: Tensors,
    inputs: Tensors,
    *,
    state: Tensors,
    sizes: tuple[int, int],
    wanted: Iterable[str],
    clock: Clock | None = None,
    memo: Memo | None = None,
) -> Pass:
    """Run all stages.

    Args:
        inputs: name -> ``[T, B, ...]``, or ``[B, ...]`` when static.
        state: as `Pass.state`; what is missing starts from its initial value.
        sizes: T and B, as `snnhw.ir.inputs.check_inputs` gives them.
        wanted: ports to return.
        clock: seed and sequence of the random numbers; a state says itself which sequence it belongs to.
        memo: what layers remember of passes before, and what they keep for those after; None: nothing.

    Raises:
        InputError: a node cannot compute so many steps, or a batch of that size.
        DeviceError: the device has no room for a layer, or does not run its kernel.
    """
    steps, batch = sizes
    like = next(iter(inputs.values()))
    if network.signals:
        inputs = {name: x.to(network.signals) for name, x in inputs.items()}
        like = like.new_empty(0, dtype=wide(network.signals))
    now = clock or Clock()
    if CLOCK in state:
        now = now.resumed(state[CLOCK].tolist())
    check_steps(network.program, now, steps, batch, training=network.training)
    walk = Walk(network, params, state, steps, batch, like, frozenset(wanted), now, memo or Memo())
    walk.ports |= {f"{name}.y": x for name, x in inputs.items()}
    _advance(walk, network.fixed)
    wanted_ports = Gathering(walk)
    for first, part in spans(walk, span_steps(walk)):
        _advance(part, network.moving)
        wanted_ports.add(first, part)
    if network.program.clocked:
        walk.after[CLOCK] = like.new_tensor(now.later(steps).numbers)
    return Pass(_apart(wanted_ports.ports, inputs), walk.after, walk.statistics)


def _advance(walk: Walk, stages: Iterable[tuple[Stage, frozenset[str]]]) -> None:
    """Run some stages, each with the ports that no later stage reads."""
    for stage, done in stages:
        try:
            _RUN[stage.mode](walk, stage)
        except FAILURES as error:
            raise told(error, f"layer {', '.join(stage.nodes)}", walk.steps, walk.batch) from error
        walk.forget(done)


def _apart(found: Tensors, inputs: Tensors) -> dict[str, Tensor]:
    """The same signals, none of them in the memory of an input: a caller may fill that anew."""
    if watched(inputs.values()):  # what is transformed has no memory that one could look at
        return {port: x.clone() for port, x in found.items()}
    given = {_memory(x) for x in inputs.values()}
    return {port: x.clone() if _memory(x) in given else x for port, x in found.items()}


def _memory(x: Tensor) -> int:
    """What tells one memory from another; in a traced graph, where a tensor has no address, too."""
    return int(x.untyped_storage()._cdata)


def _once(walk: Walk, stage: Stage) -> None:
    """Nothing here changes over time."""
    (name,) = stage.nodes
    ports = walk.network.program.nodes[name].in_ports
    walk.keep(name, walk.stateless(name, {port: walk.arriving(name, port)[0] for port in ports}))


def _folded(walk: Walk, stage: Stage) -> None:
    """All steps as one batch."""
    (name,) = stage.nodes
    ports = walk.network.program.nodes[name].in_ports
    rows = {port: walk.over_time(*walk.arriving(name, port)).flatten(0, 1) for port in ports}
    found = walk.stateless(name, rows)
    walk.keep(name, {port: y.reshape(walk.steps, walk.batch, *y.shape[1:]) for port, y in found.items()})


def _timed(walk: Walk, stage: Stage) -> None:
    """All steps at once, told apart; of what does not change over time, one for all."""
    (name,) = stage.nodes
    x, fixed = walk.arriving(name, "x")
    y = walk.timed(name, x.unsqueeze(0) if fixed else x, walk.clock, walk.steps)
    static = f"{name}.y" in walk.network.schedule.static
    walk.keep(name, {"y": y[0] if static else y.expand(walk.steps, *y.shape[1:])})


def _scan(walk: Walk, stage: Stage) -> None:
    """A neuron: one kernel over all steps."""
    (name,) = stage.nodes
    found, states = run_use(walk.neuron(name))
    walk.keep(name, found)
    walk.after |= {f"{name}.{state}": x for state, x in states.items()}


def _chained(walk: Walk, stage: Stage) -> None:
    """All nodes as one; or one after the other, where somebody wants what passes between them."""
    chain = walk.network.chains[stage.nodes[0]]
    if joins(walk, chain):
        y, states = run_chain(walk, chain)
        walk.keep(stage.nodes[-1], {"y": y})
        walk.after |= states
        return
    for name in stage.nodes:
        mode = walk.network.modes[name]
        _RUN[mode](walk, Stage((name,), mode))


_RUN: Final[Mapping[Mode, Callable[[Walk, Stage], None]]] = {
    "once": _once,
    "folded": _folded,
    "timed": _timed,
    "scan": _scan,
    "chained": _chained,
    "stepped": lambda walk, stage: run_loop(walk, stage.nodes),
}
