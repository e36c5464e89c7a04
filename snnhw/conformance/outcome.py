"""From a case to its outcome: what a backend claims, and what it does, must be one."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import Literal

from snnhw.check import reasons_against
from snnhw.conformance.bench import Bench
from snnhw.conformance.case import Case, LazyCase, Proof
from snnhw.conformance.cases.making.subject import about
from snnhw.conformance.checks.classes import check
from snnhw.conformance.checks.evidence import Evidence
from snnhw.errors import Unsupported
from snnhw.parity.result import NOTHING, Disagreement, Measured
from snnhw.words import sentence

__all__ = ["CaseResult", "Outcome", "judge"]

Outcome = Literal["passed", "declined", "xfailed", "failed"]


@dataclass(frozen=True)
class CaseResult:
    """What became of one case.

    Attributes:
        id: the case, and behind an ``@`` the path that was forced; cls: its class.
        outcome: ``passed``; ``declined``, its capabilities say that it cannot and it does not;
            ``xfailed``, it fails as the backend's own list of known failures says; ``failed``.
        reason: why, unless it passed.
        seconds: how long the backend and its comparison took.
        measured: how far it was from what it was held to.
        about: what the case exercises, such as ``"op/Linear"`` or ``"neuron/Leaky"``.
        proof: why every bit may be asked for; None where it is not.
        evidence: of a failure: the smallest program that shows it; None when it was not looked for.
    """

    id: str
    cls: str
    outcome: Outcome
    reason: str
    seconds: float
    measured: Measured = NOTHING
    about: tuple[str, ...] = ()
    proof: Proof | None = None
    evidence: Evidence | None = None


def judge(
    bench: Bench, lazy: LazyCase, excuse: str | None = None, *, against: Bench | None = None
) -> CaseResult:
    """Try one case. Whatever the backend does, this returns.

    Args:
        excuse: why the case is known to fail; None when it is not.
        against: another backend, to hold it to in the place of the reference.
    """
    try:
        case = lazy.case
    except Exception as error:  # noqa: BLE001  # somebody's model may be one that no numbers suit
        return CaseResult(lazy.id, lazy.cls, "failed", f"the case cannot be made: {error}", 0.0)
    before = perf_counter()
    outcome, reason, measured = _outcome(bench, case, against)
    seconds = perf_counter() - before
    if excuse is not None:
        outcome, reason = _excused(outcome, reason, excuse, strict=against is None)
    return CaseResult(case.id, case.cls, outcome, reason, seconds, measured, about(case), case.proof)


def _outcome(bench: Bench, case: Case, against: Bench | None) -> tuple[Outcome, str, Measured]:
    try:
        reasons = reasons_against(case.program, bench.capabilities, bench.job(case))
        if reasons:
            return *_declined(bench, case, reasons), NOTHING
        if against and (reasons := reasons_against(case.program, against.capabilities, against.job(case))):
            return "declined", f"{against.plugin.name}: {'; '.join(reasons)}", NOTHING
        return "passed", "", check(bench, case, against)
    except Disagreement as error:
        return "failed", str(error), error.measured or NOTHING
    except Unsupported as error:
        other = against.plugin.name if against else ""
        who = other if other == error.backend != bench.plugin.name else "it"
        return "failed", f"{who} refuses what its capabilities claim: {'; '.join(error.reasons)}", NOTHING
    except (Exception, SystemExit) as error:  # noqa: BLE001  # a stranger's code must not end the run
        return "failed", f"{type(error).__name__}: {error}", NOTHING


def _declined(bench: Bench, case: Case, reasons: tuple[str, ...]) -> tuple[Outcome, str]:
    """Core asks the capabilities, so users never get this far; but a claim that is too small hides a
    fallback, or support that nobody can use. Who knows nothing of integers may take them for floats, which
    is neither."""
    said = "; ".join(reasons)
    if case.program.formats and not bench.capabilities.integers:
        return "declined", said
    try:
        with bench.compile(case) as executable:
            if case.loss is None:
                executable.run(case.inputs, case.state)
            else:
                executable.step(case.inputs, case.targets, case.state)
    except (Exception, SystemExit):  # noqa: BLE001  # any refusal will do
        return "declined", said
    return "failed", f"it runs this, although its capabilities say otherwise: {said}"


def _excused(outcome: Outcome, reason: str, excuse: str, *, strict: bool) -> tuple[Outcome, str]:
    """A known failure must fail: the list shrinks when the backend improves. Beside another backend, which
    may be wrong in the same way, it need not."""
    if outcome == "failed":
        return "xfailed", f"{sentence(excuse)} {reason}"
    if not strict:
        return outcome, reason
    return "failed", f"it is listed as a known failure ({excuse}), but it {outcome}; take it off the list"
