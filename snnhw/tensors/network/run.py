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
from snnhw.tensors.network.network import Network
from snnhw.tensors.network.room import FAILURES, told
from snnhw.tensors.network.schedule import Mode, Stage
from snnhw.tensors.network.spans import Gathering, span_steps, spans
from snnhw.tensors.network.tape import Tape
from snnhw.tensors.network.walk import Pass, Tensors, Walk
from snnhw.tensors.network.works import Folded
from snnhw.tensors.scans.provider import wide
from snnhw.tensors.scans.scan import named
from snnhw.tensors.watched import watched
from snnhw.tensors.work import Recorded, Work

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
    tape: Tape | None = None,
) -> Pass:
    """Run all stages.

    Args:
        inputs: name -> ``[T, B, ...]``, or ``[B, ...]`` when static.
        state: as `Pass.state`; what is missing starts from its initial value.
        sizes: T and B, as `snnhw.ir.inputs.check_inputs` gives them.
        wanted: ports to return.
        clock: seed and sequence of the random numbers; a state says itself which sequence it belongs to.
        memo: what layers remember of passes before, and what they keep for those after; None: nothing.
        tape: takes down what is computed, without autograd; parameters, inputs and state are on it by then.

    Raises:
        InputError: a node cannot compute so many steps, or a batch of that size.
        DeviceError: the device has no room for a layer, or does not run its kernel.
    """
    steps, batch = sizes
    like = next(iter(inputs.values()))
    if network.signals:
        like = like.new_empty(0, dtype=wide(network.signals))
    now = clock or Clock()
    if CLOCK in state:
        now = now.resumed(state[CLOCK].tolist())
    together = batch * (network.ranks.size if network.ranks else 1)  # at least, as none is without any
    check_steps(network.program, now, steps, together, training=network.training)
    walk = Walk(network, params, state, steps, batch, like, frozenset(wanted), now, memo or Memo(), tape)
    inputs = {name: walk.in_signals(x) for name, x in inputs.items()}
    walk.ports |= {f"{name}.y": x for name, x in inputs.items()}
    _advance(walk, network.fixed)
    wanted_ports = Gathering(walk)
    for first, part in spans(walk, span_steps(walk)):
        _advance(part, network.moving)
        wanted_ports.add(first, part)
    if network.program.clocked:
        walk.after[CLOCK] = like.new_tensor(now.later(steps).numbers)
    return Pass(_apart(walk, wanted_ports.ports, inputs), walk.after, walk.statistics)


def _advance(walk: Walk, stages: Iterable[tuple[Stage, frozenset[str]]]) -> None:
    """Run some stages, each with the ports that no later stage reads."""
    for stage, done in stages:
        where = f"layer {', '.join(stage.nodes)}"
        if walk.tape:
            walk.tape.where = where
        try:
            _RUN[stage.mode](walk, stage)
        except FAILURES as error:
            raise told(error, where, walk.steps, walk.batch) from error
        walk.forget(done)


def _apart(walk: Walk, found: Tensors, inputs: Tensors) -> dict[str, Tensor]:
    """The same signals, none of them in the memory of an input: a caller may fill that anew."""
    hidden = watched(inputs.values())  # what is transformed has no memory that one could look at
    given = set() if hidden else {_memory(x) for x in inputs.values()}
    return {port: walk.do(COPY, [x])[0] if hidden or _memory(x) in given else x for port, x in found.items()}


COPY: Final = Recorded(lambda x: (x.clone(),))


def _memory(x: Tensor) -> int:
    """What tells one memory from another; in a traced graph, where a tensor has no address, too."""
    return int(x.untyped_storage()._cdata)


def _once(walk: Walk, stage: Stage) -> None:
    """Nothing here changes over time."""
    (name,) = stage.nodes
    _stateless(walk, name, walk.stateless(name), [x for x, _ in _arriving(walk, name)])


def _folded(walk: Walk, stage: Stage) -> None:
    """All steps as one batch."""
    (name,) = stage.nodes
    arriving = _arriving(walk, name)
    fixed = tuple(constant for _, constant in arriving)
    _stateless(
        walk, name, Folded(walk.stateless(name), (walk.steps, walk.batch), fixed), [x for x, _ in arriving]
    )


def _arriving(walk: Walk, name: str) -> list[tuple[Tensor, bool]]:
    return [walk.arriving(name, port) for port in walk.network.program.nodes[name].in_ports]


def _stateless(walk: Walk, name: str, work: Work, xs: list[Tensor]) -> None:
    found = walk.do(work, [*xs, *walk.params_of(name).values()])
    walk.keep(name, dict(zip(walk.network.program.nodes[name].out_ports, found, strict=True)))


def _timed(walk: Walk, stage: Stage) -> None:
    """All steps at once, told apart; of what does not change over time, one for all."""
    (name,) = stage.nodes
    x, fixed = walk.arriving(name, "x")
    static = f"{name}.y" in walk.network.schedule.static
    y = walk.timed(name, x, walk.clock, walk.steps, fixed=fixed, static=static)
    walk.keep(name, {"y": y})


def _scan(walk: Walk, stage: Stage) -> None:
    """A neuron: one kernel over all steps."""
    (name,) = stage.nodes
    use = walk.neuron(name)
    found, states = named(use.layer, walk.do(use.work, use.tensors))
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
