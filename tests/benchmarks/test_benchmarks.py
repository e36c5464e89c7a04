from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from benchmarks import memory, ours, peers, report, workloads
from benchmarks.__main__ import app
from benchmarks.case import MODES, Case, Mode, tiny
from benchmarks.dynamics import as_in_snntorch
from benchmarks.gate import check
from benchmarks.inputs import INPUTS, Data, make_data
from benchmarks.layers import init_weights, neurons
from benchmarks.losses import FOLDED, READS
from benchmarks.measure import compare
from benchmarks.memory import Question
from benchmarks.pair import Pair, prepare
from benchmarks.peers import HOISTED, PEERS, SNNTORCH, Peer
from benchmarks.peers.snntorch import LOSSES
from benchmarks.result import Result, Skipped
from benchmarks.run import Settings, run
from benchmarks.side import Grads, Job, Side, Trace, Unavailable
from benchmarks.workloads import CASES

pytestmark = pytest.mark.filterwarnings("ignore")  # those of peers

KEYS = {
    "workload", "mode", "peer", "ratio", "ratio_low", "ratio_high", "ours_ms", "peer_ms", "ours_peak_mb",
    "peer_peak_mb", "correct",
}  # fmt: skip
"""What a row of the JSON form has at least."""

ONE_EACH = [case for case in CASES if case == workloads.select([case.workload])[0]]
"""The first case of every workload."""


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def named(case: Case) -> str:
    return case.key


def installed(peer: Peer) -> Peer:
    pytest.importorskip(peer.package, reason=f"{peer.package} is not installed")
    return peer


def sides(pair: Pair) -> tuple[Side, Side]:
    try:
        return pair.build["ours"](), pair.build["peer"]()
    except Unavailable as error:
        pytest.skip(str(error))


# -- the table ------------------------------------------------------------------------------------


def test_every_case_has_a_name_of_its_own() -> None:
    assert len({case.key for case in CASES}) == len(CASES)


def test_the_tables_know_what_the_cases_name() -> None:
    losses = {case.loss for case in CASES if case.loss}
    assert losses == set(FOLDED) == set(READS) == set(LOSSES) == set(ours.LOSSES)
    assert {case.inputs for case in CASES} == set(INPUTS)
    assert all(READS[case.loss] in case.outputs for case in CASES if case.loss)


def test_every_case_that_trains_has_a_loss_and_a_rate() -> None:
    assert all(bool(case.loss and case.lr) == ("train" in case.modes) for case in CASES)


def test_a_workload_that_does_not_exist_is_named_with_those_that_do() -> None:
    with pytest.raises(ValueError, match="no workload W99; known: W1, W1-eager, "):
        workloads.select(["W1", "W99"])


def test_a_peer_that_does_not_exist_is_named_with_those_that_do() -> None:
    with pytest.raises(
        ValueError, match="no peer norse; known: jax, snntorch, snntorch-compiled, spikingjelly, "
    ):
        peers.select(["norse"])


def test_a_package_stands_for_all_of_its_modes() -> None:
    installed(HOISTED)
    assert [peer.name for peer in peers.select(["spikingjelly"])] == ["spikingjelly", "spikingjelly-hoisted"]
    assert peers.select(["spikingjelly-hoisted"]) == (HOISTED,)


# -- our side -------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=named)
def test_every_case_runs_on_our_side(case: Case) -> None:
    small = tiny(case)
    data = make_data(small)
    try:
        side = ours.build(small, init_weights(small.net), as_in_snntorch)
    except Unavailable as error:
        pytest.skip(str(error))
    for mode in small.modes:
        side.job(mode, data)()
    traces = side.traces(data)
    assert list(traces) == [name for name, _ in neurons(small.net)]
    assert all(trace.spk.shape[:2] == (small.steps, small.batch) for trace in traces.values())


def test_what_snnhw_lacks_is_left_out_by_name() -> None:
    case = replace(tiny(CASES[0]), needs="NoSuchNeuron")
    with pytest.raises(Unavailable, match=r"snnhw\.NoSuchNeuron does not exist yet"):
        ours.build(case, {}, as_in_snntorch)


@pytest.mark.parametrize("key", ["W3", "W5 static", "W11 20% B=32"])
def test_a_case_is_as_active_as_it_says(key: str) -> None:
    case = next(case for case in CASES if case.key == key)
    pair = prepare(replace(case, steps=20, batch=4), SNNTORCH)
    for trace in pair.build["ours"]().traces(pair.data).values():
        assert float(trace.spk.mean()) == pytest.approx(case.activity, rel=0.25)


# -- the gate -------------------------------------------------------------------------------------


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
@pytest.mark.parametrize("case", [*ONE_EACH, *(case for case in CASES if "static" in case.key)], ids=named)
def test_both_sides_compute_the_same(case: Case, peer: Peer) -> None:
    pair = prepare(tiny(case), installed(peer))
    mine, theirs = sides(pair)
    for mode in case.modes:
        verdict = check(pair.case, mode, mine, theirs, pair.data, immediate=peer is not SNNTORCH)
        assert verdict.correct, verdict.note
        assert "all spikes equal" in verdict.note


class Changed(Side):
    """Another side, with something wrong in what it shows."""

    def __init__(
        self, side: Side, *, spikes: bool = False, membranes: float = 0.0, gradients: float = 0.0
    ) -> None:
        self.side, self.spikes, self.membranes, self.slope = side, spikes, membranes, 1.0 + gradients

    def job(self, mode: Mode, data: Data) -> Job:
        raise NotImplementedError

    def traces(self, data: Data) -> dict[str, Trace]:
        found = self.side.traces(data)
        return {name: self._changed(trace) for name, trace in found.items()}

    def _changed(self, trace: Trace) -> Trace:
        spk = trace.spk.clone()
        if self.spikes:  # where the membrane is farthest from the threshold
            spk.view(-1)[trace.mem.reshape(-1).argmin()] = 1.0
        return Trace(spk, trace.mem * (1.0 + self.membranes))

    def gradients(self, mode: Mode, data: Data) -> Grads:
        return {name: grad * self.slope for name, grad in self.side.gradients(mode, data).items()}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"spikes": True}, "1 of them far from the threshold"),
        ({"membranes": 1e-2}, "all spikes equal"),
        ({"gradients": 1e-2}, "gradients within 1e-02"),
    ],
)
def test_the_gate_stays_shut_for_a_wrong_result(wrong: dict[str, float], words: str) -> None:
    pair = prepare(tiny(next(case for case in CASES if case.key == "W5 varying")), SNNTORCH)
    side = pair.build["ours"]()
    assert check(pair.case, "fwd+bwd", side, side, pair.data, immediate=False).correct
    verdict = check(pair.case, "fwd+bwd", Changed(side, **wrong), side, pair.data, immediate=False)  # type: ignore[arg-type]
    assert not verdict.correct
    assert words in verdict.note


def test_what_is_wrong_is_not_timed() -> None:
    installed(SNNTORCH)
    build = SNNTORCH.build
    broken = replace(SNNTORCH, build=lambda case, weights: Changed(build(case, weights), spikes=True))
    case = next(case for case in CASES if case.key == "W5 static")
    rows = list(run([case], [broken], Settings(("fwd",), repeats=1, quick=True, memory=False)))
    assert [(row.correct, row.ratio, row.ours_ms) for row in rows if isinstance(row, Result)] == [
        (False, None, None)
    ]
    assert "NOT THE SAME RESULT" in report.line(rows[0])


# -- measuring ------------------------------------------------------------------------------------


def test_the_ratio_lies_within_its_spread() -> None:
    timing = compare(lambda: sum(range(1000)), lambda: sum(range(5000)), repeats=6, seconds=60.0)
    assert timing.ratio_low <= timing.ratio <= timing.ratio_high
    assert timing.pairs == 6


def test_long_jobs_are_timed_fewer_times() -> None:
    timing = compare(lambda: None, lambda: None, repeats=100, seconds=0.0)
    assert timing.pairs == 5


@pytest.mark.slow
@pytest.mark.skipif(not memory.STATUS.exists(), reason="this system does not tell a process's memory")
def test_peak_memory_is_that_of_the_case() -> None:
    peak = memory.ask(Question("W5 varying", "fwd", "snntorch", "ours", quick=False, threads=1))
    spikes = 25 * 128 * 1000 * 4 / 2**20
    assert peak is not None
    assert spikes <= peak <= 8 * spikes


# -- reports --------------------------------------------------------------------------------------


def row(**changed: object) -> Result:
    values: dict[str, object] = {field.name: 1.25 for field in fields(Result)}
    texts = {
        "workload": "W1",
        "mode": "train",
        "peer": "other",
        "title": "a network",
        "note": "all spikes equal",
    }
    return Result(**values | texts | {"correct": True, "steps": 3, "batch": 2} | changed)  # type: ignore[arg-type]


def test_json_has_the_promised_form() -> None:
    skipped = Skipped("W8", "train", "other", "it has no such neuron")
    found = json.loads(report.as_json([row(ratio=12.345678), skipped], quick=False))
    assert found["schema"] == report.SCHEMA
    assert {"cpu", "cores", "threads"} <= found["machine"].keys()
    assert {"snnhw", "torch"} <= found["versions"].keys()
    assert not KEYS - found["results"][0].keys()
    assert found["results"][0]["ratio"] == 12.35
    assert found["skipped"] == [
        {"workload": "W8", "mode": "train", "peer": "other", "reason": skipped.reason}
    ]


def test_a_page_keeps_what_is_around_its_results(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- results -->\nold\n<!-- /results -->\nafter\n")
    for _ in range(2):
        report.update_page(page, report.as_markdown([row()], quick=False))
    text = page.read_text()
    assert text.startswith("before\n<!-- results -->\n")
    assert text.endswith("<!-- /results -->\nafter\n")
    assert "old" not in text
    assert text.count("**W1**: a network.") == 1


def test_a_page_without_markers_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing here\n")
    with pytest.raises(ValueError, match="has no <!-- results -->"):
        report.update_page(page, "text")
    assert page.read_text() == "nothing here\n"


def test_the_command_writes_what_it_is_asked_for(tmp_path: Path) -> None:
    installed(SNNTORCH)
    found, page = tmp_path / "found.json", tmp_path / "page.md"
    options = [
        "--peers",
        "snntorch",
        "--modes",
        "train",
        "--quick",
        "--no-memory",
        "--repeats",
        "1",
        "--threads",
        "1",
    ]
    done = CliRunner().invoke(app, ["W9", *options, "--json", str(found), "--markdown", str(page)])
    assert done.exit_code == 0, done.output
    rows = json.loads(found.read_text())["results"]
    assert [(each["workload"], each["mode"], each["peer"], each["correct"]) for each in rows] == [
        ("W9", "train T=1", "snntorch", True),
        ("W9", "train T=10", "snntorch", True),
    ]
    assert "quick runs" in page.read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["W99"], "no workload W99"),
        (["--peers", "norse"], "no peer norse"),
        (["--modes", "sleep"], f"no mode sleep; known: {', '.join(MODES)}"),
    ],
)
def test_the_command_says_what_it_does_not_know(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert done.exit_code == 2
    assert message in done.output
