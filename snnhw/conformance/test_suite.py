"""The conformance suite as tests: ``pytest --pyargs snnhw.conformance --snnhw-backend NAME``."""

from __future__ import annotations

import pytest

from snnhw import registry
from snnhw.conformance.bench import Bench
from snnhw.conformance.case import LazyCase
from snnhw.conformance.known import known_failures
from snnhw.conformance.outcome import judge
from snnhw.conformance.pytest_plugin import BACKEND
from snnhw.conformance.suite import all_cases

NO_BACKEND = "no backend to test; name one with --snnhw-backend"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for every case."""
    if "lazy" not in metafunc.fixturenames:
        return
    if metafunc.config.getoption("--snnhw-backend"):
        metafunc.parametrize("lazy", all_cases(), ids=lambda lazy: lazy.id)
    else:
        metafunc.parametrize("lazy", [pytest.param(None, marks=pytest.mark.skip(reason=NO_BACKEND))])


@pytest.fixture(scope="module")
def bench(request: pytest.FixtureRequest) -> Bench:
    """The backend under test."""
    given = [text.partition("=") for text in request.config.getoption("--snnhw-option")]
    options = {key: value for key, _, value in given}
    plugin = registry.backend(request.config.getoption("--snnhw-backend"), options)
    registry.build_options(plugin, options)  # a misspelt one is not every case's failure
    return Bench(plugin, options)


@pytest.fixture(scope="module")
def excuses(bench: Bench) -> dict[str, str]:
    """Failures that the backend's author knows of."""
    return known_failures(bench.plugin, [lazy.id for lazy in all_cases()])


def test_case(lazy: LazyCase, bench: Bench, excuses: dict[str, str], request: pytest.FixtureRequest) -> None:
    """A backend does what it claims, and what it does is right."""
    label = f"{bench.plugin.name} ({bench.label})" if bench.label else bench.plugin.name
    request.node.user_properties.append((BACKEND, label))
    result = judge(bench, lazy, excuses.get(lazy.id))
    mark = f"[{bench.label}] " if bench.label else ""
    if result.outcome == "declined":
        pytest.skip(f"{mark}declined: {result.reason}")
    if result.outcome == "xfailed":
        pytest.xfail(f"{mark}{result.reason}")
    if result.outcome == "failed":
        pytest.fail(f"{mark}{result.reason}", pytrace=False)
