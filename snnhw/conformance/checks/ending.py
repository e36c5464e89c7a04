"""Laws of samples of several lengths: each is what it would be alone, over its own steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from snnhw.check import reasons_against
from snnhw.conformance.bench import Bench
from snnhw.conformance.case import Case, with_samples, with_steps
from snnhw.conformance.expected import gradient_of, reference_run
from snnhw.conformance.ragged import ragged
from snnhw.ir import CLOCK
from snnhw.parity.arrays import Array, Arrays, hosts
from snnhw.parity.differ import same_bits
from snnhw.reference import update

__all__ = ["ends", "ends_in_training"]


def ends(bench: Bench, case: Case) -> None:
    """Samples of several lengths give what each gives alone: the same outputs, zeros behind them, and the
    states of its last step; also where the run is stopped, and goes on."""
    lengths = _lengths(case)
    whole, made = ragged(replace(case, record=()), lengths)
    if _refused(bench, whole):
        return
    cut = case.time_steps // 2
    with bench.compile(whole) as executable:
        found = executable.run(whole.inputs)
        outputs, state = hosts(found.outputs), made.taken(hosts(found.state), np.stack)
    for sample, alone in _each(case, lengths):
        wanted, what = reference_run(alone), f"of sample {sample}, with {lengths[sample]} steps, "
        for name, x in wanted.outputs.items():
            there = outputs[name][:, sample : sample + 1]
            padded = np.zeros_like(there)
            padded[: lengths[sample]] = x
            same_bits(f"{what}output", {name: there}, {name: padded})
        same_bits(f"{what}state", _of_sample(case, state, sample), wanted.state)
    with bench.compile(with_steps(whole, slice(None, cut))) as first:
        before = first.run({name: _part(case, name, x, slice(None, cut)) for name, x in whole.inputs.items()})
    with bench.compile(with_steps(whole, slice(cut, None))) as second:
        rest = {name: _part(case, name, x, slice(cut, None)) for name, x in whole.inputs.items()}
        after = second.run(rest, before.state)
    same_bits(f"when stopped at step {cut} and continued, state", hosts(after.state), hosts(found.state))


def ends_in_training(bench: Bench, case: Case) -> None:
    """A step on samples of several lengths has the sum of the gradients of each alone."""
    lengths = _lengths(case)
    whole, _ = ragged(case, lengths)
    if _refused(bench, whole):
        return
    assert case.optimizer is not None
    alone = [gradient_of(each) for _, each in _each(case, lengths)]
    total = {key: np.sum([found.params[key] for found in alone], axis=0) for key in alone[0].params}
    wanted, _ = update(case.optimizer, case.params, total, {})
    with bench.compile(whole) as executable:
        found = executable.step(whole.inputs, whole.targets)
        loss = np.array(float(found.loss), np.float32)
        after = executable.get_params()
    same_bits("of the loss,", {"value": loss}, {"value": np.float32(sum(each.loss for each in alone))})
    same_bits("after one update, parameter", after, wanted)


def _refused(bench: Bench, case: Case) -> bool:
    """Whether core refuses it, as the backend claims less than it takes."""
    return bool(reasons_against(case.program, bench.capabilities, bench.job(case)))


def _lengths(case: Case) -> list[int]:
    """From one step to all of them."""
    return [int(x) for x in np.linspace(1, case.time_steps, case.batch).round()]


def _each(case: Case, lengths: Sequence[int]) -> Iterator[tuple[int, Case]]:
    for sample, steps in enumerate(lengths):
        alone = with_steps(with_samples(case, slice(sample, sample + 1)), slice(steps))
        yield sample, replace(alone, record=())


def _of_sample(case: Case, state: Arrays, sample: int) -> dict[str, Array]:
    lines = {edge.key for edge in case.program.edges if edge.delay}
    mine = slice(sample, sample + 1)
    return {
        key: x if key == CLOCK else x[:, mine] if key in lines else x[mine]
        for key, x in ((key, np.asarray(x)) for key, x in state.items())
    }


def _part(case: Case, name: str, x: Array, which: slice) -> Array:
    return x if name in case.program.time.static_inputs else x[which]
