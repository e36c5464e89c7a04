"""Fixtures of the tests of the conformance suite."""

from __future__ import annotations

import pytest

from snnhw.plugin import Backend
from snnhw_reference.plugin import ReferenceBackend


@pytest.fixture
def reference() -> Backend:
    return cast("Backend", ReferenceBackend())
