"""Outcomes: what a backend claims and what it does must be one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from snnhw.conformance import Case, LazyCase
from snnhw.conformance.bench import Bench
from snnhw.conformance.cases import exact
from snnhw.conformance.outcome import CaseResult, judge
from snnhw.errors import Unsupported
from snnhw.ir import Linear
from snnhw.plugin import Capabilities
from snnhw_reference.plugin import ReferenceBackend

CASE = next(exact.cases())


class Chip(ReferenceBackend):
    """The reference, with other claims and other deeds."""

    def __init__(
        self,
        claims: Callable[[Capabilities], Capabilities] = lambda capabilities: capabilities,
        deed: BaseException | None = None,
    ) -> None:
        self.claims, self.deed = claims, deed

    def capabilities(self) -> Capabilities:
        return self.claims(super().capabilities())

    def compile(self, *given: Any) -> Any:
        if self.deed:
            raise self.deed
        return super().compile(*given)


def no_linear(capabilities: Capabilities) -> Capabilities:
    return replace(capabilities, ops={op: how for op, how in capabilities.ops.items() if op is not Linear})


def judged(chip: Chip, lazy: LazyCase = CASE, excuse: str | None = None) -> CaseResult:
    return judge(Bench(chip), lazy, excuse)


def test_right_is_passed() -> None:
    found = judged(Chip())
    assert (found.id, found.cls, found.outcome, found.reason) == ("exact/Linear-bias", "exact", "passed", "")
    assert found.seconds > 0


def test_refused_as_claimed_is_declined() -> None:
    found = judged(Chip(no_linear, Unsupported("chip", ["no products"])))
    assert found.outcome == "declined"
    assert found.reason == "subject (Linear): this kind of op is not supported"


def test_any_refusal_of_what_is_not_claimed_will_do() -> None:
    assert judged(Chip(no_linear, KeyError("Linear"))).outcome == "declined"


def test_refused_although_claimed_is_failed() -> None:
    found = judged(Chip(deed=Unsupported("chip", ["no products"])))
    assert found.outcome == "failed"
    assert found.reason == "it refuses what its capabilities claim: no products"


def test_run_although_not_claimed_is_failed() -> None:
    found = judged(Chip(no_linear))
    assert found.outcome == "failed"
    assert found.reason.startswith("it runs this, although its capabilities say otherwise: subject (Linear)")


@pytest.mark.parametrize("deed", [ZeroDivisionError("oh"), SystemExit("oh"), MemoryError("oh")])
def test_whatever_it_raises_ends_the_case_and_not_the_run(deed: BaseException) -> None:
    found = judged(Chip(deed=deed))
    assert (found.outcome, found.reason) == ("failed", f"{type(deed).__name__}: oh")


def test_a_user_may_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt):
        judged(Chip(deed=KeyboardInterrupt()))


def test_a_known_failure_is_expected() -> None:
    found = judged(Chip(deed=ZeroDivisionError("oh")), excuse="divides, https://example.org/3")
    assert found.outcome == "xfailed"
    assert found.reason == "divides, https://example.org/3. ZeroDivisionError: oh"


@pytest.mark.parametrize(("chip", "did"), [(Chip(), "passed"), (Chip(no_linear, KeyError("x")), "declined")])
def test_a_known_failure_that_does_not_fail_is_one(chip: Chip, did: str) -> None:
    found = judged(chip, excuse="divides, https://a.b")
    assert found.outcome == "failed"
    assert found.reason == (
        f"it is listed as a known failure (divides, https://a.b), but it {did}; take it off the list"
    )


def test_an_undeclared_dtype_is_noticed() -> None:
    found = judged(Chip(lambda capabilities: replace(capabilities, dtypes=("float32",))))
    assert found.outcome == "failed"
    assert found.reason == "'out' is returned as float64; declared: float32"


def test_a_case_that_cannot_be_made_is_a_failure_of_its_own() -> None:
    def make() -> Case:
        raise LookupError("no numbers were found for conformance case 'near/Odd'")

    found = judged(Chip(), LazyCase("near/Odd", make))
    assert (found.id, found.cls, found.outcome) == ("near/Odd", "near", "failed")
    assert found.reason == "the case cannot be made: no numbers were found for conformance case 'near/Odd'"
