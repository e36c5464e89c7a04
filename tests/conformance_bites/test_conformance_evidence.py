"""What is shown of a failure: the smallest program, where it goes wrong, and what led up to it."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
from bites import WRONG
from wrong_backends import Wrong
from wrong_executables import Around

import snnhw.conformance.suite
from snnhw.conformance import CLASSES, Case, all_cases, run_on
from snnhw.conformance.bench import Bench
from snnhw.conformance.case import LazyCase, with_samples, with_steps
from snnhw.conformance.cases.making.examples import EXAMPLES
from snnhw.conformance.checks.evidence import Evidence, evidence_of
from snnhw.conformance.checks.shrink import shrunk, upstream
from snnhw.conformance.checks.yardsticks import AnotherBackend
from snnhw.conformance.expected import reference_run
from snnhw.conformance.outcome import judge
from snnhw.conformance.suite import chosen
from snnhw.ir import Conv2d, Linear, require_valid
from snnhw.plugin import Arrays, Result, StepResult

EARLY = WRONG["resets a step too early"].backend
SHUFFLED = WRONG["mixes up its samples"].backend
CLAIMING = WRONG["runs what it does not claim"].backend
UNTRAINED = WRONG["drops the gradient of the threshold"].backend
UNWEIGHTED = WRONG["ignores the weights of a loss"].backend
NARROW = WRONG["computes in another precision than it returns"].backend


def lazy(case_id: str) -> LazyCase:
    (found,) = (lazy for lazy in all_cases() if lazy.id == case_id)
    return found


def shown(backend: Wrong, case_id: str) -> Evidence:
    found = evidence_of(Bench(backend), lazy(case_id).case)
    assert found is not None
    return found


# -- Smaller cases --------------------------------------------------------------------------------


def test_a_part_of_a_case_runs_as_the_whole_did() -> None:
    case = lazy("margin/recurrent-Leaky").case
    whole = ran(case)
    some, first = with_samples(case, slice(1, 3)), with_steps(case, slice(2))
    assert (some.batch, first.time_steps) == (2, 2)
    for port, x in whole.items():
        np.testing.assert_array_equal(ran(some)[port], x[:, 1:3])
        np.testing.assert_array_equal(ran(first)[port], x[:2])


def ran(case: Case) -> dict[str, np.ndarray]:
    return dict(reference_run(case).recordings)


@pytest.mark.parametrize("name", ["margin/recurrent-Leaky", "margin/residual-Leaky", "exact/two-ways"])
def test_what_decides_a_port_is_a_program_of_its_own(name: str) -> None:
    program = lazy(name).case.program
    part = upstream(program, "lif1.spk" if "lif1" in program.nodes else "fc.y")
    require_valid(part)
    assert len(part.nodes) < len(program.nodes)
    assert "lif2" not in part.nodes


def test_shrinking_keeps_what_fails() -> None:
    case = lazy("margin/dense-Leaky").case

    def fails(smaller: Case) -> bool:
        return any(isinstance(op, Linear) for op in smaller.program.nodes.values()) and smaller.time_steps > 1

    found = shrunk(case, fails)
    assert (found.time_steps, found.batch, list(found.program.nodes)) == (2, 1, ["x", "lif1_in", "out"])
    assert found.params.keys() == {"lif1_in.weight", "lif1_in.bias"}


def test_shrinking_ends() -> None:
    assert shrunk(lazy("margin/dense-Leaky").case, lambda _: True, tries=0).time_steps == 8


# -- Evidence -------------------------------------------------------------------------------------


def test_the_first_wrong_value_of_a_network() -> None:
    found = shown(EARLY, "margin/dense-Leaky")
    assert found.first is not None
    assert found.first.port.startswith("lif1.")
    assert found.batch == 1
    assert "lif2" not in found.program
    assert found.traces[0].what == found.first.port
    step = found.first.step
    assert found.traces[0].got[step] == found.first.got != found.first.wanted == found.traces[0].wanted[step]
    assert found.time_steps == step + 1  # the smallest program ends there; the traces go on
    assert all(len(trace.got) == len(trace.wanted) == 8 for trace in found.traces)


def test_equal_bits_are_asked_where_they_are_due() -> None:
    found = shown(NARROW, "pointwise/Leaky-subtract-delayed")
    assert found.first is not None
    assert 0 < abs(found.first.got - found.first.wanted) < 1e-6


def test_a_wrong_gradient_is_shown_without_a_wrong_value() -> None:
    found = shown(UNTRAINED, "gradient/Leaky-subtract-delayed")
    assert found.first is None
    assert "threshold" in found.reason
    (trace,) = found.traces
    assert (trace.what, trace.over) == ("gradient of subject.threshold", "entries")
    assert (trace.got, len(trace.wanted)) == ((0.0,), 1)
    assert trace.wanted[0]


def test_training_is_shown_by_its_losses() -> None:
    (trace,) = shown(UNWEIGHTED, "training/SGD-plain").traces
    assert (trace.what, len(trace.got)) == ("loss", 20)
    assert trace.got[0] != pytest.approx(trace.wanted[0])


def test_a_case_that_does_not_fail_again_has_none() -> None:
    case = lazy("exact/Linear-bias").case
    assert evidence_of(Bench(Wrong()), case) is None
    assert evidence_of(Bench(CLAIMING), lazy("exact/Conv2d-plain").case) is None


def test_failures_of_a_run_come_with_evidence() -> None:
    found = run_on(EARLY, select="at-threshold-delayed")
    (failed,) = found.cases
    assert failed.evidence is not None
    assert failed.about == ("neuron/Leaky", "surrogate/StraightThrough")
    assert failed.measured.flips > 0


# -- Two backends ---------------------------------------------------------------------------------


def both(one: Wrong, other: Wrong, case_id: str) -> tuple[str, str]:
    found = judge(Bench(one), lazy(case_id), against=Bench(other))
    return found.outcome, found.reason


def test_every_class_but_laws_is_compared() -> None:
    assert {*AnotherBackend(Bench(Wrong())).classes, "law"} == set(CLASSES)


COMPARED = [
    "exact/Linear-bias",
    "exact/Leaky-subtract-delayed/step",
    "pointwise/Leaky-subtract-delayed",
    "pointwise/Leaky-subtract-delayed/step",
    "margin/dense-Leaky",
    "near/dense-Leaky",
    "gradient/Leaky-subtract-delayed",
    "training/SGD-plain",
]


@pytest.mark.parametrize("case_id", COMPARED)
def test_equals_agree_and_one_that_is_wrong_does_not(case_id: str) -> None:
    assert both(Wrong(), Wrong(), case_id) == ("passed", "")
    if "Linear" in case_id:
        assert both(Wrong(), SHUFFLED, case_id)[0] == "failed"
    else:
        assert both(EARLY, Wrong(), case_id)[0] == "failed"


def test_two_precisions_agree_within_rounding() -> None:
    single = Bench(Wrong(), {"dtype": "float32"})
    for case_id in COMPARED:
        assert judge(Bench(Wrong()), lazy(case_id), against=single).outcome == "passed", case_id


def test_two_that_are_wrong_alike_agree() -> None:
    assert both(EARLY, EARLY, "margin/dense-Leaky") == ("passed", "")


def test_what_one_of_them_does_not_claim_is_declined() -> None:
    outcome, reason = both(Wrong(), CLAIMING, "exact/Conv2d-plain")
    assert outcome == "declined"
    assert reason == "reference: subject (Conv2d): this kind of op is not supported"


def test_evidence_of_two_backends_is_theirs() -> None:
    with_reference = shown(EARLY, "margin/dense-Leaky")
    found = evidence_of(Bench(EARLY), lazy("margin/dense-Leaky").case, Bench(Wrong()))
    assert found is not None
    assert (found.program, found.first is None) == (with_reference.program, False)
    turned = evidence_of(Bench(Wrong()), lazy("margin/dense-Leaky").case, Bench(EARLY))
    assert turned is not None
    assert (turned.traces[0].got, turned.traces[0].wanted) == (found.traces[0].wanted, found.traces[0].got)
    for case_id in ("gradient/Leaky-subtract-delayed", "training/SGD-plain", "exact/Leaky-zero-delayed/step"):
        apart = evidence_of(Bench(UNTRAINED), lazy(case_id).case, Bench(Wrong()))
        assert apart is not None, case_id
        assert apart.traces, case_id


@pytest.mark.parametrize(
    "wrong", ["hands on another state than it reached", "returns other outputs than it records"]
)
def test_what_concerns_one_backend_alone_is_asked_by_the_reference(wrong: str) -> None:
    backend, options = WRONG[wrong].backend, WRONG[wrong].options
    found = judge(Bench(backend, options), lazy("margin/dense-Leaky"))
    assert found.outcome == "failed"
    assert both(backend, Wrong(), "margin/dense-Leaky") == ("passed", "")


class Upwards(Around):
    """Whose steps of training give other outputs."""

    def step(self, inputs: Arrays, targets: Arrays, state: Arrays | None = None) -> StepResult:
        found = self.inner.step(inputs, targets, state)
        return replace(found, outputs={name: x + 1 for name, x in found.outputs.items()})


class Onwards(Around):
    """Whose steps of training end in another state."""

    def step(self, inputs: Arrays, targets: Arrays, state: Arrays | None = None) -> StepResult:
        found = self.inner.step(inputs, targets, state)
        return replace(found, state={key: x + 1 for key, x in found.state.items()})


@pytest.mark.parametrize(
    ("kind", "reason"), [(Upwards, "output 'out'"), (Onwards, "final state 'subject.mem'")]
)
@pytest.mark.parametrize("cls", ["exact", "pointwise"])
def test_what_a_step_of_training_ends_in_is_compared(cls: str, kind: type[Around], reason: str) -> None:
    case_id = f"{cls}/Leaky-subtract-delayed/step"
    assert judge(Bench(Wrong(around=kind)), lazy(case_id)).reason.startswith(reason)
    outcome, said = both(Wrong(around=kind), Wrong(), case_id)
    assert (outcome, said.startswith(reason)) == ("failed", True), said


class Chip(Wrong):
    """Another backend than the reference."""

    name = "chip"


def test_who_refuses_what_it_claims_is_named() -> None:
    refusing = Chip(refuses=Conv2d)
    outcome, reason = both(Wrong(), refusing, "exact/Conv2d-plain")
    assert (outcome, reason) == ("failed", "chip refuses what its capabilities claim: not today")
    outcome, reason = both(refusing, Wrong(), "exact/Conv2d-plain")
    assert (outcome, reason) == ("failed", "it refuses what its capabilities claim: not today")


def test_a_report_on_two_backends() -> None:
    found = run_on(EARLY, select="Leaky-subtract-delayed", classes=["exact", "law"], against=Bench(Wrong()))
    assert (found.backend, found.against, found.label) == ("reference", "reference", "")
    assert {case.cls for case in found.cases} == {"exact"}  # a law is about one backend
    failed = [case for case in found.cases if case.outcome == "failed"]
    assert failed
    assert all(case.evidence for case in failed)


def test_of_two_backends_it_is_said_whose_label_it_is() -> None:
    chip = Chip(claims=lambda can: replace(can, label="emulated on paper"))
    found = run_on(Wrong(), select="exact/Add", against=Bench(chip))
    assert (found.label, found.ok) == ("chip: emulated on paper", True)


def test_a_case_that_cannot_be_made_does_not_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def impossible() -> Case:
        raise LookupError("no numbers")

    odd = LazyCase("exact/odd", impossible)
    monkeypatch.setattr(snnhw.conformance.suite, "all_cases", lambda: (odd, lazy("exact/Linear-bias")))
    for against in (None, Bench(Wrong())):
        found = run_on(Wrong(), against=against)
        assert [case.outcome for case in found.cases] == ["failed", "passed"]
        assert found.cases[0].reason == "the case cannot be made: no numbers"


def test_a_known_failure_beside_another_backend_need_not_fail() -> None:
    bench = Bench(EARLY)
    known = lazy("exact/Leaky-subtract-delayed")
    assert judge(bench, known, "why", against=Bench(Wrong())).outcome == "xfailed"
    assert judge(bench, known, "why", against=bench).outcome == "passed"
    assert judge(bench, lazy("exact/Linear-bias"), "why").outcome == "failed"


# -- Now and then -----------------------------------------------------------------------------------


class Fickle(Around):
    """Wrong the first time."""

    times: ClassVar[int] = 0

    def run(self, inputs: Arrays, state: Arrays | None = None) -> Result:
        Fickle.times += 1
        found = self.inner.run(inputs, state)
        worse = {port: x + (Fickle.times == 1) for port, x in found.recordings.items()}
        return Result(found.outputs, worse, found.state)


def test_a_failure_that_comes_and_goes_is_called_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fickle, "times", 0)
    (found,) = run_on(Wrong(around=Fickle), select="exact/Linear-bias", classes=["exact"]).cases[:1]
    assert found.outcome == "failed"
    assert found.reason.endswith("; tried again, it did not fail")
    assert found.evidence is None


# -- Quick ----------------------------------------------------------------------------------------


def test_a_quick_look_has_some_of_every_class_and_every_law() -> None:
    quick = chosen(quick=True)
    assert {lazy.cls for lazy in quick} == set(CLASSES)
    assert len(quick) < len(all_cases()) / 4
    for kind, examples in EXAMPLES.items():
        ids = {f"{cls}/{kind.__name__}-{name}" for cls in ("exact", "margin") for name in examples}
        assert ids & {lazy.id for lazy in quick}, kind
    laws = {lazy.case.law for lazy in all_cases() if lazy.cls == "law"}
    assert {lazy.case.law for lazy in quick if lazy.cls == "law"} == laws
