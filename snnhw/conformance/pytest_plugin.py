"""Options of the conformance suite for pytest. Loaded in every session: imports nothing of weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

__all__ = ["pytest_addoption"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say which backend ``pytest --pyargs snnhw.conformance`` tests."""
    group = parser.getgroup("snnhw", "conformance of snnhw backends")
    group.addoption("--snnhw-backend", metavar="NAME", default=None, help="the backend to test")
    group.addoption(
        "--snnhw-option",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="an option of that backend; may be given several times",
    )
