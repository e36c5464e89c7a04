"""Sizes, files and options that do not fit end in a sentence, not in a traceback."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from cli_calls import call
from torch import nn

import snnhw as snn
from snnhw import registry
from snnhw.verify import inputs as random

HUGE = 10**15


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    leaky = {"beta": 0.5, "init_hidden": True}
    snn.save(tmp_path / "net.snn", nn.Sequential(nn.Linear(5, 3), snn.Leaky(**leaky)), torch.zeros(1, 5))
    norm = nn.Sequential(nn.Linear(5, 3), nn.BatchNorm1d(3), snn.Leaky(**leaky))
    snn.save(tmp_path / "norm.snn", norm, torch.zeros(2, 5))
    plain = nn.Sequential(nn.Linear(5, 3), snn.Leaky(**leaky, reset_mechanism="zero", reset_delay=False))
    snn.export(plain, tmp_path / "net.nir", torch.zeros(1, 5))
    return tmp_path


def refused(folder: Path, *arguments: str | int, status: int = 1) -> str:
    """What the command says, in one line."""
    given = [folder / one if isinstance(one, str) and "." in one[-4:] else one for one in arguments]
    result = call(*given)
    assert result.exit_code == status, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return " ".join(result.stderr.replace("│", " ").split())


@pytest.mark.parametrize("option", ["--time-steps", "--batch"])
@pytest.mark.parametrize("value", [0, -1, "some", 1.5])
@pytest.mark.parametrize("verb", [["verify", "net.snn", "--on", "cpu"], ["explain", "net.snn", "-b", "cpu"]])
def test_a_size_is_a_whole_number_from_1(folder: Path, verb: list[str], option: str, value: object) -> None:
    assert option in refused(folder, *verb, option, str(value), status=2)


@pytest.mark.parametrize("option", ["--time-steps", "--batch"])
@pytest.mark.parametrize("size", [HUGE, 10**30])
def test_a_run_that_no_memory_holds_is_not_begun(folder: Path, option: str, size: int) -> None:
    said = refused(folder, "verify", "net.snn", "--on", "cpu", option, size)
    assert f"{size} s" in said
    assert "GB for inputs and neurons alone, and this machine has" in said
    assert said.endswith("GB; give fewer steps or a smaller batch")


def test_a_machine_that_does_not_say_how_much_memory_it_has_is_believed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("os.sysconf")
    assert random.memory() == float("inf")
    assert call("verify", folder / "net.snn", "--on", "cpu", "--time-steps", 2).exit_code == 0


@pytest.mark.parametrize(
    "error",
    [MemoryError("too much"), RuntimeError("DefaultCPUAllocator: can't allocate memory: too much")],
    ids=["NumPy's", "torch's"],
)
def test_memory_that_runs_out_is_an_error_like_others(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(_group: str) -> None:
        raise error

    monkeypatch.setattr(registry, "survey", fail)
    result = call("backends")
    assert result.exit_code == 1
    assert result.stderr == (
        f"error: there is not enough memory: {error}; fewer steps (--time-steps), a smaller batch (--batch) "
        "or fewer inputs need less\n"
    )
    assert call("--traceback", "backends").exception is error


def test_another_error_of_a_library_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_group: str) -> None:
        raise RuntimeError("a mistake of a plugin")

    monkeypatch.setattr(registry, "survey", fail)
    assert isinstance(call("backends").exception, RuntimeError)


def test_a_batch_without_variance_is_refused_before_it_is_explained(folder: Path) -> None:
    said = refused(folder, "explain", "norm.snn", "-b", "ipu", "--train", "--batch", 1)
    assert said == (
        "error: 1 (BatchNorm1d): one value has no variance to normalise by; train with a larger batch"
    )


# -- Files of inputs --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((4, 2, 6), "input 'input' has shape [4, 2, 6]; accepted: [4, B, 5]"),
        ((2, 5), "input 'input' has shape [2, 5]; accepted: [2, B, 5]"),
        ((0, 2, 5), "time_steps is 0; give a whole number of steps, at least 1"),
        ((3, 0, 5), "input 'input' has shape [3, 0, 5]; accepted: [3, B, 5]"),
        ((), "input 'input' has shape []; accepted: [25, B, 5]"),
    ],
)
def test_inputs_of_another_shape(folder: Path, shape: tuple[int, ...], message: str) -> None:
    np.save(folder / "x.npy", np.zeros(shape, np.float32))
    assert message in refused(folder, "verify", "net.snn", "--on", "cpu", "--inputs", "x.npy")


def test_a_file_that_is_damaged(folder: Path) -> None:
    np.savez(folder / "x.npz", input=np.zeros((3, 2, 5)))
    whole = (folder / "x.npz").read_bytes()
    (folder / "x.npz").write_bytes(whole[:200])
    verify = ("verify", "net.snn", "--on", "cpu", "--inputs", "x.npz")
    assert "x.npz' cannot be read: File is not a zip file" in refused(folder, *verify)
    (folder / "x.npz").write_bytes(whole.replace(b"\0" * 64, b"\1" * 64, 1))
    assert "x.npz' cannot be read: Bad CRC-32" in refused(folder, *verify)
    with ZipFile(folder / "x.npz", "w") as archive:
        archive.writestr("input", "no array")
    assert "x.npz' cannot be read: 'input' in it is no array" in refused(folder, *verify)


# -- Options ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--read", "dt=1"),
            "has no option 'dt' for reading. Its options: allow_nonfinite, limits.",
        ),
        (("--read", "limits=3"), "limits=3.0: give a snnhw.ir.Limits, such as Limits(file=1 << 20)"),
        (("--read", "allow_nonfinit=1"), "Did you mean 'allow_nonfinite'?"),
    ],
)
def test_options_for_reading_that_a_file_of_ours_does_not_have(
    folder: Path, arguments: tuple[str, ...], message: str
) -> None:
    assert message in refused(folder, "verify", "net.snn", "--on", "cpu", *arguments)


@pytest.mark.parametrize("name", ["path", "self", "program", "sample"])
def test_names_of_arguments_are_no_options(folder: Path, name: str) -> None:
    for option, file in (("--read", "net.nir"), ("--write", "net.snn")):
        said = refused(folder, "convert", file, "new.nir", option, f"{name}=1", status=2)
        assert f"'{name}' cannot be given here" in said
        assert option in said


def test_files_of_ours_are_written_without_options(folder: Path) -> None:
    said = refused(folder, "convert", "net.nir", "new.snn", "--write", "target=norse", status=2)
    assert ".snn files are written without options" in said
    assert not (folder / "new.snn").exists()


def test_a_pair_that_is_none_names_the_option_it_came_from(folder: Path) -> None:
    assert "--write" in refused(folder, "convert", "net.snn", "new.nir", "--write", "target", status=2)


@pytest.mark.parametrize("value", ["many", "nan", "true"])
def test_a_size_of_files_that_is_none(folder: Path, value: str) -> None:
    said = refused(folder, "convert", "net.nir", "new.snn", "--read", f"max_bytes={value}")
    assert "give the most bytes that the file may take, such as 1e9" in said


def test_a_seed_beyond_what_generators_take(tmp_path: Path) -> None:
    said = refused(tmp_path, "demo", "--out", str(tmp_path / "out"), "--seed", 2**64, status=2)
    assert "--seed" in said
    assert not (tmp_path / "out").exists()
