"""Random programs, made of what the registries hold, on the CPU and on the reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conformance_programs import OPS_TO_DRAW, cases_of, pool
from hypothesis import HealthCheck, Phase, assume, given, note, settings

from snnhw import registry
from snnhw.conformance import Case
from snnhw.conformance.bench import Bench, slopes_of, trained_by
from snnhw.conformance.cases.making.search import certain
from snnhw.conformance.checks.classes import rounded
from snnhw.conformance.checks.yardsticks import REFERENCE
from snnhw.conformance.expected import gradient_of
from snnhw.ir import (
    MODELS,
    OPS,
    SGD,
    Input,
    L1Rate,
    Loss,
    Neuron,
    Output,
    Pointwise,
    Term,
    require_valid,
)
from snnhw.parity.measured import worst_slope

KERNELS = 12
"""So many loops may CI compile for these tests: for each neuron one over all steps, and one over a single."""

FEW, MANY = pool(KERNELS // 2), pool(10_000)


def calm(count: int) -> settings:
    """So many programs, the same every time, on a machine that may be busy; what fails is not made smaller,
    which may take longer than to find it."""
    slow = [HealthCheck.too_slow, HealthCheck.filter_too_much]
    return settings(
        max_examples=count,
        phases=[Phase.generate],
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=slow,
    )


@pytest.fixture(scope="module")
def cpu() -> Bench:
    return Bench(registry.backend("cpu"))


def held(bench: Bench, case: Case) -> None:
    note(str(case.program))
    rounded(bench, case, REFERENCE)


def test_everything_registered_is_drawn_from() -> None:
    drawn = {type(subject.op) for subject in OPS_TO_DRAW} | {Input, Output, Neuron, Pointwise}
    assert drawn == {
        kind for kind in OPS.values() if not kind.whole_only
    }  # integers have a class of their own
    assert {setting.model for setting in MANY} == set(MODELS.values())
    assert len(FEW) == KERNELS // 2


@pytest.mark.usefixtures("one_thread")
def test_forty_programs_agree_on_a_dozen_kernels(cpu: Bench, derived: set[str]) -> None:
    @calm(40)
    @given(cases_of(FEW, static=False))
    def agree(case: Case) -> None:
        require_valid(case.program)
        held(cpu, case)

    agree()
    print(f"{len(derived)} kernels")
    assert 1 < len(derived) <= KERNELS


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("one_thread")
def test_ten_thousand_programs_agree(cpu: Bench) -> None:
    @calm(10_000)
    @given(cases_of(pool(KERNELS)))
    def agree(case: Case) -> None:
        held(cpu, case)

    agree()


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("one_thread", "plain_torch")
def test_every_neuron_agrees_forward_and_backward() -> None:
    """On all settings: without kernels, which would take hours to compile."""
    bench = Bench(registry.backend("cpu"))

    @calm(1000)
    @given(cases_of(MANY))
    def agree(case: Case) -> None:
        held(bench, case)
        # What is normalised by a batch of two or three has no gradient worth the name.
        assume(certain(case) and not case.program.statistics())
        last = next(port for port in reversed(case.record) if port.startswith("lif"))
        loss = Loss((Term(L1Rate(), of=last, weight=0.5),))
        training = replace(case, record=(), loss=loss, optimizer=SGD(lr=1.0))
        wanted = gradient_of(training).params
        assume(min(np.max(np.abs(slope)) for slope in wanted.values()) > 1e-3)
        _, after = trained_by(bench, training, 1)
        error = worst_slope(slopes_of(training, after), wanted)
        assert error is not None
        assert error < 1e-3  # terms may cancel, and leave rounding; a wrong term is no thousandth

    agree()
