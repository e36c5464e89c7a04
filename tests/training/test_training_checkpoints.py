"""A run that was stopped anywhere, and goes on."""

from __future__ import annotations

import errno
import os
import random
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training_runs import Killed, Noisy, compiled, curve, killer, loader, same

import snnhw as snn
from snnhw.errors import InputError, LoadError
from snnhw.ir import OPTIMIZERS, SGD, Adam
from snnhw.training import Batch, Checkpoints, Cosine, Epoch, History, Plateau, Stopped, WarmUp, fit
from snnhw.training.checkpoints import files

pytestmark = pytest.mark.usefixtures("plain_torch", "one_thread")

STEPS = 10
"""Of a run: two epochs of five batches."""


def run(model: snn.nn.Model, folder: Path | Checkpoints, data: Any = None, **settings: Any) -> History:
    """Training on data that is another at every look, by a schedule that changes at every update."""
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002  # what users' data draws from
    random.seed(3)
    schedule = WarmUp(4).then(Cosine())
    given = {"epochs": 2, "validate": loader(shuffle=False), "schedule": schedule, **settings}
    return fit(model, data or loader(Noisy()), checkpoint=folder, **given)


def killed(model: snn.nn.Model, folder: Path | Checkpoints, at: int, **settings: Any) -> None:
    with pytest.raises(Killed):
        run(model, folder, progress=killer(at), **settings)


# -- The same in every bit -------------------------------------------------------------------------------


def held(tmp_path: Path, cuts: range, optimizer: Any, **settings: Any) -> None:
    with compiled(optimizer, chance=True, **settings) as model:
        wanted = run(model, tmp_path / "whole")
        for cut in cuts:
            to = Checkpoints(tmp_path / str(cut), every=2)
            with compiled(optimizer, chance=True, **settings) as first:
                killed(first, to, cut)
            with compiled(optimizer, chance=True, **settings) as second:
                found = run(second, to, resume=True)
                assert curve(found) == curve(wanted), f"cut at {cut}"
                assert same(second, model), f"cut at {cut}"
    assert len({epoch.loss for epoch in wanted.epochs}) == 2


@pytest.mark.parametrize("cut", [1, 4, 8])
def test_a_run_that_was_killed_is_the_one_that_was_not(tmp_path: Path, cut: int) -> None:
    """With dropout, batch norm and noise in the network, and chance of every kind in the data."""
    held(tmp_path, range(cut, cut + 1), Adam(lr=0.02), accumulate=3)


@pytest.mark.slow
@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("settings", [{}, {"accumulate": 3, "clip_norm": 0.5}])
def test_wherever_it_is_cut(tmp_path: Path, kind: str, settings: dict[str, Any]) -> None:
    held(tmp_path, range(1, STEPS + 1), OPTIMIZERS[kind](lr=0.02), **settings)


def test_with_processes_that_load_data(tmp_path: Path) -> None:
    def data() -> Any:
        return loader(Noisy(), num_workers=1, generator=torch.Generator().manual_seed(4))

    with compiled() as model, compiled() as first, compiled() as second:
        wanted = run(model, tmp_path / "whole", data())
        to = Checkpoints(tmp_path / "cut", every=1)
        killed(first, to, 8, data=data())
        assert curve(run(second, to, data(), resume=True)) == curve(wanted)


def test_plateaus_and_patience_go_on_by_the_history(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"schedule": Plateau(1, gamma=0.5), "epochs": 9, "patience": 4}
    with compiled(SGD(lr=3.0)) as model, compiled(SGD(lr=3.0)) as first, compiled(SGD(lr=3.0)) as second:
        wanted = run(model, tmp_path / "whole", **settings)
        killed(first, tmp_path / "cut", 22, **settings)
        found = run(second, tmp_path / "cut", resume=True, **settings)
    assert curve(found) == curve(wanted)
    assert found.ended == wanted.ended
    assert len({epoch.lr for epoch in wanted.epochs}) > 1


def test_a_run_that_has_ended_goes_on_for_more_epochs(tmp_path: Path) -> None:
    constant = {"schedule": None}
    with compiled() as model, compiled() as first, compiled() as second:
        wanted = run(model, tmp_path / "whole", epochs=3, **constant)
        run(first, tmp_path / "cut", epochs=2, **constant)
        assert run(second, tmp_path / "cut", epochs=2, resume=True, **constant).ended == "2 epochs are done"
        assert curve(run(second, tmp_path / "cut", epochs=3, resume=True, **constant)) == curve(wanted)


# -- Files -----------------------------------------------------------------------------------------------


def test_what_a_folder_holds(tmp_path: Path) -> None:
    with compiled() as model:
        run(model, Checkpoints(tmp_path, every=2, keep=3))
        names = [path.name for path in files(tmp_path)]
        assert names == [f"step-0000000{n}.safetensors" for n in (7, 9)] + ["step-00000010.safetensors"]
        assert {path.name for path in tmp_path.iterdir()} == {*names, "best.safetensors"}


def test_the_best_is_kept(tmp_path: Path) -> None:
    seen: list[Any] = []

    def log(_: Epoch) -> None:
        seen.append(model.params)

    with compiled(SGD(lr=3.0)) as model, compiled(SGD(lr=3.0)) as other:
        history = run(model, tmp_path, epochs=5, log=log)
        other.load_checkpoint(tmp_path / "best.safetensors")
        best = seen[history.best.number - 1]
        assert all(np.array_equal(best[key], x) for key, x in other.params.items())
    with compiled() as model:
        run(model, Checkpoints(tmp_path / "none", best=False))
    assert not (tmp_path / "none" / "best.safetensors").exists()


def test_a_checkpoint_is_one_of_the_model(tmp_path: Path) -> None:
    with compiled() as model, compiled() as other:
        run(model, tmp_path)
        other.load_checkpoint(files(tmp_path)[-1])
        assert same(model, other)


def test_a_folder_that_holds_a_run_is_not_begun_anew(tmp_path: Path) -> None:
    with compiled() as model:
        run(model, tmp_path)
        words = r"holds a run already, up to 'step-00000010\.safetensors'; give resume=True to go on"
        with pytest.raises(InputError, match=words):
            run(model, tmp_path)


def test_where_there_is_none_it_begins(tmp_path: Path) -> None:
    with compiled() as model, compiled() as other:
        assert curve(run(model, tmp_path / "a", resume=True)) == curve(run(other, tmp_path / "b"))


@pytest.mark.parametrize("half", [True, False])
def test_a_damaged_file_is_told_and_the_one_before_it_offered(tmp_path: Path, *, half: bool) -> None:
    to = Checkpoints(tmp_path / "run", every=2)
    with compiled() as model, compiled() as other:
        wanted = run(model, tmp_path / "whole")
        killed(other, to, 8)
    *_, before, newest = files(tmp_path / "run")
    content = newest.read_bytes()
    newest.write_bytes(content[: len(content) // 2] if half else b"")
    with compiled() as model:
        with pytest.raises(LoadError) as told:
            run(model, to, resume=True)
        assert str(told.value).startswith(f"cannot load '{newest}': ")
        assert str(told.value).endswith(
            f". '{before}' can be read: resume='{before}', or `snnhw resume {before}`, goes on from there"
        )
        with compiled() as other:
            assert curve(run(other, to, resume=before)) == curve(wanted)
        assert newest.with_name(newest.name + ".aside").exists()
    for path in files(tmp_path / "run"):
        path.write_bytes(b"")
    with compiled() as model, pytest.raises(LoadError, match=r"No other checkpoint in .* can be read"):
        run(model, to, resume=True)


def test_a_run_of_another_kind_is_refused(tmp_path: Path) -> None:
    with compiled() as model:
        run(model, tmp_path)
    with (
        compiled(SGD(lr=0.1)) as model,
        pytest.raises(InputError, match="its optimizer is 'Adam', and here it is 'SGD wi"),
    ):
        run(model, tmp_path, resume=True)
    with (
        compiled() as model,
        pytest.raises(LoadError, match=r"lacks the random state 'data\.generator'; is the data"),
    ):
        run(model, tmp_path, loader(generator=torch.Generator()), resume=True)


def test_other_data_is_told(tmp_path: Path) -> None:
    with compiled() as model:
        killed(model, Checkpoints(tmp_path, every=4), 5)
        with pytest.raises(InputError, match="data gives 3 batches in epoch 1, of which the check"):
            run(model, tmp_path, [*loader(Noisy())][:3], resume=True)


def test_a_checkpoint_of_a_loop_of_ones_own(tmp_path: Path) -> None:
    with compiled() as model:
        model.save_checkpoint(tmp_path / "step-00000004.safetensors", {"mine": np.arange(3)})
        beside = model.load_checkpoint(tmp_path / "step-00000004.safetensors")
        assert {name: array.tolist() for name, array in beside.items()} == {"mine": [0, 1, 2]}
        with pytest.raises(LoadError, match="it is of a loop of one's own, and says nothing"):
            run(model, tmp_path, resume=True)


@pytest.mark.parametrize(("name", "value"), [("every", 0), ("keep", 0), ("keep", None), ("every", True)])
def test_settings_that_make_no_sense(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=rf"Checkpoints\({name}={value}\): give a whole number above 0"):
        Checkpoints("run", **{name: value})


# -- What goes wrong -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "owner", "name"),
    [
        (errno.ENOSPC, os, "fsync"),
        (errno.EDQUOT, Path, "replace"),
        (errno.EROFS, Path, "open"),
        (errno.EACCES, Path, "open"),
    ],
    ids=["full", "over-quota", "read-only", "not-allowed"],
)
def test_a_full_disk_or_a_read_only_folder_leaves_the_older_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, owner: Any, name: str
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(code, os.strerror(code))

    def spoil(batch: Batch) -> None:
        if batch.number == 3:
            monkeypatch.setattr(owner, name, refuse)

    with compiled() as model, compiled() as other:
        wanted = run(other, tmp_path / "whole")
        with pytest.raises(OSError, match=r"; the last checkpoint is '.*step-00000002\.") as told:
            run(model, Checkpoints(tmp_path / "run", every=2), progress=spoil)
        monkeypatch.undo()
        assert str(told.value).startswith(f"[Errno {code}] {os.strerror(code)}; ")
        assert str(told.value.filename).endswith("step-00000004.safetensors")
        left = sorted(path.name[:13] for path in (tmp_path / "run").iterdir())
        assert left == ["step-00000000", "step-00000002"]
    with compiled() as model:
        assert curve(run(model, tmp_path / "run", resume=True)) == curve(wanted)


@pytest.mark.usefixtures("plain_torch")
def test_a_folder_that_cannot_be_made_ends_it_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    seen: list[Batch] = []
    with compiled() as model, pytest.raises(OSError, match="file"):
        run(model, tmp_path / "file" / "run", progress=seen.append)
    assert not seen


# The one that ends processes is heard in a process of its own in tests/cli/test_cli_train.py.
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_signal_ends_it_after_a_step_with_all_saved(tmp_path: Path, number: signal.Signals) -> None:
    def tick(batch: Batch) -> None:
        if (batch.epoch, batch.number) == (2, 2):
            signal.raise_signal(number)

    before = signal.getsignal(number)
    with compiled() as model, compiled() as first, compiled() as second:
        wanted = run(model, tmp_path / "whole")
        with pytest.raises(Stopped) as told:
            run(first, tmp_path / "run", progress=tick)
        path = tmp_path / "run" / "step-00000007.safetensors"
        assert str(told.value) == (
            f"stopped by {number.name} after batch 2 of epoch 2; '{path}' holds all of it, and resume=True "
            "goes on from there"
        )
        assert (told.value.signal, told.value.path) == (number, str(path))
        assert signal.getsignal(number) == before
        assert curve(run(second, tmp_path / "run", resume=True)) == curve(wanted)


def test_a_second_signal_acts_at_once(tmp_path: Path) -> None:
    def tick(_: Batch) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with compiled() as model, pytest.raises(KeyboardInterrupt) as told:
        run(model, tmp_path, progress=tick)
    assert not isinstance(told.value, Stopped)


def test_without_a_folder_signals_are_left_alone() -> None:
    with compiled() as model, pytest.raises(KeyboardInterrupt) as told:
        fit(model, loader(), epochs=2, progress=lambda _: signal.raise_signal(signal.SIGINT))
    assert not isinstance(told.value, Stopped)


def test_who_hears_signals_already_goes_on_hearing_them(tmp_path: Path) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        with compiled() as model:
            run(model, tmp_path, epochs=1, progress=lambda _: signal.raise_signal(signal.SIGTERM))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM] * 5
