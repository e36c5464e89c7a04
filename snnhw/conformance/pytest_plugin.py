"""Options of the conformance suite for pytest. Loaded in every session: imports nothing of weight."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

__all__ = ["pytest_addoption", "pytest_configure", "pytest_report_header", "pytest_terminal_summary"]

BACKEND = "snnhw backend"
"""A property of every test that is a case, also in reports for machines: which backend, and its label."""


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


def pytest_configure(config: pytest.Config) -> None:
    """Count what is run; with pytest-xdist, where all results come together."""
    if config.getoption("--snnhw-backend") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Counting(), "snnhw-counting")


@dataclass(eq=False)
class Counting:
    """How many cases were tried, and how many of them were run and not declined: a backend that declines
    everything has proven nothing."""

    tried: int = 0
    run: int = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and BACKEND in dict(report.user_properties):
            self.tried += 1
            self.run += not report.skipped or hasattr(report, "wasxfail")

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.tried and not self.run and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.tried and not self.run:
            line = f"snnhw: nothing was run: all of {self.tried} cases were declined"
            terminalreporter.write_line(line, red=True)


def pytest_report_header(config: pytest.Config) -> str | None:
    """Name the backend under test, and what its results are marked with: passed cases say neither."""
    return _under_test(config)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The same below the results: ``pytest -q`` leaves the header out."""
    line = _under_test(config)
    if line is not None:
        terminalreporter.write_line(line)


def _under_test(config: pytest.Config) -> str | None:
    name = config.getoption("--snnhw-backend")
    if not name:
        return None
    from snnhw import registry
    from snnhw.conformance.bench import Bench
    from snnhw.errors import SnnhwError

    options = dict(text.partition("=")[::2] for text in config.getoption("--snnhw-option"))
    try:
        label = Bench(registry.backend(name, options), options).label
    except SnnhwError as error:  # the tests that ask for it say the same, and fail
        return f"snnhw backend: {name}, which cannot be used: {error}"
    return f"snnhw backend: {name}{f' ({label})' if label else ''}"
