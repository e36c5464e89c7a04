"""What is asked of a GPU, answered by a stand-in: kernels are interpreted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec

import pytest
import torch

from benchmarks.case import tiny
from benchmarks.device import machine, worker
from benchmarks.device.cases import case_of
from benchmarks.device.tasks import Task
from benchmarks.device.worker import answer
from benchmarks.measure import by_events
from benchmarks.pair import prepare
from benchmarks.peers import ON_A_GPU
from benchmarks.peers.graphed import Graphed
from benchmarks.place import INTERPRETED, Place
from benchmarks.side import TorchSide

pytestmark = pytest.mark.filterwarnings("ignore")  # those of peers

WITH_TRITON = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")

WITH_SNNTORCH = pytest.mark.skipif(find_spec("snntorch") is None, reason="snntorch is not installed")

NAMED = {peer.name: peer for peer in ON_A_GPU}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class FakeEvent:
    """Of a GPU on which every two events lie 40 ms apart."""

    def __init__(self, *, enable_timing: bool) -> None:
        assert enable_timing

    def record(self) -> None:
        pass

    def elapsed_time(self, _: FakeEvent) -> float:
        return 40.0


class LikeAGpu(Place):
    is_gpu = True


@pytest.fixture
def fake_gpu(monkeypatch: pytest.MonkeyPatch) -> Place:
    """Kernels are interpreted; what is asked of a GPU's clock and memory is answered with numbers."""
    for name, value in (("memory_allocated", 10 << 20), ("max_memory_allocated", 25 << 20)):
        monkeypatch.setattr(torch.cuda, name, lambda value=value: value)
    for name in ("synchronize", "reset_peak_memory_stats", "empty_cache"):
        monkeypatch.setattr(torch.cuda, name, lambda *_: None)
    monkeypatch.setattr(torch.cuda, "Event", FakeEvent)
    monkeypatch.setattr(machine, "bandwidth", lambda: 1e9)
    worker._bandwidth.cache_clear()
    return LikeAGpu(INTERPRETED.backend, INTERPRETED.device, INTERPRETED.options)


@pytest.mark.usefixtures("fake_gpu")
def test_a_gpus_own_clock_counts() -> None:
    calls: list[None] = []
    assert by_events(lambda: calls.append(None), 4) == pytest.approx(0.04)
    assert len(calls) == 4


@WITH_TRITON
@WITH_SNNTORCH
def test_a_row_on_a_gpu_has_its_time_its_memory_and_its_roofline(fake_gpu: Place) -> None:
    key = "W5 varying float32 T=25 B=128 N=1000"
    row = answer(Task("row", key, "fwd+bwd", "snntorch", tiny=True), fake_gpu)
    assert row["correct"], row
    assert (row["ours_ms"], row["peer_ms"], row["ratio"]) == (40.0, 40.0, 1.0)
    assert (row["ours_peak_mb"], row["peer_peak_mb"]) == (15.0, 15.0)
    least = 20 * row["steps"] * row["batch"] * 1000
    assert row["ours_roofline"] == pytest.approx(least / 1e9 / 0.04)


class FakeStream:
    def wait_stream(self, _: FakeStream) -> None:
        pass


class FakeGraph:
    """Remembers what it was asked to hold."""

    replays = 0

    def replay(self) -> None:
        type(self).replays += 1


@WITH_SNNTORCH
def test_a_graph_holds_a_whole_step_and_is_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    inside: list[bool] = []

    @contextmanager
    def recording(_: object) -> Iterator[None]:
        inside.append(True)
        yield
        inside.append(False)

    monkeypatch.setattr(FakeGraph, "replays", 0)
    for name, value in {
        "CUDAGraph": FakeGraph,
        "Stream": FakeStream,
        "current_stream": FakeStream,
        "graph": recording,
        "stream": lambda _: nullcontext(),
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    case = tiny(case_of("W5 varying float32 T=25 B=128 N=1000"))
    pair = prepare(case, NAMED["snntorch"])
    side = pair.build["peer"]()
    assert isinstance(side, TorchSide)
    calls: list[list[bool]] = []
    monkeypatch.setattr(side.net, "forward", _counted(side.net.forward, calls, inside))
    job = Graphed(side).job("fwd+bwd", pair.data)
    assert [*map(len, calls)] == [0, 0, 0, 1]  # three to warm up, then one that is recorded
    job()
    job()
    assert (len(calls), FakeGraph.replays) == (4, 2)


def _counted(
    forward: Callable[..., object], calls: list[list[bool]], inside: list[bool]
) -> Callable[..., object]:
    def counted(x: object) -> object:
        calls.append([*inside])
        return forward(x)

    return counted
