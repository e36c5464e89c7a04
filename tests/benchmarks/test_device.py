from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from math import inf
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from benchmarks.case import tiny
from benchmarks.device import crew, modules, tasks
from benchmarks.device.cases import CASES, bytes_at_least, case_of
from benchmarks.device.command import Run, app
from benchmarks.device.crew import Crew, Row
from benchmarks.device.record import MARKERS, Record
from benchmarks.device.tasks import FIRST, Task
from benchmarks.device.worker import answer
from benchmarks.dynamics import as_in_spikingjelly
from benchmarks.gate import check
from benchmarks.pair import prepare
from benchmarks.peers import ON_A_GPU, PEERS
from benchmarks.place import HERE, INTERPRETED
from benchmarks.side import Unavailable
from snnhw import registry

SAYS = "interpreted: proves nothing about speed"

WITH_TRITON = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")

WITH_SNNTORCH = pytest.mark.skipif(find_spec("snntorch") is None, reason="snntorch is not installed")

pytestmark = pytest.mark.filterwarnings("ignore")  # those of peers

NAMED = {peer.name: peer for peer in ON_A_GPU}

ROW: Row = {
    "workload": "W9", "mode": "train T=1", "peer": "snntorch", "ratio": 2.0, "ratio_low": 1.5,
    "ratio_high": 2.5, "ours_ms": 1.0, "peer_ms": 2.0, "pairs": 3, "ours_peak_mb": 1.0, "peer_peak_mb": 2.0,
    "correct": True, "aim": None, "title": "a network", "steps": 1, "batch": 2, "note": "all spikes equal",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# -- the plan -------------------------------------------------------------------------------------


def test_the_rows_wanted_most_come_first_and_none_comes_twice() -> None:
    rows = tasks.rows(tiny=False)
    first = [(key, mode, peer) for key, mode, peers in FIRST for peer in peers]
    assert [(row.name, row.mode, row.peer) for row in rows[: len(first)]] == first
    assert len(set(rows)) == len(rows)


def test_every_workload_is_measured_in_every_mode() -> None:
    assert {case.workload for case in CASES} == {"W1-eager", *(f"W{number}" for number in range(1, 13))}
    planned = {(row.name, row.mode) for row in tasks.rows(tiny=False)}
    assert planned == {(case.key, mode) for case in CASES for mode in case.modes}


def test_a_cut_off_run_leaves_cases_of_every_class() -> None:
    quick, rest = tasks.cases_of_conformance()
    assert not {*quick} & {*rest}
    classes = [task.name.partition("/")[0] for task in rest]
    assert {*classes[: len({*classes})]} == {*classes}


def test_bytes_are_those_that_no_kernel_saves() -> None:
    case = case_of("W5 varying float32 T=25 B=128 N=1000")
    steps = 25 * 128 * 1000
    assert bytes_at_least(case, "fwd") == 8 * steps  # x in, spikes out
    assert bytes_at_least(case, "fwd+bwd") == 20 * steps  # and x and the spikes' gradient in, that of x out
    assert bytes_at_least(replace(case, dtype="bfloat16"), "fwd+bwd") == 10 * steps
    assert bytes_at_least(replace(case, inputs="current"), "fwd+bwd") == 8 * steps
    assert bytes_at_least(case_of("W1"), "train") is None


# -- what is measured -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "peer"),
    [
        ("W2", "snntorch"),
        ("W6 N=512", "snntorch"),
        ("W6 N=512", "spikingjelly"),
        ("W7 events", "snntorch"),
        ("W8 scalar", "spikingjelly-flexsn"),
        ("W10 T=1000", "snntorch-stateleaky"),
        pytest.param("W12", "snntorch", marks=pytest.mark.slow),
        pytest.param("W12", "spikingjelly", marks=pytest.mark.slow),
        pytest.param("W7", "snntorch-compiled", marks=pytest.mark.slow),
    ],
)
def test_both_sides_compute_the_same(key: str, peer: str) -> None:
    pytest.importorskip(NAMED[peer].package)
    pair = prepare(replace(tiny(case_of(key)), batch=2), NAMED[peer])
    mine, theirs = pair.build["ours"](), pair.build["peer"]()
    for mode in pair.case.modes:
        immediate = NAMED[peer].dynamics is as_in_spikingjelly
        verdict = check(pair.case, mode, mine, theirs, pair.data, immediate=immediate)
        assert verdict.correct, verdict.note
        assert "all spikes equal" in verdict.note


@WITH_SNNTORCH
def test_a_graph_is_left_out_where_there_is_no_gpu() -> None:
    pair = prepare(tiny(case_of("W9 T=1")), NAMED["snntorch-graph"])
    with pytest.raises(Unavailable, match="a CUDA graph needs a GPU"):
        pair.build["peer"]()


@WITH_SNNTORCH
@pytest.mark.parametrize("name", ["Leaky subtract", "RLeaky zero"])
def test_an_eager_module_does_as_snntorchs(name: str) -> None:
    found = modules.compare(name, HERE)
    assert found["correct"], found
    assert 0.05 < float(str(found["activity"])) < 0.95


@WITH_SNNTORCH
def test_an_eager_module_that_does_not_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    import snntorch

    class Other(snntorch.Leaky):  # type: ignore[misc]
        def __init__(self, beta: float, **options: object) -> None:
            super().__init__(beta=beta * 0.99, **options)

    monkeypatch.setattr(snntorch, "Leaky", Other)
    assert not modules.compare("Leaky subtract", HERE)["correct"]


@WITH_TRITON
@WITH_SNNTORCH
def test_a_row_is_rehearsed_without_a_gpu_and_says_so() -> None:
    task = Task("row", "W9 T=1", "train", "snntorch", tiny=True)
    row = answer(task, INTERPRETED)
    assert row["correct"], row
    record = Record(INTERPRETED.warning, 1.0)
    record.add(task, row)
    found = json.loads(record.as_json())
    assert [each["label"] for each in (found, found["conformance"], *found["results"])] == [SAYS] * 3
    networks = [part for part in record.as_markdown().split("\n\n") if part.startswith("**W9**")]
    assert [SAYS in part for part in networks] == [True]


def test_whatever_goes_wrong_is_a_row() -> None:
    assert "StopIteration" in answer(Task("row", "W99"), HERE)["error"]


@WITH_TRITON
def test_a_case_of_conformance_is_one_row() -> None:
    found = answer(Task("case", "gradient/loss-CERate-plain"), INTERPRETED)
    assert (found["outcome"], found["cls"]) == ("passed", "gradient")


# -- workers --------------------------------------------------------------------------------------


class Scripted:
    """A worker that answers as its script says, and is counted."""

    made = 0
    script: dict[str, Row]

    def __init__(self, place: str, threads: int) -> None:
        type(self).made += 1

    def ask(self, task: Task, seconds: float) -> Row:
        return dict(self.script[task.name])

    def end(self) -> None:
        pass


def serve(
    monkeypatch: pytest.MonkeyPatch, script: dict[str, Row], until: float
) -> tuple[list[str], list[Task], int]:
    monkeypatch.setattr(Scripted, "made", 0)
    monkeypatch.setattr(Scripted, "script", script, raising=False)
    monkeypatch.setattr(crew, "Worker", Scripted)
    found: list[str] = []
    hands = Crew("cuda", 1, 10.0, lambda task, row: found.append(f"{task.name} {row.get('error', 'fine')}"))
    left = hands.do([Task("row", name) for name in script], until)
    return found, left, Scripted.made


def test_a_worker_that_dies_takes_one_row_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    script: dict[str, Row] = {"one": {}, "two": {"error": "died", "lost": True}, "three": {}}
    found, left, made = serve(monkeypatch, script, inf)
    assert found == ["one fine", "two died", "three fine"]
    assert (left, made) == ([], 2)


def test_what_there_was_no_time_for_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    found, left, made = serve(monkeypatch, {"one": {}, "two": {}}, -inf)
    assert (found, [task.name for task in left], made) == ([], ["one", "two"], 0)


def test_a_process_that_ends_says_how(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "python"
    fake.write_text(f"#!{sys.executable}\nimport sys\nsys.exit('something broke')\n")
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    process = crew.Worker("cuda", 1)
    row = process.ask(Task("machine"), 60.0)
    process.end()
    assert row == {"error": "its process ended with status 1: something broke", "lost": True}


# -- what is written ------------------------------------------------------------------------------


def test_an_interrupted_run_leaves_a_whole_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def do(self: Crew, what: Sequence[Task], _: float) -> list[Task]:
        for task in what:
            if task.kind == "row":
                self.found(task, dict(ROW))
                raise KeyboardInterrupt
        return []

    monkeypatch.setattr(Crew, "do", do)
    file = tmp_path / "found.json"
    run = Run(Record("", 1.0), file, "cuda", 1, inf)
    with pytest.raises(KeyboardInterrupt):
        run.all(["W9"], {"snntorch"} if find_spec("snntorch") else set())
    found = json.loads(file.read_text())
    assert (found["finished"], [row["workload"] for row in found["results"]]) == (False, ["W9"])


def test_a_page_tells_what_it_ran_on_and_what_failed() -> None:
    record = Record("", 8.0)
    record.add(
        Task("machine"),
        {
            "device": "NVIDIA Example", "capability": "9.0", "memory_gb": 139.8, "copy_gb_per_s": 4300,
            "driver": "580.1", "cuda": "13.0",
            "host": {"cpu": "a processor", "cores": 16, "python": "3.12.3"}, "versions": {"torch": "2.11.0"},
        },
    )  # fmt: skip
    record.add(Task("case", "exact/one"), {"error": "its process ended"})
    record.add(Task("module", "Leaky zero"), {"error": "no such kernel"})
    record.add(Task("row", "W5 static", "fwd", "spikingjelly"), {"error": "out of memory"})
    wide = ROW | {
        "workload": "W5",
        "mode": "fwd+bwd varying float32 T=25 B=128 N=1000",
        "ours_roofline": 0.87,
    }
    record.add(Task("row"), wide)
    text = record.as_markdown()
    assert "NVIDIA Example (sm_90, 139.8 GB, a copy moves 4300 GB/s), driver 580.1, CUDA 13.0" in text
    assert "- exact/one: its process ended" in text
    assert "| Leaky zero | NO, no such kernel |" in text
    assert "- W5 static fwd beside spikingjelly: failed: out of memory" in text
    assert "ours roofline" in text
    assert "| 0.87 |" in text
    assert SAYS not in text
    assert record.wrong == ["exact/one", "Leaky zero"]


def test_the_page_has_room_for_results() -> None:
    text = (Path(__file__).parents[2] / "benchmarks" / "README.md").read_text()
    assert [text.count(marker) for marker in MARKERS] == [1, 1]


# -- the command ----------------------------------------------------------------------------------


def invoke(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, [*arguments], env={"COLUMNS": "200", "NO_COLOR": "1"})
    return done.exit_code, done.output


@pytest.mark.slow
@WITH_TRITON
@WITH_SNNTORCH
def test_the_whole_command_is_rehearsed(tmp_path: Path) -> None:
    file, page = tmp_path / "found.json", tmp_path / "page.md"
    code, said = invoke(
        "W9",
        "--peers",
        "snntorch",
        "--interpret",
        "--minutes",
        "60",
        "--json",
        str(file),
        "--markdown",
        str(page),
    )
    assert code == 0, said
    found = json.loads(file.read_text())
    assert found["finished"]
    assert [(row["mode"], row["correct"]) for row in found["results"]] == [
        ("train T=1", True),
        ("train T=10", True),
    ]
    assert SAYS in page.read_text()


def test_what_does_not_exist_is_named_with_what_does() -> None:
    code, said = invoke("W99")
    assert code == 2
    assert "there is no W99; known: conformance, modules, W1, W2, " in said


def test_where_it_is_not_installed_the_line_that_mends_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "names", lambda _: ["cpu"])
    code, said = invoke("W9")
    assert code == 2
    assert "To mend it: pip install --no-deps --no-build-isolation -e ." in said


def test_the_peers_on_a_cpu_are_peers_on_a_gpu_too() -> None:
    assert {*PEERS} <= {*ON_A_GPU}
    assert {name for _, _, names in FIRST for name in names} <= NAMED.keys()
