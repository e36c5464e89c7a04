"""A backend that lists core ops alone runs every op, with the same results."""

from __future__ import annotations

from dataclasses import replace

import pytest

from snnhw import api
from snnhw.conformance.outcome import CaseResult
from snnhw.conformance.suite import run_on
from snnhw.errors import Unsupported
from snnhw.ir import OPS, Input, LayerNorm, MaxPool2d, Op, Sum, Upsample, init_params, is_core, sequential
from snnhw.plugin import Capabilities
from snnhw_cpu.plugin import CpuBackend

MADE = sorted(kind.__name__ for kind in OPS.values() if not is_core(kind))


class CoreOnly(CpuBackend):
    """The CPU backend as if torch had core ops alone, and not all of those."""

    def __init__(self, *without: type[Op]) -> None:
        self.without = without

    def capabilities(self) -> Capabilities:
        found = super().capabilities()
        core = {kind: how for kind, how in found.ops.items() if is_core(kind) and kind not in self.without}
        return replace(found, ops=core)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", MADE)
def test_it_passes_the_cases_of_ops_that_it_knows_the_parts_of(name: str) -> None:
    found: list[CaseResult] = []
    run_on(CoreOnly(), select=[f"/{name}-", f"/static-{name}-"], on_result=found.append)
    assert len(found) >= 3
    assert [f"{each.id}: {each.reason}" for each in found if each.outcome != "passed"] == []


def test_what_is_lacking_is_said_with_the_node() -> None:
    program = sequential({"x": Input((2, 4)), "norm": LayerNorm((4,)), "up": Upsample((2,))})
    plugin = CoreOnly(Sum, MaxPool2d)
    job = api.make_job(plugin, program, time_steps=1, batch=1)
    message = (
        r"norm \(LayerNorm\): this kind of op is not supported, nor, of what it is made of, Sum\n"
        r"Installed backends that could: .*reference"
    )
    with pytest.raises(Unsupported, match=message):
        api.lower(plugin, program, init_params(program), job)
