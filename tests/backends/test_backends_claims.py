"""The CPU backend claims the ops it has a way to run, and no other."""

from __future__ import annotations

from snnhw.ir import OPS, Input, Neuron, Output, Pointwise
from snnhw.tensors.network import OPERATIONS, TIMED
from snnhw_cpu.plugin import CpuBackend


def test_what_is_claimed_is_what_can_run() -> None:
    claimed = set(CpuBackend().capabilities().ops)
    assert claimed == {*OPERATIONS, *TIMED, Input, Output, Neuron, Pointwise}


def test_every_op_of_the_language_is_claimed() -> None:
    ours = {op for op in OPS.values() if op.__module__.startswith("snnhw.")}
    assert ours <= set(CpuBackend().capabilities().ops)
