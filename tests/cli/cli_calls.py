"""Calling the command, in this process and in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner, Result

from snnhw.cli import app

__all__ = ["ENVIRONMENT", "START", "call", "fork"]

ENVIRONMENT = {**os.environ, "COLUMNS": "200", "PYTHONUNBUFFERED": "1"}

START = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from snnhw.cli import main
main()
"""
"""As a terminal starts it: where tests run in the background, Ctrl-C would be ignored."""


def call(*arguments: str | int | Path, **environment: str) -> Result:
    """The command, in this process."""
    return CliRunner(env={"COLUMNS": "200", **environment}).invoke(app, [str(one) for one in arguments])


def fork(*arguments: str | Path) -> subprocess.Popen[str]:
    """The command, in a process of its own, its stdout and stderr apart."""
    return subprocess.Popen(
        [sys.executable, "-c", START, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
