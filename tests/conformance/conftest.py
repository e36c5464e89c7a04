"""Fixtures of the tests of the conformance suite."""

from __future__ import annotations

from typing import cast

import pytest

from snnhw.conformance import Case, all_cases
from snnhw.plugin import Backend
from snnhw_reference.plugin import ReferenceBackend


@pytest.fixture
def reference() -> Backend:
    return cast("Backend", ReferenceBackend())


@pytest.fixture(scope="session")
def cases() -> dict[str, Case]:
    """Every case by its id. Making them takes seconds: not while tests are being collected."""
    return {case.id: case for case in all_cases()}
