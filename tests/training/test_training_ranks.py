"""Several processes train one network as one process does: what each of them came to, in `ranking`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from source import ROOT
from torch import distributed

pytestmark = pytest.mark.skipif(
    not (hasattr(os, "fork") and distributed.is_available() and distributed.is_gloo_available()),
    reason="Windows forks no process; and without gloo, processes on CPUs do not talk",
)

HERE = Path(__file__).parent

SIZES = [2, pytest.param(4, marks=pytest.mark.slow)]

close = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
"""For float32, whose sums are taken in another order."""


@lru_cache
def told(size: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What one process came to, and what each of several did."""
    folders = [ROOT, ROOT / "backends", ROOT / "tests", HERE]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders)), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(HERE / "ranking.py"), str(size)]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads(done.stdout)
    assert found["statuses"] == [0] * (size + 1), done.stderr.decode()
    return found["alone"], found["ranks"]


def alike(size: int, name: str) -> tuple[Any, Any]:
    """What one came to alone, and what all ranks came to."""
    alone, ranks = told(size)
    first, *others = [rank[name] for rank in ranks]
    assert others == [first] * len(others), "in every bit"
    return alone[name], first


@pytest.mark.parametrize("size", SIZES)
def test_shares_of_a_batch_give_what_the_whole_gives_in_every_bit_where_nothing_is_rounded(size: int) -> None:
    wanted, found = alike(size, "exact")
    assert found == wanted
    assert len(set(found)) == 1, "on every backend"


@pytest.mark.parametrize("size", SIZES)
def test_a_loop_of_ones_own_clips_accumulates_and_has_batches_that_not_all_have_a_sample_of(
    size: int,
) -> None:
    (losses, _, params), (found, _, reached) = alike(size, "steps")
    close(found, losses)
    for key, array in params.items():
        close(reached[key], array)


@pytest.mark.parametrize("size", SIZES)
def test_sequences_of_several_lengths_in_parts_are_those_of_one_process(size: int) -> None:
    (losses, params, _), (found, reached, again) = alike(size, "parts")
    close(found, losses)
    for key, array in params.items():
        close(reached[key], array)
    assert again, "deterministic=True gives the same bits in a second run"


@pytest.mark.parametrize("size", SIZES)
def test_batch_norm_may_be_of_the_samples_of_all(size: int) -> None:
    (losses, params, one), (found, reached, said) = alike(size, "joint")
    close(found, losses)
    for key, array in params.items():
        close(reached[key], array)
    assert "one value has no variance to normalise by" in one or not one
    assert said.startswith(f"of this batch of 1, {size - 1} of {size} ranks have no sample, and joint=True ")


@pytest.mark.parametrize("size", SIZES)
def test_fit_shares_a_loader_and_scores_and_rank_0_logs(size: int) -> None:
    alone, ranks = told(size)
    assert [rank["fitted"][1] for rank in ranks] == [[1, 2, 1, 2], *[[]] * (size - 1)]
    assert [rank["fitted"][0] for rank in ranks] == [ranks[0]["fitted"][0]] * size
    for (wanted, _), (found, _) in zip(alone["fitted"][0], ranks[0]["fitted"][0], strict=True):
        for one, other in zip(wanted, found, strict=True):
            close(other[:5], one[:5])
            close([*other[5].values()], [*one[5].values()])


@pytest.mark.parametrize("size", SIZES)
def test_batches_that_know_nothing_of_ranks_are_shared_by_rows(size: int) -> None:
    (wanted, _), (found, as_a_loader) = alike(size, "rows")
    assert as_a_loader, "in every bit"
    close(*[[epoch[3] for epoch in curve] for curve in (found, wanted)])


@pytest.mark.parametrize("size", SIZES)
def test_a_rank_whose_data_ends_first_waits_for_the_others(size: int) -> None:
    _, (samples, steps, *_) = alike(size, "uneven")
    assert (samples, steps) == (4 * size + 4, 2)


@pytest.mark.parametrize("size", SIZES)
def test_a_run_that_goes_on_is_the_one_that_never_stopped(size: int) -> None:
    _, (_, same, _) = alike(size, "chance")
    assert same, "in every bit, with dropout, noise, batch norm and data that draws"


@pytest.mark.parametrize("size", SIZES)
def test_a_signal_to_one_stops_all_after_the_same_step(size: int) -> None:
    _, (name, said) = alike(size, "stopped")
    assert name == "step-00000002.safetensors"
    assert said.startswith("stopped by SIGTERM after batch 2 of epoch 1; ")


@pytest.mark.parametrize("size", SIZES)
def test_what_rank_0_finds_wrong_all_say(size: int) -> None:
    _, said = alike(size, "refused")
    assert said.endswith(
        "holds a run already, up to 'step-00000002.safetensors'; give resume=True to go on with it, or "
        "another folder"
    )


@pytest.mark.parametrize("size", SIZES)
def test_a_rank_that_dies_ends_the_others_with_an_error_that_names_it(size: int) -> None:
    _, ranks = told(size)
    *others, dead = [rank["last"] for rank in ranks]
    assert dead is None
    first = others[0][0].partition(" ended or did not answer in time. ")[0]
    assert f"rank {size - 1}" in first, "rank 0, which all find each other through, ends by what it names"
    for rank, (said, _) in enumerate(others):
        assert said.startswith(f"rank {rank} of {size} cannot go on: ")
        told_by, _, rest = said.partition(". ")
        assert f"rank {size - 1}" in told_by or told_by.endswith(
            "rank 0, through which ranks find each other, has ended"
        )
        assert rest.startswith("What those wrote last says why; started again, training goes on from ")
