"""The command as a whole: help, usage, errors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cli_calls import call

import snnhw
from snnhw import registry
from snnhw.cli import VERBS
from snnhw.errors import DeviceError

HEAVY = {"torch", "sklearn", "numba", "matplotlib", "numpy", "stevedore"}


def test_help_fits_a_screen_and_names_every_verb() -> None:
    result = call("--help", COLUMNS="80")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) <= 32
    for name, *_ in VERBS:
        assert f" {name} " in result.stdout


@pytest.mark.parametrize("name", [name for name, *_ in VERBS])
def test_every_verb_explains_itself_by_an_example(name: str) -> None:
    result = call(name, "-h")
    assert result.exit_code == 0
    assert f"Example: snnhw {name}" in result.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["demo", "--help"], ["conformance", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    script = (
        "import sys\n"
        "from snnhw.cli import app\n"
        f"try: app({arguments!r})\n"
        "except SystemExit: pass\n"
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert "typer" in loaded
    assert not loaded & HEAVY


def test_it_is_a_module_too() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "snnhw", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"snnhw {snnhw.__version__}\n"


def test_wrong_usage_is_status_2() -> None:
    result = call("demmo")
    assert result.exit_code == 2
    assert "demo" in result.stderr


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["-o", "dtype"], "'dtype' is no KEY=VALUE, such as dtype=float64"),
        (["-o", "=1"], "'=1' is no KEY=VALUE"),
        (["-o", "a=1", "-o", "a=2"], "'a' is given twice"),
    ],
)
def test_options_of_a_backend_are_pairs(given: list[str], message: str) -> None:
    result = call("demo", *given)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_value_of_an_option_may_hold_anything() -> None:
    from snnhw.cli.arguments import parse_options

    assert parse_options(["path=a=b", "empty="]) == {"path": "a=b", "empty": ""}
    assert parse_options(None) == {}


# -- Errors -----------------------------------------------------------------------------------------


def test_an_error_is_one_line_and_status_1(tmp_path: Path) -> None:
    result = call("inspect", tmp_path / "absent.snn")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == f"error: cannot load '{tmp_path / 'absent.snn'}': No such file or directory\n"


@pytest.mark.parametrize(("flag", "environment"), [(["--traceback"], {}), ([], {"SNNHW_DEBUG": "1"})])
def test_an_error_shows_its_origin_when_asked(
    tmp_path: Path, flag: list[str], environment: dict[str, str]
) -> None:
    result = call(*flag, "inspect", tmp_path / "absent.snn", **environment)
    assert result.exit_code == 1
    assert isinstance(result.exception, snnhw.errors.LoadError)


def test_brackets_in_a_message_are_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_group: str) -> None:
        raise DeviceError("expected [T, B, ...] :smile: [bold]")

    monkeypatch.setattr(registry, "survey", fail)
    assert call("backends").stderr == "error: expected [T, B, ...] :smile: [bold]\n"


def test_an_error_of_the_system_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "locked").write_text("")
    result = call("demo", "--out", tmp_path / "locked" / "inside")
    assert result.exit_code in {1, 2}
    assert "locked" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_mistake_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_group: str) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(registry, "survey", fail)
    assert isinstance(call("backends").exception, ZeroDivisionError)


def test_ctrl_c_is_one_line_and_status_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_group: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(registry, "survey", interrupted)
    result = call("backends")
    assert result.exit_code == 130
    assert result.stderr == "interrupted; files that were written are complete\n"
