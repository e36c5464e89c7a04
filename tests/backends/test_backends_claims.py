"""The CPU backend claims the ops it has a way to run, and no other."""

from __future__ import annotations

import pytest

from snnhw.ir import OPS, Add, Input, Neuron, Op, Output, Pointwise, table
from snnhw.ir.ops import SHIPPED
from snnhw.tensors.network import OPERATIONS, TIMED
from snnhw_cpu.plugin import CpuBackend


def test_what_is_claimed_is_what_can_run() -> None:
    found = CpuBackend().capabilities()
    runs: set[type[Op]] = {*OPERATIONS, *TIMED, Input, Output, Neuron, Pointwise}
    whole = {kind for kind in runs if kind.whole_only}
    assert set(found.ops) == runs - whole
    assert whole <= set(found.integers) <= runs


def test_what_somebody_registers_is_claimed_once_it_has_a_way_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    own: type[Op] = type("Own", (Add,), {})
    monkeypatch.setitem(OPS, "Own", own)
    monkeypatch.setattr(table, "_ADDED", {})
    assert own not in CpuBackend().capabilities().ops
    monkeypatch.setitem(OPERATIONS, own, OPERATIONS[Add])  # taken out again
    monkeypatch.delitem(OPERATIONS, own)
    OPERATIONS.add(own)(OPERATIONS[Add])
    assert set(CpuBackend().capabilities().ops) == {*(kind for kind in SHIPPED if not kind.whole_only), own}
